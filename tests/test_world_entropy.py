"""The exact entropy: probabilities worked out from the text alone equal those of the choices, and add up to one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from muomni.data.world.dice import Dice
from muomni.data.world.entropy import entropy_per_token, log_prob
from muomni.data.world.facts import draw_facts
from muomni.data.world.grammar import document_at, write
from muomni.data.world.lexicon import World
from muomni.errors import UserError


class Replay:
    """Dice that follow a list of given choices and then always take the first; `trace` is what they did."""

    def __init__(self, choices: list[int]) -> None:
        self.choices, self.trace, self.sizes, self.log_p = choices, list[int](), list[int](), 0.0

    def _take(self, n: int) -> int:
        taken = self.choices[len(self.trace)] if len(self.trace) < len(self.choices) else 0
        self.trace.append(taken)
        self.sizes.append(n)
        return taken

    def pick(self, options: Sequence[Any]) -> Any:
        self.log_p -= math.log(len(options))
        return options[self._take(len(options))]

    def weighted(self, options: Sequence[tuple[Any, int]]) -> Any:
        possible = [option for option in options if option[1]]
        value, weight = possible[self._take(len(possible))]
        self.log_p += math.log(weight / sum(w for _, w in possible))
        return value


def every_document(world: World, pairs: str = "seen") -> Iterator[tuple[str, float]]:
    """(text, probability) of every way through the grammar: all sequences of choices, one after another."""
    waiting: list[list[int]] = [[]]
    while waiting:
        choices = waiting.pop()
        replay = Replay(choices)
        dice = cast(Dice, replay)
        written = write(draw_facts(dice, dice, world, pairs), dice, world)
        yield written.text, math.exp(replay.log_p)
        for position in range(len(choices), len(replay.trace)):
            waiting += [[*replay.trace[:position], other] for other in range(1, replay.sizes[position])]


SMALL = World(
    colors=("red", "orange"),
    shapes=("circle", "cross"),
    sizes=("small", "big"),
    held_out=(("orange", "cross"),),
    words=("two",),
    relations=("left", "near", "inside"),
    places=("at the top", "in the middle"),
    counts=(1, 3),
    kinds=(("single", 2), ("pair", 3), ("groups", 2), ("sign", 1)),
    word_chance=3,
    max_turns=0,
    min_talk=1,
)
ONE_THING = replace(
    SMALL, kinds=(("single", 1),), places=("at the top",), sizes=("big",), held_out=(), shapes=("cross",)
)
TINY_WORLDS = {
    "captions": replace(SMALL, relations=("left", "inside")),
    "captions of rows": replace(SMALL, kinds=(("row", 1),), sizes=("big",)),
    "one thing, one or two questions": replace(
        ONE_THING, colors=("red",), word_chance=1, max_turns=2, questions=("shape", "size", "exist", "follow")
    ),
    "one thing, one question of any kind": replace(ONE_THING, colors=("orange",), word_chance=1, max_turns=1),
    "two things, comparisons and relations": replace(
        SMALL,
        kinds=(("pair", 1),),
        sizes=("small", "big"),
        relations=("inside",),
        word_chance=1,
        max_turns=1,
        questions=("relation", "compare", "which"),
    ),
    "groups": replace(
        ONE_THING,
        shapes=("circle", "cross"),
        colors=("red",),
        kinds=(("groups", 1),),
        counts=(1, 2),
        sizes=("big",),
        word_chance=1,
        max_turns=1,
        questions=("count", "compare"),
    ),
    "a sign and small talk": replace(
        SMALL, kinds=(("sign", 2), ("talk", 1)), words=("no",), max_turns=2, questions=("word", "describe", "count")
    ),
}


@pytest.mark.parametrize("world", TINY_WORLDS.values(), ids=TINY_WORLDS)
def test_all_documents_of_a_tiny_world_have_probability_one_together(world: World) -> None:
    choices: dict[str, float] = defaultdict(float)
    ways = 0
    for text, p in every_document(world):
        choices[text] += p  # several ways only where sizes differ that the text leaves out
        ways += 1
    assert ways > 100
    assert math.fsum(choices.values()) == pytest.approx(1, abs=1e-9)
    parsed = {text: log_prob(text, world) for text in choices}
    assert math.fsum(map(math.exp, parsed.values())) == pytest.approx(1, abs=1e-9)
    assert all(abs(parsed[text] - math.log(p)) < 1e-9 for text, p in choices.items())


def test_the_grammar_of_held_out_pairs_adds_up_to_one_as_well() -> None:
    world = replace(SMALL, kinds=(("single", 2), ("pair", 1), ("sign", 4)), relations=("left", "near"), word_chance=1)
    choices: dict[str, float] = defaultdict(float)
    for text, p in every_document(world, "held_out"):
        choices[text] += p
    assert math.fsum(math.exp(log_prob(text, world, "held_out")) for text in choices) == pytest.approx(1, abs=1e-9)
    assert all(log_prob(text, world) == -math.inf for text in choices)


def test_different_derivations_never_give_the_same_text() -> None:
    world = replace(
        SMALL, kinds=(("pair", 1),), sizes=("big",), relations=("left",), max_turns=1, questions=("which", "color")
    )
    texts = [
        text for text, _ in every_document(world)
    ]  # with one size there is nothing that a text leaves out but "big"
    told = [text for text in texts if " big " in text]
    assert len(told) == len(set(told)) > 1000


@pytest.mark.parametrize("pairs", ["seen", "held_out"])
def test_the_parser_finds_the_probability_that_the_dice_added_up(pairs: str) -> None:
    for index in range(10_000 if pairs == "seen" else 2000):
        drawn = document_at(7, index, pairs)
        assert abs(log_prob(drawn.text, pairs=pairs) - drawn.log_p) < 1e-9, drawn.text


def test_a_changed_answer_has_probability_zero() -> None:
    answers: dict[str, str] = {}
    for index in range(1000):
        drawn = document_at(8, index)
        for k, turn in enumerate(drawn.turns):
            other = answers.get(turn.kind, "perhaps.")
            answers[turn.kind] = turn.answer
            if other != turn.answer:
                changed = replace(drawn, turns=(*drawn.turns[:k], turn._replace(answer=other), *drawn.turns[k + 1 :]))
                assert log_prob(changed.text) == -math.inf, changed.text


GOOD = "a small red circle is left of a big blue star. Q: what color is the star? A: blue. Q: and the size? A: big."


def test_a_known_document_has_a_probability() -> None:
    assert -60 < log_prob(GOOD) < -15
    assert log_prob(GOOD.replace("left of", "inside")) > -math.inf  # a small one fits into a big one
    assert log_prob(GOOD.replace("red", "orange")) > -math.inf


IMPOSSIBLE = {
    "nothing": "",
    "no document": "hello",
    "a wrong answer": GOOD.replace("blue. Q", "red. Q"),
    "a space too many at the end": GOOD + " ",
    "a space too many inside": GOOD.replace(". Q: what", ".  Q: what"),
    "a missing answer": GOOD.replace(" A: blue.", ""),
    "what was already told": GOOD.replace("Q: and the size? A: big.", "Q: and the color? A: blue."),
    "no question": GOOD[: GOOD.index(" Q:")],
    "too many questions": GOOD + " Q: hello. A: hello. Q: is a cat an animal? A: yes." * 2,
    "a kind asked twice": GOOD.replace("Q: and the size? A: big.", "Q: name the color of the circle. A: red."),
    "sizes of one thing only": GOOD.replace("a small red circle", "a red circle"),
    "a held-out pair": GOOD.replace("star", "ring"),
    "the same pair twice": GOOD.replace("blue", "red").replace("star", "circle"),
    "a big thing inside a small one": GOOD.replace("left of", "around"),
    "an article that does not fit": GOOD.replace("red", "orange").replace("small ", "").replace("big ", "")
    .replace("and the size? A: .", "say go. A: go."),
    "a name longer than needed": GOOD.replace("the star", "the blue star"),
}  # fmt: skip


@pytest.mark.parametrize("text", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_the_grammar_never_writes_has_probability_zero(text: str) -> None:
    assert text != GOOD and log_prob(text) == -math.inf


class Words:
    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]


def test_entropy_per_token_is_nats_over_tokens_with_one_more_for_the_end() -> None:
    drawn = [document_at(9, index) for index in range(400)]
    measured = entropy_per_token((d.text + "\n" for d in drawn), Words())
    tokens = sum(len(d.text.split()) + 1 for d in drawn)
    assert measured.n_documents == 400 and measured.n_tokens == tokens
    assert measured.value == pytest.approx(-sum(d.log_p for d in drawn) / tokens)
    assert measured.nats_per_document == pytest.approx(-sum(d.log_p for d in drawn) / 400)
    assert measured.low < measured.value < measured.high < measured.low * 1.1
    assert entropy_per_token((d.text for d in drawn), Words()) == measured


def test_the_interval_covers_the_truth_about_nineteen_times_in_twenty() -> None:
    drawn = [document_at(10, index) for index in range(4000)]
    lines = [d.text for d in drawn]
    truth = -sum(d.log_p for d in drawn) / sum(len(line.split()) + 1 for line in lines)
    parts = [entropy_per_token(lines[i : i + 100], Words(), n_bootstrap=300) for i in range(0, 4000, 100)]
    covered = sum(part.low <= truth <= part.high for part in parts)
    assert covered >= 33  # of 40; 38 are expected, fewer than 33 have a chance below 1 in 100


def test_a_line_from_elsewhere_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match="line 2: not a document of the tiny world: 'to be or not to be'"):
        entropy_per_token([GOOD, "to be or not to be"], Words())
    with pytest.raises(UserError, match="no documents"):
        entropy_per_token([], Words())
