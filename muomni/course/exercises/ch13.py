"""Chapter 13, decoder-only language models: inputs and targets, the causal mask, temperature, the nucleus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import alike, exercise


def _pair(ids: list[int]) -> tuple[list[int], list[int]]:
    return ids[:-1], ids[1:]


@exercise(
    "13.1",
    expects=FunctionType,
    right=_pair,
    wrong=[
        (lambda ids: (ids[1:], ids[:-1]), "swapped"),
        (lambda ids: (ids, ids), "copy"),
        (lambda ids: (ids[:-1], ids[:-1]), "copy"),
        (lambda ids: (ids, ids[1:]), "as many"),
        (lambda ids: ids[1:], "two lists"),
        (lambda ids: (ids[:-2], ids[2:]), "one place"),
    ],
    because="One text of n + 1 tokens is n exercises, each asking for the token after those read.",
)
def inputs_and_targets(answer: Callable[[list[int]], object]) -> str | None:
    ids = [7, 1, 8, 2, 9]
    found = answer(list(ids))
    if not isinstance(found, tuple | list) or len(found) != 2 or not all(isinstance(x, Sequence) for x in found):
        return f"For {ids} it gives {found}: return two lists, inputs and targets."
    inputs, targets = (list(part) for part in found)
    if (inputs, targets) == _pair(ids):
        return None
    if (targets, inputs) == _pair(ids):
        return "The two are swapped: the target comes after its input."
    if inputs == targets:
        return f"For {ids} both are {inputs}: a model could copy its input. The targets begin one place later."
    if len(inputs) != len(targets):
        return f"There have to be as many inputs as targets; yours are {len(inputs)} and {len(targets)}."
    return f"For {ids} it gives {inputs} and {targets}: each target is one place after its input."


def _may_see(n: int) -> list[list[bool]]:
    return [[s <= t for s in range(n)] for t in range(n)]


@exercise(
    "13.2",
    expects=FunctionType,
    right=_may_see,
    wrong=[
        (lambda n: [[s >= t for s in range(n)] for t in range(n)], "future"),
        (lambda n: [[s < t for s in range(n)] for t in range(n)], "itself"),
        (lambda n: [[True] * n for _ in range(n)], "everything"),
        (lambda n: [[s == 0 for s in range(n)] for t in range(n)], "token 0"),
        (lambda n: [[s == t for s in range(n)] for t in range(n)], "before"),
        (lambda n: [s <= n for s in range(n)], "rows"),
    ],
    because="A triangle: row t has t + 1 times True, the token itself included.",
)
def causal_mask(answer: Callable[[int], object]) -> str | None:
    n = 4
    found = answer(n)
    try:
        rows = [[bool(value) for value in row] for row in found]  # type: ignore[attr-defined]
    except TypeError:
        rows = []
    if [len(row) for row in rows] != [n] * n:
        return f"may_see({n}) has to be {n} rows of {n} truth values each."
    if rows == _may_see(n):
        return None if answer(1) == [[True]] else "may_see(1) has to be [[True]]: one token, which sees itself."
    if all(map(all, rows)):
        return "Every token sees everything, as if there were no mask."
    if any(rows[t][s] for t in range(n) for s in range(t + 1, n)):
        return "Some token sees the future: in row t, all columns above t have to be False."
    if not all(rows[t][t] for t in range(1, n)):
        if all(rows[t][0] for t in range(n)) and not rows[3][1]:
            return "Every token sees token 0 and nothing else; it may see itself and all before it."
        return "A token has to see itself: the next one is foretold from it."
    return "A token may see all tokens before it, not only some."


def _heated(probabilities: Sequence[float], temperature: float) -> list[float]:
    powers = [p ** (1 / temperature) for p in probabilities]
    return [power / sum(powers) for power in powers]


def _softmax(values: Sequence[float]) -> list[float]:
    return [math.exp(x) / sum(map(math.exp, values)) for x in values]


@exercise(
    "13.3",
    expects=FunctionType,
    right=_heated,
    wrong=[
        (lambda p, t: _heated(p, 1 / t), "wrong way"),
        (lambda p, t: [x ** (1 / t) for x in p], "sum"),
        (lambda p, t: [x / t / sum(y / t for y in p) for x in p], "changes nothing"),
        (lambda p, t: _softmax([x / t for x in p]), "logarithm"),
        (lambda p, t: [1.0 if x == max(p) else 0.0 for x in p], "expected"),
    ],
    because="Dividing logits by the temperature raises probabilities to the power 1 / temperature.",
)
def heated(answer: Callable[[list[float], float], Sequence[float]]) -> str | None:
    given = [0.5, 0.3, 0.2]
    for temperature in (0.5, 2.0, 1.0):
        found, expected = [float(x) for x in answer(list(given), temperature)], _heated(given, temperature)
        if alike(found, expected):
            continue
        shown = f"For {given} at {temperature:g} it gives {_rounded(found)}"
        if not math.isclose(sum(found), 1.0, abs_tol=1e-6):
            return f"{shown}: probabilities sum to 1, yours to {sum(found):.3f}."
        if alike(found, given):
            return f"{shown}: that changes nothing, since the same factor is divided out again. Take logarithms first."
        if alike(found, _softmax([p / temperature for p in given])):
            return f"{shown}: take the logarithm of the probabilities before you divide and exponentiate."
        if alike(found, _heated(given, 1 / temperature)):
            return f"{shown}: it goes the wrong way; below 1 the likeliest become likelier, above 1 all more alike."
        return f"{shown}; expected is {_rounded(expected)}."
    return None


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(x, 3) for x in values]


def _order(p: Sequence[float]) -> list[int]:
    return sorted(range(len(p)), key=lambda i: -p[i])


def _nucleus(p: Sequence[float], top_p: float) -> set[int]:
    order = _order(p)
    return {i for place, i in enumerate(order) if sum(p[j] for j in order[:place]) < top_p}


def _without_the_last(p: Sequence[float], top_p: float) -> set[int]:
    order = _order(p)
    return {i for place, i in enumerate(order) if sum(p[j] for j in order[: place + 1]) <= top_p}


def _unsorted(p: Sequence[float], top_p: float) -> set[int]:
    return {i for i in range(len(p)) if sum(p[:i]) < top_p}


@exercise(
    "13.4",
    expects=FunctionType,
    right=_nucleus,
    wrong=[
        (_without_the_last, "crosses"),
        (_unsorted, "likeliest first"),
        (lambda p, top_p: {i for i, x in enumerate(p) if x >= top_p}, "each token"),
        (lambda p, top_p: set(range(len(p))), "together"),
        (lambda p, top_p: {p[i] for i in _nucleus(p, top_p)}, "numbers"),
    ],
    because="The first token is always kept, so there is always something to draw.",
)
def nucleus(answer: Callable[[list[float], float], object]) -> str | None:
    cases = (([0.125, 0.5, 0.0625, 0.25, 0.0625], 0.7), ([0.125, 0.5, 0.0625, 0.25, 0.0625], 0.3), ([0.25] * 4, 1.0))
    for given, top_p in cases:
        found, expected = answer(list(given), top_p), _nucleus(given, top_p)
        try:
            kept = set(found)  # type: ignore[call-overload]
        except TypeError:
            return f"It gives {found!r}: return a set of token numbers."
        if kept == expected:
            continue
        shown = f"For {given} and top_p {top_p:g} it keeps {sorted(kept)}"
        if not all(isinstance(i, int) for i in kept):
            return f"{shown}: return the tokens' numbers, their places in the list, not their probabilities."
        if kept == {i for i, x in enumerate(given) if x >= top_p}:
            return f"{shown}: top_p is no limit for each token, it is for what they have together."
        if kept == _without_the_last(given, top_p):
            return f"{shown}: the token that crosses top_p is kept, too; otherwise nothing may be left to draw."
        if kept == _unsorted(given, top_p):
            return f"{shown}: go through the tokens likeliest first, not in the order of their numbers."
        return f"{shown}: expected is {sorted(expected)}, the likeliest that together reach top_p."
    return None
