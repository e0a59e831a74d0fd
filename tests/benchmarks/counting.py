"""Counting tokens: ours beside SentencePiece's own batch encode with all cores, on the same text in the same run.

    python -m tests.benchmarks.counting [--text FILE] [--mb 50] [--vocab 32000] [--rounds 3]

Without `--text`, the text is the source of Python's own library, repeated where it is too short: prose in comments,
code, and tables. The peer gets all lines in one list, and only the time that it encodes is taken; ours reads the file,
checks it, writes checkpoints and its fingerprint. Rounds take turns, and the best of each counts.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from muomni.data.counting import count_tokens
from muomni.data.estimate import estimate_tokens
from muomni.data.fingerprint import fingerprint
from muomni.data.text_lines import is_blank, read_blocks
from muomni.data.tokenizer import Tokenizer, train_tokenizer


def library_text(path: Path, size: int) -> Path:
    """The source of Python's library, from its start again until it is about `size` bytes."""
    sources = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            for source in sources:
                if file.tell() >= size:
                    break
                file.write(source.read_text(encoding="utf-8", errors="ignore").replace("\0", ""))
    return path


def first_bytes(path: Path, text: Path, size: int) -> Path:
    """The first lines of `text`, about `size` bytes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for block in read_blocks(text):
            file.write(block.text)
            if block.end.offset >= size:
                break
    return path


def lines_of(path: Path) -> Iterator[str]:
    for block in read_blocks(path):
        yield from (line for line in block.lines() if not is_blank(line))


def timed(work: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--mb", type=int, default=50)
    parser.add_argument("--vocab", type=int, default=32_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    size = arguments.mb * 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "corpus.txt"
        _ = first_bytes(path, arguments.text, size) if arguments.text else library_text(path, size)
        megabytes = path.stat().st_size / 1e6
        seconds, vocab = timed(lambda: train_tokenizer(path, folder / "t.model", arguments.vocab).vocab_size)
        print(f"{megabytes:.0f} MB of text; tokenizer of {vocab:,} pieces trained in {seconds:.1f} s")
        compare(path, Tokenizer.load(folder / "t.model"), arguments.rounds, megabytes)


def compare(path: Path, tokenizer: Tokenizer, rounds: int, megabytes: float) -> None:
    from sentencepiece import SentencePieceProcessor

    peer = SentencePieceProcessor(model_proto=tokenizer.__getstate__())
    lines = list(lines_of(path))
    cores = os.cpu_count() or 1
    ours, theirs, again = [], [], []
    for number in range(rounds):
        cache = path.parent / f"cache{number}"
        ours.append(timed(lambda cache=cache: count_tokens(path, tokenizer, cache_dir=cache, progress=False).tokens))
        again.append(timed(lambda cache=cache: count_tokens(path, tokenizer, cache_dir=cache, progress=False).tokens))
        theirs.append(timed(lambda: sum(map(len, peer.encode(lines, num_threads=cores))) + len(lines)))
    best, peer_best = min(ours)[0], min(theirs)[0]
    print(f"{'':34}{'seconds':>9}{'MB/s':>9}{'tokens':>14}")
    for title, (seconds, tokens) in {
        f"SentencePiece, {cores} threads, in memory": min(theirs),
        "count_tokens, from the file": min(ours),
        "the same again, cached": min(again),
    }.items():
        print(f"{title:34}{seconds:9.3f}{megabytes / seconds:9.1f}{tokens:14,}")
    print(f"ours is {peer_best / best:.2f} times as fast (wanted: at least 0.9)")
    seconds, _ = timed(lambda: len(fingerprint(path)))
    print(f"fingerprint: {seconds:.3f} s, {megabytes / seconds:.0f} MB/s")
    began = time.perf_counter()
    about = estimate_tokens(path, tokenizer)
    truth = min(ours)[1]
    print(
        f"estimate: {about.tokens:,} ({about.low:,} to {about.high:,}) in {time.perf_counter() - began:.2f} s, "
        f"truth {'inside' if about.low <= truth <= about.high else 'OUTSIDE'}"
    )
    if min(theirs)[1] != truth:
        sys.exit("the counts differ, which they only do where the text has the character ▁")


if __name__ == "__main__":
    main()
