"""The optimizers: AdamW for everything, or Muon for the matrices inside blocks and projectors, AdamW for the rest.

AdamW (Loshchilov & Hutter 2019) decays matrices only: gains and biases are left to the data. Muon needs about half as
many steps where these are trained from zero. Embeddings, heads, convolutions and vectors are AdamW's in both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from muomni.train.muon import Muon

BETAS = (0.9, 0.95)
HIDDEN = ("blocks.", "projector.")
"""What stands in the names of matrices that Muon takes: those between layers, neither embeddings nor heads."""
MUON = " matrices"
"""What the name of a turn's second optimizer ends with."""


def make_optimizers(
    parameters: Iterable[tuple[str, nn.Parameter]],
    lr: float,
    wd: float,
    betas: tuple[float, float] = BETAS,
    kind: str = "adamw",
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of named parameters, those that train, by a suffix for their names: "", and " matrices" with Muon.

    AdamW's fused kernel does each parameter in one pass: fewer temporaries, and faster.
    """
    trained = [(name, p) for name, p in parameters if p.requires_grad]
    matrices = [p for name, p in trained if kind == "muon" and p.dim() == 2 and any(part in name for part in HIDDEN)]
    taken = {id(p) for p in matrices}
    rest = [p for _, p in trained if id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": wd},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0},
    ]
    found: dict[str, torch.optim.Optimizer] = {
        "": torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, betas=betas, fused=True)
    }
    if matrices:
        found[MUON] = Muon(matrices, lr, wd)
    return found
