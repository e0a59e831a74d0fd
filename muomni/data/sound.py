"""Sound files of any kind as one channel at one rate.

    file (any rate, any channels) ─ mean over channels ─ resampled → (T,) float32, about -1 to 1

`soundfile` reads them (WAV, FLAC, Ogg, MP3 and what else libsndfile knows), `torchaudio` resamples. The header is asked
first, so a file that claims to be hours long is refused before memory is taken.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile

from muomni.data.input_files import check_readable
from muomni.errors import UserError

if TYPE_CHECKING:
    import torch

MAX_SECONDS = 3600.0
BROKEN = (soundfile.SoundFileError, RuntimeError, OSError, ValueError, TypeError)
RATES = (1_000, 768_000)


class SoundInfo(NamedTuple):
    """What a header says: frames (samples of one channel), samples a second, channels."""

    frames: int
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def sound_info(path: str | Path, max_seconds: float = MAX_SECONDS) -> SoundInfo:
    """The header of a sound file.

    Raises:
        UserError: it is missing, no plain file, no sound, empty, longer than `max_seconds`, or of an absurd rate.
    """
    with _opened(path, max_seconds) as file:
        return SoundInfo(file.frames, file.samplerate, file.channels)


def read_sound(path: str | Path, sample_rate: int, max_seconds: float = MAX_SECONDS) -> torch.Tensor:
    """The sound of a file, `(T,)` float32: its channels' mean, at `sample_rate`.

    Raises:
        UserError: as `sound_info`, or it breaks off, or holds numbers that are not finite.
    """
    import torch

    with _opened(path, max_seconds) as file:
        rate = file.samplerate
        try:
            samples = file.read(dtype="float32")
        except (*BROKEN, MemoryError) as error:
            raise _no_sound(path, error) from None
    if not len(samples):
        raise _empty(path)
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise UserError("holds numbers that are not finite", file=path, fix="Convert it to 16-bit samples.")
    return resample(torch.from_numpy(mono), rate, sample_rate)


def _opened(path: str | Path, max_seconds: float) -> soundfile.SoundFile:
    check_readable(path)
    try:
        file = soundfile.SoundFile(str(path))
    except BROKEN as error:
        raise _no_sound(path, error) from None
    problem = _problem(path, SoundInfo(file.frames, file.samplerate, file.channels), max_seconds)
    if problem is not None:
        file.close()
        raise problem
    return file


def _problem(path: str | Path, info: SoundInfo, max_seconds: float) -> UserError | None:
    """What is wrong with a header."""
    if not RATES[0] <= info.rate <= RATES[1]:
        problem = f"has {info.rate} samples a second, allowed are {RATES[0]:,} to {RATES[1]:,}"
        return UserError(problem, file=path, fix="Convert it to 16,000.")
    if info.frames < 1:
        return _empty(path)
    if info.seconds > max_seconds:
        problem = f"is {info.seconds:,.1f} s long, at most {max_seconds:g} s are read"
        return UserError(problem, file=path, fix="Cut it into pieces.")
    return None


def _empty(path: str | Path) -> UserError:
    return UserError("holds no sound at all", file=path, fix="Record it again or leave its row out.")


def resample(samples: torch.Tensor, rate: int, sample_rate: int) -> torch.Tensor:
    """`samples` `(..., T)` at another rate, by windowed sinc interpolation."""
    return samples if rate == sample_rate else _resampler(rate, sample_rate)(samples)


@lru_cache(maxsize=32)
def _resampler(rate: int, sample_rate: int) -> torch.nn.Module:
    import torchaudio

    return torchaudio.transforms.Resample(rate, sample_rate)


def _no_sound(path: str | Path, error: Exception) -> UserError:
    told = str(error).replace(str(path), "").replace("Error opening ''", "")
    reason = " ".join(told.split()).strip(" :'\"-.") or type(error).__name__
    return UserError(f"is no sound that can be read ({reason[:120]})", file=path, fix="Convert it to WAV or FLAC.")
