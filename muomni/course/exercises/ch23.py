"""Judges of chapter 23: residual codes decoded, what is certain in a stream, what a code tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise

Books = Sequence[Sequence[float]]


def _decoded(codes: Sequence[int], books: Books) -> float:
    return sum(book[code] for code, book in zip(codes, books, strict=False))


def _last(codes: Sequence[int], books: Books) -> float:
    return books[len(codes) - 1][codes[-1]]


def _mean(codes: Sequence[int], books: Books) -> float:
    return _decoded(codes, books) / len(codes)


def _from_first_book(codes: Sequence[int], books: Books) -> float:
    return sum(books[0][code] for code in codes)


def _padded(codes: Sequence[int], books: Books) -> float:
    """Books that have no code count with their entry 0."""
    return _decoded([*codes, *[0] * (len(books) - len(codes))], books)


@exercise(
    "23.1",
    expects=FunctionType,
    right=_decoded,
    wrong=[
        (_last, "the last"),
        (_mean, "mean"),
        (_from_first_book, "its own book"),
        (_padded, "left out"),
        (lambda codes, books: sum(book[code] for code, book in zip(codes, books, strict=True)), "ValueError"),
        (lambda codes, books: [book[code] for code, book in zip(codes, books, strict=False)], "one number"),
        (lambda codes, books: float(sum(codes)), "should be"),
    ],
    because="ResidualQuantizer.decode does this with vectors.",
)
def decoded(answer: Callable[[Sequence[int], Books], float]) -> str | None:
    books = [[-4.0, 1.0, 4.0, 7.0], [-1.5, -0.5, 0.5, 1.5], [0.25, -0.25, 0.75, 0.1]]
    mistakes: list[tuple[Callable[[Sequence[int], Books], float], str]] = [
        (_last, "these are the entries of the last book alone, which only correct the ones before"),
        (_mean, "entries are added up; yours is their mean"),
        (_from_first_book, "each code is a place in its own book"),
        (_padded, "a book without a code is left out"),
    ]
    for codes in ([2, 0, 1], [0, 3], [1], [3, 1, 2]):
        found, wanted = answer(list(codes), books), _decoded(codes, books)
        if isinstance(found, (list, tuple)):
            return f"Yours gives {found}; asked is one number, their sum."
        if math.isclose(found, wanted, abs_tol=1e-9):
            continue
        call = f"decoded({codes}, ...) should be {wanted:g}; yours is {found:g}"
        known = [words for wrong, words in mistakes if math.isclose(found, wrong(codes, books), abs_tol=1e-9)]
        return f"{call}: {known[0]}." if known else f"{call}."
    return None


@exercise(
    "23.2",
    expects=FunctionType,
    right=lambda n_codes, reach, factor: max(0, n_codes - reach) * factor,
    wrong=[
        (lambda n, reach, factor: (n - reach) * factor, "fewer than none"),
        (lambda n, reach, factor: max(0, n - reach), "mel frames"),
        (lambda n, reach, factor: n * factor, "may still change"),
        (lambda n, reach, factor: max(0, n - 2 * reach) * factor, "to the right"),
        (lambda n, reach, factor: max(0, n - reach - 1) * factor, "one code frame more"),
        (lambda n, reach, factor: max(0, n * factor - reach), "code frames"),
        (lambda n, reach, factor: 1, "should be"),
    ],
    because="StreamingDecoder.push gives out what became certain, and finish the rest.",
)
def certain(answer: Callable[[int, int, int], float]) -> str | None:
    for n, reach, factor in ((20, 7, 5), (8, 7, 5), (7, 7, 5), (3, 7, 5), (12, 2, 4)):
        found, wanted = answer(n, reach, factor), max(0, n - reach) * factor
        if found == wanted:
            continue
        call = f"certain({n}, {reach}, {factor}) should be {wanted}; yours is {found}"
        mistakes = {
            (n - reach) * factor: "there cannot be fewer than none.",
            max(0, n - reach): "asked are mel frames; these are code frames.",
            n * factor: "the last code frames may still change when more follow.",
            max(0, n - 2 * reach)
            * factor: "frames to the left have come already; only those to the right are awaited.",
            max(0, n - reach - 1) * factor: "one code frame more is certain: the one that has all of its reach.",
            max(0, n * factor - reach): "reach counts code frames, before they are made longer.",
        }
        return f"{call}: {mistakes[int(found)]}" if found in mistakes else f"{call}."
    return None


def _entropy(counts: Sequence[int], log: Callable[[float], float] = math.log2) -> float:
    shares = [count / sum(counts) for count in counts if count]
    return -sum(p * log(p) for p in shares)


@exercise(
    "23.3",
    expects=FunctionType,
    right=_entropy,
    wrong=[
        (lambda counts: math.log2(len(counts)), "all entries were taken alike"),
        (lambda counts: math.log2(sum(count > 0 for count in counts)), "unequal"),
        (lambda counts: _entropy(counts, math.log), "log2"),
        (lambda counts: -_entropy(counts), "minus"),
        (lambda counts: -sum(c * math.log2(c) for c in counts if c), "share"),
        (lambda counts: -sum(c / sum(counts) * math.log2(c / sum(counts)) for c in counts), "ValueError"),
        (lambda counts: 1.7, "should be"),
    ],
    because="muomni.nn.quantizer.usage counts it for every book.",
)
def bits_told(answer: Callable[[Sequence[int]], float]) -> str | None:
    for counts in ([2, 1, 1, 0], [5, 5, 5, 5], [8, 0, 0, 0, 0], [10, 3, 2, 1]):
        found, wanted = float(answer(list(counts))), _entropy(counts)
        if math.isclose(found, wanted, abs_tol=1e-6):
            continue
        call = f"bits_told({counts}) should be {wanted:.3f}; yours is {found:.3f}"
        mistakes = {
            math.log2(len(counts)): "so many bits are told only if all entries were taken alike.",
            math.log2(sum(count > 0 for count in counts)): "unequal shares tell less.",
            _entropy(counts, math.log): "for bits use log2.",
            -wanted: "logarithms of shares are negative; a minus is missing.",
            -sum(c * math.log2(c) for c in counts if c): "divide by the sum first: p is a share.",
        }
        for value, mistake in mistakes.items():
            if math.isclose(found, value, abs_tol=1e-6):
                return f"{call}: {mistake}"
        return f"{call}."
    return None
