"""Writes the tiny world's text: `text/tiny_corpus.txt` (training, then validation), `text/test.txt`,
`text/test_new_pairs.txt` and `text/manifest.json`.

Splits are honest and do not bend the entropy. Documents are drawn one after another from the grammar, and a hash of a
document's text sends it to training, validation or test. So no text of one split occurs in another, while no model can
tell from a text where it belongs: within a split the documents are still independent draws from the grammar. (Given the
split, p(text) is divided by the split's share of the probability, a constant that no model can know: -log p remains the
floor.) Texts that come twice are kept, since leaving them out would change the distribution; the manifest counts them.

The corpus holds the training lines first and the validation lines, one tenth of all, last: a trainer that takes the
last `val_split` = 0.1 of the lines gets exactly these, and any other tail is a fair sample too.

`test_new_pairs.txt` is drawn from the same grammar with exactly one color-shape pair per scene that training never
names.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muomni.data.world.grammar import Document, document_at
from muomni.data.world.lexicon import WORLD
from muomni.errors import BAD_USAGE, UserError
from muomni.files import write_json, write_text

VERSION = 1
TRAIN, VALIDATION, TEST = "train", "validation", "test"
SHARES = {TRAIN: 18, VALIDATION: 2, TEST: 1}
N_DOCUMENTS = {TRAIN: 90_000, VALIDATION: 10_000, TEST: 3_000, "test_new_pairs": 3_000}
"""Documents at scale 1."""
FILES = {"tiny_corpus.txt": (TRAIN, VALIDATION), "test.txt": (TEST,), "test_new_pairs.txt": ("test_new_pairs",)}


def split_of(text: str) -> str:
    """The split that a text belongs to (train, validation or test), by its hash alone."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"split").digest()
    drawn = int.from_bytes(digest, "little") * sum(SHARES.values()) >> 64
    for split, share in SHARES.items():
        if drawn < share:
            return split
        drawn -= share
    raise AssertionError("shares cover every draw")


def grammar_fingerprint() -> str:
    """A hash of the grammar's words, weights and first documents: it changes when these would."""
    digest = hashlib.sha256(repr(WORLD).encode())
    for index in range(64):
        digest.update(document_at(0, index, "seen" if index % 2 else "held_out").text.encode())
    return digest.hexdigest()


def documents(seed: int, wanted: dict[str, int]) -> Iterator[tuple[str, Document]]:
    """(split, document), as many of each split as are wanted, in the order in which the grammar draws them."""
    left = {split: n for split, n in wanted.items() if split in SHARES}
    index = 0
    while any(left.values()):
        drawn = document_at(seed, index)
        index += 1
        split = split_of(drawn.text)
        if left.get(split):
            left[split] -= 1
            yield split, drawn
    for index in range(wanted.get("test_new_pairs", 0)):
        yield "test_new_pairs", document_at(seed, index, "held_out")


def make_text(out: str | Path, seed: int = 0, scale: float = 1.0, progress: bool = True) -> dict[str, Any]:
    """Write the text files under `out`/text and return their manifest.

    Nothing is written when the manifest and the files there already match. Files appear whole or not at all, the
    manifest last.

    Args:
        out: the data folder.
        seed: another seed gives other documents of the same grammar.
        scale: 1 is 100,000 documents of corpus and 3,000 of each test.
        progress: show a progress bar.

    Raises:
        UserError: a bad scale or seed, or a folder that cannot be written.
    """
    if not (isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0):
        raise UserError(
            f"{scale!r} is not a positive number",
            field="scale",
            fix="Try 1.0, or 0.01 for a test.",
            exit_code=BAD_USAGE,
        )
    if not isinstance(seed, int) or seed < 0:
        raise UserError(f"{seed!r} is not a whole number of 0 or more", field="seed", exit_code=BAD_USAGE)
    folder = Path(out) / "text"
    settings = {"version": VERSION, "seed": seed, "scale": float(scale), "grammar": grammar_fingerprint()}
    if (old := _unchanged(folder, settings)) is not None:
        return old

    from tqdm.auto import tqdm

    wanted = {split: max(10, round(n * scale)) for split, n in N_DOCUMENTS.items()}
    lines: dict[str, list[str]] = {split: [] for split in wanted}
    nats: dict[str, list[float]] = {split: [] for split in wanted}
    with tqdm(total=sum(wanted.values()), desc="text", unit="document", disable=not progress) as bar:
        for split, drawn in documents(seed, wanted):
            lines[split].append(drawn.text)
            nats[split].append(-drawn.log_p)
            bar.update()

    manifest: dict[str, Any] = {
        "name": "tiny world, text",
        **settings,
        "held_out": {
            "pairs": [list(pair) for pair in WORLD.held_out],
            "documents": "a text is of one split only, by its hash: no test or validation document occurs in training",
        },
        "splits": {},
        "files": {},
    }
    for name, splits in FILES.items():
        text = "".join(line + "\n" for split in splits for line in lines[split])
        write_text(folder / name, text)
        content = text.encode()
        manifest["files"][name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "lines": text.count("\n"),
        }
        first = 1
        for split in splits:
            manifest["splits"][split] = {
                "file": name,
                "first_line": first,
                "last_line": first + len(lines[split]) - 1,
                "repeated": len(lines[split]) - len(set(lines[split])),
                "nats_per_document": round(math.fsum(nats[split]) / len(nats[split]), 6),
            }
            first += len(lines[split])
    write_json(folder / "manifest.json", manifest)
    return manifest


def _unchanged(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest in `folder`, if it was made with these settings and every file is still what it says."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        same = all(manifest[key] == value for key, value in settings.items())
        for name in FILES:
            same = (
                same and hashlib.sha256((folder / name).read_bytes()).hexdigest() == manifest["files"][name]["sha256"]
            )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if same else None
