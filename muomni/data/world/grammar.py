"""The grammar: a document is a caption, then one to three questions with their answers, all on one line.

    a small red circle is left of a big blue star. Q: what color is the star? A: blue. Q: and the size? A: big.

A caption tells everything that its questions ask about. The kind of each question is drawn uniformly from those that
the facts allow and that were not used yet; after a question about one thing, every second time, it is a follow-up about
"it". After each question the document goes on with a fixed chance. Small talk has no caption and draws from its own
kinds. The answer is the only right one. A chat with the model is the same text: its side is what follows each "A:".

Every text has exactly one derivation, so its probability is a product of choices, and `Document.log_p` is its
logarithm as added up by the dice. `entropy.log_prob` finds the same number from the text alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from muomni.data.world import questions, talk
from muomni.data.world.captions import short_caption, write_caption
from muomni.data.world.dice import Dice
from muomni.data.world.facts import Facts
from muomni.data.world.lexicon import WORLD, World
from muomni.data.world.questions import Branch, Item, Maker
from muomni.data.world.scene import Scene, observe, scene

QUESTION, ANSWER = "Q:", "A:"
DESCRIBE = ("what do you see?", "describe the picture.", "what is in the picture?", "tell me what you see.")


class Turn(NamedTuple):
    """A question, its answer (a sentence, with its full stop), and what "it" means after them."""

    kind: str
    question: str
    answer: str
    focus: int | None = None
    told: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Document:
    """One line of the corpus and where it comes from: `log_p` is the log-probability of all choices its text shows."""

    caption: str
    turns: tuple[Turn, ...]
    facts: Facts
    log_p: float

    @property
    def text(self) -> str:
        """The line, without its line end."""
        said = [self.caption] if self.caption else []
        return " ".join(said + [f"{QUESTION} {turn.question} {ANSWER} {turn.answer}" for turn in self.turns])

    @property
    def sentences(self) -> list[str]:
        """What can be spoken: the sentences of the caption, the questions and the answers, in order."""
        said = [sentence.strip() for sentence in re.findall(r"[^.]+\.", self.caption)]
        return said + [sentence for turn in self.turns for sentence in (turn.question, turn.answer)]


def _describe(facts: Facts, world: World) -> list[Branch]:
    return [Branch(DESCRIBE, [Item({}, short_caption(facts))])]


def _small_talk(facts: Facts, world: World) -> list[Branch]:
    return [branch for branches in _talk_kinds(world).values() for branch in branches]


@lru_cache(maxsize=8)
def _talk_kinds(world: World) -> dict[str, list[Branch]]:
    return {kind: _filled(maker(world)) for kind, maker in talk.TALK.items()}


QUESTIONS: dict[str, Maker] = {
    "color": questions.color,
    "shape": questions.shape,
    "size": questions.size,
    "exist": questions.exist,
    "count": questions.count,
    "relation": questions.relation,
    "which": questions.which,
    "where": questions.where,
    "compare": questions.compare,
    "describe": _describe,
    "word": questions.word,
    "talk": _small_talk,
}


def question_kinds(facts: Facts, world: World = WORLD) -> dict[str, list[Branch]]:
    """Every kind of question that these facts allow, "follow" apart, with its branches (none of them empty)."""
    if facts.kind == "talk":
        made = _talk_kinds(world)
    else:
        made = {kind: _filled(make(facts, world)) for kind, make in QUESTIONS.items() if kind in world.questions}
    return {kind: branches for kind, branches in made.items() if branches}


def _filled(branches: list[Branch]) -> list[Branch]:
    return [branch for branch in branches if branch.items]


def open_kinds(
    kinds: dict[str, list[Branch]], facts: Facts, asked: list[Turn], world: World = WORLD
) -> tuple[dict[str, list[Branch]], list[Branch]]:
    """What may be asked next: the kinds not used yet, and the follow-ups, where the last question was about one thing.

    Where both are possible, half of the time it is a follow-up.
    """
    used = {turn.kind for turn in asked}
    follow = list[Branch]()
    if asked and "follow" in world.questions and "follow" not in used:
        follow = questions.follow_up(facts, asked[-1].focus, asked[-1].told)
    return {kind: branches for kind, branches in kinds.items() if kind not in used}, follow


def turn_of(kind: str, template: str, item: Item) -> Turn:
    """The question as it is put, and the answer as a sentence."""
    return Turn(kind, template.format(**item.slots), item.answer + ".", item.focus, item.told)


def write(facts: Facts, dice: Dice, world: World = WORLD) -> Document:
    """A document about these facts; its `log_p` counts the choices of this dice alone."""
    caption, told = write_caption(facts, dice)
    kinds, turns = question_kinds(told, world), list[Turn]()
    while len(turns) < world.max_turns:
        left, follow = open_kinds(kinds, told, turns, world)
        may_end = len(turns) >= (world.min_talk if told.kind == "talk" else 1)
        if not (left or follow) or (may_end and not dice.weighted(tuple(zip((True, False), world.go_on, strict=True)))):
            break
        if follow and (not left or dice.pick((True, False))):
            left = {"follow": follow}
        kind = dice.pick(tuple(left))
        branch = dice.pick(left[kind])
        turns.append(turn_of(kind, dice.pick(branch.templates), dice.pick(branch.items)))
    return Document(caption, tuple(turns), told, dice.log_p)


def document(record: Scene, world: World = WORLD, view: str = "text") -> Document:
    """The document of a scene record. Other names of `view` give other documents about the same scene."""
    written = write(observe(record), record.dice(view), world)
    told_sizes = any(thing.size for thing in written.facts.things)
    log_p = written.log_p + record.log_p + (record.log_p_sizes if told_sizes else 0.0)
    return Document(written.caption, written.turns, written.facts, log_p)


def document_at(seed: int, index: int, pairs: str = "seen", world: World = WORLD) -> Document:
    """The document of record number `index` of a seed."""
    return document(scene(seed, index, pairs, world), world)
