"""Judges of chapter 21: states of a clip, the receptive field, the fewest frames, the forward algorithm."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import FunctionType

from muomni.course.checks import exercise

Probabilities = Sequence[Sequence[float]]


def _states(samples: int, hop_length: int, strides: Sequence[int]) -> int:
    n = samples // hop_length + 1
    for stride in strides:
        n = -(-n // stride)
    return n


def _rounded_down(samples: int, hop_length: int, strides: Sequence[int]) -> int:
    n = samples // hop_length + 1
    for stride in strides:
        n //= stride
    return n


def _without_first_frame(samples: int, hop_length: int, strides: Sequence[int]) -> int:
    n = samples // hop_length
    for stride in strides:
        n = -(-n // stride)
    return n


@exercise(
    "21.1",
    expects=FunctionType,
    right=_states,
    wrong=[
        (_rounded_down, "rounds up"),
        (_without_first_frame, "sample 0"),
        (lambda samples, hop_length, strides: samples // hop_length + 1, "strides"),
        (lambda samples, hop_length, strides: _states(samples, hop_length, strides[:1]), "every one"),
        (lambda samples, hop_length, strides: (samples / hop_length + 1) / math.prod(strides), "whole number"),
        (lambda samples, hop_length, strides: 7, "it should be"),
    ],
    because="each stride rounds up, because the frame at the beginning always counts.",
)
def states_of_a_clip(answer: Callable[[int, int, Sequence[int]], float]) -> str | None:
    for samples, strides in ((41_216, (5,)), (40_960, (5,)), (48_000, (5,)), (41_000, (2, 2, 2)), (256, (3,))):
        found, wanted = answer(samples, 256, strides), _states(samples, 256, strides)
        if found == wanted:
            continue
        call = f"n_states_of({samples}, 256, {list(strides)}) gives {found:g}"
        if found != int(found):
            return f"{call}: a number of states is a whole number."
        if found == samples // 256 + 1:
            return f"{call}: these are the mel frames; the strides are missing."
        if len(strides) > 1 and found == _states(samples, 256, strides[:1]):
            return f"{call}: there are several strides, and every one shortens time."
        if found == _without_first_frame(samples, 256, strides):
            return f"{call}, it should be {wanted}: one mel frame stands at sample 0, besides one for every hop."
        if found == _rounded_down(samples, 256, strides):
            return (
                f"{call}, it should be {wanted}: the output at the first frame is always there, so a stride rounds up."
            )
        return f"{call}, it should be {wanted}."
    return None


@exercise(
    "21.2",
    expects=int,
    right=31,
    wrong=[
        (18, "sum of the kernels"),
        (15, "stride"),
        (59, "own stride"),
        (30, "frame itself"),
        (8, "rate"),
        (40, "table"),
    ],
    because="1 + 2 · 1 + 4 · 1 + 4 · 2 + 4 · 4 = 31: a kernel counts with the strides before it.",
)
def receptive_field(answer: int) -> str | None:
    known = {
        18: "That is the sum of the kernels; neighbouring outputs of a layer share frames.",
        15: "Without strides it would be so; behind a stride of 2 one step is two frames long.",
        59: "A layer's own stride makes the steps of later layers longer, not its own.",
        30: "These are the frames that the kernels add; the frame itself comes on top.",
        8: "8 is how much the rate falls; a state sees more than the frames it stands for.",
    }
    return None if answer == 31 else known.get(answer, "Count along as the chapter's table does, from one frame on.")


def _fewest(symbols: Sequence[object]) -> int:
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))


def _repeated_anywhere(symbols: Sequence[object]) -> int:
    return len(symbols) + len(symbols) - len(set(symbols))


@exercise(
    "21.3",
    expects=FunctionType,
    right=_fewest,
    wrong=[
        (len, "blank"),
        (lambda symbols: 2 * len(symbols) + 1, "need no blank"),
        (lambda symbols: 2 * len(symbols) - 1, "need no blank"),
        (lambda symbols: max(0, 2 * len(symbols) - 1), "need no blank"),
        (_repeated_anywhere, "beside each other"),
        (lambda symbols: len(set(symbols)), "fewer frames"),
        (lambda symbols: 99 if not len(symbols) else _fewest(symbols), "nothing"),
    ],
    because="a frame for each symbol, and a blank between two equal neighbours.",
)
def fewest_frames(answer: Callable[[Sequence[object]], int]) -> str | None:
    for text in ("cat", "three", "green tree", "banana", "aaa", "a", ""):
        found, wanted = answer(list(text)), _fewest(text)
        if found == wanted:
            continue
        said = f"for {text!r} it should be {wanted}; yours is {found}"
        if not text:
            return f"{said}: to say nothing takes no frame."
        if found == len(text):
            return f"{said}: two equal neighbours are read as one without a blank between them."
        if found in (2 * len(text) + 1, 2 * len(text) - 1):
            return f"{said}: different neighbours need no blank between them."
        if found < len(text):
            return f"{said}: a frame says one symbol, so fewer frames than symbols cannot do."
        if found == _repeated_anywhere(text):
            return f"{said}: only equal symbols beside each other need a blank."
        return f"{said}."
    return None


def _forward(
    probs: Probabilities,
    target: Sequence[int],
    blank: int,
    *,
    skip: str = "unequal",
    ends: int = 2,
    begins: int = 2,
    stay: bool = True,
) -> float:
    """The forward algorithm, whole or with one mistake."""
    places = [blank]
    for symbol in target:
        places += [symbol, blank]
    alpha = [probs[0][symbol] if i < begins else 0.0 for i, symbol in enumerate(places)]
    for frame in probs[1:]:
        before, alpha = alpha, []
        for i, symbol in enumerate(places):
            total = before[i] * stay + (before[i - 1] if i > 0 else 0.0)
            may = i > 1 and symbol != blank and (symbol != places[i - 2] or skip == "always")
            if may and skip != "never":
                total += before[i - 2]
            alpha.append(total * frame[symbol])
    return sum(alpha[-ends:])


def _by_paths(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return _forward(probs, target, blank)


def _equal_may_skip(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return _forward(probs, target, blank, skip="always")


def _never_skips(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return _forward(probs, target, blank, skip="never")


def _ends_in_blank(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return _forward(probs, target, blank, ends=1)


def _begins_in_blank(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return _forward(probs, target, blank, begins=1)


def _never_stays(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return _forward(probs, target, blank, stay=False)


def _logarithm(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return math.log(_forward(probs, target, blank) or 1e-9)


def _likeliest_path(probs: Probabilities, target: Sequence[int], blank: int) -> float:
    return math.prod(max(frame) for frame in probs)


@exercise(
    "21.4",
    expects=FunctionType,
    right=_by_paths,
    wrong=[
        (_equal_may_skip, "equal symbols"),
        (_never_skips, "skip the blank"),
        (_ends_in_blank, "last symbol"),
        (_begins_in_blank, "first symbol"),
        (_never_stays, "stay"),
        (_logarithm, "logarithm"),
        (_likeliest_path, "sum over all paths"),
    ],
    because="its negative logarithm is what F.ctc_loss computes.",
)
def forward_algorithm(answer: Callable[[Probabilities, Sequence[int], int], float]) -> str | None:
    mistakes = {
        "two equal symbols with no blank between them would be read as one: no skip there.": _equal_may_skip,
        "a path may skip the blank between two different symbols.": _never_skips,
        "a path may end at the last symbol as well as at the blank behind it.": _ends_in_blank,
        "a path may begin with the first symbol as well as with the blank before it.": _begins_in_blank,
        "a path may stay where it is: a symbol can last for several frames.": _never_stays,
        "that is its logarithm; the probability itself is asked for.": _logarithm,
    }
    dice = random.Random(0)
    for target, n_frames in (([0, 1], 4), ([0, 0], 4), ([0, 1, 0], 6), ([1], 1), ([0, 0, 1], 3)):
        rows = [[dice.random() for _ in range(3)] for _ in range(n_frames)]
        probs = [[p / sum(row) for p in row] for row in rows]
        found, wanted = float(answer(probs, target, 2)), _by_paths(probs, target, 2)
        if math.isclose(found, wanted, rel_tol=1e-5, abs_tol=1e-9):
            continue
        where = f"For the text {target} in {n_frames} frames it should be {wanted:.6f}; yours is {found:.6f}"
        for mistake, made in mistakes.items():
            if math.isclose(found, made(probs, target, 2), rel_tol=1e-5, abs_tol=1e-9):
                return f"{where}: {mistake}"
        return f"{where}: it is the sum over all paths that say the text."
    return None
