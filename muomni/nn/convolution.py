"""The convolutions in front of an encoder of sound: spectrogram frames become fewer, richer vectors.

    (B, n_mels, T) ─ width 3, every frame ─ GELU ─ strided ─ GELU ... → (B, C, ceil(T / factor))

As in Whisper (Radford et al. 2022), a first convolution looks at every frame, and strided ones shorten time. A strided
kernel is twice its stride plus one: neighbouring outputs share what lies between them. B, T, C: batch, frames, width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from muomni.nn.padding import real_places
from muomni.plan.parameters import strides


class Downsample(nn.Module):
    """Strided convolutions that shorten time by `factor`.

    Args:
        channels_in: bands of a frame.
        width: channels C of the output.
        factor: frames that become one; its prime factors are the strides.
    """

    def __init__(self, channels_in: int, width: int, factor: int) -> None:
        super().__init__()
        self.strides = strides(factor)
        self.first = nn.Conv1d(channels_in, width, 3, padding=1)
        self.strided = nn.ModuleList(
            nn.Conv1d(width, width, 2 * stride + 1, stride, padding=stride) for stride in self.strides
        )

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            x: (B, channels_in, T), 0 behind each example's end.
            n_frames: (B,), frames that are real. What lies behind is kept 0 all the way, so that an example's output
                does not depend on how far its batch is padded.

        Returns:
            (B, C, T') and (B,), how many of the T' are real.
        """
        x = _cleared(F.gelu(self.first(x)), n_frames)
        for layer, stride in zip(self.strided, self.strides, strict=True):
            n_frames = (n_frames + stride - 1) // stride
            x = _cleared(F.gelu(layer(x)), n_frames)
        return x, n_frames


def _cleared(x: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
    """`x` (B, C, T) with 0 behind the first `n_frames` (B,) of each example."""
    return x * real_places(n_frames, x.shape[2])[:, None].to(x.dtype)
