"""Loading trained models for use: a run's folder (its best or last checkpoint) or a checkpoint's own folder.

Every stage has weights that come with the package, in `muomni/weights/<profile>/<stage>/`. `newest` prefers what the
learner has trained: so the chapters can be read in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

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
from muomni.config.reading import read_json
from muomni.data.mel import MelSettings
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.infer.chat import TrainedOmni
from muomni.infer.listen import TrainedListener
from muomni.infer.look import TrainedLooker
from muomni.infer.read import TrainedReader
from muomni.infer.speak import TrainedTalker
from muomni.infer.vocode import GriffinLim, TrainedVocoder
from muomni.models.audio_encoder import AudioEncoder
from muomni.models.checkpoint import CONFIG, TOKENIZER, fill, read_model
from muomni.models.codec import Codec
from muomni.models.ocr import OCR
from muomni.models.omni import OmniModel
from muomni.models.talker import Talker
from muomni.models.thinker import Thinker
from muomni.models.vision_encoder import VisionModel
from muomni.models.vocoder import make_generator

Config = TypeVar("Config", bound=StageConfig)
Model = TypeVar("Model", bound=nn.Module)

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"


@dataclass(frozen=True)
class TrainedThinker:
    """A Thinker with the tokenizer it was trained with, and where both came from."""

    model: Thinker
    tokenizer: Tokenizer
    folder: Path


def checkpoint_folder(run: str | Path, which: str = "best") -> Path:
    """The folder of a run's `best` or `last` checkpoint; a checkpoint's own folder is returned as it is.

    Raises:
        UserError: there is no such checkpoint.
    """
    run = Path(run)
    if (run / CONFIG).exists():
        return run
    pointer = run / f"{which}.json"
    if not pointer.exists():
        raise UserError(f"holds no {which} checkpoint", file=run, fix="Train the stage first, or name another folder.")
    return run / str(read_json(pointer)["folder"])


def shipped(stage: str, profile: str = "nano") -> Path:
    """The folder of the weights that come with the package.

    Raises:
        UserError: none come for this stage.
    """
    folder = WEIGHTS_FOLDER / profile / stage
    if not (folder / CONFIG).exists():
        raise UserError(
            f"no weights come with the package for stage {stage}, profile {profile}",
            fix=f"Train it: `muomni train {stage} --config configs/{stage}_{profile}.json`.",
        )
    return folder


def newest(stage: str, profile: str = "nano", runs: str | Path = "checkpoints") -> Path:
    """The learner's own run of a stage where there is one with a best checkpoint, else the shipped weights.

    Raises:
        UserError: there is neither.
    """
    return trained_or_shipped(Path(runs) / f"{stage}_{profile}", stage, profile)


def name_of(folder: Path) -> str:
    """What weights are called: a run's folder as it was given, shipped ones without the package's own place."""
    if folder.is_relative_to(WEIGHTS_FOLDER):
        return f"shipped: {folder.relative_to(WEIGHTS_FOLDER).as_posix()}"
    return folder.as_posix()


def trained_or_shipped(run: str | Path, stage: str, profile: str = "nano") -> Path:
    """A run's folder where it has a best checkpoint, else the shipped weights of its stage.

    Raises:
        UserError: there is neither.
    """
    return Path(run) if (Path(run) / "best.json").exists() or (Path(run) / CONFIG).exists() else shipped(stage, profile)


def _read(run: str | Path, which: str, kind: type[Config]) -> tuple[Path, Config, dict[str, Tensor]]:
    """A checkpoint's folder, config and weights; they must be of the wanted stage."""
    folder = checkpoint_folder(run, which)
    config, weights = read_model(folder)
    if not isinstance(config, kind):
        raise UserError(f"holds a model of stage {config.stage_name}, not of {kind.stage_name}", file=folder)
    return folder, config, weights


def _load(run: str | Path, which: str, kind: type[Config], build: Callable[[Config], Model]) -> tuple[Path, Model]:
    """A checkpoint's folder, and its model of the wanted stage, built and ready for use."""
    folder, config, weights = _read(run, which, kind)
    model = build(config)
    fill(model, weights, folder)
    return folder, model.eval()


def load_thinker(run: str | Path, which: str = "best") -> TrainedThinker:
    """A trained Thinker, ready to generate.

    Raises:
        UserError: the folder holds no whole Thinker.
    """
    folder, model = _load(run, which, ThinkerConfig, Thinker)
    return TrainedThinker(model, Tokenizer.load(folder / TOKENIZER), folder)


def load_listener(run: str | Path, which: str = "best") -> TrainedListener:
    """A trained audio encoder, ready to transcribe.

    Raises:
        UserError: the folder holds no whole audio encoder.
    """
    folder, model = _load(run, which, AudioEncConfig, AudioEncoder)
    return TrainedListener(model, Tokenizer.load(folder / TOKENIZER), folder)


def load_looker(run: str | Path, which: str = "best") -> TrainedLooker:
    """A trained vision encoder, ready to compare pictures and captions.

    Raises:
        UserError: the folder holds no whole vision encoder, or the Thinker that reads its captions is not there.
    """

    def build(config: VisionConfig) -> VisionModel:
        return VisionModel(config, load_thinker(config.thinker).model if config.text_tower == "thinker" else None)

    folder, model = _load(run, which, VisionConfig, build)
    return TrainedLooker(model, Tokenizer.load(folder / TOKENIZER), folder)


def load_reader(run: str | Path, which: str = "best") -> TrainedReader:
    """A trained reader, ready to read words.

    Raises:
        UserError: the folder holds no whole reader.
    """
    folder, model = _load(run, which, OCRConfig, OCR)
    return TrainedReader(model, folder)


def load_codec(run: str | Path, which: str = "best") -> Codec:
    """A trained codec, from a run of its own or as the part of a Talker.

    Raises:
        UserError: the folder holds no whole codec.
    """
    folder, config, weights = _read(run, which, TalkerConfig)
    own = {name.removeprefix("codec."): t for name, t in weights.items() if name.startswith("codec.")}
    codec = Codec(config)
    fill(codec, own or weights, folder)
    return codec.eval()


def load_talker(run: str | Path, which: str = "best") -> TrainedTalker:
    """A trained Talker, ready to speak, with the best vocoder there is.

    Raises:
        UserError: the folder holds no whole Talker, or the Thinker that it was trained with is not there.
    """
    folder, model = _load(run, which, TalkerConfig, Talker)
    config = model.config
    for place in (Path(config.thinker), WEIGHTS_FOLDER / "nano" / "thinker"):
        if (place / "best.json").exists() or (place / CONFIG).exists():
            thinker = load_thinker(place).model
            if model.knows(thinker):
                vocoder, which_vocoder = best_vocoder(config)
                return TrainedTalker(model, thinker, Tokenizer.load(folder / TOKENIZER), vocoder, folder, which_vocoder)
    raise UserError(
        f"was trained with a Thinker that is neither in {config.thinker} nor among the weights that come with us",
        file=folder,
        fix="Train the Talker again, or put that Thinker back.",
    )


def load_vocoder(run: str | Path, which: str = "best") -> TrainedVocoder:
    """A trained vocoder: its generator alone.

    Raises:
        UserError: the folder holds no whole vocoder.
    """
    folder, config, weights = _read(run, which, VocoderConfig)
    generator = make_generator(config)
    own = {name.removeprefix("generator."): t for name, t in weights.items() if name.startswith("generator.")}
    fill(generator, own, folder)
    return TrainedVocoder(generator.eval(), config, folder)


def best_vocoder(settings: MelSettings, profile: str = "nano") -> tuple[GriffinLim | TrainedVocoder, str]:
    """The vocoder to speak with, and a line that says which it is and why.

    Only weights that beat Griffin-Lim on held-out speech come with the package (`scripts/ship_weights.py` sees to it),
    so they are taken where they are there and made for these mels; else Griffin-Lim.
    """
    try:
        trained = load_vocoder(shipped("vocoder", profile))
    except UserError:
        return GriffinLim(settings), "Griffin-Lim: no trained vocoder comes with the package"
    for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
        if getattr(trained.settings, name) != getattr(settings, name):
            return GriffinLim(settings), f"Griffin-Lim: the trained vocoder has another {name}"
    return trained, "the trained vocoder, which scores better than Griffin-Lim"


def load_omni(run: str | Path, which: str = "best") -> TrainedOmni:
    """A trained omni model, ready to chat.

    Raises:
        UserError: the folder holds no whole omni model.
    """
    folder, model = _load(run, which, OmniSFTConfig, OmniModel)
    return TrainedOmni(model, Tokenizer.load(folder / TOKENIZER), folder)
