"""Thinkers small enough to build in every test."""

from __future__ import annotations

from typing import Any

import torch

from muomni.config import ThinkerConfig
from muomni.models.thinker import Thinker

SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "d_ff": 64,
    "dropout": 0.0,
    "ctx_len": 64,
}


def small_config(**changes: Any) -> ThinkerConfig:
    return ThinkerConfig(**(SMALL | changes))


def small_thinker(seed: int = 0, **changes: Any) -> Thinker:
    """A Thinker with weights large enough that its logits are far from uniform."""
    torch.manual_seed(seed)
    model = Thinker(small_config(**changes))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.normal_(0.0, 0.15)
            else:
                weight.uniform_(0.5, 1.5)
    return model.eval()


def some_ids(*shape: int, seed: int = 1, vocab_size: int = 300) -> torch.Tensor:
    return torch.randint(0, vocab_size, shape, generator=torch.Generator().manual_seed(seed))
