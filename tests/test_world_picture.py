"""Pictures of the tiny world, read back by color and connected components (`tests/picture_reader.py`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from muomni.data.world import scene
from muomni.data.world.lettering import SEEN_FONTS, UNSEEN_FONTS, font, letters
from muomni.data.world.lexicon import COLORS, SHAPES
from muomni.data.world.picture import FIELD, HSV, draw, outline
from muomni.data.world.scene import Object, Scene
from tests.picture_reader import Seen, objects_in, size_of


def wrong_objects(record: Scene, picture: Image.Image) -> list[str]:
    """What a picture shows that its record does not say, and the other way round."""
    left = objects_in(picture, FIELD)
    nested = len({(o.x, o.y) for o in record.objects}) == 1 and len(record.objects) == 2
    wrong = []
    for thing in record.objects:
        match = next((seen for seen in left if _is(seen, thing, nested and thing.size == "small")), None)
        if match is None:
            wrong.append(f"{record.index}: {thing} is not in {left}")
        else:
            left.remove(match)
    return wrong + [f"{record.index}: {seen} is not in the record" for seen in left]


def _is(seen: Seen, thing: Object, inner: bool) -> bool:
    x, y = 0.5 + (thing.x - 0.5) * FIELD, thing.y * FIELD
    near = abs(seen.x - x) < 0.035 and abs(seen.y - y) < 0.035
    return near and (seen.color, seen.shape, size_of(seen.radius, inner)) == (thing.color, thing.shape, thing.size)


def records(n: int, pairs: str = "seen") -> list[Scene]:
    found, index = list[Scene](), 0
    while len(found) < n:
        record = scene(5, index, pairs)
        index += 1
        if record.objects:
            found.append(record)
    return found


@pytest.mark.parametrize(
    ("pairs", "n_scenes"), [("seen", 120), ("held_out", 80), pytest.param("seen", 2000, marks=pytest.mark.slow)]
)
def test_a_picture_shows_the_objects_of_its_record(pairs: str, n_scenes: int) -> None:
    drawn = records(n_scenes, pairs)
    wrong = [problems for record in drawn if (problems := wrong_objects(record, draw(record, 224)))]
    assert len(wrong) <= 0.005 * len(drawn), wrong


def test_the_reader_notices_another_color_shape_size_or_place() -> None:
    """The reader itself is held to wrong records: it objects to every one of them."""
    for record in records(25):
        picture = draw(record, 224)
        thing = record.objects[0]
        for other in (
            replace(thing, color=COLORS[COLORS.index(thing.color) - 1]),
            replace(thing, shape=SHAPES[SHAPES.index(thing.shape) - 1]),
            replace(thing, size="medium" if thing.size != "medium" else "big"),
            replace(thing, x=(thing.x + 1 / 3) % 1),
        ):
            assert wrong_objects(replace(record, objects=(other, *record.objects[1:])), picture)
        assert wrong_objects(replace(record, objects=record.objects[1:]), picture)


def test_the_same_record_gives_the_same_pixels_and_another_view_other_ones() -> None:
    record = records(1)[0]
    assert draw(record).tobytes() == draw(record).tobytes()
    assert draw(record).tobytes() != draw(record, view="again").tobytes()
    assert draw(record).size == (64, 64) and draw(record, 224).size == (224, 224) and draw(record).mode == "RGB"


def test_a_picture_varies_in_more_than_its_facts() -> None:
    record = records(1)[0]
    ways = np.stack([np.asarray(draw(record, view=f"way {i}"), dtype=float) for i in range(20)])
    assert (ways.std(axis=0) > 1).mean() > 0.9


@pytest.mark.parametrize("kind", ["sign", "single"])
def test_a_written_word_is_seen_in_its_color(kind: str) -> None:
    record = next(s for s in (scene(5, i) for i in range(2000)) if s.word is not None and s.kind == kind)
    without = np.asarray(draw(replace(record, word=None), 224), dtype=float)
    changed = np.abs(np.asarray(draw(record, 224), dtype=float) - without).max(axis=2) > 40
    rows = np.nonzero(changed)[0] / 224
    assert changed.mean() > 0.005
    assert rows.min() > (0.29 if kind == "sign" else FIELD - 0.01) and rows.max() < (0.57 if kind == "sign" else 1.0)


def test_a_small_thing_inside_leaves_the_outer_one_whole() -> None:
    nested = [r for r in records(900) if len(r.objects) == 2 and len({(o.x, o.y) for o in r.objects}) == 1]
    assert {max(r.objects, key=lambda o: o.size == "big").shape for r in nested} == set(SHAPES)
    wrong = [problems for record in nested if (problems := wrong_objects(record, draw(record, 224)))]
    assert len(wrong) <= 0.01 * len(nested), wrong


def test_every_color_and_shape_has_its_form() -> None:
    assert set(HSV) == set(COLORS)
    for shape in set(SHAPES) - {"circle", "ring"}:
        assert len(outline(shape)) >= 3
    with pytest.raises(ValueError):
        outline("blob")


def test_seen_and_unseen_fonts_share_no_family() -> None:
    assert not set(SEEN_FONTS) & set(UNSEEN_FONTS)
    families = [{font(face, 20).getname()[0] for face in faces} for faces in (SEEN_FONTS, UNSEEN_FONTS)]
    assert not families[0] & families[1]
    assert len(SEEN_FONTS) + len(UNSEEN_FONTS) == 21


def test_letters_fill_the_room_they_are_given() -> None:
    for face in SEEN_FONTS + UNSEEN_FONTS:
        mask = letters("eight", face, 200, 60)
        assert mask.width <= 206 and mask.height <= 66
        assert mask.width > 150 or mask.height > 50
        assert np.asarray(mask).max() == 255
