"""Questions with exact answers: for the facts that a caption told, every question that may be asked, kind by kind.

A kind of question is a list of `Branch`es (say: things that are there, things that are not); a branch is a list of
`Item`s (what is asked, with its one right answer) and of templates (how it is put). A question is drawn uniformly
over the branches of its kind, the items of the branch and the templates. No text belongs to two items, so its
probability is 1 / (branches x items x templates), whoever asks.

Wrong suggestions are fair: a relation that does not hold is asked about by its opposite, and a thing that is not
there is never a held-out pair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import NamedTuple

from muomni.data.world.facts import Facts, Thing, names
from muomni.data.world.lexicon import (
    AXES,
    CATEGORIES,
    INVERSE,
    NUMBERS,
    OPPOSITE_RELATION,
    RELATIONS,
    World,
    plural,
    with_article,
)


class Item(NamedTuple):
    """What is asked. Afterwards "it" means the thing number `focus` of the facts, of which `told` has been said."""

    slots: dict[str, str]
    answer: str
    focus: int | None = None
    told: frozenset[str] = frozenset()


class Branch(NamedTuple):
    templates: tuple[str, ...]
    items: list[Item]


Maker = Callable[[Facts, World], list[Branch]]

IS_THERE = ("is there {x}?", "do you see {x}?", "can you see {x}?", "tell me, is there {x}?")
ANYTHING = ("is anything {x}?", "is something {x}?", "do you see anything {x}?", "tell me, is anything {x}?")
HOW_MANY = ("how many {x} are there?", "how many {x} do you see?", "count the {x}.", "tell me how many {x} there are.")
FOLLOW_UPS = {
    "color": ("what color {be} {it}?", "and what color {be} {it}?", "and the color?", "tell me the color too."),
    "shape": ("what shape {be} {it}?", "and what shape {be} {it}?", "and the shape?", "tell me the shape too."),
    "size": ("what size {be} {it}?", "and what size {be} {it}?", "and the size?", "tell me the size too."),
}


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _be(thing: Thing) -> str:
    return "is" if thing.count == 1 else "are"


def _noun(thing: Thing) -> str:
    """a circle; of several: circles."""
    return with_article(thing.shape) if thing.count == 1 else plural(thing.shape)


@lru_cache(maxsize=8)
def _absent(world: World) -> dict[str, dict[object, Item]]:
    """What is said of a shape, a color or a pair that is not there. Made once, as most are missing from most scenes."""
    return {
        "shape": {s: Item({"x": with_article(s)}, "no") for s in world.shapes},
        "color": {c: Item({"x": c}, "no") for c in world.colors},
        "pair": {(c, s): Item({"x": with_article(f"{c} {s}")}, "no") for c, s in world.seen},
        "zero": {s: Item({"x": plural(s)}, "zero") for s in world.shapes},
    }


def _without(items: dict[object, Item], there: Collection[object]) -> list[Item]:
    return [item for value, item in items.items() if value not in there]


def _unique(facts: Facts, attribute: str) -> list[tuple[int, Thing]]:
    """The things that share their color (or shape) with no other."""
    values = [getattr(thing, attribute) for thing in facts.things]
    return [(i, thing) for i, thing in enumerate(facts.things) if values.count(values[i]) == 1]


def color(facts: Facts, world: World) -> list[Branch]:
    called = names(facts.things)
    items = [
        Item({"x": called[i], "be": _be(thing)}, thing.color, i, frozenset(("color", "shape")))
        for i, thing in _unique(facts, "shape")
    ]
    templates = ("what color {be} {x}?", "which color {be} {x}?", "tell me the color of {x}.", "name the color of {x}.")
    return [Branch(templates, items)]


def shape(facts: Facts, world: World) -> list[Branch]:
    items = [
        Item({"x": thing.color}, _noun(thing), i, frozenset(("color", "shape"))) for i, thing in _unique(facts, "color")
    ]
    return [Branch(("what is {x}?", "what shape is {x}?", "which shape is {x}?", "name the {x} shape."), items)]


def size(facts: Facts, world: World) -> list[Branch]:
    items = []
    for i, (thing, x) in enumerate(zip(facts.things, names(facts.things), strict=True)):
        told = frozenset(("size", "shape", "color") if thing.color in x else ("size", "shape"))
        if thing.size:
            items.append(Item({"x": x, "be": _be(thing)}, thing.size, i, told))
    templates = ("what size {be} {x}?", "how big {be} {x}?", "tell me the size of {x}.", "name the size of {x}.")
    return [Branch(templates, items)]


def exist(facts: Facts, world: World) -> list[Branch]:
    shapes, colors = [t.shape for t in facts.things], [t.color for t in facts.things]
    pairs = list(zip(colors, shapes, strict=True))
    absent = _absent(world)

    def there(attribute: str, values: list[str]) -> list[Item]:
        """The shapes or colors that are there; one that only one thing has brings that thing into focus."""
        said: Callable[[str], str] = with_article if attribute == "shape" else str
        told = frozenset((attribute,))
        return [
            Item({"x": said(v)}, "yes", values.index(v) if values.count(v) == 1 else None, told)
            for v in dict.fromkeys(values)
        ]

    both = frozenset(("color", "shape"))
    of_both = [Item({"x": with_article(f"{c} {s}")}, "yes", i, both) for i, (c, s) in enumerate(pairs)]
    return [
        Branch(IS_THERE, there("shape", shapes)),
        Branch(ANYTHING, there("color", colors)),
        Branch(IS_THERE, of_both),
        Branch(IS_THERE, _without(absent["shape"], shapes)),
        Branch(ANYTHING, _without(absent["color"], colors)),
        Branch(IS_THERE, _without(absent["pair"], pairs)),
    ]


def count(facts: Facts, world: World) -> list[Branch]:
    def number(attribute: str, value: str) -> str:
        return NUMBERS[sum(thing.count for thing in facts.things if getattr(thing, attribute) == value)]

    shapes = sorted({thing.shape for thing in facts.things})
    colors = sorted({thing.color for thing in facts.things})
    total = NUMBERS[sum(thing.count for thing in facts.things)]
    groups = {s: [i for i, thing in enumerate(facts.things) if thing.shape == s] for s in shapes}
    focus = {s: found[0] if len(found) == 1 else None for s, found in groups.items()}
    told = frozenset(("shape",))
    return [
        Branch(HOW_MANY, [Item({"x": plural(s)}, number("shape", s), focus[s], told) for s in shapes]),
        Branch(HOW_MANY, _without(_absent(world)["zero"], shapes)),
        Branch(HOW_MANY, [Item({"x": f"{c} shapes"}, number("color", c)) for c in colors]),
        Branch(HOW_MANY, [Item({"x": "shapes"}, total)]),
    ]


def _ordered(facts: Facts) -> list[tuple[int, int, str]]:
    """(first thing, second thing, relation of the first to the second), in both orders."""
    if facts.relation:
        return [(0, 1, facts.relation), (1, 0, INVERSE[facts.relation])]
    if facts.axis:
        before = "left" if facts.axis == "row" else "above"
        return [(i, j, before if i < j else INVERSE[before]) for i in range(3) for j in range(3) if i != j]
    return []


def relation(facts: Facts, world: World) -> list[Branch]:
    called = names(facts.things)
    templates = (
        "is {x} {r} {y}?",
        "do you see {x} {r} {y}?",
        "tell me, is {x} {r} {y}?",
        "is it true that {x} is {r} {y}?",
    )
    return [
        Branch(templates, [
            Item({"x": called[i], "r": said, "y": called[j]}, _yes(true))
            for i, j, held in _ordered(facts)
            for said in RELATIONS[held if true else OPPOSITE_RELATION[held]]
        ])
        for true in (True, False)
    ]  # fmt: skip


def which(facts: Facts, world: World) -> list[Branch]:
    called = names(facts.things)
    full = [f"the {thing.color} {thing.shape}" for thing in facts.things]
    items = []
    for i, j, held in _ordered(facts):
        if facts.relation or (j == 1):  # in a row, only the one in the middle has a single neighbour on either side
            items += [Item({"w": f"{said} {called[j]}"}, full[i]) for said in RELATIONS[held]]
    if facts.axis:
        items += [Item({"w": where}, full[i]) for i, where in enumerate(AXES[facts.axis])]
    return [Branch(("what is {w}?", "which shape is {w}?", "what do you see {w}?", "name the shape {w}."), items)]


def where(facts: Facts, world: World) -> list[Branch]:
    called = names(facts.things)
    if facts.place:
        answers = [facts.place]
    elif facts.axis:
        answers = list(AXES[facts.axis])
    else:
        answers = [f"{RELATIONS[held][0]} {called[j]}" for _, j, held in _ordered(facts)]
    templates = ("where is {x}?", "where do you see {x}?", "tell me where {x} is.", "where can you see {x}?")
    return [Branch(templates, [Item({"x": x}, answer) for x, answer in zip(called, answers, strict=False)])]


def compare(facts: Facts, world: World) -> list[Branch]:
    called, things = names(facts.things), facts.things
    orders = [(i, j) for i in range(len(things)) for j in range(len(things)) if i != j]
    sizes = [world.sizes.index(thing.size) if thing.size else -1 for thing in things]
    bigger, which_one, same, more = [], [], [], []
    for i, j in orders:
        slots = {"x": called[i], "y": called[j], "be": _be(things[i])}
        if sizes[i] >= 0:
            bigger += [Item(slots | {"m": "bigger"}, _yes(sizes[i] > sizes[j]))]
            bigger += [Item(slots | {"m": "smaller"}, _yes(sizes[i] < sizes[j]))]
        if sizes[i] != sizes[j]:
            larger, smaller = (i, j) if sizes[i] > sizes[j] else (j, i)
            which_one += [
                Item(slots | {"m": "bigger"}, called[larger]),
                Item(slots | {"m": "smaller"}, called[smaller]),
            ]
        if things[i].shape != things[j].shape:
            same.append(Item(slots, _yes(things[i].color == things[j].color)))
        if facts.kind == "groups":
            many = [
                plural(t.shape) if things[0].shape != things[1].shape else f"{t.color} {plural(t.shape)}"
                for t in things
            ]
            slots = {"x": many[i], "y": many[j]}
            more += [Item(slots | {"m": "more"}, _yes(things[i].count > things[j].count))]
            more += [Item(slots | {"m": "fewer"}, _yes(things[i].count < things[j].count))]
    return [
        Branch(("{be} {x} {m} than {y}?", "tell me, {be} {x} {m} than {y}?"), bigger),
        Branch(("which is {m}, {x} or {y}?", "what is {m}, {x} or {y}?"), which_one),
        Branch(("{be} {x} the same color as {y}?", "do {x} and {y} have the same color?"), same),
        Branch(("are there {m} {x} than {y}?", "do you see {m} {x} than {y}?"), more),
    ]


def word(facts: Facts, world: World) -> list[Branch]:
    if not facts.word:
        return []
    said, others = facts.word, [w for w in world.words if w != facts.word]
    branches = [
        Branch(("what does it say?", "what is the word?"), [Item({}, said)]),
        Branch(("what word is written?", "read the word."), [Item({}, said)]),
        Branch(("does it say {w}?", "is the word {w}?"), [Item({"w": said}, "yes")]),
        Branch(("does it say {w}?", "is the word {w}?"), [Item({"w": w}, "no") for w in others]),
        Branch(
            ("is the word {c}?", "tell me, is the word {c}?"),
            [Item({"c": with_article(c)}, _yes(said in members)) for c, members in CATEGORIES.items()],
        ),
    ]
    if facts.word_color:
        templates = ("what color is the word?", "which color is the word?", "tell me the color of the word.")
        branches.append(Branch(templates, [Item({}, facts.word_color)]))
    return branches


def follow_up(facts: Facts, focus: int | None, told: frozenset[str]) -> list[Branch]:
    """Questions about "it", the one thing of the question before, for what is not yet known of it."""
    if focus is None:
        return []
    thing = facts.things[focus]
    slots = {"be": _be(thing), "it": "it" if thing.count == 1 else "they"}
    answers = {"color": thing.color, "shape": _noun(thing), "size": thing.size}
    return [
        Branch(FOLLOW_UPS[name], [Item(slots, answer, focus, told | {name})])
        for name, answer in answers.items()
        if answer and name not in told
    ]
