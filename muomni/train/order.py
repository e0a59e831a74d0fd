"""Which examples each optimizer step sees: a pure function of the seed and the step.

Because no state is carried, a resumed run continues with exactly the examples that an uninterrupted one would have
seen. Every epoch is a new permutation of all examples; steps take `effective_batch` of them each.

drop_last=True leaves out the few examples that do not fill an epoch's last step (others each time, as every epoch is
shuffled anew); drop_last=False begins the next epoch's first step with them. Either way an epoch has
`max(1, n_examples // effective_batch)` steps, as planned.

Where examples have lengths, an epoch's order is made of batches of about equally long ones (`muomni.data.buckets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from muomni.data.buckets import Buckets


@dataclass(frozen=True)
class Place:
    """One example of one epoch: the epoch seeds whatever is random about it.

    `step` is the step that asks for it, 0 the first; None where nothing is trained.
    """

    epoch: int
    index: int
    step: int | None = None


@dataclass(frozen=True)
class Order:
    """The order of a training run over `n_examples`.

    Args:
        n_examples: size of the training set, at least 1.
        effective_batch: examples of one optimizer step, over all processes.
        seed: another seed is another order.
        drop_last: see the module's description.
    """

    n_examples: int
    effective_batch: int
    seed: int
    drop_last: bool = True
    lengths: tuple[float, ...] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return max(1, self.n_examples // self.effective_batch)

    def epoch_of(self, step: int) -> int:
        """The epoch that step `step` (0 is the first) begins in."""
        if self.drop_last:
            return step // self.steps_per_epoch
        return step * self.effective_batch // self.n_examples

    def step_places(self, step: int) -> list[Place]:
        """The examples of step `step`; fewer than the effective batch only where the whole set is smaller."""
        if self.drop_last:
            epoch, k = divmod(step, self.steps_per_epoch)
            chosen = self._epoch(epoch)
            chosen = chosen[k * self.effective_batch : (k + 1) * self.effective_batch]
            return [Place(epoch, int(index), step) for index in chosen]
        positions = range(step * self.effective_batch, (step + 1) * self.effective_batch)
        return [self._at(position, step) for position in positions]

    def _at(self, position: int, step: int) -> Place:
        epoch, k = divmod(position, self.n_examples)
        return Place(epoch, int(self._epoch(epoch)[k]), step)

    def _epoch(self, epoch: int) -> np.ndarray:
        """The examples of an epoch in their order."""
        if self.lengths is None:
            return _permutation(self.seed, epoch, self.n_examples)
        return _bucketed(self.seed, epoch, self.lengths, self.effective_batch)

    def micro_batches(self, step: int, batch_size: int, rank: int = 0, world: int = 1) -> list[list[Place]]:
        """The step's examples for one process, cut into micro-batches; the last may be smaller."""
        mine = self.step_places(step)[rank::world]
        return [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]


@lru_cache(maxsize=2)
def _bucketed(seed: int, epoch: int, lengths: tuple[float, ...], batch_size: int) -> np.ndarray:
    """Full batches first, so that the steps' batches are the buckets' own."""
    batches = Buckets(lengths, batch_size, seed=seed).batches(epoch)
    return np.concatenate(sorted(batches, key=lambda batch: len(batch) < batch_size))


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n)
