"""Chapter 11, pixels to patches: counting tokens, finding a patch, what sharper pictures cost."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from muomni.course.checks import exercise


@exercise(
    "11.1",
    expects=int,
    right=196,
    wrong=[(14, "one row"), (3136, "pixels"), (50_176, "pixels"), (768, "numbers in one patch"), (197, "no extra")],
    because="14 patches beside each other and 14 below each other.",
)
def tokens_of_a_picture(answer: int) -> str | None:
    known = {
        14: "14 is the number in one row of the grid; the picture has two sides.",
        3136: "That divides the pixels by 16; a patch covers 16 in each direction.",
        50_176: "That is the number of pixels.",
        768: "That is how many numbers in one patch there are (3 · 16 · 16).",
        197: "Some models add a token for the whole picture; this one has no extra token.",
    }
    if answer == 196:
        return None
    return known.get(answer, "Divide the side by the patch size, and remember that there are two sides.")


def _right(x: int, y: int, side: int, patch: int) -> int:
    return (y // patch) * (side // patch) + x // patch


@exercise(
    "11.2",
    expects=FunctionType,
    right=_right,
    wrong=[
        (lambda x, y, side, patch: (x // patch) * (side // patch) + y // patch, "column by column"),
        (lambda x, y, side, patch: (y // patch) * patch + x // patch, "patches in a row"),
        (lambda x, y, side, patch: (y // patch) * (side // patch) + x // patch + 1, "from 1"),
        (lambda x, y, side, patch: (y / patch) * (side // patch) + x / patch, "whole number"),
        (lambda x, y, side, patch: 0, "patch_of"),
    ],
    because="Rows above hold side // patch patches each; x // patch more stand to its left.",
)
def patch_found(answer: Callable[[int, int, int, int], object]) -> str | None:
    for x, y, side, patch in ((0, 0, 64, 8), (63, 0, 64, 8), (0, 63, 64, 8), (17, 40, 64, 8), (30, 40, 96, 16)):
        found, expected = answer(x, y, side, patch), _right(x, y, side, patch)
        if found == expected:
            continue
        call = f"patch_of({x}, {y}, {side}, {patch})"
        if isinstance(found, float):
            return f"{call} gives {found}: a patch's number is a whole number; divide with //."
        if found == expected + 1:
            return f"{call} gives {found}: it counts from 1, and the first patch is number 0."
        if found == _right(y, x, side, patch):
            return f"{call} gives {found}: that counts column by column; x runs along a row."
        if found == (y // patch) * patch + x // patch:
            return f"{call} gives {found}: multiply by the number of patches in a row, not by the patch size."
        return f"{call} gives {found}, expected is {expected}."
    return None


@exercise(
    "11.3",
    expects=tuple,
    right=(4, 1),
    wrong=[((2, 1), "two sides"), ((4, 4), "grid"), ((4, 16), "grid"), ((1, 1), "numbers of a patch"), ((4,), "pair")],
    because="A patch has four times the numbers; the grid, and so every pair of tokens, stays.",
)
def twice_as_sharp(answer: tuple[float, ...]) -> str | None:
    if len(answer) != 2:
        return "Answer with a pair: (factor of the weights, factor of the pairs)."
    weights, pairs = answer
    if pairs != 1:
        return "The grid is the same as before: as many tokens, as many pairs."
    if weights == 2:
        return "A patch grows in two sides, height and width."
    if weights != 4:
        return "Count the numbers of a patch before and after; the layer has a weight for each."
    return None
