"""A score: its value, a bootstrap interval that can be trusted, floor and ceiling."""

import numpy as np
import pytest

from muomni.evaluate.score import Score, interval, mean_score, ratio_score


def test_the_interval_holds_the_value_and_shrinks_with_the_root_of_n() -> None:
    widths = []
    for n in (100, 400, 1600):
        right = (np.arange(n) % 10 < 7).astype(float)
        score = mean_score(right, "test", seed=0)
        assert score.value == pytest.approx(0.7) and score.low < score.value < score.high and score.n == n
        widths.append(score.high - score.low)
    assert widths[0] / widths[1] == pytest.approx(2, abs=0.3) and widths[1] / widths[2] == pytest.approx(2, abs=0.3)
    assert widths[0] == pytest.approx(2 * 1.96 * (0.7 * 0.3 / 100) ** 0.5, rel=0.1)  # the normal approximation


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    draws = np.random.default_rng(1).random((200, 80)) < 0.3
    held = [low <= 0.3 <= high for low, high in (interval(d.astype(float), np.ones(80), 0) for d in draws)]
    assert 0.88 <= np.mean(held) <= 0.99  # of 200 tries; the standard error is 0.016


def test_a_ratio_is_of_the_sums_not_the_mean_of_ratios() -> None:
    score = ratio_score([1, 0], [1, 9], "test", seed=0)
    assert score.value == 0.1
    assert (score.low, score.high) == (0.0, 1.0)  # the long example twice, the short one twice


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).random(50)
    assert mean_score(values, "test", seed=3) == mean_score(values, "test", seed=3)
    assert mean_score(values, "test", seed=3) != mean_score(values, "test", seed=4)


def test_no_examples_are_no_score() -> None:
    with pytest.raises(ValueError, match="needs examples"):
        mean_score([], "test", seed=0)


def test_what_is_known_is_in_the_object() -> None:
    score = Score(0.25, 0.2, 0.3, 10, "test", floor=None, ceiling=1.0)
    assert score.to_json() == {
        "value": 0.25,
        "low": 0.2,
        "high": 0.3,
        "n": 10,
        "floor": None,
        "ceiling": 1.0,
        "split": "test",
    }
    lowered = score.minus(0.25)
    assert (lowered.value, lowered.high, lowered.floor, lowered.ceiling) == (0.0, pytest.approx(0.05), None, 0.75)
