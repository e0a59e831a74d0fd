"""Muon (Jordan et al. 2024): an optimizer for matrices that steps along their momentum made orthogonal.

A gradient's matrix is mostly a few strong directions. Muon gives all of them the same strength: from the momentum
M = U S Vᵀ it steps along U Vᵀ, which five steps of a Newton-Schulz iteration find without computing U or V. Scaled to
AdamW's usual length of step, 0.2 sqrt(max(rows, columns)) (Liu et al. 2025), it takes AdamW's learning rates.

PyTorch's own `torch.optim.Muon` computes the iteration in bf16, which processors without bf16 instructions do many
times more slowly than fp32; this one computes in fp32, and matrices of one shape together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """About U Vᵀ of each matrix U S Vᵀ (N, rows, columns): singular values near 1 in place of S.

    X ← a X + (b A + c A²) X with A = X Xᵀ moves every singular value s to a s + b s³ + c s⁵, again and again, which
    ends between 0.7 and 1.2. A direction under a five-hundredth of the matrix's length grows, but not so far.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    Args:
        parameters: matrices.
        lr: learning rate, as for AdamW.
        wd: weight decay.
        momentum: what is kept of the momentum at each step.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, wd: float, momentum: float = 0.95) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": wd, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients that are there."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, matrices in shapes.items():
                steps = orthogonal(torch.stack([self._momentum(p, group["momentum"]) for p in matrices]).float())
                length = group["lr"] * 0.2 * max(shape) ** 0.5
                for p, direction in zip(matrices, steps, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction.to(p.dtype), alpha=-length)

    def _momentum(self, p: nn.Parameter, keep: float) -> torch.Tensor:
        """The gradient and what is left of those before, looking one step ahead (Nesterov)."""
        assert p.grad is not None
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        momentum: torch.Tensor = state["momentum"].lerp_(p.grad, 1 - keep)
        return p.grad.lerp(momentum, keep)
