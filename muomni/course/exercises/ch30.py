"""Judges of chapter 30: residual codes, bit rate, text and sound side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise

Books = Sequence[Sequence[float]]


def _nearest(x: float, book: Sequence[float]) -> int:
    return min(range(len(book)), key=lambda n: abs(x - book[n]))


def _residual(x: float, books: Books) -> list[int]:
    codes = []
    for book in books:
        codes.append(_nearest(x, book))
        x -= book[codes[-1]]
    return codes


def _without_rest(x: float, books: Books) -> list[int]:
    return [_nearest(x, book) for book in books]


def _entries(x: float, books: Books) -> list[float]:
    return [book[code] for book, code in zip(books, _residual(x, books), strict=True)]


def _not_above(x: float, books: Books) -> list[int]:
    """The largest entry that is not above the rest, as one counts money."""
    codes = []
    for book in books:
        below = [n for n, entry in enumerate(book) if entry <= x] or [0]
        codes.append(max(below, key=lambda n: book[n]))
        x -= book[codes[-1]]
    return codes


@exercise(
    "30.1",
    expects=FunctionType,
    right=_residual,
    wrong=[
        (_without_rest, "rest"),
        (_entries, "numbers of the entries"),
        (_not_above, "nearest"),
        (lambda x, books: _residual(x, books)[:1], "every book"),
        (lambda x, books: [0 for _ in books], "should be"),
    ],
    because="ResidualQuantizer.encode does this with vectors.",
)
def residual_codes(answer: Callable[[float, Books], Sequence[float]]) -> str | None:
    books = ((-4.0, 0.0, 4.0), (-1.5, -0.5, 0.5, 1.5), (-0.25, 0.0, 0.25))
    for x in (4.8, -3.1, 1.9, 0.3):
        found, wanted = list(answer(x, books)), _residual(x, books)
        if found == wanted:
            continue
        call = f"residual_codes({x}, ...) should be {wanted}; yours is {found}"
        if len(found) != len(wanted):
            return f"{call}: one code for every book."
        if found == _entries(x, books):
            return f"{call}: asked are the numbers of the entries, not the entries."
        if found == _without_rest(x, books):
            return f"{call}: a book codes the rest that the ones before it left, not x."
        if found == _not_above(x, books):
            return f"{call}: the nearest entry may lie above the rest."
        return f"{call}."
    return None


@exercise(
    "30.2",
    expects=FunctionType,
    right=lambda n_codebooks, codebook_size, seconds: n_codebooks * math.log2(codebook_size) / seconds,
    wrong=[
        (lambda k, e, s: k * math.log2(e), "a frame"),
        (lambda k, e, s: k * math.log2(e) * s, "divide"),
        (lambda k, e, s: k * e / s, "logarithm"),
        (lambda k, e, s: math.log2(e) / s, "every codebook"),
        (lambda k, e, s: k * math.log(e) / s, "log2"),
        (lambda k, e, s: 1.0, "should be"),
    ],
    because="muomni.nn.quantizer.bitrate says so, and Exercise 30.2 is the nano codec's 400.",
)
def bits_a_second(answer: Callable[[int, int, float], float]) -> str | None:
    for k, e, s in ((4, 256, 0.08), (8, 1024, 0.02), (3, 2, 0.5)):
        found, bits = float(answer(k, e, s)), math.log2(e)
        wanted = k * bits / s
        if math.isclose(found, wanted, rel_tol=1e-6):
            continue
        call = f"bits_a_second({k}, {e}, {s}) should be {wanted:g}; yours is {found:g}"
        mistakes = {
            k * bits: "these are the bits of a frame; how many frames has a second?",
            k * bits * s: "divide by the seconds of a frame.",
            k * e / s: "to tell one of so many takes only the logarithm of bits.",
            bits / s: "every codebook has a code of its own.",
            k * math.log(e) / s: "a bit halves what is left: use log2.",
        }
        for value, mistake in mistakes.items():
            if math.isclose(found, value, rel_tol=1e-6):
                return f"{call}: {mistake}"
        return f"{call}."
    return None


def _side_by_side(starts: Sequence[int], n_frames: int) -> list[tuple[int, int]]:
    pairs = []
    for t in range(n_frames):
        token = max(n for n, start in enumerate(starts) if start <= t)
        pairs.append((token, t - starts[token]))
    return pairs


@exercise(
    "30.3",
    expects=FunctionType,
    right=_side_by_side,
    wrong=[
        (lambda starts, n: [(max(k for k, s in enumerate(starts) if s < t or t == 0), 0) for t in range(n)], "frame"),
        (lambda starts, n: [(token, past + 1) for token, past in _side_by_side(starts, n)], "0 at its first frame"),
        (lambda starts, n: [(token, t) for t, (token, _) in enumerate(_side_by_side(starts, n))], "since its own"),
        (lambda starts, n: _side_by_side(starts, n)[:-1], "every frame"),
        (lambda starts, n: [token for token, _ in _side_by_side(starts, n)], "pair"),
    ],
    because="muomni.infer.speak.at_frames does it with searchsorted.",
)
def side_by_side(answer: Callable[[Sequence[int], int], Sequence[tuple[int, int]]]) -> str | None:
    for starts, n_frames in (((0, 2, 5), 7), ((0,), 3), ((0, 1, 2, 6), 9)):
        found, wanted = list(answer(starts, n_frames)), _side_by_side(starts, n_frames)
        if len(found) != n_frames:
            return f"There are {n_frames} frames: a pair for every frame; yours has {len(found)}."
        for t, (one, right) in enumerate(zip(found, wanted, strict=True)):
            if not isinstance(one, (tuple, list)) or len(one) != 2:
                return f"At frame {t} stands {one!r}; asked is a pair of token and frames spoken."
            if tuple(one) == right:
                continue
            at = f"With starts {list(starts)}, at frame {t} it should be {right}; yours is {tuple(one)}"
            if one[0] == right[0] and one[1] == right[1] + 1:
                return f"{at}: a token has been spoken for 0 at its first frame."
            if one[0] == right[0] and one[1] == t:
                return f"{at}: count since its own start."
            return f"{at}."
    return None
