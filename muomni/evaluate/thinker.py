"""Stage A: a Thinker against the exact entropy of the grammar, its answers, and text that people wrote.

| rung | scores |
|---|---|
| new documents | `loss_nats`, `entropy_nats` (a token), `excess` (their ratio - 1) |
| unseen pairs | the same, of documents with a color-shape pair that training never names |
| new questions | `answers_right`: the last question of a document, answered word for word |
| real text | `bits_per_char_shakespeare` |
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from muomni.data.tokenizer import Tokenizer
from muomni.data.world import log_prob
from muomni.errors import UserError
from muomni.evaluate.material import Material
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score, mean_score, ratio_score
from muomni.evaluate.text import document_nats, right_answers, tokens_of, total_nats
from muomni.infer.load import TrainedThinker, load_thinker

N_ASKED = 200
SHAKESPEARE = "tinyshakespeare.txt"
HELD_BACK = 0.1
"""The usual split: the last tenth of the text is for validation."""
PART = 4_000
"""Characters of the parts that real text is judged in: the examples of its bootstrap."""


def _excess(trained: TrainedThinker, material: Material, name: str, pairs: str, suffix: str) -> dict[str, Score]:
    """Loss, entropy and excess on documents of the grammar (`pairs`: of which one)."""
    lines = material.lines(f"text/{name}.txt")
    exact = np.array([-log_prob(line, pairs=pairs) for line in lines])
    if not np.isfinite(exact).all():
        line = lines[int(np.argmax(~np.isfinite(exact)))]
        raise UserError(f"no document of the tiny world: {line[:80]!r}", file=material.data / f"text/{name}.txt")
    nats, tokens = document_nats(trained.model, trained.tokenizer, lines)
    uniform = math.log(trained.tokenizer.vocab_size)  # nats a token, every piece equally likely
    entropy = ratio_score(exact, tokens, name, material.seed)
    loss = ratio_score(nats, tokens, name, material.seed, floor=uniform, ceiling=entropy.value)
    excess = ratio_score(nats, exact, name, material.seed, floor=uniform / entropy.value, ceiling=1.0).minus(1.0)
    return {f"loss_nats{suffix}": loss, f"entropy_nats{suffix}": entropy, f"excess{suffix}": excess}


def new_documents(trained: TrainedThinker, material: Material) -> dict[str, Score]:
    return _excess(trained, material, "test", "seen", "")


def unseen_pairs(trained: TrainedThinker, material: Material) -> dict[str, Score]:
    return _excess(trained, material, "test_new_pairs", "held_out", "_new_pairs")


def new_questions(trained: TrainedThinker, material: Material) -> dict[str, Score]:
    """The floor is the commonest answer, given to every question."""
    lines = material.lines("text/test.txt", N_ASKED)
    right = right_answers(trained.model, trained.tokenizer, lines)
    answers = Counter(line.rpartition(" A:")[2] for line in lines)
    floor = answers.most_common(1)[0][1] / len(lines)
    return {"answers_right": mean_score(right, "test", material.seed, floor, ceiling=1.0)}


def real_text(trained: TrainedThinker, material: Material) -> dict[str, Score]:
    """Bits a character of Shakespeare's plays, foretold part by part. The floor: every piece equally likely."""
    text = material.real_text(SHAKESPEARE)
    parts = material.spread(parts_of(text[-int(HELD_BACK * len(text)) :]))
    tokenizer: Tokenizer = trained.tokenizer
    tokens = [tokens_of(tokenizer, part, "paragraphs") for part in parts]
    bits = [total_nats(trained.model, ids, tokenizer.eot_id) / math.log(2) for ids in tokens]
    sizes = [len(part) for part in parts]
    uniform = sum(map(len, tokens)) * math.log2(tokenizer.vocab_size) / sum(sizes)
    score = ratio_score(bits, sizes, "last tenth", material.seed, floor=uniform)
    return {"bits_per_char_shakespeare": score}


def parts_of(text: str, size: int = PART) -> list[str]:
    """A text in parts of about `size` characters that end with a paragraph."""
    parts, part = list[str](), ""
    for paragraph in text.split("\n\n"):
        part += paragraph + "\n\n"
        if len(part) >= size:
            parts.append(part)
            part = ""
    return parts + [part] * bool(part.strip())


LADDER = Ladder(
    load_thinker,
    ("text/test.txt", "text/test_new_pairs.txt"),
    (
        Rung("new documents", ("loss_nats", "entropy_nats", "excess"), "text", new_documents, ("loss_nats",)),
        Rung(
            "unseen pairs",
            ("loss_nats_new_pairs", "entropy_nats_new_pairs", "excess_new_pairs"),
            "text",
            unseen_pairs,
            ("loss_nats_new_pairs",),
            "no training text names these pairs, so no model of the training text can reach the ceiling",
        ),
        Rung("new questions", ("answers_right",), "text", new_questions, ("answers_right",)),
        Rung(
            "real text",
            ("bits_per_char_shakespeare",),
            f"reality/text/{SHAKESPEARE}",
            real_text,
            (),
            "expected to fail: trained on a few hundred words",
        ),
    ),
)
