"""Chapter 25, fusion: the size of projectors, positions in time, branches, the words that CTC hears."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import alike, exercise

Parts = list[tuple[str, int]]
Table = list[list[float]]


def _parameters(widths: Sequence[int], d_model: int) -> int:
    return sum(width * d_model + d_model * d_model for width in widths)


@exercise(
    "25.1",
    expects=FunctionType,
    right=_parameters,
    wrong=[
        (lambda widths, d: sum(widths) * d, "second matrix"),
        (lambda widths, d: sum(widths) * d + d * d, "of its own"),
        (lambda widths, d: _parameters(widths, d) + 2 * len(widths) * d, "bias"),
        (lambda widths, d: sum(2 * w * d for w in widths), "expected"),
        (lambda widths, d: _parameters(widths[:1], d), "every encoder"),
    ],
    because="each encoder has its own two matrices, width x d_model and d_model x d_model.",
)
def size_of_projectors(answer: Callable[[list[int], int], int]) -> str | None:
    for widths, d_model in (([128, 96], 128), ([10, 20, 30], 7)):
        found, wanted = answer(list(widths), d_model), _parameters(widths, d_model)
        if found == wanted:
            continue
        mistakes = {
            sum(widths) * d_model: "the second matrix, d_model x d_model, is missing.",
            sum(widths) * d_model + d_model * d_model: "every projector has a second matrix of its own.",
            wanted + 2 * len(widths) * d_model: "there is no bias.",
            _parameters(widths[:1], d_model): "there is a projector for every encoder.",
        }
        return f"widths {widths}, d_model {d_model} give {found:,}: {mistakes.get(found, f'expected is {wanted:,}.')}"
    return None


STEP = 0.32


def _positions(parts: Parts) -> list[float]:
    return _placed(parts, STEP, 0, lambda n: math.ceil(n * STEP))


def _placed(parts: Parts, sound: float, picture: float, after: Callable[[int], float], gap: int = 1) -> list[float]:
    at, found = 0.0, list[float]()
    for kind, n in parts:
        step = {"text": 1.0, "picture": picture, "sound": sound}[kind]
        found += [at + i * step for i in range(n)]
        at += n if kind == "text" else after(n) if kind == "sound" else n * picture if picture else gap
    return found


@exercise(
    "25.2",
    expects=FunctionType,
    right=_positions,
    wrong=[
        (lambda parts: [float(i) for i in range(sum(n for _, n in parts))], "counted"),
        (lambda parts: _placed(parts, STEP, 1, lambda n: math.ceil(n * STEP)), "patches of a picture share"),
        (lambda parts: _placed(parts, STEP, 0, lambda n: n * STEP), "whole"),
        (lambda parts: _placed(parts, STEP, 0, lambda n: math.floor(n * STEP)), "rounded down"),
        (lambda parts: _placed(parts, 1, 0, lambda n: n), "0.32"),
        (lambda parts: _placed(parts, STEP, 0, lambda n: math.ceil(n * STEP), gap=0), "one further"),
        (lambda parts: _positions(parts)[1:], "one for every token"),
        (lambda parts: [p + 1 for p in _positions(parts)], "expected"),
    ],
    because="text by the piece, a picture at one moment, sound by the second.",
)
def positions_in_time(answer: Callable[[Parts], list[float]]) -> str | None:
    parts: Parts = [("text", 2), ("picture", 3), ("sound", 4), ("text", 2)]
    found, wanted = list(answer(list(parts))), _positions(parts)
    if alike(found, wanted):
        longer: Parts = [("sound", 25), ("picture", 2), ("text", 1)]  # 25 frames are exactly 8 positions
        again = list(answer(longer))
        return None if alike(again, _positions(longer)) else f"{longer} gives {again}; expected {_positions(longer)}."
    if len(found) != len(wanted):
        return f"{parts} has {len(wanted)} tokens, and your list {len(found)} positions: one for every token is wanted."
    mistakes = (
        ([float(i) for i in range(len(wanted))], "tokens are counted; only text goes on by 1."),
        (_placed(parts, STEP, 1, lambda n: math.ceil(n * STEP)), "all patches of a picture share one position."),
        (_placed(parts, STEP, 0, lambda n: n * STEP), "what follows a sound stands at a whole position, rounded up."),
        (_placed(parts, STEP, 0, lambda n: math.floor(n * STEP)), "behind the sound it is rounded down; round up."),
        (_placed(parts, 1, 0, lambda n: n), "a frame of sound goes on by 0.32, not by 1."),
        (_placed(parts, STEP, 0, lambda n: math.ceil(n * STEP), gap=0), "what follows a picture stands one further."),
    )
    named = [words for value, words in mistakes if alike(found, value)]
    return f"{parts} gives {found}: {named[0] if named else f'expected {wanted}.'}"


def _sees(documents: list[int], trunks: list[int]) -> list[list[bool]]:
    n = len(documents)
    return [[j <= i and documents[j] in (documents[i], trunks[i]) for j in range(n)] for i in range(n)]


@exercise(
    "25.3",
    expects=FunctionType,
    right=_sees,
    wrong=[
        (lambda d, t: [[j <= i for j in range(len(d))] for i in range(len(d))], "another branch"),
        (lambda d, t: [[j <= i and d[j] == d[i] for j in range(len(d))] for i in range(len(d))], "its trunk"),
        (
            lambda d, t: [[d[j] in (d[i], t[i]) for j in range(len(d))] for i in range(len(d))],
            "after it",
        ),
        (lambda d, t: [[j <= i and t[j] == t[i] for j in range(len(d))] for i in range(len(d))], "another branch"),
        (lambda d, t: [[j < i and d[j] in (d[i], t[i]) for j in range(len(d))] for i in range(len(d))], "itself"),
        (lambda d, t: _sees(d, t)[:-1], "a row for every token"),
    ],
    because="its own document and its trunk, as far as they are before it.",
)
def who_sees_whom(answer: Callable[[list[int], list[int]], list[list[bool]]]) -> str | None:
    documents, trunks = [0, 0, 1, 1, 2, 2, 3], [0, 0, 0, 0, 0, 0, 3]
    found, wanted = [list(row) for row in answer(list(documents), list(trunks))], _sees(documents, trunks)
    if [len(row) for row in found] != [len(documents)] * len(documents):
        return f"There are {len(documents)} tokens: a row for every token, with a value for every token, is wanted."
    for i, (row, right) in enumerate(zip(found, wanted, strict=True)):
        for j, (one, other) in enumerate(zip(row, right, strict=True)):
            if bool(one) == other:
                continue
            shown = f"With documents {documents} and trunks {trunks}, token {i}"
            if j == i:
                return f"{shown} does not see itself."
            if j > i:
                return f"{shown} sees token {j}, which stands after it."
            if one:
                return f"{shown} sees token {j}, which belongs to another branch or another conversation."
            return f"{shown} does not see token {j}, which is of its own document or of its trunk."
    return None


def _heard(probabilities: list[float], table: Table) -> list[float]:
    return [sum(p * vector[c] for p, vector in zip(probabilities, table, strict=False)) for c in range(len(table[0]))]


def _renormed(probabilities: list[float], table: Table) -> list[float]:
    said = sum(probabilities[:-1])
    return _heard([p / said for p in probabilities], table)


def _likeliest(probabilities: list[float], table: Table) -> list[float]:
    said = probabilities[:-1]
    return table[said.index(max(said))]


@exercise(
    "25.4",
    expects=FunctionType,
    right=_heard,
    wrong=[
        (_renormed, "made to add up"),
        (_likeliest, "likeliest"),
        (lambda p, table: [value / len(table) for value in _heard(p, table)], "divided"),
        (lambda p, table: sum(_heard(p, table)), "a list"),
        (lambda p, table: [0.0] * len(table[0]), "expected"),
    ],
    because="a sure frame gives its word, an unsure one something between words, a blank one next to nothing.",
)
def word_of_a_frame(answer: Callable[[list[float], Table], list[float]]) -> str | None:
    table = [[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]]
    for probabilities in ([0.5, 0.2, 0.1, 0.2], [0.0, 0.1, 0.0, 0.9]):
        found, wanted = answer(list(probabilities), [list(row) for row in table]), _heard(probabilities, table)
        if not isinstance(found, Sequence) or len(found) != len(wanted):
            return "The answer is a vector as wide as those of the table: a list of as many numbers."
        if alike(found, wanted):
            continue
        mistakes = (
            (_renormed(probabilities, table), "the probabilities of pieces are made to add up to 1 again; leave them."),
            (_likeliest(probabilities, table), "it is the likeliest piece's vector; all count, as likely as they are."),
            ([value / len(table) for value in wanted], "it is divided by the number of pieces once too often."),
        )
        named = [words for value, words in mistakes if alike(found, value)]
        return f"With {probabilities} it gives {found}: {named[0] if named else f'expected is {wanted}.'}"
    return None
