"""Sound as a short-time spectrum and back, and how far apart two sounds are, as their spectra tell it.

samples (B, (T - 1) hop) ⇄ complex spectrum (B, T, n_fft / 2 + 1), frames in the places of `muomni.data.mel`
samples (..., T) twice → a number (Yamamoto et al. 2020)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""(n_fft, hop) of the STFT distance."""
QUIETEST = 1e-3
"""Magnitudes below this are as good as silence: the STFT of the rounding to 16 bits is about 2e-4."""


class ShortTime(nn.Module):
    """A spectrum of overlapping windows, and the sound of one.

    What `torch.stft` and `torch.istft` compute, in half the time: frames stay whole rows, and adding them up where they
    overlap is one addition for each of a frame's n_fft / hop blocks. The hop divides the window.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Samples (B, (T - 1) hop) to their spectrum (B, T, bins)."""
        half = self.n_fft // 2
        frames = F.pad(samples, (half, half)).unfold(-1, self.n_fft, self.hop_length)
        return torch.fft.rfft(frames * self.window)

    def inverse(self, spectrum: Tensor, covered: Tensor | None = None) -> Tensor:
        """The samples (B, (T - 1) hop) whose spectrum is nearest to (B, T, bins) (Griffin & Lim 1984).

        Args:
            covered: `coverage` of as many frames, where it is needed again and again.
        """
        summed = self._add_up(torch.fft.irfft(spectrum, self.n_fft) * self.window)
        return summed / (self.coverage(spectrum.shape[1]) if covered is None else covered)

    def coverage(self, n_frames: int) -> Tensor:
        """How much of the squared windows lies over each sample (1, (T - 1) hop)."""
        return self._add_up((self.window**2).expand(1, n_frames, -1))

    def _add_up(self, frames: Tensor) -> Tensor:
        """Frames (B, T, n_fft), each a hop after the last one, to the samples between the first and the last center."""
        n_frames = frames.shape[1]
        blocks = frames.unflatten(-1, (-1, self.hop_length))  # (B, T, n_fft / hop, hop)
        summed = frames.new_zeros(len(frames), n_frames + blocks.shape[2] - 1, self.hop_length)
        for number in range(blocks.shape[2]):
            summed[:, number : number + n_frames] += blocks[:, :, number]
        half = self.n_fft // 2
        return summed.flatten(1)[:, half : half + (n_frames - 1) * self.hop_length]


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
