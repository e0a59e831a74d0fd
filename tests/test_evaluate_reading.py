"""Scores of reading: exact texts, wrong letters, and the probability of a text given a picture."""

import numpy as np
import pytest
import torch
from small_evaluation import SIDE, untrained

from muomni.evaluate.digits import handwritten_digits
from muomni.evaluate.edits import in_wrong_order
from muomni.evaluate.material import Unavailable
from muomni.evaluate.reading import character_error_rate, exact_match, text_log_probs
from muomni.models.ocr import END

WORDS = ["jeexsour", "Chingsur", "red star", "1024", "blorn", "ZAIPEEK"]


def test_right_texts_score_the_ceiling() -> None:
    exact, cer = exact_match(WORDS, WORDS, "test", 0), character_error_rate(WORDS, WORDS, "test", 0)
    assert exact.value == exact.ceiling == 1.0 and cer.value == cer.ceiling == 0.0


def test_wrong_texts_do_not() -> None:
    wrong = in_wrong_order(WORDS, 3)
    assert exact_match(WORDS, wrong, "test", 0).value == 0.0
    assert character_error_rate(WORDS, wrong, "test", 0).value > 0.7
    assert exact_match(["Star"], ["star"], "test", 0).value == 0.0
    assert character_error_rate(["Star"], ["star"], "test", 0).value == 0.25


def test_the_floor_counts_texts_that_are_common() -> None:
    assert exact_match(["ring"] * 10, ["star"] * 10, "test", 0).floor == 1.0
    assert exact_match(WORDS, WORDS, "test", 0).floor == 0.0


def test_a_texts_probability_is_what_training_would_pay_for_it() -> None:
    model = untrained("ocr").eval()
    pixels = torch.randint(0, 256, (3, 3, SIDE, SIDE), dtype=torch.uint8)
    found = text_log_probs(model, pixels, ["ab", "7"])
    assert found.shape == (3, 2)
    ids = torch.tensor([model.encode_text("ab")])
    inputs = torch.cat((torch.tensor([[END]]), ids), 1)
    targets = torch.cat((ids, torch.tensor([[END]])), 1)
    with torch.no_grad():
        nats = [3 * float(model.loss(each[None], inputs, targets)) for each in pixels]
    assert found[:, 0].tolist() == pytest.approx([-n for n in nats], rel=1e-4)


def test_all_texts_together_have_a_probability_of_less_than_one() -> None:
    model = untrained("ocr").eval()
    texts = ["", *model.characters]
    found = text_log_probs(model, torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8), texts).exp()
    assert 0 < float(found.sum()) < 1


def test_handwritten_digits_are_dark_on_light_or_skipped_with_the_reason() -> None:
    try:
        pictures, shown = handwritten_digits(SIDE)
    except Unavailable as reason:
        assert "pip install scikit-learn" in str(reason)
        return
    assert pictures.shape == (len(shown), 3, SIDE, SIDE) and set(shown) == set("0123456789")
    edge, middle = pictures[:, :, 0].float().mean(), pictures[:, :, SIDE // 3 : -SIDE // 3].float().mean()
    assert edge > middle + 20 and np.bincount([int(digit) for digit in shown]).min() > 100
