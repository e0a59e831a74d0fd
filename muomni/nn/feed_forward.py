"""The feed-forward layer: every token by itself through a wider layer and back. C = d_model, F = d_ff.

SwiGLU (Shazeer 2020) lets one half of the wide layer open and close the other; the older form has one wide layer and
a GELU.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)): three matrices."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (..., C) -> (..., C)
        return self.down(F.silu(self.gate(x)) * self.up(x))


class GELUFeedForward(nn.Module):
    """down(gelu(up(x))): two matrices."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (..., C) -> (..., C)
        return self.down(F.gelu(self.up(x)))


def feed_forward(d_model: int, d_ff: int, use_swiglu: bool = True) -> nn.Module:
    """A feed-forward layer of the chosen form."""
    return SwiGLU(d_model, d_ff) if use_swiglu else GELUFeedForward(d_model, d_ff)
