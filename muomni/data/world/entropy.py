"""The exact probability of a text under the grammar, and the entropy that a model's loss is held against.

`log_prob` never saw how a text was made: it reads the caption back into facts, looks every question up among those
the facts allow, and adds up the logarithms of the choices. A text with a wrong answer, a question nobody could ask
there or a comma too many has probability zero. If a text had several derivations, their probabilities would be added.

The cross-entropy of any model on documents drawn from the grammar is at least the mean of -log p, its entropy (Gibbs'
inequality). Per token: H = mean(-log p(document)) / mean(tokens of a document). The tokenizer changes the second number
only, so the limit is known for every tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from muomni.data.world.captions import read_caption
from muomni.data.world.facts import Facts, log_prob_facts
from muomni.data.world.grammar import ANSWER, QUESTION, Turn, open_kinds, question_kinds, turn_of
from muomni.data.world.lexicon import WORLD, World
from muomni.data.world.questions import Branch
from muomni.errors import UserError


class Encodes(Protocol):
    """What is asked of a tokenizer here."""

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class Entropy:
    """Nats per token with a 95 % bootstrap interval, and what it was computed from."""

    value: float
    low: float
    high: float
    n_documents: int
    n_tokens: int
    nats_per_document: float


def split_document(text: str) -> tuple[str, list[tuple[str, str]]] | None:
    """The caption and the (question, answer) turns of a line; None where it is not of that form."""
    caption, *turns = f" {text}".split(f" {QUESTION} ")
    pairs = []
    for turn in turns:
        question, mark, answer = turn.partition(f" {ANSWER} ")
        if not mark or f"{ANSWER} " in answer:
            return None
        pairs.append((question, answer))
    return caption[1:], pairs


def log_prob(text: str, world: World = WORLD, pairs: str = "seen") -> float:
    """The natural logarithm of the probability that the grammar writes exactly `text`; -inf where it never does.

    Args:
        text: one document, without its line end.
        pairs: "seen": the grammar of training and of the ordinary test; "held_out": that of `test_new_pairs`.
    """
    parts = split_document(text)
    if parts is None:
        return -math.inf
    caption, turns = parts
    found = [
        log_p + log_prob_facts(facts, world, pairs) + _log_prob_turns(facts, turns, world)
        for facts, log_p in read_caption(caption, world)
    ]
    top = max(found, default=-math.inf)
    return top + math.log(sum(math.exp(log_p - top) for log_p in found)) if top > -math.inf else top


def _log_prob_turns(facts: Facts, turns: list[tuple[str, str]], world: World) -> float:
    """The log-probability of these questions with these answers, one after the other, and of ending after them."""
    log_p = 0.0
    log_another, log_end = (math.log(weight / sum(world.go_on)) for weight in world.go_on)
    least = world.min_talk if facts.kind == "talk" else 1
    kinds, asked = question_kinds(facts, world), list[Turn]()
    for question, answer in turns:
        left, follow = open_kinds(kinds, facts, asked, world)
        found, log_kind = _find(question, left), -math.log(max(1, len(left)))
        if found is None:
            found, log_kind = _find(question, {"follow": follow}), 0.0
        if found is None or found[0].answer != answer or len(asked) == world.max_turns:
            return -math.inf
        log_p += (
            log_kind
            + found[1]
            - (math.log(2) if left and follow else 0.0)
            + (log_another if len(asked) >= least else 0.0)
        )
        asked.append(found[0])
    left, follow = open_kinds(kinds, facts, asked, world)
    if len(asked) == world.max_turns or not (left or follow):
        return log_p
    return log_p + log_end if len(asked) >= least else -math.inf


def _find(question: str, kinds: dict[str, list[Branch]]) -> tuple[Turn, float] | None:
    """The turn that begins with this question, and the log-probability of the question given its kind."""
    for kind, branches in kinds.items():
        for branch in branches:
            for template in branch.templates:
                if not question.startswith(template[: template.find("{")] if "{" in template else template):
                    continue
                for item in branch.items:
                    if template.format(**item.slots) == question:
                        ways = len(branches) * len(branch.items) * len(branch.templates)
                        return turn_of(kind, template, item), -math.log(ways)
    return None


def entropy_per_token(
    lines: Iterable[str],
    tokenizer: Encodes,
    *,
    world: World = WORLD,
    pairs: str = "seen",
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Entropy:
    """The grammar's entropy in nats per token, measured on documents drawn from it (held-out ones, to judge a loss by).

    A document counts len(encode(line)) tokens and one more, the end of text. The interval resamples whole documents,
    numerator and denominator together, because long documents hold more of both.

    Raises:
        UserError: a line is not a document of this grammar, or there is none at all.
    """
    import numpy as np

    nats, tokens = [], []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        log_p = log_prob(line, world, pairs)
        if log_p == -math.inf:
            raise UserError(
                f"not a document of the tiny world: {line[:80]!r}",
                line=number,
                fix="Give lines of text/test.txt, or of test_new_pairs.txt with pairs='held_out'.",
            )
        nats.append(-log_p)
        tokens.append(len(tokenizer.encode(line)) + 1)
    if not nats:
        raise UserError("no documents to compute an entropy from", fix="Run `muomni data make` first.")
    bits, sizes = np.array(nats), np.array(tokens)
    draws = np.random.default_rng(seed).integers(len(bits), size=(n_bootstrap, len(bits)))
    ratios = bits[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Entropy(
        value=float(bits.sum() / sizes.sum()),
        low=float(low),
        high=float(high),
        n_documents=len(nats),
        n_tokens=int(sizes.sum()),
        nats_per_document=float(bits.mean()),
    )
