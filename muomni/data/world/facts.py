"""What a scene is about, before it is placed anywhere: `Facts`, drawn at random, with their exact probability.

Facts hold all that a text can tell of a scene. Where exactly things lie is decided later (`scene.py`), in a way that
makes the facts true, so the probability of a text never depends on a position that it does not mention.

Drawing: the kind of scene; then, by kind, a relation, a place or a direction and the counts; then the color-shape
pairs, one after another, uniformly over those still allowed (no pair twice; what is inside must differ in color, or
nobody would see it); then perhaps a written word; and at last the sizes, from dice of their own, because a text may
leave them unsaid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from muomni.data.world.dice import Dice
from muomni.data.world.lexicon import AXES, NUMBERS, World, plural, with_article

N_THINGS = {"single": 1, "pair": 2, "row": 3, "groups": 2, "sign": 0, "talk": 0}
NESTED = ("inside", "around")


@dataclass(frozen=True)
class Thing:
    """One thing of a scene, or a group of `count` equal ones. `size` is None where a text does not tell it."""

    color: str
    shape: str
    size: str | None = None
    count: int = 1


@dataclass(frozen=True)
class Facts:
    """What is true of a scene. Which fields are set depends on `kind`.

    single: one thing and `place`. pair: two things and `relation`, of the first to the second. row: three things in
    the order of `axis` ("row": left to right, "column": top to bottom). groups: two things with counts. sign: a
    written word and its color. talk: nothing to see. All kinds but the last may have a `word`.
    """

    kind: str
    things: tuple[Thing, ...] = ()
    relation: str | None = None
    place: str | None = None
    axis: str | None = None
    word: str | None = None
    word_color: str | None = None


def phrase(thing: Thing, counted: bool = False) -> str:
    """a small red circle; with `counted`: three small red circles."""
    words = f"{thing.size} {thing.color}" if thing.size else thing.color
    if not counted:
        return with_article(f"{words} {thing.shape}")
    return f"{NUMBERS[thing.count]} {words} {thing.shape if thing.count == 1 else plural(thing.shape)}"


def names(things: tuple[Thing, ...]) -> list[str]:
    """How each thing is called once it is known: "the circle", or "the red circle" where circles come in two colors."""
    shapes = [thing.shape for thing in things]
    named = []
    for thing in things:
        noun = thing.shape if thing.count == 1 else plural(thing.shape)
        named.append(f"the {noun}" if shapes.count(thing.shape) == 1 else f"the {thing.color} {noun}")
    return named


def _allowed(
    pool: tuple[tuple[str, str], ...], chosen: list[tuple[str, str]], relation: str | None
) -> list[tuple[str, str]]:
    """The pairs of `pool` that may come after those chosen."""
    color = chosen[0][0] if chosen and relation in NESTED else None
    return [pair for pair in pool if pair not in chosen and pair[0] != color]


def _kinds(world: World, pairs: str) -> list[tuple[str, int]]:
    """The kinds of scene and their weights; a scene for held-out pairs must have something in it."""
    return [(kind, weight) for kind, weight in world.kinds if pairs == "seen" or N_THINGS[kind]]


def draw_facts(dice: Dice, size_dice: Dice, world: World, pairs: str = "seen") -> Facts:
    """Facts at random.

    Args:
        dice: decides all but the sizes.
        size_dice: decides the sizes.
        pairs: "seen": no held-out color-shape pair; "held_out": exactly one thing (or group) is one.
    """
    kind = dice.weighted(_kinds(world, pairs))
    relation = dice.pick(world.relations) if kind == "pair" else None
    place = dice.pick(world.places) if kind == "single" else None
    axis = dice.pick(tuple(AXES)) if kind == "row" else None
    counts = [dice.pick(world.counts) if kind == "groups" else 1 for _ in range(N_THINGS[kind])]
    new = dice.pick(range(len(counts))) if pairs == "held_out" else None
    chosen: list[tuple[str, str]] = []
    for slot in range(len(counts)):
        chosen.append(dice.pick(_allowed(world.held_out if slot == new else world.seen, chosen, relation)))
    word = word_color = None
    if kind == "sign":
        word, word_color = dice.pick(world.words), dice.pick(world.colors)
    elif kind != "talk" and dice.weighted(((True, 1), (False, world.word_chance - 1))):
        word = dice.pick(world.words)
    if relation in NESTED:
        sizes = [world.sizes[0], world.sizes[-1]][:: 1 if relation == "inside" else -1]
    else:
        sizes = [size_dice.pick(world.sizes) for _ in counts]
    things = tuple(
        Thing(color, shape, size, count) for (color, shape), size, count in zip(chosen, sizes, counts, strict=True)
    )
    return Facts(kind, things, relation, place, axis, word, word_color)


def log_prob_facts(facts: Facts, world: World, pairs: str = "seen") -> float:
    """The logarithm of the probability of `facts`, with sizes left out (None) summed over; -inf for the impossible."""
    kinds = dict(_kinds(world, pairs))
    if facts.kind not in kinds:
        return -math.inf
    log_p = math.log(kinds[facts.kind] / sum(kinds.values()))
    for value, options in ((facts.relation, world.relations), (facts.place, world.places), (facts.axis, tuple(AXES))):
        if value is not None:
            log_p += _log_uniform(value, options)
    if facts.kind == "groups":
        log_p += sum(_log_uniform(thing.count, world.counts) for thing in facts.things)
    log_p += _log_prob_pairs([(t.color, t.shape) for t in facts.things], facts.relation, world, pairs)
    if facts.kind == "sign":
        log_p += _log_uniform(facts.word, world.words) + _log_uniform(facts.word_color, world.colors)
    elif facts.word is not None:
        log_p += _log_uniform(facts.word, world.words) - math.log(world.word_chance)
    elif facts.kind != "talk":
        log_p += math.log(1 - 1 / world.word_chance) if world.word_chance > 1 else -math.inf
    sizes = [thing.size for thing in facts.things]
    if facts.relation in NESTED and None not in sizes:
        right = [world.sizes[0], world.sizes[-1]][:: 1 if facts.relation == "inside" else -1]
        log_p += 0.0 if sizes == right else -math.inf
    else:
        log_p += sum(_log_uniform(size, world.sizes) for size in sizes if size is not None)
    return log_p


def _log_uniform(value: object, options: tuple[object, ...]) -> float:
    return -math.log(len(options)) if value in options else -math.inf


def _log_prob_pairs(chosen: list[tuple[str, str]], relation: str | None, world: World, pairs: str) -> float:
    """The logarithm of the probability of these color-shape pairs in this order."""
    new = [slot for slot, pair in enumerate(chosen) if pair in world.held_out]
    if len(new) != (1 if pairs == "held_out" else 0):
        return -math.inf
    log_p = -math.log(len(chosen)) if new else 0.0
    for slot, pair in enumerate(chosen):
        pool = world.held_out if slot in new else world.seen
        allowed = _allowed(pool, chosen[:slot], relation)
        log_p += -math.log(len(allowed)) if pair in allowed else -math.inf
    return log_p
