"""The text of the tiny world: `tiny_corpus.txt` (training, then validation), `test.txt` and `test_new_pairs.txt`.

The corpus holds the training lines first and the validation lines, one tenth of all, last: a trainer that takes the
last `val_split` = 0.1 of the lines gets exactly these, and any other tail is a fair sample too. Texts that come twice
are kept, since leaving them out would change the distribution; the manifest counts them.

`test_new_pairs.txt` is drawn from the same grammar with exactly one color-shape pair per scene that training never
names.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from muomni.data.world.build import Made
from muomni.data.world.grammar import document_at
from muomni.data.world.lexicon import WORLD
from muomni.data.world.splits import NEW_PAIRS, SHARES, TEST, TRAIN, VALIDATION, scaled, split_of

VERSION = 2
N_DOCUMENTS = {TRAIN: 90_000, VALIDATION: 10_000, TEST: 3_000, NEW_PAIRS: 3_000}
"""Documents at scale 1."""
FILES = {"tiny_corpus.txt": (TRAIN, VALIDATION), "test.txt": (TEST,), "test_new_pairs.txt": (NEW_PAIRS,)}
SHARD = 1500


@lru_cache(maxsize=1)
def grammar_fingerprint() -> str:
    """A hash of the grammar's words, weights and first documents: it changes when these would."""
    digest = hashlib.sha256(repr(WORLD).encode())
    for index in range(64):
        digest.update(document_at(0, index, "seen" if index % 2 else "held_out").text.encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class TextPart:
    """Documents of one seed; `scale` 1 is 100,000 of corpus and 3,000 of each test."""

    seed: int = 0
    scale: float = 1.0
    name = "text"

    def settings(self) -> dict[str, Any]:
        return {"version": VERSION, "seed": self.seed, "scale": self.scale, "grammar": grammar_fingerprint()}

    def versions(self) -> dict[str, str]:
        return {}

    def wanted(self) -> dict[str, int]:
        """Documents of each split."""
        return scaled(N_DOCUMENTS, self.scale, 10)

    def shards(self) -> list[Sequence[Any]]:
        """Ranges of indices: enough that every split is filled, but for one time in 10^8."""
        enough = 0
        for split, share in SHARES.items():
            p, n = share / sum(SHARES.values()), self.wanted()[split]
            enough = max(enough, math.ceil(n / p + 6 * math.sqrt(n * (1 - p)) / p) + 1)
        seen = [[("seen", i) for i in range(at, min(at + SHARD, enough))] for at in range(0, enough, SHARD)]
        new = self.wanted()[NEW_PAIRS]
        return [*seen, *([("held_out", i) for i in range(at, min(at + SHARD, new))] for at in range(0, new, SHARD))]

    def make(self, shard: Sequence[tuple[str, int]], folder: Path) -> Made:
        rows = []
        for pairs, index in shard:
            drawn = document_at(self.seed, index, pairs)
            rows.append((split_of(drawn.text) if pairs == "seen" else NEW_PAIRS, drawn.text, -drawn.log_p))
        return Made(rows, [])

    def tables(self, rows: list[Any]) -> tuple[dict[str, str], dict[str, Any]]:
        wanted = self.wanted()
        lines: dict[str, list[str]] = {split: [] for split in wanted}
        nats: dict[str, list[float]] = {split: [] for split in wanted}
        for split, text, cost in rows:
            if len(lines[split]) < wanted[split]:
                lines[split].append(text)
                nats[split].append(cost)
        short = [split for split, n in wanted.items() if len(lines[split]) < n]
        assert not short, f"too few documents were drawn: {short}"
        says: dict[str, Any] = {
            "held_out": {
                "pairs": [list(pair) for pair in WORLD.held_out],
                "documents": "a text is of one split only, by its hash: no test or validation text occurs in training",
            },
            "splits": {},
        }
        for name, splits in FILES.items():
            first = 1
            for split in splits:
                says["splits"][split] = {
                    "file": name,
                    "first_line": first,
                    "last_line": first + len(lines[split]) - 1,
                    "repeated": len(lines[split]) - len(set(lines[split])),
                    "nats_per_document": round(math.fsum(nats[split]) / len(nats[split]), 6),
                }
                first += len(lines[split])
        tables = {
            name: "".join(line + "\n" for split in splits for line in lines[split]) for name, splits in FILES.items()
        }
        return tables, says
