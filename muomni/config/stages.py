"""The seven stages' settings: one class a stage, every field with its range, unit and meaning.

What a class adds to its parents is what that stage has of its own. Defaults are the tiny profile's, the course's
reference for a 12 GB GPU; the nano files in `configs/` say what they change. Rules over several fields stand in
`muomni.config.rules`, rules over several files in `muomni.config.agreement`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from muomni.config.fields import setting


class StageConfig(BaseModel):
    """What every stage has: batches, schedule, and how the run behaves."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    stage_name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[Literal["tokens", "samples"]] = "samples"
    aliases: ClassVar[dict[str, str]] = {
        "num_epochs": "max_epochs",
        "weight_decay": "wd",
        "eval_every": "val_freq",
        "save_every": "checkpoint_freq",
        "checkpoint_dir": "save_dir",
    }

    batch_size: int = setting(
        16,
        "Examples in one forward pass (the micro-batch).",
        low=1,
        high=65_536,
        unit="examples",
        scale="log",
        group="batch",
    )
    gradient_accumulation_steps: int = setting(
        1, "Micro-batches whose gradients are added up before one step.", low=1, high=65_536, scale="log", group="batch"
    )
    data_parallel: int = setting(
        1,
        "Processes that each take their own micro-batch (torchrun's world size).",
        low=1,
        high=1024,
        scale="log",
        group="batch",
    )

    max_epochs: int = setting(
        10,
        "Training ends after this many passes over the data, or at max_steps.",
        low=1,
        high=1000,
        unit="epochs",
        scale="log",
        group="schedule",
    )
    max_steps: int = setting(
        10000,
        "Training ends after this many optimizer steps.",
        low=1,
        high=1_000_000_000_000,
        unit="steps",
        scale="log",
        group="schedule",
    )
    warmup_steps: int = setting(
        400,
        "Steps over which the learning rate rises from 0.",
        low=0,
        high=100_000,
        unit="steps",
        scale="log",
        group="schedule",
    )
    val_split: float = setting(
        0.1, "Share of the data held out for validation.", low=0.0, high=0.9, step=0.01, group="schedule"
    )
    val_freq: int = setting(
        500, "Validate every so many steps.", low=1, high=1_000_000, unit="steps", scale="log", group="schedule"
    )
    checkpoint_freq: int = setting(
        1000,
        "Save a checkpoint every so many steps.",
        low=1,
        high=1_000_000,
        unit="steps",
        scale="log",
        group="schedule",
    )
    print_freq: int = setting(
        50, "Report the loss every so many steps.", low=1, high=100_000, unit="steps", scale="log", group="schedule"
    )

    wd: float = setting(
        0.01, "Weight decay of AdamW, on matrices only.", low=0.0, high=1.0, step=0.01, group="optimizer"
    )
    max_grad_norm: float = setting(
        1.0,
        "Gradients longer than this are scaled down to it; 0 leaves them alone.",
        low=0.0,
        high=100.0,
        step=0.1,
        group="optimizer",
    )
    lr_min_ratio: float = setting(
        0.1,
        "Where the cosine ends, as a share of the highest learning rate.",
        low=0.0,
        high=1.0,
        step=0.01,
        group="optimizer",
    )

    seed: int = setting(
        0, "Seeds the initial weights, the order of the data and dropout.", low=0, high=2_147_483_647, group="run"
    )
    num_workers: int = setting(
        0, "Processes that prepare batches beside the training.", low=0, high=64, unit="processes", step=1, group="run"
    )
    drop_last: bool = setting(
        True, "Drop the examples left over at an epoch's end, or begin the next epoch with them.", group="run"
    )
    use_amp: bool = setting(True, "Mixed precision: bf16 where the device computes in it.", group="run")
    use_compile: bool = setting(False, "torch.compile: a slow first step, faster ones after it.", group="run")
    save_dir: str = setting("checkpoints/run", "Folder of the run's checkpoints.", group="run")

    @property
    def effective_batch_size(self) -> int:
        """Examples behind one optimizer step: batch x accumulation x data-parallel processes."""
        return self.batch_size * self.gradient_accumulation_steps * self.data_parallel

    @property
    def begins_with(self) -> tuple[str, ...]:
        """The runs of other stages that this one reads: they are trained before it."""
        return ()


class AdamConfig(StageConfig):
    """The stages with one optimizer (all but the vocoder)."""

    aliases: ClassVar[dict[str, str]] = StageConfig.aliases | {"learning_rate": "lr"}

    lr: float = setting(3e-4, "Highest learning rate.", low=1e-7, high=1.0, scale="log", group="optimizer")
    optimizer: Literal["adamw", "muon"] = setting(
        "adamw",
        "AdamW for everything, or Muon for the matrices of blocks and projectors: fewer steps to the same loss.",
        group="optimizer",
    )


class AttentionConfig(AdamConfig):
    """The stages with attention."""

    use_flash: bool = setting(True, "Allow the fused attention kernel where it is the faster one.", group="run")
    dropout: float = setting(0.1, "Share of activations dropped in training.", low=0.0, high=0.9, step=0.01)


class DecoderConfig(AttentionConfig):
    """The Thinker's architecture, shared by the stages that train or contain it."""

    vocab_size: int = setting(32000, "Pieces in the tokenizer.", low=266, high=262_144, unit="pieces", scale="log")
    d_model: int = setting(256, "Width of the residual stream.", low=8, high=16_384, scale="log")
    n_layers: int = setting(4, "Transformer blocks.", low=1, high=128, unit="layers", step=1)
    n_heads: int = setting(4, "Attention heads; they share d_model between them.", low=1, high=128, step=1)
    n_kv_heads: int = setting(
        2, "Key-value heads (groups); fewer than n_heads is grouped-query attention.", low=1, high=128, step=1
    )
    d_ff: int = setting(
        1024, "Width inside the feed-forward layer, usually 4 x d_model.", low=8, high=65_536, scale="log"
    )
    use_swiglu: bool = setting(True, "SwiGLU feed-forward (three matrices); off: GELU (two).")
    ctx_len: int = setting(512, "Tokens the model sees at once.", low=8, high=131_072, unit="tokens", scale="log")
    rope_theta: float = setting(
        10000.0, "Base wavelength of the rotary positions.", low=100.0, high=10_000_000.0, scale="log"
    )
    token_shift: bool = setting(
        False, "Half of the key-value heads look for a token and take the next one's value; half, the one's before."
    )
    norm_eps: float = setting(1e-5, "Keeps RMSNorm from dividing by zero.", low=1e-8, high=1e-2, scale="log")
    tie_embeddings: bool = setting(True, "Use the embedding matrix for the output as well.")
    n_experts: int = setting(
        0, "Experts per feed-forward layer; 0 is an ordinary (dense) one.", low=0, high=64, unit="experts", step=1
    )
    experts_per_token: int = setting(2, "Experts that each token is sent to.", low=1, high=8, unit="experts", step=1)
    expert_aux_weight: float = setting(
        0.01, "Weight of the loss that spreads tokens over the experts.", low=0.0, high=1.0, step=0.01
    )
    tokenizer: str = setting("data/text/tokenizer_tiny.model", "SentencePiece model of the text.", group="data")


class MelConfig(StageConfig):
    """The stages that hear or speak: how sound becomes a log-mel spectrogram."""

    sample_rate: int = setting(
        16000,
        "Samples a second; other rates are resampled.",
        low=4000,
        high=48_000,
        unit="Hz",
        scale="log",
        group="sound",
    )
    n_mels: int = setting(128, "Mel bands.", low=8, high=256, unit="bands", scale="log", group="sound")
    n_fft: int = setting(
        1024, "Samples under one Fourier window.", low=64, high=8192, unit="samples", scale="log", group="sound"
    )
    hop_length: int = setting(
        256, "Samples between windows.", low=16, high=4096, unit="samples", scale="log", group="sound"
    )


class ThinkerConfig(DecoderConfig):
    stage_name = "thinker"
    title = "A · Thinker: a decoder-only language model"
    unit = "tokens"
    aliases: ClassVar[dict[str, str]] = AdamConfig.aliases | {
        "data_path": "train_text",
        "kv_groups": "n_kv_heads",
        "num_kv_heads": "n_kv_heads",
    }

    train_text: str = setting("data/text/tiny_corpus.txt", "Text to learn from.", group="data")
    documents: Literal["lines", "paragraphs"] = setting(
        "lines", "A document is a line, or the lines between two blank ones.", group="data"
    )
    separate_documents: bool = setting(
        False, "Rows begin with a document, and tokens see only their own: for short ones.", group="data"
    )


class AudioEncConfig(MelConfig, AttentionConfig):
    stage_name = "audio_enc"
    title = "B · Audio encoder: log-mel to subword pieces (CTC)"
    aliases: ClassVar[dict[str, str]] = AdamConfig.aliases | {"data_path": "train_csv"}

    d_model: int = setting(192, "Width of the encoder.", low=8, high=4096, scale="log")
    n_layers: int = setting(4, "Transformer blocks.", low=1, high=64, unit="layers", step=1)
    n_heads: int = setting(3, "Attention heads.", low=1, high=64, step=1)
    d_ff: int = setting(768, "Width inside the feed-forward layer.", low=8, high=16_384, scale="log")
    downsample: int = setting(
        8,
        "Mel frames per output frame (product of the convolutions' strides).",
        low=1,
        high=64,
        step=1,
        unit="frames",
        group="sound",
    )
    vocab_size: int = setting(
        32000,
        "Pieces in the Thinker's tokenizer (CTC adds its blank).",
        low=266,
        high=262_144,
        unit="pieces",
        scale="log",
    )
    max_audio_seconds: float = setting(
        15.0, "Longer clips are left out, and counted.", low=0.5, high=60.0, step=0.5, unit="s", group="sound"
    )
    time_masks: int = setting(
        2, "SpecAugment: stretches of time hidden per example.", low=0, high=16, step=1, group="sound"
    )
    frequency_masks: int = setting(
        2, "SpecAugment: bands of frequency hidden per example.", low=0, high=16, step=1, group="sound"
    )
    max_warp: float = setting(
        0.1,
        "Spectra are stretched by up to this share, in frequency and in time: more voices than were recorded.",
        low=0.0,
        high=0.5,
        step=0.01,
        group="sound",
    )
    tokenizer: str = setting("data/text/tokenizer_tiny.model", "The Thinker's SentencePiece model.", group="data")
    train_csv: str = setting("data/audio/asr.csv", "CSV with the columns wav,text.", group="data")


class PictureConfig(AttentionConfig):
    """The stages that learn from pictures."""

    max_warp: float = setting(
        0.1,
        "Pictures are turned, scaled, shifted (words: relit, too) by up to this share in training.",
        low=0.0,
        high=0.5,
        step=0.01,
    )


class VisionConfig(PictureConfig):
    stage_name = "vision"
    title = "C · Vision encoder: a ViT trained against captions"
    aliases: ClassVar[dict[str, str]] = AdamConfig.aliases | {"data_path": "train_manifest"}

    img_size: int = setting(
        224, "Pictures are scaled to this many pixels a side.", low=16, high=1024, unit="px", step=16
    )
    patch: int = setting(16, "Side of one patch.", low=2, high=64, unit="px", step=2)
    d_model: int = setting(128, "Width of the picture's encoder.", low=8, high=4096, scale="log")
    n_layers: int = setting(4, "Transformer blocks.", low=1, high=64, unit="layers", step=1)
    n_heads: int = setting(2, "Attention heads.", low=1, high=64, step=1)
    d_ff: int = setting(512, "Width inside the feed-forward layer.", low=8, high=16_384, scale="log")
    attention_window: int = setting(
        1,
        "In each block a patch looks at those up to this many rows and columns away; 0: at all.",
        low=0,
        high=64,
        step=1,
        unit="patches",
    )
    embed_dim: int = setting(128, "Width of the space that pictures and captions share.", low=8, high=4096, scale="log")
    vocab_size: int = setting(
        32000, "Pieces in the Thinker's tokenizer.", low=266, high=262_144, unit="pieces", scale="log"
    )
    text_tower: Literal["own", "thinker"] = setting(
        "own", "What reads the captions: an encoder of its own, or the frozen Thinker in `thinker`."
    )
    text_d_model: int = setting(
        128, "Width of the caption's encoder (the Thinker's own where that reads).", low=8, high=4096, scale="log"
    )
    text_layers: int = setting(2, "Blocks of the caption's encoder.", low=1, high=64, unit="layers", step=1)
    text_heads: int = setting(2, "Heads of the caption's encoder.", low=1, high=64, step=1)
    text_d_ff: int = setting(
        512, "Width inside the caption encoder's feed-forward layer.", low=8, high=16_384, scale="log"
    )
    text_len: int = setting(64, "Tokens of a caption that are read.", low=4, high=512, unit="tokens", step=4)
    temperature: float = setting(
        0.07, "First temperature of the contrastive softmax.", low=0.005, high=1.0, scale="log"
    )
    learn_temperature: bool = setting(True, "Let training change the temperature.")
    word_weight: float = setting(
        1.0, "Weight of the loss by which patches learn to name the caption's words.", low=0.0, high=10.0, step=0.05
    )
    thinker: str = setting(
        "checkpoints/thinker_tiny", "Folder of the Thinker that reads the captions, if it does.", group="data"
    )
    tokenizer: str = setting("data/text/tokenizer_tiny.model", "The Thinker's SentencePiece model.", group="data")
    train_manifest: str = setting("data/images/annotations.json", "JSON list of image and caption.", group="data")
    image_root: str = setting("data/images", "Folder that the manifest's image paths start from.", group="data")

    @property
    def begins_with(self) -> tuple[str, ...]:
        return (self.thinker,) if self.text_tower == "thinker" else ()


class TalkerConfig(MelConfig, AttentionConfig):
    stage_name = "talker"
    title = "D · Codec and Talker: text to speech codes"
    aliases: ClassVar[dict[str, str]] = AdamConfig.aliases | {"data_path": "tts_csv"}

    d_model: int = setting(192, "Width of the Talker.", low=8, high=4096, scale="log")
    n_layers: int = setting(4, "Transformer blocks.", low=1, high=64, unit="layers", step=1)
    n_heads: int = setting(3, "Attention heads.", low=1, high=64, step=1)
    d_ff: int = setting(768, "Width inside the feed-forward layer.", low=8, high=16_384, scale="log")
    downsample: int = setting(5, "Mel frames per code frame.", low=1, high=64, unit="frames", step=1, group="sound")
    n_codebooks: int = setting(
        4,
        "Residual quantizers, each coding what the one before left.",
        low=1,
        high=32,
        unit="codebooks",
        step=1,
        group="codec",
    )
    codebook_size: int = setting(
        256, "Entries of each codebook.", low=2, high=16_384, unit="entries", scale="log", group="codec"
    )
    codec_d_model: int = setting(
        192, "Width of the codec's convolutions.", low=8, high=2048, scale="log", group="codec"
    )
    codec_blocks: int = setting(2, "Residual blocks on each side of the codec.", low=1, high=16, step=1, group="codec")
    codec_dim: int = setting(32, "Width of one quantized latent.", low=2, high=512, scale="log", group="codec")
    codec_steps: int = setting(
        1500,
        "Steps that train the codec before the Talker.",
        low=1,
        high=1_000_000,
        unit="steps",
        scale="log",
        group="codec",
    )
    codec_lr: float = setting(1e-3, "Learning rate of the codec.", low=1e-7, high=1.0, scale="log", group="codec")
    commitment: float = setting(
        0.25, "Weight that keeps the encoder near its codes.", low=0.0, high=10.0, step=0.05, group="codec"
    )
    predictor_d_model: int = setting(
        128, "Width of the in-frame predictor of codebooks 1 and up.", low=8, high=4096, scale="log", group="codec"
    )
    code_noise: float = setting(
        0.1, "Share of input frames replaced by random codes in training.", low=0.0, high=0.9, step=0.01, group="codec"
    )
    n_speakers: int = setting(1, "Voices the Talker can be asked for.", low=1, high=10_000, scale="log")
    max_audio_seconds: float = setting(
        10.0, "Longer clips are left out, and counted.", low=0.5, high=60.0, step=0.5, unit="s", group="sound"
    )
    vocab_size: int = setting(
        32000, "Pieces in the Thinker's tokenizer.", low=266, high=262_144, unit="pieces", scale="log"
    )
    thinker_d_model: int = setting(256, "Width of the Thinker's hidden states.", low=8, high=16_384, scale="log")
    thinker: str = setting(
        "checkpoints/thinker_tiny", "Run of the Thinker whose states say what the text means.", group="data"
    )
    aligner: str = setting(
        "checkpoints/audio_enc_tiny", "Run of the audio encoder that times words where nobody noted them.", group="data"
    )
    tokenizer: str = setting("data/text/tokenizer_tiny.model", "The Thinker's SentencePiece model.", group="data")
    tts_csv: str = setting("data/audio/tts.csv", "CSV with the columns text,wav.", group="data")

    @property
    def begins_with(self) -> tuple[str, ...]:
        return (self.thinker, self.aligner)


class OmniSFTConfig(DecoderConfig, MelConfig):
    stage_name = "omni_sft"
    title = "E · Omni: one conversation of text, pictures and sound"
    unit = "tokens"
    aliases: ClassVar[dict[str, str]] = AdamConfig.aliases | {
        "data_path": "sft_mix",
        "kv_groups": "n_kv_heads",
        "num_kv_heads": "n_kv_heads",
    }

    audio_d_model: int = setting(192, "Width of the audio encoder's output.", low=8, high=4096, scale="log")
    audio_layers: int = setting(4, "Blocks of the audio encoder.", low=1, high=64, unit="layers", step=1)
    audio_heads: int = setting(3, "Heads of the audio encoder.", low=1, high=64, step=1)
    audio_d_ff: int = setting(768, "Feed-forward width of the audio encoder.", low=8, high=16_384, scale="log")
    downsample: int = setting(8, "Mel frames per audio token.", low=1, high=64, unit="frames", step=1, group="sound")
    max_audio_seconds: float = setting(
        15.0, "Longer clips are left out, and counted.", low=0.5, high=60.0, step=0.5, unit="s", group="sound"
    )
    img_size: int = setting(
        224, "Pictures are scaled to this many pixels a side.", low=16, high=1024, unit="px", step=16
    )
    patch: int = setting(16, "Side of one patch.", low=2, high=64, unit="px", step=2)
    vision_d_model: int = setting(128, "Width of the vision encoder's output.", low=8, high=4096, scale="log")
    vision_layers: int = setting(4, "Blocks of the vision encoder.", low=1, high=64, unit="layers", step=1)
    vision_heads: int = setting(2, "Heads of the vision encoder.", low=1, high=64, step=1)
    vision_d_ff: int = setting(512, "Feed-forward width of the vision encoder.", low=8, high=16_384, scale="log")
    vision_window: int = setting(
        1,
        "In each block of it a patch looks at those up to this many rows and columns away; 0: at all.",
        low=0,
        high=64,
        step=1,
        unit="patches",
    )
    train_thinker: bool = setting(True, "Train the Thinker, or only the projectors.")
    train_audio: bool = setting(False, "Train the audio encoder as well.")
    train_vision: bool = setting(False, "Train the vision encoder as well.")
    sft_mix: dict[str, float] = setting(
        {"text": 1.0, "caption": 1.0, "picture_question": 2.0, "transcribe": 1.0, "spoken_question": 2.0, "read": 1.0},
        "How often each task is drawn, relative to the others.",
        group="data",
    )
    text_first: float = setting(
        0.1, "Share of the steps, at the beginning, that draw the text task alone.", low=0.0, high=0.9, step=0.05
    )
    thinker: str = setting(
        "checkpoints/thinker_tiny",
        "Run of stage A that it starts from, or of this stage, to go on with; without one, the shipped weights.",
        group="data",
    )
    audio_enc: str = setting(
        "checkpoints/audio_enc_tiny", "Run of stage B that it hears by; without one, the shipped weights.", group="data"
    )
    vision: str = setting(
        "checkpoints/vision_tiny", "Run of stage C that it sees by; without one, the shipped weights.", group="data"
    )
    train_text: str = setting("data/text/tiny_corpus.txt", "Text of the text task.", group="data")
    train_manifest: str = setting("data/images/annotations.json", "Pictures and captions.", group="data")
    image_root: str = setting("data/images", "Folder that the pictures' paths start from.", group="data")
    train_csv: str = setting("data/audio/asr.csv", "Speech and what it says.", group="data")
    ocr_csv: str = setting("data/ocr/ocr_train.csv", "Words as pictures.", group="data")

    @property
    def begins_with(self) -> tuple[str, ...]:
        return (self.thinker, self.audio_enc, self.vision)


class VocoderConfig(MelConfig):
    stage_name = "vocoder"
    title = "F · Vocoder: log-mel to sound (HiFi-GAN)"
    aliases: ClassVar[dict[str, str]] = StageConfig.aliases | {"data_path": "train_csv"}

    lr_g: float = setting(2e-4, "Learning rate of the generator.", low=1e-7, high=1.0, scale="log", group="optimizer")
    lr_d: float = setting(
        2e-4, "Learning rate of the discriminators.", low=1e-7, high=1.0, scale="log", group="optimizer"
    )
    lambda_mel: float = setting(45.0, "Weight of the mel loss.", low=0.0, high=1000.0, step=1, group="optimizer")
    lambda_fm: float = setting(
        2.0, "Weight of the feature-matching loss.", low=0.0, high=100.0, step=0.1, group="optimizer"
    )
    lambda_adv: float = setting(
        1.0, "Weight of the adversarial loss.", low=0.0, high=100.0, step=0.1, group="optimizer"
    )
    lambda_stft: float = setting(
        0.0,
        "Weight of the STFT loss: magnitudes at three resolutions; for an inverse-STFT head, its spectrum's.",
        low=0.0,
        high=100.0,
        step=0.1,
        group="optimizer",
    )
    optimizer: Literal["adamw", "muon"] = setting(
        "adamw", "AdamW, or Muon for the matrices inside the generator's blocks.", group="optimizer"
    )
    rounds: int = setting(
        8, "Rounds of Griffin-Lim that make an inverse-STFT head's phases consistent.", low=0, high=60, step=1
    )
    head: Literal["hifigan", "istft"] = setting(
        "hifigan", "Upsample by transposed convolutions, or predict a spectrum and invert it."
    )
    d_model: int = setting(256, "Channels of the generator's first layer.", low=8, high=2048, scale="log")
    n_layers: int = setting(6, "Blocks of the inverse-STFT generator.", low=1, high=32, unit="layers", step=1)
    d_disc: int = setting(32, "Channels of the discriminators' first layers.", low=1, high=256, scale="log")
    max_audio_length: int = setting(
        8192,
        "Samples of sound in one training example.",
        low=256,
        high=262_144,
        unit="samples",
        scale="log",
        group="sound",
    )
    train_csv: str = setting("data/audio/production_tts.csv", "CSV with a wav column.", group="data")
    talker: str = setting(
        "", "A Talker's run: every second mel is a copy of its codec's. Empty: all are true.", group="data"
    )

    @property
    def adversarial(self) -> bool:
        """Whether there are discriminators: without a weight they would cost two thirds of a step for nothing."""
        return self.lambda_adv > 0 or self.lambda_fm > 0

    @property
    def begins_with(self) -> tuple[str, ...]:
        return (self.talker,) if self.talker else ()


class OCRConfig(PictureConfig):
    stage_name = "ocr"
    title = "G · Reading: a ViT and a decoder of characters"
    aliases: ClassVar[dict[str, str]] = AdamConfig.aliases | {"data_path": "train_csv"}

    img_size: int = setting(
        224, "Pictures are scaled to this many pixels a side.", low=16, high=1024, unit="px", step=16
    )
    patch: int = setting(16, "Side of one patch.", low=2, high=64, unit="px", step=2)
    vision_d_model: int = setting(128, "Width of the encoder.", low=8, high=4096, scale="log")
    vision_layers: int = setting(4, "Blocks of the encoder.", low=1, high=64, unit="layers", step=1)
    vision_heads: int = setting(2, "Heads of the encoder.", low=1, high=64, step=1)
    vision_d_ff: int = setting(512, "Feed-forward width of the encoder.", low=8, high=16_384, scale="log")
    decoder_d_model: int = setting(256, "Width of the decoder.", low=8, high=4096, scale="log")
    decoder_layers: int = setting(4, "Blocks of the decoder.", low=1, high=64, unit="layers", step=1)
    decoder_heads: int = setting(4, "Heads of the decoder.", low=1, high=64, step=1)
    decoder_d_ff: int = setting(1024, "Feed-forward width of the decoder.", low=8, high=16_384, scale="log")
    n_characters: int = setting(
        128, "Characters it can write, special ones included.", low=4, high=20_000, unit="characters", scale="log"
    )
    text_len: int = setting(32, "Characters written at most.", low=2, high=512, unit="characters", step=2)
    hidden_characters: float = setting(
        0.2,
        "Share of the characters before that are hidden in training, so that the picture is read.",
        low=0.0,
        high=0.9,
        step=0.01,
    )
    ctc_weight: float = setting(
        0.0,
        "Weight of a second loss, CTC on the patches, that teaches the encoder letters.",
        low=0.0,
        high=10.0,
        step=0.1,
    )
    train_csv: str = setting("data/ocr/production_ocr.csv", "CSV with the columns image,text.", group="data")
    image_root: str = setting("data/ocr", "Folder that the image paths start from.", group="data")


STAGES: dict[str, type[StageConfig]] = {
    config.stage_name: config
    for config in (ThinkerConfig, AudioEncConfig, VisionConfig, TalkerConfig, OmniSFTConfig, VocoderConfig, OCRConfig)
}
"""The stages in the order of the course's planner table."""
