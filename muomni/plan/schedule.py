"""How long a run is: steps, epochs, warmup and how often to look. Exact integer arithmetic throughout.

With N tokens or samples and a validation share v, `N - floor(N v)` are trained on; an optimizer step takes the
effective batch (times `ctx_len` where tokens are counted). How many epochs depends on how much data there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import cos, pi
from typing import Literal

SizeClass = Literal["very large", "large", "medium", "small"]

WARMUP_PERCENT = 4
LONGEST_WARMUP = 10_000
RAREST_VALIDATION = 1_000
RAREST_CHECKPOINT = 10_000


@dataclass(frozen=True)
class EpochChoice:
    """How often data of one size is gone through: the range to choose from and what is used by default."""

    size_class: SizeClass
    lowest: int
    highest: int

    @property
    def used(self) -> int:
        """The middle of the range, rounded down."""
        return (self.lowest + self.highest) // 2


VERY_LARGE = EpochChoice("very large", 1, 3)
LARGE = EpochChoice("large", 2, 4)
MEDIUM = EpochChoice("medium", 3, 6)
SMALL = EpochChoice("small", 5, 10)

LIMITS = {"tokens": (100_000_000, 50_000_000, 10_000_000), "samples": (1_000_000, 500_000, 100_000)}
"""Very large is above the first; large from the second; medium from the third; small below it."""


def epoch_choice(examples: int, unit: Literal["tokens", "samples"]) -> EpochChoice:
    """The size class of `examples` tokens or samples, counted before the split."""
    very_large, large, medium = LIMITS[unit]
    if examples > very_large:
        return VERY_LARGE
    if examples >= large:
        return LARGE
    return MEDIUM if examples >= medium else SMALL


@lru_cache(maxsize=1024)
def _exact(share: float) -> Fraction:
    """The number as it is written: 0.1 is one tenth."""
    return Fraction(repr(share))


def training_examples(examples: int, val_split: float) -> int:
    """What is left for training when floor(examples x val_split) are held out."""
    share = _exact(val_split)
    return examples - examples * share.numerator // share.denominator


def round_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest whole number; halves go up."""
    return (2 * numerator + denominator) // (2 * denominator)


def warmup_steps(max_steps: int, percent: float = WARMUP_PERCENT) -> int:
    """`percent` of the run, at least 1 step, at most 10,000 and never longer than the run."""
    share = _exact(percent)
    steps = round_half_up(max_steps * share.numerator, 100 * share.denominator)
    return min(LONGEST_WARMUP, max(1, steps), max_steps)


def validation_frequency(steps_per_epoch: int) -> int:
    """Ten times an epoch, and at least every 1,000 steps."""
    return min(RAREST_VALIDATION, max(1, steps_per_epoch // 10))


def checkpoint_frequency(steps_per_epoch: int) -> int:
    """Once an epoch, and at least every 10,000 steps."""
    return min(RAREST_CHECKPOINT, steps_per_epoch)


def learning_rate(step: int, *, lr: float, warmup: int, max_steps: int, min_ratio: float) -> float:
    """The learning rate of `step` (0 is the first): linear warmup, then a cosine down to `min_ratio` of `lr`.

    Source: Loshchilov & Hutter, SGDR (2017), one cycle without restarts.
    """
    if step < warmup:
        return lr * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, max_steps - 1 - warmup))
    return lr * (min_ratio + (1 - min_ratio) * 0.5 * (1 + cos(pi * progress)))
