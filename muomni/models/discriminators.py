"""Discriminators of HiFi-GAN (Kong et al. 2020): is this sound a recording?

    periods 2, 3, 5, 7, 11  samples (B, T) ─ folded to (B, 1, T / p, p) ─ 2-d convs over time → scores
    scales 1, 2, 4          samples (B, T) ─ averaged by 2 each time ─ grouped convs, wide kernels → scores

Each gives its scores and what its layers saw, for the feature-matching loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni.config import VocoderConfig
from muomni.plan.parameters import PERIODS, SCALE_LAYERS, SCALES

SLOPE = 0.1


class Judged(NamedTuple):
    """One discriminator's scores (B, n) and its layers' outputs."""

    scores: Tensor
    features: list[Tensor]


class PeriodDiscriminator(nn.Module):
    """Looks at every `period`-th sample."""

    def __init__(self, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        channels = (1, width, 4 * width, 16 * width, 32 * width, 32 * width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, (5, 1), (3 if number < 4 else 1, 1), padding=(2, 0))
            for number, (a, b) in enumerate(pairwise(channels))
        )
        self.last = nn.Conv2d(32 * width, 1, (3, 1), padding=(1, 0))

    def forward(self, samples: Tensor) -> Judged:
        x = F.pad(samples, (0, -samples.shape[-1] % self.period))
        return judged(x.unflatten(-1, (-1, self.period)).unsqueeze(1), self.convolutions, self.last)


class ScaleDiscriminator(nn.Module):
    """Looks at neighbouring samples."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(
                a * width if number else 1,
                b * width,
                kernel,
                stride,
                padding=kernel // 2,
                groups=math.gcd(groups, a * width),
            )
            for number, (a, b, kernel, groups, stride) in enumerate(SCALE_LAYERS)
        )
        self.last = nn.Conv1d(32 * width, 1, 3, padding=1)

    def forward(self, samples: Tensor) -> Judged:
        return judged(samples.unsqueeze(1), self.convolutions, self.last)


def judged(x: Tensor, convolutions: nn.ModuleList, last: nn.Module) -> Judged:
    features = []
    for convolution in convolutions:
        x = F.leaky_relu(convolution(x), SLOPE)
        features.append(x)
    scores = last(x)
    return Judged(scores.flatten(1), [*features, scores])


class Discriminators(nn.Module):
    """All of them: samples (B, T) to what each says."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.periods = nn.ModuleList(PeriodDiscriminator(period, config.d_disc) for period in PERIODS)
        self.scales = nn.ModuleList(ScaleDiscriminator(config.d_disc) for _ in range(SCALES))

    def forward(self, samples: Tensor) -> list[Judged]:
        said = [period(samples) for period in self.periods]
        x = samples.unsqueeze(1)
        for scale in self.scales:
            said.append(scale(x[:, 0]))
            x = F.avg_pool1d(x, 4, 2, padding=2)
        return said


def discriminator_loss(real: Sequence[Judged], made: Sequence[Judged]) -> Tensor:
    """Least squares (Mao et al. 2017): 1 for recordings, 0 for what was made."""
    terms = [((1 - a.scores) ** 2).mean() + (b.scores**2).mean() for a, b in zip(real, made, strict=True)]
    return torch.stack(terms).sum()


def adversarial_loss(made: Sequence[Judged]) -> Tensor:
    """What the generator wants: 1 for what it made."""
    return torch.stack([((1 - each.scores) ** 2).mean() for each in made]).sum()


def feature_matching_loss(real: Sequence[Judged], made: Sequence[Judged]) -> Tensor:
    """How far apart the layers' outputs are."""
    return torch.stack(
        [
            F.l1_loss(b, a.detach())
            for one, other in zip(real, made, strict=True)
            for a, b in zip(one.features, other.features, strict=True)
        ]
    ).sum()
