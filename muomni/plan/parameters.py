"""How many parameters a config makes, part by part, in closed form: nothing is built.

Every linear layer without bias, one RMSNorm weight per width, exactly as the models in `muomni.models` are made; each
count is held equal to its built model by a test as soon as that model exists.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import gcd

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

Parts = dict[str, int]


def parameters_by_part(config: StageConfig) -> Parts:
    """Parameters of each part of the stage's model; their sum is the model's size."""
    return PARTS[type(config)](config)


def count_parameters(config: StageConfig) -> int:
    """All parameters of the stage's model (for the vocoder, discriminators included)."""
    return sum(parameters_by_part(config).values())


def attention(width: int, heads: int, kv_heads: int) -> int:
    """Query, key, value and output matrices of (grouped-query) attention."""
    head = width // heads
    return 2 * width * width + 2 * width * head * kv_heads


def feed_forward(width: int, inner: int, swiglu: bool = True) -> int:
    """Three matrices with SwiGLU, two with GELU."""
    return (3 if swiglu else 2) * width * inner


def blocks(layers: int, width: int, heads: int, inner: int) -> int:
    """An encoder's transformer blocks (GELU, as many key-value heads as heads) and its final norm."""
    return layers * (attention(width, heads, heads) + feed_forward(width, inner, swiglu=False) + 2 * width) + width


def decoder_parts(config: ThinkerConfig | OmniSFTConfig) -> Parts:
    """The Thinker's parts."""
    width, layers = config.d_model, config.n_layers
    inner = feed_forward(width, config.d_ff, config.use_swiglu)
    experts = config.n_experts * inner + width * config.n_experts if config.n_experts else inner
    table = config.vocab_size * width
    parts = {
        "embeddings": table,
        "attention": layers * attention(width, config.n_heads, config.n_kv_heads),
        "feed-forward": layers * experts,
        "norms": (2 * layers + 1) * width,
    }
    return parts if config.tie_embeddings else parts | {"output": table}


def strides(factor: int) -> list[int]:
    """The strides of convolutions that together shorten time by `factor`: its prime factors, largest first."""
    found, prime = [], 2
    while factor > 1:
        while factor % prime == 0:
            found.append(prime)
            factor //= prime
        prime += 1
    return found[::-1] or [1]


def convolutions(channels_in: int, width: int, factor: int) -> int:
    """The convolutions (with bias) in front of an encoder: one of width 3, then strided ones, twice the stride wide."""
    first = channels_in * width * 3 + width
    return first + sum(width * width * (2 * stride + 1) + width for stride in strides(factor))


def vision_encoder(
    img_size: int, patch: int, width: int, layers: int, heads: int, inner: int, n_words: int = 0
) -> Parts:
    """A ViT: two convolutions (with bias) that make patches, learned positions, blocks, a head that names words."""
    side = patch // 2 if patch % 2 == 0 else patch
    half = width // 2
    return {
        "patches": (3 * side * side + 1) * half + (9 * half + 1) * width,
        "positions": (img_size // patch) ** 2 * width,
        "vision blocks": blocks(layers, width, heads, inner),
        "words' head": (width + 1) * n_words,
    }


def audio_parts(config: AudioEncConfig) -> Parts:
    return {
        "convolutions": convolutions(config.n_mels, config.d_model, config.downsample),
        "blocks": blocks(config.n_layers, config.d_model, config.n_heads, config.d_ff),
        "CTC head": (config.d_model + 1) * (config.vocab_size + 1),
    }


def vision_parts(config: VisionConfig) -> Parts:
    picture = vision_encoder(
        config.img_size,
        config.patch,
        config.d_model,
        config.n_layers,
        config.n_heads,
        config.d_ff,
        config.vocab_size,
    )
    own = config.text_tower == "own"  # a frozen Thinker's parameters are not this model's
    text = blocks(config.text_layers, config.text_d_model, config.text_heads, config.text_d_ff)
    return picture | {
        "text embeddings": own * config.vocab_size * config.text_d_model,
        "text blocks": own * text,
        "projections": (config.d_model + config.text_d_model) * config.embed_dim + config.learn_temperature,
    }


TALKER_LONGEST = 32
"""Frames that the Talker counts a token's time to."""


def talker_parts(config: TalkerConfig) -> Parts:
    width, codec = config.d_model, config.codec_d_model
    residual = config.codec_blocks * (2 * (codec * codec * 3 + codec) + codec)
    books, entries = config.n_codebooks, config.codebook_size
    predictor = config.predictor_d_model
    return {
        "codec encoder": convolutions(config.n_mels, codec, config.downsample)
        + residual
        + codec * config.codec_dim
        + config.codec_dim,
        "codebooks": books * entries * config.codec_dim,
        "codec decoder": config.codec_dim * codec
        + codec
        + residual
        + convolutions(codec, codec, config.downsample)
        + codec * config.n_mels
        + config.n_mels,
        "inputs": (config.vocab_size + TALKER_LONGEST + books * entries + config.n_speakers) * width
        + 2 * width * width
        + config.thinker_d_model * width,
        "blocks": blocks(config.n_layers, width, config.n_heads, config.d_ff),
        "first codebook and advance": width * entries + width,
        "other codebooks": width * predictor + (books - 1) * entries * predictor * 2 + 6 * predictor * predictor,
    }


def omni_parts(config: OmniSFTConfig) -> Parts:
    vision = vision_encoder(
        config.img_size,
        config.patch,
        config.vision_d_model,
        config.vision_layers,
        config.vision_heads,
        config.vision_d_ff,
        config.vocab_size,
    )
    audio = convolutions(config.n_mels, config.audio_d_model, config.downsample) + blocks(
        config.audio_layers, config.audio_d_model, config.audio_heads, config.audio_d_ff
    )
    audio += (config.audio_d_model + 1) * (config.vocab_size + 1)  # the CTC head
    return decoder_parts(config) | {
        "projectors": sum(
            width * config.d_model + config.d_model * config.d_model
            for width in (config.audio_d_model, config.vision_d_model, config.vision_d_model)  # patches, and the whole
        ),
        "places in a picture": 2 * (config.img_size // config.patch) * config.d_model,
        "audio encoder": audio,
        "vision encoder": sum(vision.values()),
    }


UPSAMPLING = (8, 8, 2, 2)
PERIODS = (2, 3, 5, 7, 11)
SCALES = 3
SCALE_LAYERS = (
    (1, 4, 15, 1, 1),
    (4, 4, 41, 4, 2),
    (4, 8, 41, 16, 2),
    (8, 16, 41, 16, 4),
    (16, 32, 41, 16, 4),
    (32, 32, 41, 16, 1),
    (32, 32, 5, 1, 1),
)
"""Of a scale discriminator: channels in and out (in `d_disc`), kernel, groups, stride."""


def vocoder_parts(config: VocoderConfig) -> Parts:
    """HiFi-GAN V1's shape at `d_model` channels (Kong et al. 2020), or a ConvNeXt with an inverse-STFT head."""
    width, disc = config.d_model, config.d_disc
    if config.head == "istft":
        spectrum = config.n_fft + 2
        block = 7 * width + width + 2 * width + 2 * width * 3 * width + 4 * width + width
        generator = config.n_mels * width * 7 + width + config.n_layers * block + 2 * width + (width + 1) * spectrum
    else:
        generator = config.n_mels * width * 7 + width
        channels = width
        for factor in UPSAMPLING:
            half = max(1, channels // 2)
            generator += channels * half * 2 * factor + half
            generator += sum(6 * (half * half * kernel + half) for kernel in (3, 7, 11))
            channels = half
        generator += channels * 7 + 1
    channels_d = [1, disc, 4 * disc, 16 * disc, 32 * disc, 32 * disc]
    period = sum(a * b * 5 + b for a, b in pairwise(channels_d)) + 32 * disc * 3 + 1
    scale = (
        sum(
            (1 if n == 0 else a * disc) // gcd(groups, a * disc) * b * disc * kernel + b * disc
            for n, (a, b, kernel, groups, _) in enumerate(SCALE_LAYERS)
        )
        + 32 * disc * 3
        + 1
    )
    return {
        "generator": generator,
        "period discriminators": config.adversarial * len(PERIODS) * period,
        "scale discriminators": config.adversarial * SCALES * scale,
    }


def ocr_parts(config: OCRConfig) -> Parts:
    width = config.decoder_d_model
    head = attention(width, config.decoder_heads, config.decoder_heads)
    cross = 2 * width * width + 2 * config.vision_d_model * width
    layer = head + cross + feed_forward(width, config.decoder_d_ff, swiglu=False) + 3 * width
    picture = vision_encoder(
        config.img_size,
        config.patch,
        config.vision_d_model,
        config.vision_layers,
        config.vision_heads,
        config.vision_d_ff,
    )
    return picture | {
        "characters": config.n_characters * width,
        "places": config.text_len * width,
        "CTC head": (config.ctc_weight > 0) * (config.vision_d_model + 1) * config.n_characters,
        "decoder blocks": config.decoder_layers * layer + width,
    }


PARTS: dict[type[StageConfig], Callable[..., Parts]] = {
    ThinkerConfig: decoder_parts,
    AudioEncConfig: audio_parts,
    VisionConfig: vision_parts,
    TalkerConfig: talker_parts,
    OmniSFTConfig: omni_parts,
    VocoderConfig: vocoder_parts,
    OCRConfig: ocr_parts,
}
