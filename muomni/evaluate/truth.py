"""Which captions are true of which scenes, by the scenes' records: where things lie, and what is written.

A caption of the world names everything that is there. So it is true of a scene where its things are the scene's things,
in number and in size (where it tells sizes), stand as it says, and where the word it reads is the word written. Several
captions may be true of one scene, and one that leaves out sizes may be true of several scenes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from muomni.data.world.captions import read_caption
from muomni.data.world.facts import Facts
from muomni.data.world.lexicon import SIZES, WORLD
from muomni.data.world.scene import Object, Scene, place_of, relation_of
from muomni.errors import UserError

Pair = tuple[str, str]


def is_true(facts: Facts, scene: Scene) -> bool:
    """Whether the facts that a caption tells are those of the scene, as far as they go."""
    if _counts_told(facts) != _counts_seen(scene) or facts.word != (scene.word.text if scene.word else None):
        return False
    if facts.word_color is not None and scene.word is not None and facts.word_color != scene.word.color:
        return False
    first = {(thing.color, thing.shape): thing for thing in reversed(scene.objects)}
    things = [first[thing.color, thing.shape] for thing in facts.things]
    if any(told.size not in (None, seen.size) for told, seen in zip(facts.things, things, strict=True)):
        return False
    if facts.place is not None:
        return place_of(things[0].x, things[0].y) == facts.place
    if facts.relation is not None:
        return _relation(things[0], things[1]) == facts.relation
    if facts.axis is not None:
        step = "left" if facts.axis == "row" else "above"
        return all(_relation(a, b) == step for a, b in pairwise(things))
    return True


def truths(captions: Sequence[str], scenes: Sequence[Scene]) -> np.ndarray:
    """(scenes, captions), True where the caption is true of the scene.

    Raises:
        UserError: a caption is none of the world's.
    """
    found = np.zeros((len(scenes), len(captions)), dtype=bool)
    alike: dict[frozenset[tuple[Pair, int]], list[int]] = defaultdict(list)
    for i, scene in enumerate(scenes):
        alike[frozenset(_counts_seen(scene).items())].append(i)
    for j, caption in enumerate(captions):
        readings = read_caption(caption, WORLD)
        if not readings:
            raise UserError(f"no caption of the tiny world: {caption[:80]!r}", fix="Make the data again.")
        for facts, _ in readings:
            for i in alike[frozenset(_counts_told(facts).items())]:
                found[i, j] |= is_true(facts, scenes[i])
    return found


def _relation(a: Object, b: Object) -> str:
    nested = "inside" if SIZES.index(a.size) < SIZES.index(b.size) else "around"
    return relation_of(a.x, a.y, b.x, b.y, nested)


def _counts_told(facts: Facts) -> dict[Pair, int]:
    return {(thing.color, thing.shape): thing.count for thing in facts.things}


def _counts_seen(scene: Scene) -> dict[Pair, int]:
    counts: dict[Pair, int] = {}
    for thing in scene.objects:
        counts[thing.color, thing.shape] = counts.get((thing.color, thing.shape), 0) + 1
    return counts
