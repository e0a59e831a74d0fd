"""Small objectives that exercise the training loop: a regression with dropout, and a GAN with its two turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from muomni.config import ThinkerConfig
from muomni.train.objective import Loss, Objective, Turn
from muomni.train.order import Place


@dataclass(frozen=True)
class Points:
    """Seeded points of a line in 4 dimensions; example `index` has `1 + index % 3` targets."""

    n: int
    poisoned: int | None = None
    lengths = None

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, place: Place) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(place.index)
        x = torch.randn(1 + place.index % 3, 4, generator=generator)
        if place.index == self.poisoned:
            x[0, 0] = float("nan")
        return x, x.sum(1, keepdim=True)

    def collate(self, examples: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([x for x, _ in examples]), torch.cat([y for _, y in examples])


class Regression(Objective):
    def __init__(self, config: ThinkerConfig) -> None:
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(config.dropout), nn.Linear(16, 1))
        super().__init__(model, config, (Turn("regression", config.lr),))

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor], turn: Turn) -> Loss:
        x, y = batch
        return Loss((self.model(x) - y).square().mean())

    def weight(self, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        return float(len(batch[0]))

    def units(self, batch: tuple[torch.Tensor, torch.Tensor]) -> int:
        return len(batch[0])


class Gan(Regression):
    """A generator that shifts points and a discriminator that tells them from the true ones."""

    def __init__(self, config: ThinkerConfig) -> None:
        model = nn.ModuleDict({"generator": nn.Linear(4, 4), "discriminator": nn.Linear(4, 1)})
        Objective.__init__(
            self,
            model,
            config,
            (Turn("discriminator", config.lr, ("discriminator",)), Turn("generator", config.lr, ("generator",))),
        )

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor], turn: Turn) -> Loss:
        x = batch[0]
        fake = self.model["generator"](x)
        judge = self.model["discriminator"]
        if turn.name == "discriminator":
            return Loss((judge(x) - 1).square().mean() + judge(fake.detach()).square().mean())
        return Loss((judge(fake) - 1).square().mean())
