"""Pictures of words made plain: colors, light, place and turn make little difference."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional as image

from muomni.models.ocr import OCR
from muomni.models.rectify import dark_on_light, level_line
from tests.test_ocr_model import SMALL

SIDE = 64


def word(ink: int = 0, ground: int = 255) -> torch.Tensor:
    """Four upright strokes of different heights on a line, like letters: (1, 3, SIDE, SIDE)."""
    picture = torch.full((1, 3, SIDE, SIDE), float(ground))
    for number, height in enumerate((12, 6, 12, 8)):
        x = 16 + 9 * number
        picture[:, :, 38 - height : 38, x : x + 4] = ink
    return picture


def line_of(pictures: torch.Tensor) -> torch.Tensor:
    return level_line(dark_on_light(pictures), SIDE // 2, 2 * SIDE)


def likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])


def test_light_words_on_dark_and_words_in_slanting_light_look_the_same() -> None:
    slope = torch.linspace(-30, 30, SIDE)
    for other in (word(230, 20), word(60, 180), word(60, 200) + slope, word(60, 200) + slope[:, None]):
        assert likeness(dark_on_light(word()), dark_on_light(other)) > 0.97
    assert likeness(dark_on_light(word()), 255 - dark_on_light(word())) < -0.97  # what it must not be


@pytest.mark.parametrize(
    ("turn", "scale", "shift"), [(0, 1, (10, 12)), (0, 0.8, (0, 0)), (8, 1, (0, 0)), (-8, 0.9, (6, -9))]
)
def test_a_word_that_is_turned_shifted_or_small_comes_out_level_and_large(
    turn: float, scale: float, shift: tuple[int, int]
) -> None:
    moved = image.affine(word(), turn, list(shift), scale, [0.0, 0.0], image.InterpolationMode.BILINEAR, fill=[255.0])
    assert likeness(line_of(word()), line_of(moved)) > max(0.8, likeness(word(), moved))


def test_the_line_is_filled_by_the_ink() -> None:
    line = line_of(word())[0, 0]
    columns, rows = (line < 100).any(0).nonzero(), (line < 100).any(1).nonzero()
    assert columns.min() < 20 and columns.max() > 108  # of 128
    assert rows.min() < 6 and rows.max() > 25  # of 32


def test_one_letter_is_not_spread_over_the_whole_width() -> None:
    letter = torch.full((1, 3, SIDE, SIDE), 255.0)
    letter[:, :, 20:40, 30:33] = 0
    assert (line_of(letter)[0, 0] < 100).any(0).float().mean() < 0.4


def test_one_picture_says_nothing_about_another() -> None:
    both = torch.cat((word(), word(230, 20) + torch.linspace(-10, 10, SIDE)))
    torch.testing.assert_close(line_of(both)[:1], line_of(word()))


@pytest.mark.parametrize("picture", [torch.zeros(1, 3, SIDE, SIDE), torch.full((1, 3, SIDE, SIDE), 255.0)])
def test_a_blank_picture_is_a_blank_line(picture: torch.Tensor) -> None:
    line = line_of(picture)
    assert bool(line.isfinite().all()) and float(line.std()) < 1e-3


@pytest.mark.parametrize(("side", "shape"), [(32, (2, 8)), (24, (3, 3))])
def test_a_reader_has_as_many_patches_as_positions(side: int, shape: tuple[int, int]) -> None:
    model = OCR(SMALL.model_copy(update={"img_size": side}))
    assert (model.rows, model.columns) == shape
    memory = model.look(torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8))
    assert memory.shape == (2, len(model.vision.positions), SMALL.vision_d_model)
