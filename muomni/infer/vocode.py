"""Sound from a log-mel: Griffin-Lim, with nothing learned, or a trained vocoder. Both: log-mel (T, n_mels) to samples.

    log-mel (T, n_mels) ─ exp ─ least squares → |STFT| (n_fft / 2 + 1, T) ─ Griffin-Lim → samples (T - 1) hop

A mel has no phases. Griffin & Lim (1984) begin with random ones and go back and forth between sound and spectrum,
keeping the magnitudes each time; with momentum (Perraudin et al. 2013) it takes fewer rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torchaudio

from muomni.data.mel import MelSettings, mel_filters
from muomni.models.vocoder import HiFiGAN, InverseSTFT

ITERATIONS = 60
MOMENTUM = 0.99
QUIETEST = 1e-5
ROUNDS = 20
"""Steps that bring the magnitudes' mel near the one that is given."""


class GriffinLim:
    """Log-mels to sound.

    Args:
        settings: those that the mels were made with.
        iterations: rounds; more sound better, up to a point.
    """

    def __init__(self, settings: MelSettings, iterations: int = ITERATIONS) -> None:
        self.settings, self.iterations = settings, iterations
        filters = mel_filters(settings)
        self.filters = filters  # (bins, n_mels)
        self.inverse = torch.linalg.pinv(filters)  # (n_mels, bins)
        self.window = torch.hann_window(settings.n_fft)

    def magnitudes(self, log_mel: torch.Tensor) -> torch.Tensor:
        """|STFT| (bins, T), not negative, whose mel is as near as can be to that of log_mel (T, n_mels)."""
        mel = log_mel.float().exp()
        found = (mel @ self.inverse).clamp(min=QUIETEST)
        for _ in range(ROUNDS):  # multiplicative steps keep it positive (Lee & Seung 2001)
            found = found * ((mel @ self.filters.T) / (found @ self.filters @ self.filters.T + QUIETEST**2))
        return found.T

    def __call__(self, log_mel: torch.Tensor, seed: int = 0) -> torch.Tensor:
        """Log-mel (T, n_mels) to samples ((T - 1) hop_length,); the same seed gives the same sound."""
        if log_mel.shape[0] < 2:
            return torch.zeros(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torchaudio.functional.griffinlim(
                self.magnitudes(log_mel),
                window=self.window,
                n_fft=self.settings.n_fft,
                hop_length=self.settings.hop_length,
                win_length=self.settings.n_fft,
                power=1.0,
                n_iter=self.iterations,
                momentum=MOMENTUM,
                length=(log_mel.shape[0] - 1) * self.settings.hop_length,
                rand_init=True,
            )


@dataclass(frozen=True)
class TrainedVocoder:
    """A trained generator, and where it came from."""

    generator: HiFiGAN | InverseSTFT
    settings: MelSettings
    folder: Path

    @torch.no_grad()
    def __call__(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Log-mel (T, n_mels) to samples ((T - 1) hop_length,)."""
        if log_mel.shape[0] < 2:
            return torch.zeros(0)
        samples: torch.Tensor = self.generator(log_mel.float()[None])[0]
        return samples
