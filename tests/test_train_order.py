"""The order of the data: whole epochs, other every time, the same for a seed, shared out without overlap."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from muomni.train.order import Order


def indices(order: Order, steps: range) -> list[int]:
    return [place.index for step in steps for place in order.step_places(step)]


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 9))
def test_an_epoch_shows_every_example_at_most_once_and_drops_less_than_one_step(n: int, batch: int, seed: int) -> None:
    order = Order(n, batch, seed, drop_last=True)
    seen = indices(order, range(order.steps_per_epoch))
    assert len(seen) == len(set(seen))
    assert n - len(seen) < batch
    assert order.steps_per_epoch == max(1, n // batch)


@given(st.integers(1, 60), st.integers(1, 50), st.integers(0, 9))
def test_without_drop_last_every_example_is_seen_equally_often(n: int, batch: int, seed: int) -> None:
    order = Order(n, batch, seed, drop_last=False)
    seen = Counter(indices(order, range(n)))  # n steps of `batch` are exactly `batch` epochs
    assert set(seen.values()) == {batch}


def test_epochs_differ_and_are_reproducible() -> None:
    order = Order(100, 10, seed=3)
    first, second = indices(order, range(10)), indices(order, range(10, 20))
    assert sorted(first) == sorted(second) and first != second
    assert first == indices(Order(100, 10, seed=3), range(10))
    assert first != indices(Order(100, 10, seed=4), range(10))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_processes_share_a_step_without_overlap(world: int, batch: int, accumulation: int) -> None:
    order = Order(500, world * batch * accumulation, seed=0)
    shares = [order.micro_batches(7, batch, rank, world) for rank in range(world)]
    assert all(len(micro) == accumulation and all(len(b) == batch for b in micro) for micro in shares)
    together = [place.index for micro in shares for b in micro for place in b]
    assert sorted(together) == sorted(place.index for place in order.step_places(7))
