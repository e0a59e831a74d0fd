"""Batches of examples of about the same length, so that little of a batch is padding.

Each epoch the examples are shuffled, cut into pools of some dozens of batches, sorted by length within a pool, cut into
batches, and the batches shuffled: every example comes exactly once, the order differs from epoch to epoch and is the
same for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

POOL = 32
"""Batches in a pool: more means less padding and less chance."""


@dataclass(frozen=True)
class Buckets:
    """Batches of indices.

    Args:
        lengths: of every example, in any unit.
        batch_size: examples in a batch; with `max_length`, at most.
        max_length: at most so much length in a batch, padding included (an example longer than that stands alone).
        seed: of the order.
        drop_last: leave out a batch that is not full.
    """

    lengths: Sequence[float]
    batch_size: int
    max_length: float | None = None
    seed: int = 0
    drop_last: bool = False

    def batches(self, epoch: int = 0) -> list[np.ndarray]:
        """All batches of an epoch, each `(B,)` int64, in their order."""
        lengths = np.asarray(self.lengths, dtype=np.float64)
        dice = np.random.default_rng([self.seed, epoch])
        order = dice.permutation(len(lengths))
        pool = POOL * self.batch_size
        found = [
            batch
            for at in range(0, len(order), pool)
            for batch in self._cut(order[at : at + pool][np.argsort(lengths[order[at : at + pool]], kind="stable")])
        ]
        if self.drop_last and self.max_length is None:
            found = [batch for batch in found if len(batch) == self.batch_size]
        return [found[i] for i in dice.permutation(len(found))]

    def _cut(self, members: np.ndarray) -> Iterator[np.ndarray]:
        """Batches of a pool sorted by length."""
        if self.max_length is None:
            yield from (members[at : at + self.batch_size] for at in range(0, len(members), self.batch_size))
            return
        first = 0
        for i in range(1, len(members) + 1):
            full = i - first == self.batch_size
            if i == len(members) or full or (i - first + 1) * float(self.lengths[members[i]]) > self.max_length:
                yield members[first:i]
                first = i

    def padding(self, epoch: int = 0) -> float:
        """The share of an epoch's batches that is padding, 0 to 1."""
        lengths = np.asarray(self.lengths, dtype=np.float64)
        padded = sum(len(batch) * lengths[batch].max() for batch in self.batches(epoch))
        used = sum(lengths[batch].sum() for batch in self.batches(epoch))
        return float(1 - used / padded) if padded else 0.0
