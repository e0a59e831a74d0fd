"""The words of the tiny world, and `World`: which of them are in use, and how often.

`WORLD` is the one that the course uses. Tests make smaller ones, small enough to write out every document.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
SIZES = ("small", "medium", "big")  # from the smallest to the largest

HELD_OUT = (
    ("purple", "star"),
    ("green", "heart"),
    ("red", "diamond"),
    ("blue", "ring"),
    ("black", "circle"),
    ("pink", "triangle"),
)
"""Color-shape pairs that no training text names, no training picture shows and no training voice says."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ANIMALS = ("cat", "dog", "bird")
CATEGORIES = {"number": NUMBERS, "animal": ANIMALS}
OPPOSITES = {"up": "down", "left": "right", "on": "off", "stop": "go", "yes": "no"}
OPPOSITES |= {value: key for key, value in OPPOSITES.items()}
SPOKEN = (*OPPOSITES, *ANIMALS, "tree", "house", *NUMBERS)
"""The words of the Speech Commands recordings that the world says, writes and answers with."""

RELATIONS = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "near": ("near", "close to"),
    "far": ("far from", "far away from"),
    "inside": ("inside",),
    "around": ("around",),
}
"""Relation of a first thing to a second, and the phrases that say it; the first phrase is the one used in answers."""

INVERSE = {"left": "right", "above": "below", "near": "near", "far": "far", "inside": "around"}
INVERSE |= {value: key for key, value in INVERSE.items()}
OPPOSITE_RELATION = INVERSE | {"near": "far", "far": "near"}
"""The relation that a wrong yes-or-no question asks about: certainly false wherever the other is true."""

PLACES = (
    "at the top left",
    "at the top",
    "at the top right",
    "on the left",
    "in the middle",
    "on the right",
    "at the bottom left",
    "at the bottom",
    "at the bottom right",
)
"""The nine cells of a picture, row by row."""

AXES = {
    "row": ("on the left", "in the middle", "on the right"),
    "column": ("at the top", "in the middle", "at the bottom"),
}
"""Three things in line: where the first, second and third of them are."""


@dataclass(frozen=True)
class World:
    """What a grammar may say. All choices are uniform except those whose weights or chances stand here.

    Args:
        kinds: (kind of scene, weight); kinds are single, pair, row, groups, sign and talk.
        counts: how many things a group may have.
        word_chance: one scene in this many has a word written in it (a sign always has).
        max_turns: how many questions a document has at most. After each but the last it may also end.
        min_talk: how many questions small talk has at least; it has no caption that would make it one of a kind.
        go_on: the weights of another question and of the end. The chance does not depend on how many there were, so a
            model need not count to foretell the end.
        questions: the kinds of question that are asked, in the order of `questions.QUESTIONS`.
    """

    colors: tuple[str, ...] = COLORS
    shapes: tuple[str, ...] = SHAPES
    sizes: tuple[str, ...] = SIZES
    held_out: tuple[tuple[str, str], ...] = HELD_OUT
    words: tuple[str, ...] = SPOKEN
    relations: tuple[str, ...] = tuple(RELATIONS)
    places: tuple[str, ...] = PLACES
    counts: tuple[int, ...] = (1, 2, 3, 4)
    kinds: tuple[tuple[str, int], ...] = (
        ("single", 4),
        ("pair", 8),
        ("row", 3),
        ("groups", 5),
        ("sign", 3),
        ("talk", 1),
    )
    word_chance: int = 4
    max_turns: int = 3
    min_talk: int = 3
    go_on: tuple[int, int] = (1, 2)
    questions: tuple[str, ...] = (
        "color", "shape", "size", "exist", "count", "relation", "which", "where", "compare", "describe", "word", "talk",
        "follow",
    )  # fmt: skip

    @cached_property
    def seen(self) -> tuple[tuple[str, str], ...]:
        """The color-shape pairs of training, those held out left out."""
        pairs = [(color, shape) for color in self.colors for shape in self.shapes]
        return tuple(pair for pair in pairs if pair not in self.held_out)


WORLD = World()


def plural(shape: str) -> str:
    """circle → circles, cross → crosses."""
    return shape + ("es" if shape.endswith("s") else "s")


def with_article(words: str) -> str:
    """red circle → a red circle, orange ring → an orange ring."""
    return ("an " if words[0] in "aeiou" else "a ") + words
