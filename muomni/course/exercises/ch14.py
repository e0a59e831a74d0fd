"""Chapter 14, KV cache: its size, the readings it saves, the mask of new tokens, positions after padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise


def _bytes(layers: int, d_model: int, heads: int, kv_heads: int, tokens: int, batch: int) -> float:
    return 2 * layers * kv_heads * (d_model // heads) * tokens * batch * 2


def _megabytes(layers: int, d_model: int, heads: int, kv_heads: int, tokens: int, batch: int) -> float:
    return _bytes(layers, d_model, heads, kv_heads, tokens, batch) / 1e6


@exercise(
    "14.1",
    expects=FunctionType,
    right=_megabytes,
    wrong=[
        (lambda n, d, h, g, t, b: _megabytes(n, d, h, g, t, b) / 2, "keys and values"),
        (lambda n, d, h, g, t, b: _megabytes(n, d, h, g, t, b) * 2, "bf16"),
        (lambda n, d, h, g, t, b: _megabytes(n, d, h, h, t, b), "kv_heads"),
        (lambda n, d, h, g, t, b: _megabytes(n, d * h, h, g, t, b), "d_model / heads"),
        (lambda n, d, h, g, t, b: _megabytes(1, d, h, g, t, b), "every layer"),
        (lambda n, d, h, g, t, b: _megabytes(n, d, h, g, t, 1), "each text"),
        (lambda n, d, h, g, t, b: _megabytes(n, d, h, g, 1, b), "every token"),
        (_bytes, "1,000,000"),
        (lambda n, d, h, g, t, b: _bytes(n, d, h, g, t, b) / 2**20, "1,000,000"),
        (lambda n, d, h, g, t, b: 1.0, "expected"),
    ],
    because="2 · layers · key-value heads · channels · tokens · batch numbers, 2 bytes each.",
)
def cache_size(answer: Callable[..., float]) -> str | None:
    case = (24, 960, 15, 5, 3000, 7)
    layers, _, heads, kv_heads, tokens, batch = case
    for sizes in (case, (3, 128, 4, 2, 128, 1)):
        found, expected = answer(*sizes), _megabytes(*sizes)
        if math.isclose(found, expected, rel_tol=1e-9):
            continue
        shown = f"megabytes{sizes} gives {found:,.6g}, expected is {expected:,.6g}"
        mistakes = (
            (1 / 2, "it is half of it; are there keys and values, and 2 bytes for each number?"),
            (2, "it is twice that; in bf16 a number has 2 bytes."),
            (heads / kv_heads, "only the kv_heads are kept, not all query heads."),
            (heads, "a head has d_model / heads channels."),
            (1 / layers, "every layer has its own keys and values."),
            (1 / batch, "each text of the batch has its own."),
            (1 / tokens, "there is a key and a value for every token."),
            (1e6, "divide the bytes by 1,000,000."),
            (1e6 / 2**20, "a unit here has 1,000,000 bytes, not 1,048,576."),
        )
        named = [words for factor, words in mistakes if math.isclose(found, expected * factor, rel_tol=1e-9)]
        return f"{shown}: {named[0]}" if named and sizes == case else f"{shown}."
    return None


def _readings(prompt: int, new: int) -> tuple[int, int]:
    return sum(prompt + i for i in range(new)), prompt + new - 1


@exercise(
    "14.2",
    expects=FunctionType,
    right=_readings,
    wrong=[
        (lambda p, n: (_readings(p, n)[0], p + n), "last token"),
        (lambda p, n: (_readings(p, n)[0] + n, p + n - 1), "prompt readings"),
        (lambda p, n: (_readings(p + 1, n)[0], p + n - 1), "prompt readings"),
        (lambda p, n: (n * (n + 1) // 2, p + n - 1), "prompt is read"),
        (lambda p, n: (p * n, p + n - 1), "longer"),
        (lambda p, n: (_readings(p, n)[0], n), "prompt"),
        (lambda p, n: _readings(p, n)[::-1], "order"),
        (lambda p, n: _readings(p, n)[0], "pair"),
        (lambda p, n: (0, 0), "expected"),
    ],
    because="Without a cache the work grows with the square of the text, with one it grows with the text.",
)
def readings(answer: Callable[[int, int], object]) -> str | None:
    for prompt, new in ((10, 5), (1, 80), (100, 1)):
        found, (without, cached) = answer(prompt, new), _readings(prompt, new)
        if not isinstance(found, tuple | list) or len(found) != 2:
            return f"readings({prompt}, {new}) gives {found}: return a pair, without a cache and with one."
        if tuple(found) == (without, cached):
            continue
        shown = f"readings({prompt}, {new}) gives {tuple(found)}"
        if tuple(found) == (cached, without):
            return f"{shown}: mind the order, without a cache comes first."
        if found[0] == without + new:
            return f"{shown}: without a cache the first new token takes {prompt} prompt readings, not {prompt + 1}."
        if found[0] == new * (new + 1) // 2:
            return f"{shown}: without a cache the whole prompt is read again for every new token."
        if found[0] == prompt * new:
            return f"{shown}: without a cache the text gets longer with every token."
        if found[0] == without and found[1] == cached + 1:
            return f"{shown}: with a cache the last token is written, but not read."
        if found[0] == without and found[1] in (new, new - 1):
            return f"{shown}: with a cache the prompt has to be read once, too."
        return f"{shown}; expected is {(without, cached)}."
    return None


def _may_see(cached: int, new: int) -> list[list[bool]]:
    return [[j <= cached + i for j in range(cached + new)] for i in range(new)]


@exercise(
    "14.3",
    expects=FunctionType,
    right=_may_see,
    wrong=[
        (lambda c, n: [[j <= i for j in range(c + n)] for i in range(n)], "first corner"),
        (lambda c, n: [[True] * (c + n) for _ in range(n)], "later new"),
        (lambda c, n: [[j < c + i for j in range(c + n)] for i in range(n)], "itself"),
        (lambda c, n: [[j < c for j in range(c + n)] for _ in range(n)], "itself"),
        (lambda c, n: [[j <= i for j in range(n)] for i in range(n)], "columns"),
        (lambda c, n: [[c <= j <= c + i for j in range(c + n)] for i in range(n)], "in the cache"),
        (lambda c, n: c + n, "lists"),
    ],
    because="The triangle lies in the last corner: new token i stands at key cached + i.",
)
def mask_of_new_tokens(answer: Callable[[int, int], object]) -> str | None:
    for cached, new in ((5, 3), (4, 1), (0, 3)):
        found = answer(cached, new)
        try:
            rows = [[bool(value) for value in row] for row in found]  # type: ignore[attr-defined]
        except TypeError:
            return f"may_see({cached}, {new}) gives {found!r}: return {new} lists of truth values."
        call = f"may_see({cached}, {new})"
        if [len(row) for row in rows] != [cached + new] * new:
            return f"{call} has to be {new} rows of {cached + new} columns: the keys in the cache count, too."
        if rows == _may_see(cached, new):
            continue
        if cached and rows == [[j <= i for j in range(cached + new)] for i in range(new)]:
            return f"{call}: that is the triangle of the first corner; the first new token would see key 0 alone."
        if any(rows[i][cached + later] for i in range(new) for later in range(i + 1, new)):
            return f"{call}: a new token sees later new tokens."
        if not all(rows[i][cached + i] for i in range(new)):
            return f"{call}: a new token has to see itself, key {cached} + i."
        if not all(map(all, (row[:cached] for row in rows))):
            return f"{call}: every new token may see all that is in the cache."
        return f"{call}: a new token may see the new ones before it."
    return None


def _positions(real: Sequence[bool]) -> list[int]:
    return [sum(real[:i]) for i in range(len(real))]


@exercise(
    "14.4",
    expects=FunctionType,
    right=_positions,
    wrong=[
        (lambda real: list(range(len(real))), "padding is counted"),
        (lambda real: [sum(real[: i + 1]) for i in range(len(real))], "begin at 0"),
        (lambda real: [sum(real[: i + 1]) - 1 for i in range(len(real))], "negative"),
        (lambda real: [i for i, _ in enumerate(x for x in real if x)], "as many"),
        (lambda real: [0] * len(real), "same place"),
        (lambda real: [len(real) - i - 1 for i in range(len(real))], "expected"),
    ],
    because="Padding takes no place, so a row has the same positions as alone.",
)
def positions_after_padding(answer: Callable[[list[bool]], Sequence[int]]) -> str | None:
    for real in ([False, False, True, True, True], [True, True, True], [False, True]):
        found, expected = [int(place) for place in answer(list(real))], _positions(real)
        if found == expected:
            continue
        shown = f"For {real} it gives {found}"
        if len(found) != len(real):
            return f"{shown}: there have to be as many positions as tokens, padding included."
        if any(place < 0 for place in found):
            return f"{shown}: nothing stands at a negative place; give padding 0."
        if found == list(range(len(real))):
            return f"{shown}: the padding is counted, so the text stands elsewhere than it would alone."
        if not any(found):
            return f"{shown}: all tokens would stand at the same place."
        if found == [sum(real[: i + 1]) for i in range(len(real))]:
            return f"{shown}: positions begin at 0, with the first real token."
        return f"{shown}; expected is {expected}."
    return None
