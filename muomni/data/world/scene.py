"""The scene record: what is there, where exactly, and what is written. Text, picture and speech are views of it.

A picture is the unit square, x to the right and y downwards, divided in 3 x 3 cells. Every object sits near the
middle of a cell, moved by up to `JITTER`; what is inside another shares its middle. What holds between objects
follows from their positions alone (`relation_of`, `place_of`), and `observe` reads the facts of a record back from
its geometry: exactly one relation holds between any two objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from muomni.data.world.dice import Dice
from muomni.data.world.facts import Facts, Thing, draw_facts
from muomni.data.world.lexicon import PLACES, WORLD, World
from muomni.errors import BAD_USAGE, UserError

CELL = 1 / 3
JITTER = 0.015
RADIUS = {"small": 0.07, "medium": 0.105, "big": 0.15}
"""Half of a shape's height, as a part of the picture's side. Two big neighbours still do not touch."""


@dataclass(frozen=True)
class Object:
    """One object: its middle at (x, y), reaching `RADIUS[size]` from there."""

    shape: str
    color: str
    size: str
    x: float
    y: float


@dataclass(frozen=True)
class Word:
    """A word written in a strip below the picture's cells (for a sign: in the middle of the picture)."""

    text: str
    color: str


@dataclass(frozen=True)
class Scene:
    """One record. `seed`, `index` and `pairs` name it: `scene(seed, index, pairs)` makes it again.

    `log_p` is the log-probability of the choices that made its facts, `log_p_sizes` that of the sizes, which a text may
    leave out; positions are in neither.
    """

    seed: int
    index: int
    pairs: str
    kind: str
    objects: tuple[Object, ...]
    word: Word | None
    log_p: float = field(default=0.0, compare=False)
    log_p_sizes: float = field(default=0.0, compare=False)

    def dice(self, view: str) -> Dice:
        """The choices of one view of this record; equal names give equal views, different names independent ones."""
        return Dice(view, self.seed, self.index, self.pairs)


def scene(seed: int, index: int, pairs: str = "seen", world: World = WORLD) -> Scene:
    """The record number `index` of a seed; with `pairs="held_out"`, exactly one thing is a pair unknown to training."""
    if pairs not in ("seen", "held_out"):
        raise UserError(f"{pairs!r} is neither 'seen' nor 'held_out'", field="pairs", exit_code=BAD_USAGE)
    dice, size_dice = Dice("facts", seed, index, pairs), Dice("sizes", seed, index, pairs)
    facts = draw_facts(dice, size_dice, world, pairs)
    layout = Dice("layout", seed, index, pairs)
    word = None
    if facts.word is not None:
        word = Word(facts.word, facts.word_color or layout.pick(world.colors))
    objects = _placed(facts, layout)
    return Scene(seed, index, pairs, facts.kind, objects, word, dice.log_p, size_dice.log_p)


def _placed(facts: Facts, dice: Dice) -> tuple[Object, ...]:
    """Objects at positions that make the facts true, uniformly over the cells that do."""
    if not facts.things:
        return ()
    if facts.kind == "single":
        cells = [PLACES.index(str(facts.place))]
    elif facts.kind == "pair":
        cells = list(dice.pick(_CELLS_OF[str(facts.relation)]))
    elif facts.kind == "row":
        lane = dice.below(3)
        cells = [3 * lane + i if facts.axis == "row" else 3 * i + lane for i in range(3)]
    else:
        cells = list(range(9))
        for i in range(8, 0, -1):  # Fisher-Yates
            j = dice.below(i + 1)
            cells[i], cells[j] = cells[j], cells[i]
    middles = {cell: (_near_middle(cell % 3, dice), _near_middle(cell // 3, dice)) for cell in sorted(set(cells))}
    objects: list[Object] = []
    for thing in facts.things:
        for _ in range(thing.count):
            x, y = middles[cells[len(objects)]]
            objects.append(Object(thing.shape, thing.color, str(thing.size), x, y))
    return tuple(objects)


def _near_middle(cell: int, dice: Dice) -> float:
    return round((cell + 0.5) * CELL + dice.uniform(-JITTER, JITTER), 4)


def relation_of(ax: float, ay: float, bx: float, by: float, nested: str = "inside") -> str:
    """The relation of a thing at (ax, ay) to one at (bx, by).

    In one row: left or right. In one column: above or below. On a diagonal: near in the next cell, else far. At the
    same place one is inside the other: `nested` says which way round.
    """
    dx, dy = bx - ax, by - ay
    same_column, same_row = abs(dx) < CELL / 2, abs(dy) < CELL / 2
    if same_column and same_row:
        return nested
    if same_row:
        return "left" if dx > 0 else "right"
    if same_column:
        return "above" if dy > 0 else "below"
    return "near" if max(abs(dx), abs(dy)) < 1.5 * CELL else "far"


def place_of(x: float, y: float) -> str:
    """The name of the cell that holds (x, y)."""
    return PLACES[3 * int(y / CELL) + int(x / CELL)]


def observe(scene: Scene) -> Facts:
    """The facts of a record, read from its objects and their positions."""
    things: dict[tuple[str, str], Thing] = {}
    for o in scene.objects:
        count = things[o.color, o.shape].count + 1 if (o.color, o.shape) in things else 1
        things[o.color, o.shape] = Thing(o.color, o.shape, o.size, count)
    relation = place = axis = word_color = None
    if scene.kind == "single":
        place = place_of(scene.objects[0].x, scene.objects[0].y)
    elif scene.kind == "pair":
        a, b = scene.objects
        nested = "inside" if RADIUS[a.size] < RADIUS[b.size] else "around"
        relation = relation_of(a.x, a.y, b.x, b.y, nested)
    elif scene.kind == "row":
        a, b = scene.objects[:2]
        axis = "row" if relation_of(a.x, a.y, b.x, b.y) == "left" else "column"
    elif scene.kind == "sign" and scene.word is not None:
        word_color = scene.word.color
    word = scene.word.text if scene.word else None
    return Facts(scene.kind, tuple(things.values()), relation, place, axis, word, word_color)


def _cells_by_relation() -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {"around": [(cell, cell) for cell in range(9)]}
    for a in range(9):
        for b in range(9):
            ax, ay, bx, by = ((cell + 0.5) * CELL for cell in (a % 3, a // 3, b % 3, b // 3))
            found.setdefault(relation_of(ax, ay, bx, by), []).append((a, b))
    return found


_CELLS_OF = _cells_by_relation()
