"""Peak memory of training in closed form, by category, fast enough to drag a slider by.

What a training step holds on a GPU:

- parameters, fp32; with mixed precision their bf16 copies live as long as the forward and backward pass (temporaries)
- gradients, fp32; kept during the forward pass too where micro-batches add up
- optimizer state: AdamW's two moments
- activations: what every layer keeps for its backward pass
- temporaries: the logits of one chunk and their loss; the gradients inside the layer that backward is in

The peak is at one of four moments: where who sees whom is made, inside the loss, in the backward pass of the last
layer, or at the end of backward when all gradients are there. The Thinker's form follows its operators one by one and
is held against the exact count of `muomni.train.memory_trace`. The other stages' forms are PROVISIONAL until their
models are built: the same transformer accounting, with convolutions counted by their outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from muomni.config import (
    AudioEncConfig,
    OCRConfig,
    OmniSFTConfig,
    StageConfig,
    TalkerConfig,
    ThinkerConfig,
    VisionConfig,
    VocoderConfig,
)
from muomni.plan.parameters import (
    PERIODS,
    SCALES,
    UPSAMPLING,
    count_parameters,
    decoder_parts,
    parameters_by_part,
    strides,
)

GIB = 2**30


LOSS_CHUNK = 1024
"""Rows of logits that `muomni.nn.loss` holds at once."""

JUDGED_ROWS = 64
"""Rows of them that it judges at once, in fp32."""


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of one training step, per process."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    temporaries: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.optimizer + self.activations + self.temporaries

    def to_json(self) -> dict[str, int]:
        """Bytes by category, and their total."""
        return asdict(self) | {"total": self.total}


def peak_memory(config: StageConfig, batch_size: int, accumulates: bool) -> Memory:
    """Predicted peak of one training step.

    Args:
        config: the stage's settings.
        batch_size: examples of one micro-batch.
        accumulates: whether several micro-batches make a step, so that gradients are there during forward.
    """
    return FORMS[type(config)](config, batch_size, accumulates)


@dataclass(frozen=True)
class Layer:
    """One transformer block's bytes: kept for backward, and the most that its own backward adds for a moment."""

    kept: int
    moment: int


def block(
    tokens: int,
    d: int,
    heads: int,
    kv_heads: int,
    d_ff: int,
    *,
    act: int,
    swiglu: bool,
    dropout: bool,
    flash: bool,
    keys: int,
    masked: bool = False,
    n_experts: int = 0,
    experts_per_token: int = 1,
) -> Layer:
    """A block over `tokens` (B T) tokens; `act` bytes an activation (2 in bf16), `keys` keys for each query."""
    kv = d // heads * kv_heads
    # the kernels of fp32, or with a mask, know no groups: keys and values are repeated
    shared = d if flash and (act == 4 or masked) else kv
    norms = 2 * tokens * (4 * d + 4 + act * d)  # the fp32 stream, a number a row, what goes on
    mixing = tokens * act * (2 * d + 2 * shared) + tokens * heads * 4  # q, k, v, output, log-sum-exp
    if not flash:
        mixing += tokens * heads * keys * act
    masks = 2 * tokens * d if dropout else 0
    wide = 4 if swiglu else 2
    sent = tokens
    feed = 0
    if n_experts:
        sent = tokens * experts_per_token
        feed = 3 * sent * act * d + tokens * (8 * n_experts + 36 * experts_per_token)
        feed += 4 * tokens * d if act == 2 else 0
    feed += wide * sent * act * d_ff
    # backward of SwiGLU holds three gradients of the wide layer where one input is freed; of GELU, two
    moment = (2 if swiglu else 1) * sent * act * d_ff // max(1, n_experts)
    if n_experts:
        moment = max(moment, sent * d * (8 + act))  # the experts' answers are weighed in fp32
    moment += tokens * d * (4 + act)
    return Layer(norms + mixing + masks + feed, moment)


def thinker(config: ThinkerConfig | OmniSFTConfig, batch_size: int, accumulates: bool) -> Memory:
    """The Thinker, operator by operator."""
    tokens, d, act = batch_size * config.ctx_len, config.d_model, 2 if config.use_amp else 4
    parts = decoder_parts(config)
    size = sum(parts.values())
    table = config.vocab_size * d
    masked = isinstance(config, ThinkerConfig) and config.separate_documents
    layer = block(
        tokens,
        d,
        config.n_heads,
        config.n_kv_heads,
        config.d_ff,
        act=act,
        swiglu=config.use_swiglu,
        dropout=config.dropout > 0,
        flash=config.use_flash,
        keys=config.ctx_len,
        masked=masked,
        n_experts=config.n_experts,
        experts_per_token=config.experts_per_token,
    )
    copies = 2 * (parts["attention"] + parts["feed-forward"]) if config.use_amp else 0
    stream = tokens * (4 * d + 4) + (tokens * d if config.dropout > 0 else 0)  # the final norm's; embedding dropout's
    turns = 2 * config.ctx_len * d // config.n_heads * act if config.use_amp else 0  # rotary positions in bf16
    kept = config.n_layers * layer.kept + stream + turns + 2 * 8 * tokens
    pairs = tokens * config.ctx_len if masked else 0  # who sees whom
    kept += pairs * act
    logits = min(LOSS_CHUNK, tokens) * config.vocab_size * act
    # in the loss: hidden states and their gradient, the table's gradient and its bf16 copy, the logits, and then either
    # some rows judged in fp32 or the product that goes into the table's gradient
    judged = 2 * min(JUDGED_ROWS, tokens) * config.vocab_size * 4 if config.use_amp else 0  # fp32 is judged in place
    product = act * table + min(LOSS_CHUNK, tokens) * d * (6 if config.use_amp else 4)
    in_loss = 2 * tokens * act * d + 4 * table + (2 * table if config.use_amp else 0)
    in_loss += logits + max(judged, product)
    in_layer = tokens * act * d + 4 * table + layer.moment
    # at the end all gradients are there; a tied table's two are being added into a third
    at_end = 4 * size + (8 * table if config.tie_embeddings else 0) + 4 * tokens * d - copies - kept
    held = 4 * size if accumulates else 0
    at_start = pairs * (1 + act) - copies - kept  # where that is made, and nothing else is there yet
    extra = max(at_start + held, in_loss + held, in_layer + held, at_end + (4 * table if accumulates else 0))
    temporaries = max(0, copies + extra - 4 * size)
    activations = kept + copies + extra - 4 * size - temporaries
    return Memory(4 * size, 4 * size, 8 * size, activations, temporaries)


def _encoder(config: StageConfig, tokens: int, d: int, layers: int, heads: int, d_ff: int, keys: int) -> int:
    """Bytes kept by an encoder's blocks (GELU, no groups)."""
    layer = block(
        tokens,
        d,
        heads,
        heads,
        d_ff,
        act=_act(config),
        swiglu=False,
        dropout=getattr(config, "dropout", 0.0) > 0,
        flash=getattr(config, "use_flash", True),
        keys=keys,
    )
    return layers * layer.kept + layer.moment


def _act(config: StageConfig) -> int:
    return 2 if config.use_amp else 4


def _held(trained: int, activations: int, act: int, frozen: int = 0) -> Memory:
    """Weights, gradients and AdamW's moments of `trained` parameters beside the activations."""
    copies = 2 * (trained + frozen) if act == 2 else 0
    return Memory(4 * (trained + frozen), 4 * trained, 8 * trained, activations, copies)


def _convolved(config: AudioEncConfig | OmniSFTConfig | TalkerConfig, batch_size: int, d: int) -> tuple[int, int]:
    """(output frames of a clip, bytes that the strided convolutions keep)."""
    frames = int(config.max_audio_seconds * config.sample_rate / config.hop_length)
    kept = batch_size * frames * config.n_mels * 4
    for stride in strides(config.downsample):
        frames = -(-frames // stride)
        kept += 2 * batch_size * frames * d * _act(config)
    return frames, kept


def audio_enc(config: AudioEncConfig, batch_size: int, accumulates: bool) -> Memory:
    frames, convolved = _convolved(config, batch_size, config.d_model)
    kept = _encoder(
        config, batch_size * frames, config.d_model, config.n_layers, config.n_heads, config.d_ff, keys=frames
    )
    logits = batch_size * frames * (config.vocab_size + 1) * (4 + 4 + _act(config))
    return _held(count_parameters(config), convolved + kept + logits, _act(config))


def vision(config: VisionConfig, batch_size: int, accumulates: bool) -> Memory:
    patches = (config.img_size // config.patch) ** 2
    kept = _encoder(
        config, batch_size * patches, config.d_model, config.n_layers, config.n_heads, config.d_ff, keys=patches
    )
    kept += _encoder(
        config,
        batch_size * config.text_len,
        config.text_d_model,
        config.text_layers,
        config.text_heads,
        config.text_d_ff,
        keys=config.text_len,
    )
    pixels = batch_size * 3 * config.img_size**2 * 4
    asked = min(config.vocab_size, batch_size * config.text_len // 4)  # of the captions' pieces many come again
    named = 2 * batch_size * patches * asked * 4 if config.word_weight else 0
    return _held(count_parameters(config), kept + pixels + named + 3 * batch_size**2 * 4, _act(config))


def talker(config: TalkerConfig, batch_size: int, accumulates: bool) -> Memory:
    frames, convolved = _convolved(config, batch_size, config.codec_d_model)
    kept = _encoder(
        config, batch_size * frames, config.d_model, config.n_layers, config.n_heads, config.d_ff, keys=frames
    )
    codes = batch_size * frames * config.n_codebooks * config.codebook_size * (4 + 4 + _act(config))
    return _held(count_parameters(config), max(kept + codes, 2 * convolved), _act(config))


def omni_sft(config: OmniSFTConfig, batch_size: int, accumulates: bool) -> Memory:
    language = thinker(config, batch_size, accumulates)
    parts = parameters_by_part(config)
    frozen = parts["audio encoder"] * (not config.train_audio) + parts["vision encoder"] * (not config.train_vision)
    frozen += sum(decoder_parts(config).values()) * (not config.train_thinker)
    trained = sum(parts.values()) - frozen
    frames, convolved = _convolved(config, batch_size, config.audio_d_model)
    patches = (config.img_size // config.patch) ** 2
    seeing = (
        batch_size * patches,
        config.vision_d_model,
        config.vision_layers,
        config.vision_heads,
        config.vision_d_ff,
    )
    hearing = (batch_size * frames, config.audio_d_model, config.audio_layers, config.audio_heads, config.audio_d_ff)
    kept = _encoder(config, *seeing, keys=patches) // (1 if config.train_vision else 2 * config.vision_layers)
    kept += (convolved + _encoder(config, *hearing, keys=frames)) // (
        1 if config.train_audio else 2 * config.audio_layers
    )
    held = _held(trained, language.activations + kept, _act(config), frozen)
    return Memory(
        held.parameters, held.gradients, held.optimizer, held.activations, max(held.temporaries, language.temporaries)
    )


def vocoder(config: VocoderConfig, batch_size: int, accumulates: bool) -> Memory:
    samples, act = config.max_audio_length, _act(config)
    length, channels, kept = samples // config.hop_length, config.d_model, 0
    if config.head == "istft":
        kept = config.n_layers * length * channels * (4 + 4 + 3 * 2 * 2) * act + 4 * length * config.n_fft * act
    else:
        for factor in UPSAMPLING:
            length, channels = length * factor, max(1, channels // 2)
            kept += length * channels * 3 * 6 * 2 * act
    kept += 2 * len(PERIODS) * samples * config.d_disc * 2 * act + 2 * SCALES * samples * config.d_disc * 4 * act
    return _held(count_parameters(config), batch_size * kept, act)


def ocr(config: OCRConfig, batch_size: int, accumulates: bool) -> Memory:
    patches = (config.img_size // config.patch) ** 2
    kept = _encoder(
        config,
        batch_size * patches,
        config.vision_d_model,
        config.vision_layers,
        config.vision_heads,
        config.vision_d_ff,
        keys=patches,
    )
    tokens, d = batch_size * config.text_len, config.decoder_d_model
    kept += _encoder(
        config, tokens, d, config.decoder_layers, config.decoder_heads, config.decoder_d_ff, keys=config.text_len
    )
    cross = tokens * d * (4 + 3 * _act(config)) + 2 * batch_size * patches * d * _act(config)
    kept += config.decoder_layers * cross + batch_size * 3 * config.img_size**2 * 4
    logits = tokens * config.n_characters * 12
    return _held(count_parameters(config), kept + logits, _act(config))


FORMS: dict[type[StageConfig], Callable[..., Memory]] = {
    ThinkerConfig: thinker,
    AudioEncConfig: audio_enc,
    VisionConfig: vision,
    TalkerConfig: talker,
    OmniSFTConfig: omni_sft,
    VocoderConfig: vocoder,
    OCRConfig: ocr,
}
