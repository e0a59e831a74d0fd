"""Chapter 49, evaluation: the word error rate of many sentences, recall, how many examples without an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise

Words = Sequence[str]
Edits = Callable[[Words, Words], int]
Table = Sequence[Sequence[float]]


def _edits(right: Words, found: Words) -> int:
    before = list(range(len(found) + 1))
    for i, wanted in enumerate(right, start=1):
        row = [i]
        for j, had in enumerate(found, start=1):
            row.append(min(before[j - 1] + (wanted != had), before[j] + 1, row[j - 1] + 1))
        before = row
    return before[-1]


def _wer(right: Words, found: Words, edits: Edits) -> float:
    wrong = sum(edits(a.split(), b.split()) for a, b in zip(right, found, strict=True))
    return wrong / sum(len(a.split()) for a in right)


def _mean_of_rates(right: Words, found: Words, edits: Edits) -> float:
    return sum(_wer([a], [b], edits) for a, b in zip(right, found, strict=True)) / len(right)


def _by_found(right: Words, found: Words, edits: Edits) -> float:
    return _wer(right, found, edits) * sum(len(a.split()) for a in right) / sum(len(b.split()) for b in found)


def _by_letters(right: Words, found: Words, edits: Edits) -> float:
    wrong = sum(edits(list(a), list(b)) for a, b in zip(right, found, strict=True))
    return wrong / sum(map(len, right))


def _sentences(right: Words, found: Words, edits: Edits) -> float:
    return sum(a != b for a, b in zip(right, found, strict=True)) / len(right)


@exercise(
    "49.1",
    expects=FunctionType,
    right=_wer,
    wrong=[
        (_mean_of_rates, "long sentence"),
        (_by_found, "right texts"),
        (_by_letters, "letters"),
        (_sentences, "whole sentences"),
        (lambda right, found, edits: min(1.0, _wer(right, found, edits)), "above 1"),
        (lambda right, found, edits: 1 - _wer(right, found, edits), "errors"),
        (lambda right, found, edits: 0.123, "expected"),
    ],
    because="all edits by all words of the right texts: every word counts the same.",
)
def word_error_rate(answer: Callable[[Words, Words, Edits], float]) -> str | None:
    cases = (
        (["a big red star is on the left", "yes", "two"], ["a big red star on left", "no", "two"]),
        (["a star", "no"], ["it may be a red star", "no"]),
        (["yes"], ["well that may be so"]),
    )
    for right, found in cases:
        value, wanted = answer(right, found, _edits), _wer(right, found, _edits)
        if math.isclose(value, wanted):
            continue
        shown = f"for {right} and {found} it gives {value:.4f}, expected is {wanted:.4f}"
        mistakes = (
            (_mean_of_rates, "a mean of the sentences' rates gives a short sentence the weight of a long sentence."),
            (_by_found, "divide by the words of the right texts."),
            (_by_letters, "split the texts: these are letters."),
            (_sentences, "count edits of words, not whole sentences."),
            (lambda a, b, e: 1 - _wer(a, b, e), "count errors, not what is right."),
        )
        named = [words for wrong, words in mistakes if math.isclose(value, wrong(right, found, _edits))]
        if wanted > 1 and value == 1:
            return f"{shown}: a WER may be above 1."
        return f"{shown}: {named[0]}" if named else f"{shown}."
    return None


def _recall(likeness: Table, k: int) -> float:
    nearer = [sum(value > row[i] for value in row) for i, row in enumerate(likeness)]
    return sum(n < k for n in nearer) / len(likeness)


def _by_columns(likeness: Table, k: int) -> float:
    return _recall(list(zip(*likeness, strict=True)), k)


def _one_too_many(likeness: Table, k: int) -> float:
    return _recall(likeness, k + 1)


def _smallest(likeness: Table, k: int) -> float:
    return _recall([[-value for value in row] for row in likeness], k)


@exercise(
    "49.2",
    expects=FunctionType,
    right=_recall,
    wrong=[
        (_by_columns, "columns"),
        (_one_too_many, "one place too far"),
        (_smallest, "larger is nearer"),
        (lambda likeness, k: _recall(likeness, 1), "whatever k"),
        (lambda likeness, k: _recall(likeness, k) * len(likeness), "share"),
        (lambda likeness, k: 0.01, "expected"),
    ],
    because="found at k means: fewer than k captions are nearer than its own.",
)
def recall(answer: Callable[[Table, int], float]) -> str | None:
    likeness = [
        [0.9, 0.1, 0.3, 0.2, 0.6],
        [0.8, 0.5, 0.6, 0.1, 0.2],
        [0.95, 0.2, 0.4, 0.7, 0.1],
        [0.1, 0.3, 0.2, 0.8, 0.0],
        [0.4, 0.6, 0.1, 0.3, 0.5],
    ]
    for k in (1, 2, 3):
        value, wanted = answer(likeness, k), _recall(likeness, k)
        if math.isclose(value, wanted):
            continue
        shown = f"recall(likeness, {k}) gives {value:g} for a table of five, expected is {wanted:g}"
        mistakes = (
            (_recall(likeness, k) * 5, "return the share, not the number."),
            (_smallest(likeness, k), "larger is nearer."),
            (
                _one_too_many(likeness, k),
                "you look one place too far: with k nearer ones it is not among the k nearest.",
            ),
            (_by_columns(likeness, k), "rows are pictures; these are the columns."),
            (_recall(likeness, 1) if k > 1 else -1.0, "it is the same whatever k is."),
        )
        named = [words for wrong, words in mistakes if math.isclose(value, wrong)]
        return f"{shown}: {named[0]}" if named else f"{shown}."
    return None


def _needed(p: float) -> int:
    n = 1
    while (1 - p) ** n > 0.05:
        n += 1
    return n


@exercise(
    "49.3",
    expects=FunctionType,
    right=_needed,
    wrong=[
        (lambda p: math.ceil(3 / p), "rule of three"),
        (lambda p: _needed(p) - 1, "not enough"),
        (lambda p: _needed(p) + 1, "smallest"),
        (lambda p: math.log(0.05) / math.log(1 - p), "whole number"),
        (lambda p: math.ceil(1 / p), "not enough"),
        (lambda p: 10_000_000, "smallest"),
    ],
    because="about 3 / p: to claim one error in a thousand takes three thousand examples without one.",
)
def examples_needed(answer: Callable[[float], float]) -> str | None:
    for p in (0.002, 0.01, 0.1, 0.5):
        n, wanted = answer(p), _needed(p)
        if n == wanted:
            continue
        shown = f"examples_needed({p:g}) gives {n:g}"
        if n != int(n):
            return f"{shown}: return a whole number, rounded up."
        if n < wanted:
            return f"{shown}: not enough, no error in so many still has the probability {(1 - p) ** n:.4f}."
        if n == math.ceil(3 / p):
            return f"{shown}: the rule of three is close, {wanted} are enough."
        return f"{shown}: that is enough, but the smallest such number is {wanted}."
    return None
