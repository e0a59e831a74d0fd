"""Judges of chapter 12: the nearest entry, entries for a bit rate, straight-through gradients, a round of k-means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise

Vector = Sequence[float]


def _nearest(vector: Vector, book: Sequence[Vector]) -> int:
    return min(range(len(book)), key=lambda n: math.dist(vector, book[n]))


def _most_alike(vector: Vector, book: Sequence[Vector]) -> int:
    """The entry with the largest product, which a long entry wins from afar."""
    return max(range(len(book)), key=lambda n: sum(v * e for v, e in zip(vector, book[n], strict=True)))


def _signed(vector: Vector, book: Sequence[Vector]) -> int:
    """Differences added up without squares: they cancel each other out."""
    return min(range(len(book)), key=lambda n: abs(sum(v - e for v, e in zip(vector, book[n], strict=True))))


def _farthest(vector: Vector, book: Sequence[Vector]) -> int:
    return max(range(len(book)), key=lambda n: math.dist(vector, book[n]))


@exercise(
    "12.1",
    expects=FunctionType,
    right=_nearest,
    wrong=[
        (_most_alike, "long entry"),
        (_signed, "cancel"),
        (_farthest, "farthest"),
        (lambda vector, book: _nearest(vector, book) + 1, "from 0"),
        (lambda vector, book: book[_nearest(vector, book)], "number of the entry"),
        (lambda vector, book: 0, "should be"),
    ],
    because="muomni.nn.quantizer.nearest does it for all vectors with one matrix product.",
)
def nearest_entry(answer: Callable[[Vector, Sequence[Vector]], object]) -> str | None:
    book = [[4.0, 4.0], [1.0, 0.0], [0.0, -2.0], [-1.0, 1.0]]
    vectors = ([0.9, 0.1], [-0.8, 0.8], [0.1, -0.2], [0.5, -1.6], [3.0, 3.5], [1.4, 0.9])
    found = [answer(list(vector), book) for vector in vectors]
    mistakes: list[tuple[Callable[[Vector, Sequence[Vector]], int], str]] = [
        (lambda v, b: _nearest(v, b) + 1, "numbers count from 0"),
        (_farthest, "that is the farthest one"),
        (_most_alike, "a product favours a long entry, also when it is far away"),
        (_signed, "differences of both signs cancel each other out, so square them"),
    ]
    for vector, one in zip(vectors, found, strict=True):
        if isinstance(one, (list, tuple)):
            return f"Yours gives {one}; asked is the number of the entry, not the entry."
        wanted = _nearest(vector, book)
        if one == wanted:
            continue
        call = f"nearest_entry({vector}, {book}) should be {wanted}; yours is {one}"
        known = [words for mistaken, words in mistakes if found == [mistaken(each, book) for each in vectors]]
        return f"{call}: {known[0]}." if known else f"{call}."
    return None


@exercise(
    "12.2",
    expects=float,
    right=256,
    wrong=[
        (8, "bits of one code"),
        (16, "two to the power"),
        (500, "bits a second"),
        (2**500, "every second"),
        (31_250, "divide"),
        (255, "0 is"),
        (64, "how many bits"),
    ],
    because="500 / 62.5 is 8 bits for each code, and 8 bits tell 256 numbers apart.",
)
def entries(answer: float) -> str | None:
    known: dict[float, str] = {
        8: "8 are the bits of one code; how many numbers do they tell apart?",
        16: "Every bit doubles how many can be told apart: two to the power of the bits.",
        500: "500 are the bits a second, for all codes of a second together.",
        2**500: "500 bits come every second, and a second has 62.5 codes.",
        31_250: "To find the bits of one code, divide by the codes a second.",
        255: "255 is the largest number; 0 is one, too.",
    }
    if answer == 256:
        return None
    return known.get(answer, "First find how many bits there are for one code.")


@exercise(
    "12.3",
    expects=float,
    right=-10,
    wrong=[
        (0, "pretends"),
        (-9.2, "entry"),
        (-8, "nearest"),
        (10, "sign"),
        (-5, "factor"),
        (25, "value of the loss"),
        (-4, "handed on"),
    ],
    because="The entry is 0, and the gradient of (q - 5)² there is 2 (0 - 5).",
)
def gradient(answer: float) -> str | None:
    known = {
        0: "That is the true gradient of a staircase. The straight-through estimator pretends that it is a line.",
        -9.2: "Forwards q is the entry, not the vector: the gradient of the loss is taken there.",
        -8: "Which entry is nearest to 0.4?",
        10: "Mind the sign: a larger q would make the loss smaller.",
        -5: "The derivative of a square has a factor 2.",
        25: "That is the value of the loss; asked is its gradient.",
    }
    for value, mistake in known.items():
        if math.isclose(answer, value, abs_tol=1e-6):
            return mistake
    return None if math.isclose(answer, -10, abs_tol=1e-6) else "The gradient at q is handed on as it is: compute that."


def _round(numbers: Vector, book: Vector) -> list[float]:
    taken: list[list[float]] = [[] for _ in book]
    for x in numbers:
        taken[_nearest([x], [[entry] for entry in book])].append(x)
    return [sum(own) / len(own) if own else entry for own, entry in zip(taken, book, strict=True)]


def _to_zero(numbers: Vector, book: Vector) -> list[float]:
    """An entry without numbers becomes 0."""
    taken = {_nearest([x], [[entry] for entry in book]) for x in numbers}
    return [new if n in taken else 0.0 for n, new in enumerate(_round(numbers, book))]


def _dropped(numbers: Vector, book: Vector) -> list[float]:
    taken = {_nearest([x], [[entry] for entry in book]) for x in numbers}
    return [new for n, new in enumerate(_round(numbers, book)) if n in taken]


def _one_by_one(numbers: Vector, book: Vector) -> list[float]:
    """The entry goes to each number at once, before the next one chooses."""
    moved = list(book)
    for x in numbers:
        moved[_nearest([x], [[entry] for entry in moved])] = x
    return moved


@exercise(
    "12.4",
    expects=FunctionType,
    right=_round,
    wrong=[
        (_to_zero, "stays"),
        (_dropped, "as many entries"),
        (_one_by_one, "after all numbers"),
        (lambda numbers, book: [sum(numbers) / len(numbers) for _ in book], "own numbers"),
        (lambda numbers, book: _round(numbers, _round(numbers, book)), "one round"),
        (lambda numbers, book: list(book), "move"),
    ],
    because="An entry that stays for ever is a dead one: that is what restarts are for.",
)
def one_round(answer: Callable[[Vector, Vector], Sequence[float]]) -> str | None:
    for numbers, book in (
        ([0.0, 1.0, 2.0, 9.0, 11.0], [1.5, 8.0]),
        ([1.0, 2.0, 3.0, 4.0, 20.0], [0.0, 3.5, 50.0]),
        ([-3.0, -1.0, 0.4, 5.0], [-2.0, 0.0, 1.0]),
        ([0.0, 4.0, 5.0, 6.0, 10.0], [0.0, 5.5]),
        ([0.0, 3.0, 7.0, 8.0], [0.0, 6.5]),
    ):
        found, wanted = [float(each) for each in answer(list(numbers), list(book))], _round(numbers, book)
        call = f"one_round({numbers}, {book}) should be {wanted}; yours is {found}"
        if len(found) != len(book):
            return f"{call}: there are as many entries as before."
        if _same(found, wanted):
            continue
        mistakes = [
            (_to_zero(numbers, book), "an entry that no number took stays where it is."),
            (_one_by_one(numbers, book), "entries move after all numbers have chosen, to their mean."),
            (_round(numbers, wanted), "asked is one round."),
            ([sum(numbers) / len(numbers)] * len(book), "each entry becomes the mean of its own numbers."),
            (list(book), "entries move to the mean of the numbers that took them."),
        ]
        return call + next((f": {mistake}" for value, mistake in mistakes if _same(found, value)), ".")
    return None


def _same(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(found, wanted, strict=True))
