"""Captions: the first sentences of a document, which tell all that its questions ask about, and the way back from them.

`write_caption` chooses: whether sizes are told (all or none), one of the templates of the kind of scene, one of the
phrases of a relation, and a template for a written word. Things are always introduced in the order of the facts (or
in the order that the template names, as in "from right to left"), so a caption can be read back in one way only:
`read_caption` tries every template and returns every derivation that gives exactly that text. Tests show that there
is never a second one.

Slots of a template: {A} {B} {C} things with an article or a count; {X} {Y} the first two once they are known; {R} the
relation of the first to the second, {I} that of the second to the first; {P} a place; {W} a word; {K} its color.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import lru_cache

from muomni.data.world.dice import Dice
from muomni.data.world.facts import N_THINGS, Facts, Thing, names, phrase
from muomni.data.world.lexicon import INVERSE, NUMBERS, RELATIONS, World

CAPTIONS: dict[str, tuple[str, ...]] = {
    "single": (
        "{A} is {P}.",
        "there is {A} {P}.",
        "i see {A} {P}.",
        "{P} there is {A}.",
        "look, {A} {P}.",
        "the picture shows {A} {P}.",
    ),
    "pair": (
        "{A} is {R} {B}.",
        "there is {A} {R} {B}.",
        "there is {A}. {B} is {I} it.",
        "i see {A} and {B}. {X} is {R} {Y}.",
        "here is {A}, and {B} is {I} it.",
        "the picture shows {A} {R} {B}.",
    ),
    "row": (
        "from left to right: {A}, {B} and {C}.",
        "from right to left: {C}, {B} and {A}.",
        "i see {A}, {B} and {C} from left to right.",
        "a row from left to right, {A}, then {B}, then {C}.",
        "in a row from right to left stand {C}, {B} and {A}.",
    ),
    "column": (
        "from top to bottom: {A}, {B} and {C}.",
        "from bottom to top: {C}, {B} and {A}.",
        "i see {A}, {B} and {C} from top to bottom.",
        "a column from top to bottom, {A}, then {B}, then {C}.",
        "in a column from bottom to top stand {C}, {B} and {A}.",
    ),
    "groups": (
        "i see {A} and {B}.",
        "here you see {A} and {B}.",
        "the picture shows {A} and {B}.",
        "look, {A} and {B}.",
        "i can count {A} and {B}.",
    ),
    "sign": (
        "a sign says {W} in {K}.",
        "the word {W} is written in {K}.",
        "{K} letters say {W}.",
        "i can read the word {W} in {K}.",
    ),
    "talk": ("",),
}
WORDS = ("it says {W}.", "the word is {W}.", "the word {W} is written there.", "you can read the word {W}.")


def write_caption(facts: Facts, dice: Dice) -> tuple[str, Facts]:
    """A caption at random, and the facts that it tells: without sizes where it leaves them out."""
    if facts.things and not dice.pick((True, False)):
        facts = replace(facts, things=tuple(replace(thing, size=None) for thing in facts.things))
    template = dice.pick(CAPTIONS[facts.axis or facts.kind])
    says = ""
    if facts.relation and "{R}" in template:
        says = dice.pick(RELATIONS[facts.relation])
    elif facts.relation:
        says = dice.pick(RELATIONS[INVERSE[facts.relation]])
    text = template.format(**_slots(facts, says))
    if facts.word and facts.kind != "sign":
        text += " " + dice.pick(WORDS).format(W=facts.word)
    return text, facts


def short_caption(facts: Facts) -> str:
    """The answer to "what do you see?": what is there, in one fixed form, without a written word."""
    a, b, c = ([phrase(thing, facts.kind == "groups") for thing in facts.things] + [""] * 3)[:3]
    if facts.kind == "single":
        return f"{a} {facts.place}"
    if facts.kind == "pair":
        return f"{a} {RELATIONS[str(facts.relation)][0]} {b}"
    if facts.kind == "row":
        return f"{a}, {b} and {c} in a {facts.axis}"
    return f"{a} and {b}" if facts.kind == "groups" else f"the word {facts.word} in {facts.word_color}"


def _slots(facts: Facts, says: str) -> dict[str, str]:
    slots = {"R": says, "I": says, "P": facts.place or "", "W": facts.word or "", "K": facts.word_color or ""}
    slots |= zip("ABC", (phrase(thing, facts.kind == "groups") for thing in facts.things), strict=False)
    return slots | dict(zip("XY", names(facts.things), strict=False))


def read_caption(text: str, world: World) -> list[tuple[Facts, float]]:
    """Every way to derive a caption: the facts that it tells and the log-probability of choosing these words for them.

    A word written in the scene may stand in a last sentence, so the text is tried with and without one.
    """
    head, _, last = text.rpartition(". ")
    readings: list[tuple[str, str | None, float]] = [(text, None, 0.0)]
    if head and last in _word_sentences(world):
        readings.append((head + ".", _word_sentences(world)[last], -math.log(len(WORDS))))
    derivations = []
    for body, word, log_word in readings:
        for kind, template, pattern in _patterns(world):
            if (match := pattern.fullmatch(body)) is None:
                continue
            facts, says = _facts_of(kind, template, match.groupdict())
            if word is not None:
                if facts.word is not None or kind == "talk":
                    continue
                facts = replace(facts, word=word)
            sizes = {thing.size is None for thing in facts.things}
            if len(sizes) > 1 or template.format(**_slots(facts, says)) != body:
                continue
            log_p = log_word - math.log(len(CAPTIONS[kind])) - (math.log(2) if facts.things else 0.0)
            if facts.relation:
                log_p -= math.log(len(RELATIONS[_RELATION_SAID[says]]))
            derivations.append((facts, log_p))
    return derivations


@lru_cache(maxsize=8)
def _word_sentences(world: World) -> dict[str, str]:
    return {template.format(W=word): word for word in world.words for template in WORDS}


_RELATION_SAID = {said: relation for relation, phrases in RELATIONS.items() for said in phrases}


@lru_cache(maxsize=8)
def _patterns(world: World) -> list[tuple[str, str, re.Pattern[str]]]:
    """(row of `CAPTIONS`, template, regular expression) of every template."""

    def one_of(words: tuple[str, ...]) -> str:
        return "|".join(sorted(map(re.escape, words), key=len, reverse=True))

    def slot(name: str) -> str:
        if name in "ABC":
            article = one_of(("a", "an", *NUMBERS))
            return (
                rf"(?:(?P<{name}_count>{article}) (?:(?P<{name}_size>{one_of(world.sizes)}) )?"
                rf"(?P<{name}_color>{one_of(world.colors)}) (?P<{name}_shape>{one_of(world.shapes)})(?:e?s)?)"
            )
        if name in "XY":  # checked by writing the caption again
            return r"the [a-z ]+?"
        options = {"P": world.places, "W": world.words, "K": world.colors}
        return f"(?P<{name}>{one_of(options.get(name, tuple(_RELATION_SAID)))})"

    return [
        (kind, template, re.compile("".join(slot(p[1]) if p[:1] == "{" else re.escape(p) for p in _parts(template))))
        for kind, templates in CAPTIONS.items()
        for template in templates
    ]


def _parts(template: str) -> list[str]:
    return re.split(r"(\{[A-Z]\})", template)


def _facts_of(kind: str, template: str, found: dict[str, str | None]) -> tuple[Facts, str]:
    """The facts that a matched template states, and the phrase of its relation."""
    axis = kind if kind in ("row", "column") else None
    kind = "row" if axis else kind
    things = []
    for name in "ABC"[: N_THINGS[kind]]:
        count = str(found[f"{name}_count"])
        number = NUMBERS.index(count) if kind == "groups" and count in NUMBERS else 1
        things.append(Thing(str(found[f"{name}_color"]), str(found[f"{name}_shape"]), found[f"{name}_size"], number))
    says = found.get("R") or found.get("I") or ""
    relation = _RELATION_SAID.get(says)
    if relation and "{I}" in template:
        relation = INVERSE[relation]
    return Facts(kind, tuple(things), relation, found.get("P"), axis, found.get("W"), found.get("K")), says
