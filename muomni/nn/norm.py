"""RMSNorm (Zhang & Sennrich 2019): every vector is divided by its root mean square, then weighted.

    y = w · x / sqrt(mean(x²) + eps)          x, y (..., C), w (C,)

It is LayerNorm without the mean and the bias. The gradient is written out by hand: PyTorch's own chain of small steps
is several times slower on a CPU and keeps several copies of `x`, where `x` and one number a row are enough.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """Scale vectors to a root mean square of 1, then by a learned weight per channel.

    The result has the type that matrix products are computed in (bf16 under autocast), so that the layers after the
    norm need no conversion of their own; the arithmetic is fp32.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (..., C) -> (..., C)
        dtype = product_dtype(x)
        if torch.is_grad_enabled():
            normed: torch.Tensor = _RMSNorm.apply(x, self.weight, self.eps, dtype)
            return normed
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps).to(dtype)


def product_dtype(x: torch.Tensor) -> torch.dtype:
    """The type that a matrix product with `x` is computed in: autocast's where it is on, else that of `x`."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class _RMSNorm(torch.autograd.Function):
    """Of y = w x r, where r = 1 / rms(x), and g the gradient that arrives:

    dx = r w g - x r³ mean(g w x),   dw = sum over rows of g x r
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float, dtype: torch.dtype) -> torch.Tensor:
        scale = x.float().square().mean(-1, keepdim=True).add_(eps).rsqrt_()  # (..., 1)
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        width = x.shape[-1]
        with torch.autocast(x.device.type, enabled=False):
            grad_x = grad.float() * x
            rows = grad_x.reshape(-1, width)
            grad_weight = (scale.view(1, -1) @ rows).view(width)
            along = (rows @ weight.float()).view(scale.shape)  # sum of g w x in each row
            grad_x = (grad * weight).mul_(scale).sub_(x * (scale.pow(3) * along / width))
        return grad_x.to(x.dtype), grad_weight.to(weight.dtype), None, None
