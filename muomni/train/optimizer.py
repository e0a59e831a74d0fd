"""AdamW with weight decay on matrices only (Loshchilov & Hutter 2019): gains and biases are left to the data."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

BETAS = (0.9, 0.95)


def make_optimizer(
    parameters: Iterable[nn.Parameter], lr: float, wd: float, betas: tuple[float, float] = BETAS
) -> torch.optim.AdamW:
    """AdamW over the parameters that train, in two groups: decayed (2-D and up) and not (1-D).

    The fused kernel does each parameter in one pass: fewer temporaries, and faster.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": wd},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, betas=betas, fused=True)
