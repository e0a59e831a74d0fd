"""Batches by length, limits by percentile, and what CTC can fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muomni.data.buckets import Buckets
from muomni.data.ctc import fits, frames_needed
from muomni.data.limits import limit_lengths
from muomni.errors import UserError

LENGTHS = np.random.default_rng(0).gamma(4, 0.6, 1000).tolist()


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=300), st.integers(1, 40), st.integers(0, 5))
def test_every_example_comes_exactly_once(lengths: list[float], batch_size: int, epoch: int) -> None:
    for limit in (None, 60.0):
        batches = Buckets(lengths, batch_size, limit).batches(epoch)
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert all(1 <= len(batch) <= batch_size for batch in batches)
        if limit:
            assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= limit + 1e-6 for b in batches)


def test_the_order_differs_by_epoch_and_seed_and_is_the_same_again() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(Buckets(LENGTHS, 16, seed=seed).batches(epoch)).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(*at)) for at in ((0, 0), (0, 1), (1, 0))}) == 3


def test_little_of_a_batch_is_padding() -> None:
    chance = np.random.default_rng(0).permutation(LENGTHS)[:992].reshape(-1, 16)
    at_random = 1 - chance.sum() / (16 * chance.max(axis=1)).sum()
    assert at_random > 0.4
    assert Buckets(LENGTHS, 16).padding() < 0.12  # measured: 6 %


def test_drop_last_keeps_full_batches_only() -> None:
    assert {len(batch) for batch in Buckets(LENGTHS, 16, drop_last=True).batches()} == {16}


def test_a_limit_keeps_its_percentile_and_says_what_it_leaves_out() -> None:
    lengths = [1.0] * 98 + [10.0, 20.0]
    limit = limit_lengths(lengths, 99)
    assert (limit.limit, limit.kept, limit.left_out) == (10.0, 99, 1)
    assert str(limit) == "1 of 100 examples are longer than 10 seconds and left out (15.6% of all seconds)"
    assert str(limit_lengths(lengths)) == "nothing is longer than 20 seconds: all 100 examples are kept"


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=200), st.floats(0.5, 100))
def test_a_limit_keeps_at_least_its_percentile(lengths: list[float], percentile: float) -> None:
    limit = limit_lengths(lengths, percentile)
    assert limit.kept + limit.left_out == len(lengths)
    assert limit.kept >= percentile / 100 * len(lengths) - 1e-9
    assert limit.limit in lengths


@pytest.mark.parametrize("percentile", [0, -1, 101, float("nan")])
def test_a_percentile_out_of_range_is_refused(percentile: float) -> None:
    with pytest.raises(UserError, match="percentile"):
        limit_lengths([1.0], percentile)


def test_no_lengths_have_no_limit() -> None:
    with pytest.raises(UserError, match="no lengths"):
        limit_lengths([])


@given(st.lists(st.integers(1, 3), max_size=8), st.integers(1, 16))
def test_a_target_fits_exactly_where_the_loss_is_finite(target: list[int], n_frames: int) -> None:
    log_probs = torch.full((n_frames, 1, 4), -1.0)
    lengths = torch.tensor([n_frames]), torch.tensor([len(target)])
    loss = torch.nn.functional.ctc_loss(log_probs, torch.tensor([target]), *lengths, reduction="sum")
    assert fits(target, n_frames) == bool(torch.isfinite(loss))


def test_equal_neighbours_need_a_frame_between_them() -> None:
    assert [frames_needed(target) for target in ([], [5], [5, 6], [5, 5], [5, 5, 5, 6])] == [0, 1, 2, 3, 6]
