"""Judges of chapter 28: word error rate, padding, the largest factor by which time may be shortened."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise


def _edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance: the least number of edits."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        before, row = row, [i]
        for j, other in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (one != other)))
    return row[-1]


def _wer(said: str, heard: str) -> float:
    return _edits(said.split(), heard.split()) / len(said.split())


def _cer(said: str, heard: str) -> float:
    return _edits(said, heard) / len(said)


def _by_heard(said: str, heard: str) -> float:
    return _edits(said.split(), heard.split()) / len(heard.split())


def _by_longer(said: str, heard: str) -> float:
    return _edits(said.split(), heard.split()) / max(len(said.split()), len(heard.split()))


def _by_place(said: str, heard: str) -> float:
    """Words compared place by place."""
    a, b = said.split(), heard.split()
    return (sum(one != other for one, other in zip(a, b, strict=False)) + abs(len(a) - len(b))) / len(a)


def _by_bag(said: str, heard: str) -> float:
    """Words that do not occur, in whatever order."""
    known = heard.split()
    return sum(word not in known for word in said.split()) / len(said.split())


def _count(said: str, heard: str) -> float:
    return float(_edits(said.split(), heard.split()))


def _at_most_one(said: str, heard: str) -> float:
    return min(1.0, _wer(said, heard))


def _right_share(said: str, heard: str) -> float:
    return 1 - _wer(said, heard)


WRONG_WER: dict[Callable[[str, str], float], str] = {
    _cer: "these are letters; count words.",
    _count: "that is the number of edits; divide it by the words that were said.",
    _right_share: "that is the share that is right; asked is what is wrong.",
    _by_place: "one word left out moves all the others; align the texts so that as few edits as possible are needed.",
    _by_heard: "divide by the words that were said, not by those heard: else a long wrong answer pays less.",
    _by_longer: "divide by the words that were said, not by the longer text.",
    _by_bag: "order matters, and so do words that were added.",
    _at_most_one: "words that are added count, too, so that it may be above 1.",
}


@exercise(
    "28.1",
    expects=FunctionType,
    right=_wer,
    wrong=[
        (_cer, "letters"),
        (_count, "divide"),
        (_right_share, "what is wrong"),
        (_by_place, "align"),
        (_by_heard, "not by those heard"),
        (_by_longer, "longer text"),
        (_by_bag, "order"),
        (_at_most_one, "above 1"),
        (lambda said, heard: _wer(said, heard) if heard else 0.0, "heard ''"),
    ],
    because="this is what jiwer counts, summed over all sentences.",
)
def word_error_rate(answer: Callable[[str, str], float]) -> str | None:
    pairs = (
        ("a small red circle", "a red circle"),
        ("a red circle", "a small red circle"),
        ("is it red", "it is red"),
        ("yes", "yes it is so"),
        ("a blue star", "a blue star"),
    )
    found = [float(answer(said, heard)) for said, heard in pairs]
    for made, mistake in WRONG_WER.items():
        if all(math.isclose(a, made(*pair), abs_tol=1e-6) for a, pair in zip(found, pairs, strict=True)):
            return mistake[0].upper() + mistake[1:]
    found.append(float(answer("one two", "")))
    for value, (said, heard) in zip(found, (*pairs, ("one two", "")), strict=True):
        wanted = _wer(said, heard)
        if not math.isclose(value, wanted, abs_tol=1e-6):
            return f"Said {said!r}, heard {heard!r}: it should be {wanted:.3f}; yours is {value:.3f}."
    return None


def _padding(lengths: Sequence[float]) -> float:
    return 1 - sum(lengths) / (len(lengths) * max(lengths))


@exercise(
    "28.2",
    expects=FunctionType,
    right=_padding,
    wrong=[
        (lambda lengths: sum(lengths) / (len(lengths) * max(lengths)), "used"),
        (lambda lengths: sum(max(lengths) - each for each in lengths), "seconds of filling"),
        (lambda lengths: sum(max(lengths) - each for each in lengths) / sum(lengths), "whole batch"),
        (lambda lengths: 1 - min(lengths) / max(lengths), "every clip"),
        (lambda lengths: 0.5, "it should be"),
    ],
    because="Buckets.padding adds this up over the batches of an epoch.",
)
def padding(answer: Callable[[Sequence[float]], float]) -> str | None:
    for lengths in ([1.0, 2.0, 4.0, 4.0], [3.0], [1.5, 6.0]):
        found, wanted = float(answer(list(lengths))), _padding(lengths)
        filling = sum(max(lengths) - each for each in lengths)
        if math.isclose(found, wanted, abs_tol=1e-9):
            continue
        where = f"for {lengths} it should be {wanted:.4f}; yours is {found:.4f}"
        if math.isclose(found, 1 - wanted):
            return f"{where}: that is the share that is used."
        if math.isclose(found, filling):
            return f"{where}: these are the seconds of filling; asked is their share of the batch."
        if math.isclose(found, filling / sum(lengths)):
            return f"{where}: divide by the whole batch, filling and all, not by the sound alone."
        if math.isclose(found, 1 - min(lengths) / max(lengths)):
            return f"{where}: every clip is filled up, not the shortest alone."
        return f"{where}."
    return None


@exercise(
    "28.3",
    expects=FunctionType,
    right=lambda frames, needed: frames // needed,
    wrong=[
        (lambda frames, needed: -(-frames // needed), "too few"),
        (lambda frames, needed: round(frames / needed), "too few"),
        (lambda frames, needed: frames / needed, "whole number"),
        (lambda frames, needed: max(1, frames // needed - 1), "larger"),
        (lambda frames, needed: needed, "states"),
    ],
    because="frames // d is at least n exactly when d is at most frames // n.",
)
def largest_factor(answer: Callable[[int, int], float]) -> str | None:
    for frames, needed in ((10, 4), (100, 7), (187, 15), (60, 12), (11, 4)):
        found, wanted = answer(frames, needed), frames // needed
        if found == wanted:
            continue
        call = f"largest_downsample({frames}, {needed}) gives {found:g}"
        if found != int(found):
            return f"{call}: a factor is a whole number."
        if found == needed:
            return f"{call}: that is the number of states needed; asked is the factor that leaves as many."
        if found > wanted:
            return f"{call}, which leaves {frames // int(found)} states: too few for {needed}."
        return f"{call}, which fits, but a larger factor does, too."
    return None
