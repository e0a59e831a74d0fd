"""Judges of chapter 40: what a turn costs, which turns are forgotten, which frames of a video are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise


def _tokens_of(n_pictures: int, patches: int, n_frames: int, n_words: int) -> int:
    return 1 + n_pictures * (1 + patches) + (1 + n_frames if n_frames else 0) + n_words


@exercise(
    "40.1",
    expects=FunctionType,
    right=_tokens_of,
    wrong=[
        (lambda n, p, f, w: n * p + f + w, "mark"),
        (lambda n, p, f, w: _tokens_of(n, p, f, w) - 1, "mark of its own"),
        (lambda n, p, f, w: 1 + n * (1 + p) + 1 + f + w, "no sound"),
        (lambda n, p, f, w: 1 + (1 + p if n else 0) + (1 + f if f else 0) + w, "every picture"),
        (lambda n, p, f, w: 7, "should be"),
    ],
    because="muomni.data.chat.Row writes the same tokens.",
)
def tokens_of(answer: Callable[[int, int, int, int], int]) -> str | None:
    for n, p, f, w in ((1, 64, 0, 5), (0, 64, 25, 0), (2, 16, 10, 8), (0, 64, 0, 3)):
        found, wanted = answer(n, p, f, w), _tokens_of(n, p, f, w)
        if found == wanted:
            continue
        call = f"tokens_of({n}, {p}, {f}, {w}) should be {wanted}; yours is {found}"
        if not f and found == wanted + 1:
            return f"{call}: where there is no sound, there is no mark for one."
        if found == wanted - 1:
            return f"{call}: the turn itself has a mark of its own."
        if found == n * p + f + w:
            return f"{call}: the turn, every picture and the sound have a mark each."
        if n > 1 and found == wanted - (n - 1) * (1 + p):
            return f"{call}: every picture costs its patches and a mark."
        return f"{call}."
    return None


def _forgotten(lengths: Sequence[int], limit: int) -> int:
    gone = 0
    while sum(lengths[gone:]) > limit and gone < len(lengths) - 1:
        gone += 1
    return gone


def _newest_gone(lengths: Sequence[int], limit: int) -> int:
    return _forgotten(lengths[::-1], limit)


def _all_gone(lengths: Sequence[int], limit: int) -> int:
    gone = 0
    while sum(lengths[gone:]) > limit:
        gone += 1
    return gone


def _too_strict(lengths: Sequence[int], limit: int) -> int:
    return _forgotten(lengths, limit - 1)


@exercise(
    "40.2",
    expects=FunctionType,
    right=_forgotten,
    wrong=[
        (_newest_gone, "oldest"),
        (_all_gone, "last is never"),
        (_too_strict, "exactly"),
        (lambda lengths, limit: sum(lengths[: _forgotten(lengths, limit)]), "how many turns"),
        (lambda lengths, limit: 0, "should be"),
    ],
    because="TrainedOmni.reply forgets turns the same way, and says so.",
)
def forgotten(answer: Callable[[Sequence[int], int], int]) -> str | None:
    for lengths, limit in (([50, 10, 30], 45), ([5, 5], 10), ([10, 300], 192), ([20, 30, 40], 200), ([9] * 30, 192)):
        found, wanted = answer(list(lengths), limit), _forgotten(lengths, limit)
        if found == wanted:
            continue
        call = f"forgotten({lengths}, {limit}) should be {wanted}; yours is {found}"
        if found == _all_gone(lengths, limit):
            return f"{call}: the last is never forgotten."
        if sum(lengths) == limit:
            return f"{call}: what fits exactly, fits."
        if found == _newest_gone(lengths, limit):
            return f"{call}: the oldest go, those in front."
        if found == sum(lengths[:wanted]):
            return f"{call}: asked is how many turns, not how many tokens."
        return f"{call}."
    return None


def _frames_read(total: int, n: int) -> list[int]:
    n = min(n, total)
    return [0] if n == 1 else [round(i * (total - 1) / (n - 1)) for i in range(n)]


@exercise(
    "40.3",
    expects=FunctionType,
    right=_frames_read,
    wrong=[
        (lambda total, n: list(range(min(n, total))), "evenly"),
        (lambda total, n: [i * total // min(n, total) for i in range(min(n, total))], "last"),
        (lambda total, n: [round(i * (total - 1) / max(1, n - 1)) for i in range(n)], "twice"),
        (lambda total, n: [i / n for i in range(n)], "whole numbers"),
        (lambda total, n: _frames_read(total, n)[:-1] or [1], "should be"),
    ],
    because="muomni.data.pictures.read_frames reads these.",
)
def frames_read(answer: Callable[[int, int], Sequence[int]]) -> str | None:
    for total, n in ((9, 3), (10, 2), (3, 8), (7, 1), (30, 8)):
        found, wanted = list(answer(total, n)), _frames_read(total, n)
        call = f"frames_read({total}, {n}) should be {wanted}; yours is {found}"
        if any(not isinstance(each, int) for each in found):
            return f"{call}: frames are numbered by whole numbers."
        if len(set(found)) < len(found):
            return f"{call}: no frame is read twice."
        if len(found) == len(wanted) and all(abs(a - b) <= 1 for a, b in zip(found, wanted, strict=True)) and n > 1:
            if found[-1] != wanted[-1]:
                return f"{call}: the last frame is among them."
            continue  # how a half is rounded does not matter
        if found == wanted:
            continue
        if found == list(range(min(n, total))):
            return f"{call}: the first ones are not evenly spread."
        if len(found) == len(wanted) and found[-1] != wanted[-1]:
            return f"{call}: the last frame is among them."
        return f"{call}."
    return None
