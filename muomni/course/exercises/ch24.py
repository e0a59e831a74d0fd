"""Judges of chapter 24: neighbours of tokens, how long each lasts, the first sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise


def _neighbours(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    padded = [-1, *tokens, -1]
    return [tuple(padded[n : n + 3]) for n in range(len(tokens))]


def _around(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    """Python's own trap: the place before the first is the last."""
    return [(tokens[n - 1], token, tokens[(n + 1) % len(tokens)]) for n, token in enumerate(tokens)]


@exercise(
    "24.1",
    expects=FunctionType,
    right=_neighbours,
    wrong=[
        (_around, "last token"),
        (lambda tokens: [each[::-1] for each in _neighbours(tokens)], "order"),
        (lambda tokens: _neighbours(tokens)[1:-1], "every token"),
        (lambda tokens: [(a, c) for a, _, c in _neighbours(tokens)], "three"),
        (lambda tokens: [tuple(max(0, n) for n in each) for each in _neighbours(tokens)], "a token, too"),
        (lambda tokens: [(t, t, t) for t in tokens], "should be"),
    ],
    because="muomni.infer.speak.at_frames does it with unfold.",
)
def neighbours(answer: Callable[[Sequence[int]], Sequence[Sequence[int]]]) -> str | None:
    for tokens in ([7, 3, 9, 4], [5], [2, 8]):
        found, wanted = [tuple(each) for each in answer(list(tokens))], _neighbours(tokens)
        if len(found) != len(tokens):
            return f"For {tokens} yours has {len(found)} triples; every token has one."
        for one, right in zip(found, wanted, strict=True):
            if one == right:
                continue
            at = f"In neighbours({tokens}) it should be {right}; yours is {one}"
            if len(one) != 3:
                return f"{at}: three numbers, the token itself among them."
            if found == _around(tokens):
                return f"{at}: before the first there is nothing; place -1 of a list is the last token."
            if one == right[::-1]:
                return f"{at}: the order is before, now, after."
            if one == tuple(max(0, n) for n in right):
                return f"{at}: 0 is a token, too; write -1 where there is none."
            return f"{at}."
    return None


Chances = Sequence[Sequence[float]]


def _durations(chances: Chances, most: int) -> list[int]:
    return [min(next((n for n, each in enumerate(row, 1) if each > 0.5), most), most) for row in chances]


def _most_certain(chances: Chances, most: int) -> list[int]:
    """Until the frame with the largest probability."""
    return [max(range(min(most, len(row))), key=lambda n: row[n]) + 1 for row in chances]


def _without_limit(chances: Chances, most: int) -> list[int]:
    return [next((n for n, each in enumerate(row, 1) if each > 0.5), len(row)) for row in chances]


@exercise(
    "24.2",
    expects=FunctionType,
    right=_durations,
    wrong=[
        (lambda chances, most: [n - 1 for n in _durations(chances, most)], "spoken, too"),
        (_most_certain, "first frame"),
        (_without_limit, "in any case"),
        (lambda chances, most: [sum(each > 0.5 for each in row) for row in chances], "count"),
        (lambda chances, most: [sum(_durations(chances, most))], "each token"),
        (lambda chances, most: [most for _ in chances], "should be"),
    ],
    because="This is the inner loop of muomni.infer.speak.speak.",
)
def durations(answer: Callable[[Chances, int], Sequence[int]]) -> str | None:
    chances = [[0.1, 0.7, 0.9, 0.9, 0.2, 0.9], [0.6, 0.6, 0.1, 0.8, 0.9, 0.9], [0.1, 0.2, 0.1, 0.3, 0.2, 0.4]]
    mistakes: list[tuple[Callable[[Chances, int], list[int]], str]] = [
        (lambda rows, most: [n - 1 for n in _durations(rows, most)], "the frame that decides to go on is spoken, too"),
        (_most_certain, "it goes on at the first frame above one half, not at the surest"),
        (_without_limit, "after so many frames it goes on in any case"),
        (
            lambda rows, most: [sum(each > 0.5 for each in row) for row in rows],
            "count frames up to the first above 0.5",
        ),
    ]
    for most in (6, 4, 1):
        found, wanted = list(answer([list(row) for row in chances], most)), _durations(chances, most)
        if found == wanted:
            continue
        call = f"durations({chances}, {most}) should be {wanted}; yours is {found}"
        if len(found) != len(wanted):
            return f"{call}: a number for each token."
        known = [words for wrong, words in mistakes if found == wrong(chances, most)]
        return f"{call}: {known[0]}." if known else f"{call}."
    return None


@exercise(
    "24.3",
    expects=float,
    right=44,
    wrong=[
        (34, "one token ahead"),
        (40, "itself"),
        (24, "Thinker"),
        (30, "one token ahead"),
        (64, "one side"),
        (500, "sound"),
        (12, "two tokens"),
    ],
    because="2 tokens of 10 ms, then 6 code frames of 4 ms.",
)
def milliseconds(answer: float) -> str | None:
    known = {
        34: "The Talker needs one token ahead.",
        30: "The Talker needs one token ahead, and the frame itself has to be there.",
        40: "The frame itself has to be there, beside those behind it.",
        24: "Before it begins, the Thinker has to write something.",
        64: "Only one side is awaited: nothing stands before the first frame.",
        500: "This counts sound; asked is how long computing takes.",
    }
    for value, mistake in known.items():
        if math.isclose(answer, value):
            return mistake
    return None if math.isclose(answer, 44) else "First come two tokens, then the frame and those that it waits for."
