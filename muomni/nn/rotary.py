"""Rotary positions, RoPE (Su et al. 2021): queries and keys are turned by angles that grow with their position.

Channels i and i + D/2 of a head are the two coordinates of a point, turned by  position · theta^(-2i / D)  (the
"half-split" order of Llama and Qwen). The product of a turned query and a turned key depends only on how far apart
they stand. B, H, T, D: batch, heads, time, channels of one head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn


class Rotation(NamedTuple):
    """Cosines and sines for a stretch of positions, each (T, D) or (B, 1, T, D).

    The sines of the first half are negative, so that a turn is two products and a swap of the halves.
    """

    cos: torch.Tensor
    sin: torch.Tensor

    def to(self, dtype: torch.dtype) -> Rotation:
        """The same turns in the type of the queries and keys: converted once, not by every layer."""
        return Rotation(self.cos.to(dtype), self.sin.to(dtype))


def rotation(positions: torch.Tensor, head_dim: int, theta: float) -> Rotation:
    """The turn at every position. `positions` (..., T) may be fractions, such as seconds."""
    evens = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions.float().unsqueeze(-1) * theta ** (-evens / head_dim)  # (..., T, D/2)
    cos, sin = angles.cos(), angles.sin()
    return Rotation(torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1))


def rotate(x: torch.Tensor, turn: Rotation) -> torch.Tensor:
    """Turn queries or keys (B, H, T, D)."""
    turned: torch.Tensor = _Rotate.apply(x, *turn.to(x.dtype))
    return turned


class _Rotate(torch.autograd.Function):
    """The gradient of a turn is the gradient that arrives, turned back: no steps of the way there need be kept."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        cos, sin = ctx.saved_tensors
        return torch.addcmul(grad * cos, grad.roll(grad.shape[-1] // 2, -1), sin, value=-1), None, None


class Rotary(nn.Module):
    """The turns of positions 0 to max_len - 1, computed once; other positions are computed when they come."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, head_dim: int, max_len: int, theta: float = 10000.0) -> None:
        super().__init__()
        self.head_dim, self.theta = head_dim, theta
        table = rotation(torch.arange(max_len), head_dim, theta)
        self.register_buffer("cos", table.cos, persistent=False)  # (max_len, D)
        self.register_buffer("sin", table.sin, persistent=False)

    def stretch(self, start: int, length: int) -> Rotation:
        """The turns of `length` positions from `start` on."""
        return Rotation(self.cos[start : start + length], self.sin[start : start + length])

    def at(self, positions: torch.Tensor) -> Rotation:
        """The turns at given positions (B, T), whole or fractional."""
        turn = rotation(positions, self.head_dim, self.theta)
        return Rotation(turn.cos.unsqueeze(1), turn.sin.unsqueeze(1))  # (B, 1, T, D)
