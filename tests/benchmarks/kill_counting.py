"""Counting that is killed again and again: the total stays right, and at most 10,000 lines are done twice.

    python -m tests.benchmarks.kill_counting [--mb 200] [--kills 50] [--seed 0]

A process counts the tokens of a file and is killed (SIGKILL) at a random moment; the next one goes on. Each run notes
where it began and every batch that it finished, so that after a kill it is known how much the next run does again.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from muomni.data import counting
from muomni.data.tokenizer import Tokenizer, train_tokenizer

ROOT = Path(__file__).parents[2]
NOTE = 21


@dataclass(frozen=True)
class Outcome:
    """Lines that each kill interrupted, lines that the run after it did again, and the total of the run let finish."""

    killed_at: list[int]
    redone: list[int]
    total: int


def killed_counting(path: Path, model: Path, cache: Path, kills: int, dice: random.Random, pause: float = 0) -> Outcome:
    """Count `path`, killing the process `kills` times on the way; `pause` seconds are added to each batch."""
    notes = cache.parent / "notes"
    killed_at: list[int] = []
    redone: list[int] = []
    for moment in sorted(dice.randrange(int(0.9 * _lines(path))) for _ in range(kills)):
        notes.write_bytes(b"")
        command = [sys.executable, __file__, "--child", *map(str, (path, model, cache, notes, pause))]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            while _noted(notes)[1] < moment:
                if process.poll() is not None:
                    raise RuntimeError("the count ended before it was killed")
                time.sleep(0.0005)
            time.sleep(dice.uniform(0, 0.01))  # not always right after a batch
        finally:
            process.kill()
            process.wait()
        began, done = _noted(notes)
        redone += [killed_at[-1] - began] if killed_at else []
        killed_at.append(done)
    result = counting.count_tokens(path, Tokenizer.load(model), cache_dir=cache, progress=False)
    redone.append(killed_at[-1] - result.resumed_at)
    return Outcome(killed_at, redone, result.tokens)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))


def _noted(notes: Path) -> tuple[int, int]:
    """Where the run began, and up to where it has counted; -1 before it begins."""
    text = notes.read_bytes().decode()
    return int(text[:NOTE] or -1), int(text[NOTE : 2 * NOTE] or text[:NOTE] or -1)


def child(path: str, model: str, cache: str, notes: str, pause: str) -> None:
    """Count, noting the line where it begins and each line up to which it has counted."""
    with open(notes, "r+b", buffering=0) as note:
        original = counting._batches

        def watched(file: Path, columns: Any, start: Any, with_texts: bool) -> Iterator[Any]:
            os.pwrite(note.fileno(), b"%020d\n" % start.line, 0)
            for batch in original(file, columns, start, with_texts):
                yield batch
                os.pwrite(note.fileno(), b"%020d\n" % batch.end.line, NOTE)
                time.sleep(float(pause))

        counting._batches = watched  # type: ignore[assignment]
        counting.count_tokens(path, Tokenizer.load(model), cache_dir=cache, progress=False)


def corpus(path: Path, size: int, longest: int = 20, seed: int = 0) -> Path:
    """A text of about `size` bytes: lines of up to `longest` words, a few blank, with words as unequal as real ones."""
    dice = random.Random(seed)
    words = ["".join(dice.choices("etaoinshrdlucmfwypvbgkjqxz", k=dice.randint(1, 10))) for _ in range(20_000)]
    often = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
    lines = [" ".join(dice.choices(words, cum_weights=often, k=dice.randint(0, longest))) for _ in range(4_000)]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            dice.shuffle(lines)
            file.write("\n".join(lines) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = corpus(folder / "corpus.txt", arguments.mb * 1_000_000)
        model = train_tokenizer(path, folder / "t.model", 8192, training_bytes=4_000_000).path
        began = time.perf_counter()
        expected = counting.count_tokens(path, Tokenizer.load(model), cache_dir=None, progress=False).tokens
        print(
            f"{path.stat().st_size / 1e6:.0f} MB, {expected:,} tokens in {time.perf_counter() - began:.1f} s unkilled"
        )
        outcome = killed_counting(path, model, folder / "cache", arguments.kills, random.Random(arguments.seed))
        print(f"killed at lines {', '.join(f'{line:,}' for line in outcome.killed_at)}")
        print(f"total {outcome.total:,}: {'the same' if outcome.total == expected else 'WRONG'}")
        print(f"lines done again after {len(outcome.redone)} kills: at most {max(outcome.redone):,}")
        if outcome.total != expected or max(outcome.redone) > counting.CHECKPOINT_LINES:
            sys.exit(1)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*sys.argv[2:])
    else:
        main()
