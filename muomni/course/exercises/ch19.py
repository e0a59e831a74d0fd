"""Chapter 19, the whole system: an order of training, the vectors of a request, whose mistake an answer is."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from types import FunctionType

from muomni.course.checks import exercise

Needs = dict[str, list[str]]
CASES: tuple[Needs, ...] = (
    {"a": [], "b": ["a"], "c": []},
    {"omni": ["text", "ears", "eyes"], "voice": ["text", "ears"], "ears": [], "eyes": ["text"], "text": []},
    {"e": ["d"], "d": ["c"], "c": ["b"], "b": ["a"], "a": []},
)


def _order(needs: Needs) -> list[str]:
    order = list[str]()
    while len(order) < len(needs):
        order += [n for n, others in needs.items() if n not in order and all(each in order for each in others)][:1]
    return order


@exercise(
    "19.1",
    expects=FunctionType,
    right=_order,
    wrong=[
        (lambda needs: list(needs), "needs"),
        (lambda needs: sorted(needs, key=lambda n: len(needs[n])), "needs"),
        (lambda needs: _order(needs)[:-1], "missing"),
        (lambda needs: [*_order(needs), _order(needs)[0]], "once"),
        (lambda needs: [*_order(needs), "z"], "no stage"),
    ],
    because="each comes after all that it needs; there may be several such orders.",
)
def order_of_training(answer: Callable[[Needs], list[str]]) -> str | None:
    for needs in CASES:
        found = list(answer({stage: list(others) for stage, others in needs.items()}))
        strange = [stage for stage in found if stage not in needs]
        if strange:
            return f"{strange[0]!r} is no stage of {needs}."
        if len(set(found)) < len(found):
            return f"{needs} gives {found}: each stage is trained once."
        if len(found) < len(needs):
            return f"{needs} gives {found}: {sorted(set(needs) - set(found))[0]!r} is missing."
        for place, stage in enumerate(found):
            early = [other for other in needs[stage] if other not in found[:place]]
            if early:
                return f"{needs} gives {found}: {stage!r} needs {early[0]!r}, which is not trained before it."
    return None


def _vectors(side: int, patch: int, seconds: float, rate: int, hop: int, downsample: int) -> int:
    return (side // patch) ** 2 + math.ceil(seconds * rate / (hop * downsample))


@exercise(
    "19.2",
    expects=FunctionType,
    right=_vectors,
    wrong=[
        (lambda s, p, t, r, h, d: s // p + math.ceil(t * r / (h * d)), "rows and columns"),
        (lambda s, p, t, r, h, d: (s // p) ** 2 + math.ceil(t * r / h), "downsample"),
        (lambda s, p, t, r, h, d: (s // p) ** 2 + math.floor(t * r / (h * d)), "whole"),
        (lambda s, p, t, r, h, d: (s // p) ** 2, "sound"),
        (lambda s, p, t, r, h, d: s * s + math.ceil(t * r / (h * d)), "pixel"),
        (lambda s, p, t, r, h, d: 1, "expected"),
    ],
    because="one for each patch, one for each state: that is what a picture and a sound take of the context.",
)
def vectors_of_a_request(answer: Callable[..., int]) -> str | None:
    for case in ((64, 8, 2.0, 16_000, 256, 5), (224, 16, 3.1, 16_000, 160, 8)):
        side, patch, seconds, rate, hop, downsample = case
        found, wanted = answer(*case), _vectors(*case)
        if found == wanted:
            continue
        picture, sound = (side // patch) ** 2, math.ceil(seconds * rate / (hop * downsample))
        mistakes = {
            side // patch + sound: "patches lie in rows and columns.",
            picture + math.ceil(seconds * rate / hop): "mel frames are counted; downsample of them make one state.",
            picture + math.floor(seconds * rate / (hop * downsample)): "a part of a state counts as a whole one.",
            picture: "the sound is missing.",
            side * side + sound: "a vector is for a patch, not for a pixel.",
        }
        return f"vectors{case} gives {found}: {mistakes.get(found, f'expected is {wanted}.')}"
    return None


def _blame(said: str, heard: str, right_when_written: bool, right_when_told: bool) -> str:
    if heard != said:
        return "hearing"
    if not right_when_told:
        return "thinking"
    return "fusion" if right_when_written else "seeing"


@exercise(
    "19.3",
    expects=FunctionType,
    right=_blame,
    wrong=[
        (lambda s, h, w, t: "hearing" if h != s else "seeing" if not w else "thinking" if not t else "fusion", "words"),
        (lambda s, h, w, t: "thinking" if not t else "seeing" if not w else "fusion", "other words"),
        (lambda s, h, w, t: "hearing" if h != s else "thinking" if not t else "seeing", "fusion"),
        (lambda s, h, w, t: "hearing" if h == s else _blame(s, s, w, t), "right words"),
        (lambda s, h, w, t: "ears", "one of"),
    ],
    because="from the ears inwards: the first part that fails alone is to blame, and where none does, what joins them.",
)
def whose_mistake(answer: Callable[[str, str, bool, bool], str]) -> str | None:
    for heard, written, told in product(("is it red?", "is it bed?"), (True, False), (True, False)):
        found, wanted = answer("is it red?", heard, written, told), _blame("is it red?", heard, written, told)
        if found == wanted:
            continue
        told_so = f"said 'is it red?', heard {heard!r}, right when written: {written}, right when told: {told}"
        if found not in ("hearing", "thinking", "seeing", "fusion"):
            return f"The answer is one of hearing, thinking, seeing and fusion, not {found!r}."
        why = {
            "hearing": "other words were heard.",
            "thinking": "it fails even where all is told in words.",
            "seeing": "with the scene in words it is right, with the picture it is not.",
            "fusion": "each part is right alone, so it is the fusion.",
        }[wanted]
        if found == "hearing":
            why = f"the right words were heard; {why}"
        return f"With {told_so} it says {found}, expected {wanted}: {why}"
    return None
