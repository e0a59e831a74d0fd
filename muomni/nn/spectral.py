"""How far apart two sounds are, as their spectra tell it (Yamamoto et al. 2020): samples (..., T) twice → a number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""(n_fft, hop) of the STFT distance."""
QUIETEST = 1e-3
"""Magnitudes below this are as good as silence: the STFT of the rounding to 16 bits is about 2e-4."""


def stft_distance(made: Tensor, true: Tensor) -> Tensor:
    """Multi-resolution STFT distance (Yamamoto et al. 2020) of samples (..., T): spectral convergence and L1 of
    log-magnitudes, mean over three resolutions."""
    terms = []
    for n_fft, hop in RESOLUTIONS:
        window = torch.hann_window(n_fft, device=made.device)
        a, b = (
            torch.stft(x.float(), n_fft, hop, window=window, pad_mode="constant", return_complex=True).abs()
            for x in (made, true)
        )
        terms.append((a - b).norm() / b.norm().clamp_min(QUIETEST))
        terms.append(F.l1_loss(a.clamp_min(QUIETEST).log(), b.clamp_min(QUIETEST).log()))
    return torch.stack(terms).sum() / len(RESOLUTIONS)
