"""Sound as a log-mel spectrogram: the one form in which every stage hears.

    samples (..., T) → |STFT| (..., n_fft / 2 + 1, frames) → mel (..., n_mels, frames) → ln, not below 1e-5

A magnitude (not power) spectrogram with a Hann window, filters by Slaney's scale with Slaney's area normalisation, and
the natural logarithm: what HiFi-GAN and its relatives use. Frames are centered: frame k looks at samples around
k `hop_length`, and T samples give T // hop_length + 1 frames.

For training, mels are shifted and scaled by the mean and deviation of the training set (`MelStatistics`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
import torchaudio
from torch import Tensor, nn

from muomni.errors import UserError
from muomni.files import write_json

FLOOR = 1e-5


class MelSettings(Protocol):
    """The fields of a config that decide its mels."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def n_fft(self) -> int: ...
    @property
    def hop_length(self) -> int: ...
    @property
    def n_mels(self) -> int: ...


def n_frames(n_samples: int, hop_length: int) -> int:
    """How many frames `n_samples` give."""
    return n_samples // hop_length + 1


def mel_filters(settings: MelSettings) -> Tensor:
    """The filters (n_fft / 2 + 1, n_mels) that make a mel of a magnitude spectrum."""
    return torchaudio.functional.melscale_fbanks(
        settings.n_fft // 2 + 1,
        0.0,
        settings.sample_rate / 2,
        settings.n_mels,
        settings.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )


class LogMel(nn.Module):
    """Log-mel spectrograms: `(..., T)` samples to `(..., n_mels, T // hop_length + 1)`.

    Args:
        settings: sample_rate (Hz), n_fft and hop_length (samples), n_mels.
    """

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        self.hop_length = settings.hop_length
        self.n_fft = settings.n_fft
        self.spectrogram = torchaudio.transforms.MelSpectrogram(
            sample_rate=settings.sample_rate,
            n_fft=settings.n_fft,
            hop_length=settings.hop_length,
            n_mels=settings.n_mels,
            power=1.0,
            mel_scale="slaney",
            norm="slaney",
            pad_mode="constant",  # reflecting would need more samples than half a window
        )

    def forward(self, samples: Tensor) -> Tensor:
        """`samples` `(..., T)` at the settings' rate; half precision would lose the quiet parts, so float32 inside."""
        with torch.autocast(samples.device.type, enabled=False):
            mel: Tensor = self.spectrogram(samples.float())
            return mel.clamp_min(FLOOR).log()


@dataclass(frozen=True)
class MelStatistics:
    """Mean and standard deviation of a set's log-mels, over all frames and bins."""

    mean: float
    deviation: float
    frames: int

    @classmethod
    def of(cls, mels: Iterable[Tensor]) -> MelStatistics:
        """From log-mels `(n_mels, frames)`, one at a time.

        Raises:
            UserError: there are none, or all are silent and the same.
        """
        n = total = squares = frames = 0.0
        for mel in mels:
            values = mel.double()
            n += values.numel()
            total += values.sum().item()
            squares += (values**2).sum().item()
            frames += mel.shape[-1]
        if not n:
            raise UserError("no sound to compute a mean and a deviation from", fix="Make or download the data first.")
        mean = total / n
        deviation = math.sqrt(max(0.0, squares / n - mean**2))
        if not deviation > 1e-3:
            raise UserError("every sound is silent: their mels do not vary", fix="Check the recordings.")
        return cls(mean, deviation, int(frames))

    def normalize(self, mel: Tensor) -> Tensor:
        """A log-mel with mean 0 and deviation 1 over the set."""
        return (mel - self.mean) / self.deviation

    def denormalize(self, mel: Tensor) -> Tensor:
        """The log-mel that `normalize` came from."""
        return mel * self.deviation + self.mean

    def save(self, path: str | Path) -> None:
        """Write them as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> MelStatistics:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or not that.
        """
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            statistics = cls(float(found["mean"]), float(found["deviation"]), int(found["frames"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"holds no mel statistics ({error})", file=path, fix="Delete it.") from None
        if not (math.isfinite(statistics.mean) and statistics.deviation > 0 and math.isfinite(statistics.deviation)):
            raise UserError("holds no mel statistics (a deviation must be above 0)", file=path, fix="Delete it.")
        return statistics
