"""One row of a manifest, opened: its picture or sound, its texts, their tokens, and whether they fit their frames."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from muomni.config.stages import AudioEncConfig
from muomni.data.catalogue import NO_SPLIT, Catalogue, questions_of
from muomni.data.ctc import frames_needed
from muomni.data.manifests import Row, texts_of
from muomni.errors import UserError

if TYPE_CHECKING:
    import torch

LONGEST = 120.0
"""Seconds of sound that are drawn and played; what is longer is told by its header alone."""
WIDEST = 512
SHOWN = 2_000
"""Characters of a text that are shown."""
COLORS = "magma"
DEPTH = 10.0
"""Nats below the loudest that the spectrogram's colours reach down to."""


@dataclass(frozen=True)
class Picture:
    """A picture: its pixels as it lies on disk, and (made smaller where it is large) a data address to show."""

    width: int
    height: int
    source: str

    def __str__(self) -> str:
        return f"picture of {self.width} x {self.height} pixels"


@dataclass(frozen=True)
class Sound:
    """A sound: what its header says, and data addresses of it as WAV and of its log-mel `(n_mels, n_frames)`."""

    seconds: float
    rate: int
    channels: int
    samples: int = 0
    n_mels: int = 0
    n_frames: int = 0
    source: str = ""
    spectrogram: str = ""

    def __str__(self) -> str:
        return f"sound of {self.seconds:.2f} s, {self.rate:,} samples a second, {channels(self)}"


def channels(sound: Sound) -> str:
    """How many there are, in words."""
    return "1 channel" if sound.channels == 1 else f"{sound.channels} channels"


@dataclass(frozen=True)
class Fit:
    """Frames that CTC needs to say the text, and those that the encoder makes of the sound."""

    needed: int
    frames: int

    @property
    def fits(self) -> bool:
        return self.needed <= self.frames

    def __str__(self) -> str:
        verdict = "the text fits" if self.fits else "the text does not fit (CTC)"
        return f"{verdict}: it needs {self.needed:,} frames, the sound gives {self.frames:,}"


@dataclass(frozen=True)
class OpenRow:
    """A row with everything that can be shown of it; what could not be opened is in `problem`."""

    number: int
    line: int
    split: str
    texts: list[str]
    questions: list[tuple[str, str]]
    others: dict[str, Any]
    file: str = ""
    media: Picture | Sound | None = None
    pieces: list[str] | None = None
    fit: Fit | None = None
    problem: str = ""


def open_row(catalogue: Catalogue, number: int, settings: AudioEncConfig) -> OpenRow:
    """Row `number` (from 0) of a catalogue.

    Args:
        settings: how the audio encoder hears: the spectrogram's settings, and its frames for the fit of a text.

    Raises:
        UserError: the manifest has changed since it was opened.
    """
    row = catalogue[number]
    texts = texts_of(row, catalogue.texts)
    media, problem = None, ""
    try:
        path = catalogue.file_of(row)
        if path is not None:
            media = open_sound(path, settings) if catalogue.media == "wav" else open_picture(path)
    except UserError as error:
        problem = str(error)
    if not any(text.strip() for text in texts):
        problem = f"{problem} {' and '.join(catalogue.texts)}: empty, so no training can use this row.".strip()
    tokens = None if catalogue.tokenizer is None or not texts else catalogue.tokenizer.encode(texts[0])
    fit = None
    if isinstance(media, Sound) and media.samples and tokens is not None:
        fit = Fit(frames_needed(tokens), media.samples // (settings.hop_length * settings.downsample) + 1)
    return OpenRow(
        number,
        row.line,
        str(row.values.get("split") or NO_SPLIT),
        texts,
        questions_of(row),
        _others(row, catalogue),
        "" if catalogue.media is None else row.values[catalogue.media],
        media,
        None if tokens is None or catalogue.tokenizer is None else [catalogue.tokenizer.piece(t) for t in tokens],
        fit,
        problem,
    )


def open_picture(path: Path) -> Picture:
    """A picture, made smaller where it is wider or higher than it is shown.

    Raises:
        UserError: as `read_picture`.
    """
    from PIL import Image

    from muomni.data.pictures import read_picture

    image = Image.fromarray(read_picture(path).numpy().transpose(1, 2, 0))  # (3, H, W) to (H, W, 3)
    width, height = image.size
    image.thumbnail((WIDEST, WIDEST))
    return Picture(width, height, _png(image))


def open_sound(path: Path, settings: AudioEncConfig) -> Sound:
    """A sound at the encoder's rate, and its log-mel spectrogram; a very long one by its header alone.

    Raises:
        UserError: as `read_sound`.
    """
    from muomni.data.sound import read_sound, sound_info

    info = sound_info(path)
    if info.seconds > LONGEST:
        return Sound(info.seconds, info.rate, info.channels)
    from muomni.data.mel import LogMel  # takes seconds to import: only where there is something to draw

    samples = read_sound(path, settings.sample_rate)  # (T,)
    mel = LogMel(settings)(samples).numpy()  # (n_mels, frames)
    source = wav_source(samples, settings.sample_rate)
    n_mels, n_frames = mel.shape
    return Sound(info.seconds, info.rate, info.channels, len(samples), n_mels, n_frames, source, _colored(mel))


def wav_source(samples: torch.Tensor, sample_rate: int) -> str:
    """Samples (T,) as the data address of a WAV file."""
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, samples.clamp(-1, 1).numpy(), sample_rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(content.getvalue()).decode()


def as_text(row: OpenRow) -> str:
    """Everything of a row that can be read, a line each."""
    lines = [f"line {row.line:,} · split {row.split}" + (f" · {row.file}" if row.file else "")]
    lines += [f"  ✕ {row.problem}"] if row.problem else []
    lines += [f"  {row.media}"] if row.media is not None else []
    lines += [f"  text: {shortened(text)}" for text in row.texts]
    lines += [f"  question: {question} answer: {answer}" for question, answer in row.questions]
    lines += [f"  {name}: {shortened(str(value))}" for name, value in row.others.items()]
    lines += [f"  {len(row.pieces):,} tokens: {shortened(' '.join(row.pieces))}"] if row.pieces is not None else []
    lines += [f"  {row.fit}"] if row.fit is not None else []
    return "\n".join(lines)


def shortened(text: str) -> str:
    """`text`, or its beginning where it is very long."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({len(text):,} characters)"


def _others(row: Row, catalogue: Catalogue) -> dict[str, Any]:
    """The columns that are not shown elsewhere."""
    known = {catalogue.media, *catalogue.texts, "caption", "split", "questions" if questions_of(row) else ""}
    return {name: value for name, value in row.values.items() if name not in known}


def _colored(mel: np.ndarray) -> str:
    """A log-mel `(n_mels, frames)` as a picture, low frequencies below, a pixel for every value."""
    from matplotlib import colormaps
    from PIL import Image

    low = max(float(mel.min()), float(mel.max()) - DEPTH)
    share = (mel[::-1] - low) / max(1e-6, float(mel.max()) - low)
    return _png(Image.fromarray(colormaps[COLORS](share.clip(0, 1), bytes=True)[..., :3]))


def _png(image: Any) -> str:
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
