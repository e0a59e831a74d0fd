"""Judges of chapter 48: inputs and targets of teacher forcing, from letters to words, one step of a beam."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise


@exercise(
    "48.1",
    expects=FunctionType,
    right=lambda numbers, end: ([end, *numbers], [*numbers, end]),
    wrong=[
        (lambda numbers, end: (numbers, numbers), "copy"),
        (lambda numbers, end: ([end, *numbers, end], [end, *numbers, end]), "copy"),
        (lambda numbers, end: ([*numbers, end], [end, *numbers]), "the wrong way"),
        (lambda numbers, end: ([end, *numbers[:-1]], numbers), "when to stop"),
        (lambda numbers, end: (numbers, [*numbers[1:], end]), "first character"),
        (lambda numbers, end: ([end, *numbers], numbers), "equally long"),
        (lambda numbers, end: ([0, *numbers], [*numbers, 0]), "end mark"),
        (lambda numbers, end: [end, *numbers], "two lists"),
    ],
    because="at each place the decoder knows all characters before the one it has to write.",
)
def shifted(answer: Callable[[list[int], int], Sequence[Sequence[int]]]) -> str | None:
    numbers, end = [5, 9, 9, 7], 3
    found = answer(list(numbers), end)
    if len(found) != 2 or not all(hasattr(part, "__len__") for part in found):
        return "two lists are wanted, the inputs and the targets."
    inputs, targets = (list(part) for part in found)
    said = f"for {numbers} with the end mark {end} your inputs are {inputs} and your targets {targets}: "
    if (inputs, targets) == ([end, *numbers], [*numbers, end]):
        return None
    if len(inputs) != len(targets):
        return f"{said}they have to be equally long, one target for each input."
    if inputs == targets:
        return f"{said}they are the same, so the model need only copy what it is given."
    if (targets, inputs) == ([end, *numbers], [*numbers, end]):
        return f"{said}shifted the wrong way, each input is followed by the character before it."
    if end not in (*inputs, *targets):
        outer = "the end mark that is given has to be used" if len(inputs) == len(numbers) + 1 else "no end mark"
        return f"{said}{outer}."
    if end not in targets:
        return f"{said}without an end among the targets it never learns when to stop."
    if inputs[:1] != [end]:
        return f"{said}nothing is written yet when the first character is due; begin the inputs with the end mark."
    return f"{said}the inputs should be the end mark and the text, the targets the text and the end mark."


@exercise(
    "48.2",
    expects=FunctionType,
    right=lambda p, n: p ** (n + 1),
    wrong=[
        (lambda p, n: p**n, "the end"),
        (lambda p, n: p, "a single letter"),
        (lambda p, n: p * (n + 1), "more than 1"),
        (lambda p, n: p * n, "more than 1"),
        (lambda p, n: 1 - (1 - p) ** n, "at least one"),
        (lambda p, n: 1 - (1 - p) ** (n + 1), "at least one"),
        (lambda p, n: 1 - (1 - p) * (n + 1), "add up"),
    ],
    because="so a small share of wrong letters makes a large share of wrong words.",
)
def from_letters_to_words(answer: Callable[[float, int], float]) -> str | None:
    p, n = 0.9, 6
    found = answer(p, n)
    said = f"for p {p} and {n} letters it gives {found:.4g}: "
    if found > 1:
        return f"{said}a probability is never more than 1; independent events multiply."
    if math.isclose(found, p**n, rel_tol=1e-6):
        return f"{said}the end has to be right as well, so there is one more decision than letters."
    if math.isclose(found, p, rel_tol=1e-6):
        return f"{said}that is a single letter; all of the word have to be right."
    if any(math.isclose(found, 1 - (1 - p) ** k, rel_tol=1e-6) for k in (n, n + 1)):
        return f"{said}that is the probability that at least one is right."
    if any(math.isclose(found, 1 - (1 - p) * k, rel_tol=1e-6) for k in (n, n + 1)):
        return f"{said}mistakes do not add up so, because a word may have several; multiply what has to be right."
    for p, n in ((0.9, 6), (0.5, 1), (1.0, 9), (0.99, 20)):
        wanted, found = p ** (n + 1), answer(p, n)
        if not math.isclose(found, wanted, rel_tol=1e-6):
            return f"for p {p} and {n} letters it should be {wanted:.4g}; yours is {found:.4g}."
    return None


Texts = list[tuple[str, float]]
Following = Callable[[str], dict[str, float]]

_NEXT = {"a": {"x": 0.55, "y": 0.45}, "b": {"x": 0.9, "y": 0.1}, "": {"a": 0.7, "b": 0.3}}


def _following(text: str) -> dict[str, float]:
    """Log-probabilities of what follows one of a few texts."""
    return {letter: math.log(p) for letter, p in _NEXT[text].items()}


def _longer(kept: Texts, following: Following) -> Texts:
    return [(text + letter, total + more) for text, total in kept for letter, more in following(text).items()]


def _best(texts: Texts, width: int) -> Texts:
    return sorted(texts, key=lambda pair: pair[1], reverse=True)[:width]


def _right_step(kept: Texts, following: Following, width: int) -> Texts:
    return _best(_longer(kept, following), width)


def _one_of_each(kept: Texts, following: Following, width: int) -> Texts:
    return _best([_best(_longer([each], following), 1)[0] for each in kept], width)


def _last_letter_alone(kept: Texts, following: Following, width: int) -> Texts:
    return _best([(text + letter, more) for text, _ in kept for letter, more in following(text).items()], width)


def _multiplied(kept: Texts, following: Following, width: int) -> Texts:
    longer = [(text + letter, total * more) for text, total in kept for letter, more in following(text).items()]
    return _best(longer, width)


@exercise(
    "48.3",
    expects=FunctionType,
    right=_right_step,
    wrong=[
        (_one_of_each, "same kept text"),
        (_last_letter_alone, "last letter"),
        (_multiplied, "add"),
        (lambda kept, following, width: sorted(_longer(kept, following), key=lambda p: p[1])[:width], "least likely"),
        (lambda kept, following, width: _best(_longer(kept, following), 99), "2 are wanted"),
        (lambda kept, following, width: _best(_longer(kept, following), 1), "2 are wanted"),
        (lambda kept, following, width: _best(_longer(kept, following), width)[::-1], "likeliest first"),
        (lambda kept, following, width: [text for text, _ in _right_step(kept, following, width)], "pairs"),
    ],
    because="the library's read_with_beam does this with all characters at once, in one topk.",
)
def beam_step(answer: Callable[[Texts, Following, int], Texts]) -> str | None:
    kept = [("a", math.log(0.7)), ("b", math.log(0.3))]
    found = list(answer(list(kept), _following, 2))
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in found):
        return "a list of pairs is wanted, each a text and its log-probability."
    names = [text for text, _ in found]
    if len(found) != 2:
        return f"with a width of 2 you return {len(found)} texts, and 2 are wanted."
    if sorted(names) == ["ax", "bx"]:
        sums = math.isclose(dict(found)["bx"], math.log(0.27), rel_tol=1e-6)
        if sums:
            return "the best of each kept text is not it: the likeliest of all may come from the same kept text."
        return "you compare by the last letter alone; a text's log-probability holds all of its letters."
    if sorted(names) == ["bx", "by"]:
        return "these are the least likely texts; log-probabilities near 0 are the likely ones."
    totals = dict(_longer(kept, _following))
    if any(text in totals and not math.isclose(total, totals[text], rel_tol=1e-6) for text, total in found):
        return f"the log-probability of {found[0][0]!r} is not right: probabilities multiply, so their logarithms add."
    if names == ["ay", "ax"]:
        return "the right texts in the wrong order: the likeliest first."
    for start, width in ((kept, 2), (kept, 3), ([("", 0.0)], 2), ([("", 0.0)], 1)):
        wanted, found = _right_step(start, _following, width), answer(list(start), _following, width)
        same = len(found) == len(wanted) and all(
            a == c and math.isclose(b, d, rel_tol=1e-6) for (a, b), (c, d) in zip(found, wanted, strict=True)
        )
        if not same:
            return f"from {[text for text, _ in start]} with width {width} it should be {_told(wanted)}."
    return None


def _told(texts: Texts) -> str:
    return ", ".join(f"{text!r} {total:.3f}" for text, total in texts)
