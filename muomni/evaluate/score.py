"""A score: what was measured on held-out examples, how sure that is, and what it is held against.

An interval is a bootstrap (Efron 1979): the examples are drawn again with replacement, as many as there are, `DRAWS`
times, and the middle 95 % of the values found are kept. A ratio, as of wrong words to all words, is drawn with both of
its parts together, because long examples hold more of both. N examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 1000
COVERED = 0.95


@dataclass(frozen=True)
class Score:
    """One number and its surroundings.

    Attributes:
        value: what was measured.
        low, high: between them lies the true value, with 95 %.
        n: examples.
        split: which held-out examples.
        floor: what chance gets, where that is known.
        ceiling: the best that is possible, where that is known. For an error it is the smaller number of the two.
    """

    value: float
    low: float
    high: float
    n: int
    split: str
    floor: float | None = None
    ceiling: float | None = None

    def minus(self, amount: float) -> Score:
        """The score counted from `amount`."""
        floor, ceiling = (None if bound is None else bound - amount for bound in (self.floor, self.ceiling))
        return Score(self.value - amount, self.low - amount, self.high - amount, self.n, self.split, floor, ceiling)

    def to_json(self) -> dict[str, Any]:
        """The score's object in the scorecard."""
        names = ("value", "low", "high", "n", "floor", "ceiling", "split")
        numbers = {name: getattr(self, name) for name in names}
        return {name: round(one, 6) if isinstance(one, float) else one for name, one in numbers.items()}


def interval(parts: np.ndarray, wholes: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of sum(parts) / sum(wholes), both (N,), over examples."""
    drawn = np.random.default_rng(seed).integers(len(parts), size=(DRAWS, len(parts)))
    ratios = parts[drawn].sum(1) / wholes[drawn].sum(1)
    low, high = np.quantile(ratios, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)


def ratio_score(
    parts: Sequence[float] | np.ndarray,
    wholes: Sequence[float] | np.ndarray,
    split: str,
    seed: int,
    floor: float | None = None,
    ceiling: float | None = None,
) -> Score:
    """The score sum(parts) / sum(wholes), one part and one whole (above 0) of each example."""
    above, below = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    if not len(above):
        raise ValueError("a score needs examples")
    low, high = interval(above, below, seed)
    return Score(float(above.sum() / below.sum()), low, high, len(above), split, floor, ceiling)


def mean_score(
    values: Sequence[float] | np.ndarray,
    split: str,
    seed: int,
    floor: float | None = None,
    ceiling: float | None = None,
) -> Score:
    """The mean of one value of each example, such as 1 where it was right and 0 where it was wrong."""
    return ratio_score(values, np.ones(len(values)), split, seed, floor, ceiling)
