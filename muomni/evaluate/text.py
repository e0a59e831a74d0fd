"""How well a Thinker foretells text: nats per token and bits per character.

Bits per character compare models with different tokenizers: the total cost of a text in bits, divided by its
characters. Text is judged in windows of `ctx_len` tokens that overlap by half, so that every token (but the first few)
is foretold with at least half a window before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from muomni.data.packed import IGNORED
from muomni.data.tokenizer import Tokenizer
from muomni.data.world import entropy_per_token, log_prob
from muomni.infer.generate import generate
from muomni.models.thinker import Thinker

BATCH = 16


@dataclass(frozen=True)
class Excess:
    """A model's loss on documents of the tiny world beside what the grammar itself has, both in nats per token.

    `excess` is loss / entropy - 1: 0 is a perfect model of the grammar. `low` and `high` bound it with 95 % (bootstrap
    over documents).
    """

    loss: float
    entropy: float
    excess: float
    low: float
    high: float
    n_documents: int


def excess_over_entropy(
    model: Thinker, tokenizer: Tokenizer, lines: Sequence[str], pairs: str = "seen", seed: int = 0
) -> Excess:
    """Hold a Thinker against the exact entropy of the grammar, on held-out documents (one a line).

    Raises:
        UserError: a line is no document of the grammar, or too long for the model.
    """
    limit = entropy_per_token(lines, tokenizer, pairs=pairs, seed=seed)
    nats, tokens = document_nats(model, tokenizer, lines)
    exact = np.array([-log_prob(line, pairs=pairs) for line in lines])
    draws = np.random.default_rng(seed).integers(len(lines), size=(1000, len(lines)))
    low, high = np.quantile(nats[draws].sum(1) / exact[draws].sum(1) - 1, [0.025, 0.975])
    loss = float(nats.sum() / tokens.sum())
    return Excess(loss, limit.value, loss / limit.value - 1, float(low), float(high), len(lines))


@torch.no_grad()
def document_nats(model: Thinker, tokenizer: Tokenizer, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """What the model pays for each document by itself, its end included, in nats; and how many tokens each has."""
    model.eval()
    encoded = [[*ids, tokenizer.eot_id] for ids in tokenizer.encode_batch(list(lines))]
    nats = np.zeros(len(encoded))
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))  # equal lengths together: little padding
    for start in range(0, len(order), 4 * BATCH):
        some = order[start : start + 4 * BATCH]
        longest = len(encoded[some[-1]])
        inputs = torch.full((len(some), longest), tokenizer.eot_id)
        targets = torch.full((len(some), longest), IGNORED)
        for row, index in enumerate(some):
            ids = torch.tensor(encoded[index])
            inputs[row, 1 : len(ids)] = ids[:-1]
            targets[row, : len(ids)] = ids
        nats[some] = model.token_losses(inputs, targets).sum(1).double().numpy()
    return nats, np.array([len(ids) for ids in encoded])


def right_answers(model: Thinker, tokenizer: Tokenizer, lines: Sequence[str]) -> list[bool]:
    """Of each document, whether the model, decoding greedily, answers the last question word for word."""
    right = []
    for line in lines:
        asked, _, answer = line.rpartition(" A:")
        prompt = [tokenizer.eot_id, *tokenizer.encode(asked + " A:")]
        room = model.config.ctx_len - len(prompt)
        if room < 1:
            right.append(False)  # a document longer than the model's context counts as answered wrongly
            continue
        written = generate(model, prompt, max_new_tokens=min(40, room), temperature=0, eot_id=tokenizer.eot_id)
        right.append(tokenizer.decode(list(written)).strip() == answer.strip())
    return right


def answers_right(model: Thinker, tokenizer: Tokenizer, lines: Sequence[str], seed: int = 0) -> float:
    """Share of the documents' last questions that the model answers, see `right_answers`."""
    return sum(right_answers(model, tokenizer, lines)) / len(lines)


@torch.no_grad()
def total_nats(model: Thinker, tokens: Sequence[int] | np.ndarray, eot_id: int) -> float:
    """What the model pays for `tokens`, given that an end-of-text stood before them."""
    model.eval()
    ids = np.asarray(tokens, dtype=np.int64)
    ids = np.concatenate([[eot_id], ids])
    length = model.config.ctx_len
    windows = []
    judged = 0  # targets judged so far: target t is ids[t + 1]
    while judged < len(ids) - 1:
        start = max(0, min(judged - length // 2, len(ids) - 1 - length))
        inputs, targets = ids[start : start + length], ids[start + 1 : start + length + 1].copy()
        targets[: judged - start] = IGNORED
        judged = start + len(targets)
        windows.append((inputs[: len(targets)], targets))
    nats = 0.0
    for batch in _equal_lengths(windows):
        rows, judged_rows = (torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True))
        nats += float(model.token_losses(rows, judged_rows).sum())
    return nats


def bits_per_character(model: Thinker, tokenizer: Tokenizer, text: str, documents: str = "lines") -> float:
    """Bits that the model needs for `text`, terminators included, per character of it."""
    return total_nats(model, tokens_of(tokenizer, text, documents), tokenizer.eot_id) / len(text) / math.log(2)


def tokens_of(tokenizer: Tokenizer, text: str, documents: str = "lines") -> list[int]:
    """The token stream of a text, as `muomni.data.packed` writes it."""
    lines = text.split("\n")
    ids: list[int] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        ends = documents == "lines" or number + 1 >= len(lines) or not lines[number + 1].strip()
        ids += [*tokenizer.encode(line), tokenizer.eot_id if ends else tokenizer.newline_id]
    return ids


def _equal_lengths(windows: list[tuple[np.ndarray, np.ndarray]]) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Batches of windows of one length; only the last can be shorter."""
    full = [w for w in windows if len(w[0]) == len(windows[0][0])]
    rest = [w for w in windows if len(w[0]) != len(windows[0][0])]
    return [full[i : i + BATCH] for i in range(0, len(full), BATCH)] + [[w] for w in rest]
