"""What one stage has to say to the training loop: its model, its loss and its data. Seven stages, one interface.

A step has one or more *turns*. Most stages have one. A GAN has two: first the discriminators learn on the step's
micro-batches, then the generator on the same ones; each turn has its own parameters, optimizer and learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from muomni.config import StageConfig
from muomni.train.order import Place


@dataclass(frozen=True)
class Turn:
    """One optimizer's share of a step.

    Args:
        name: what is learning ("generator").
        lr: its highest learning rate; all turns follow one schedule.
        prefixes: its parameters are those of the model whose names begin so; () means all.
        betas: AdamW's averaging of gradients and of their squares.
    """

    name: str
    lr: float
    prefixes: tuple[str, ...] = ()
    betas: tuple[float, float] = (0.9, 0.95)

    def named_parameters(self, model: nn.Module) -> list[tuple[str, nn.Parameter]]:
        """The trained parameters of this turn and their names."""
        return [
            (name, p)
            for name, p in model.named_parameters()
            if p.requires_grad and (not self.prefixes or name.startswith(self.prefixes))
        ]

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """The trained parameters of this turn."""
        return [p for _, p in self.named_parameters(model)]


class Examples(Protocol):
    """A training or validation set. `Place.epoch` seeds what is random about an example, so that a resumed run
    sees the same one."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: Place) -> Any: ...

    @property
    def lengths(self) -> Sequence[float] | np.ndarray | None:
        """How long each example is, where batches are to be made of about equally long ones; else None."""

    def collate(self, examples: Sequence[Any]) -> Any:
        """Several examples as one batch of tensors."""


@dataclass(frozen=True)
class Sample:
    """Something that shows what a model can do by now: what kind of thing, its text, and a picture (3, H, W), 0 to 255,
    where there is one."""

    kind: str
    text: str
    picture: torch.Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """A turn's loss on one micro-batch (a mean), with numbers worth watching."""

    value: torch.Tensor
    metrics: dict[str, float] = field(default_factory=dict)


class Objective(nn.Module):
    """One stage's model with its loss. Subclasses set `turns` and say how a batch is judged.

    `forward(batch, turn)` is the loss, so that torch's DistributedDataParallel can wrap the whole. `shown` is a small
    batch that samples are made from; the loop keeps it on the model's device.
    """

    turns: tuple[Turn, ...]
    shown: Any = None

    def __init__(self, model: nn.Module, config: StageConfig, turns: tuple[Turn, ...]) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.turns = turns

    def forward(self, batch: Any, turn: Turn) -> Loss:
        """The mean loss of one micro-batch for `turn`."""
        raise NotImplementedError

    def weight(self, batch: Any) -> float:
        """How many targets the batch's mean loss is over: what it counts for beside other micro-batches."""
        raise NotImplementedError

    def units(self, batch: Any) -> int:
        """Tokens or samples in the batch, for the throughput."""
        raise NotImplementedError

    def sample(self, seed: int) -> Sample | None:
        """What the model can do by now, or None where there is nothing to show."""
        return None
