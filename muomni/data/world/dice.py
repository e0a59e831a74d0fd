"""Seeded choices that keep their own score.

A `Dice` is a splitmix64 stream (Steele, Lea and Flood, 2014) whose seed is a BLAKE2b hash of a key such as
`("facts", seed, index)`: every record and every view of it has its own stream, so any of them can be made again alone,
in any order, on any machine and any Python (`random.Random.choice` may change between versions, this cannot).

`log_p` is the sum of the natural logarithms of the probabilities of all choices made so far. It is what the exact
entropy of `muomni.data.world.entropy`, computed from the text alone, is checked against.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


class Dice:
    """A stream of uniform choices named by `key`; equal keys give equal streams."""

    def __init__(self, *key: object) -> None:
        name = "/".join(str(part) for part in key)
        self._state = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        self.log_p = 0.0

    def _bits(self) -> int:
        """The next 64 uniform bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """A uniform integer of 0 ... n-1, not scored. (Its bias, n / 2^64, is far below what a float can show.)"""
        return (self._bits() * n) >> 64

    def uniform(self, low: float, high: float) -> float:
        """A uniform number of [low, high), not scored."""
        return low + (high - low) * (self._bits() >> 11) * 2.0**-53

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`, all equally likely."""
        self.log_p -= math.log(len(options))
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[tuple[T, int]]) -> T:
        """One of the values of `options` (value, weight), as likely as its weight says."""
        total = sum(weight for _, weight in options)
        drawn = self.below(total)
        for value, weight in options:
            if drawn < weight:
                self.log_p += math.log(weight / total)
                return value
            drawn -= weight
        raise AssertionError("weights are positive")
