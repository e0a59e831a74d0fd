"""Building a line index: ours beside plain Python loops, on the same cached files in the same run.

    python -m tests.benchmarks.index [--mb 200] [--rounds 5]

The loops note where each line begins, as `for line in file: offsets.append(position); position += len(line)` and with
`file.tell()`. Ours counts lines by blocks, and finds one when it is asked for it: what that costs is printed too.
Rounds take turns, and the best of each counts.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np

from muomni.data.line_index import LineIndex


def loop(path: Path) -> int:
    offsets, position = [], 0
    with path.open("rb") as file:
        for line in file:
            offsets.append(position)
            position += len(line)
    return len(offsets)


def tell(path: Path) -> int:
    offsets = []
    with path.open("rb") as file:
        while True:
            position = file.tell()
            if not file.readline():
                return len(offsets)
            offsets.append(position)


def scan(path: Path) -> int:
    """Every offset at once by NumPy, for comparison: needs the file in memory."""
    return len(np.flatnonzero(np.fromfile(path, np.uint8) == 10))


def ours(path: Path) -> int:
    return len(LineIndex.open(path, cache_dir=None))


def corpus(path: Path, line_bytes: int, size: int) -> Path:
    dice = random.Random(0)
    lines = [b"x" * dice.randint(line_bytes // 2, line_bytes * 3 // 2 - 1) for _ in range(50_000)]
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(b"\n".join(lines) + b"\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    ways = {"for line in file": loop, "file.tell()": tell, "NumPy, all offsets": scan, "LineIndex": ours}
    print(f"{'bytes a line':>12}  {'way':20}{'seconds':>9}{'MB/s':>8}{'times the loop':>16}{'times tell()':>14}")
    for line_bytes in (20, 40, 80, 200):
        with tempfile.TemporaryDirectory() as name:
            path = corpus(Path(name) / "corpus.txt", line_bytes, arguments.mb * 1_000_000)
            best = dict.fromkeys(ways, float("inf"))
            counts = set()
            for number in range(arguments.rounds):
                for title, way in ways.items():
                    if number and title == "file.tell()":
                        continue  # slow: once will do
                    began = time.perf_counter()
                    counts.add(way(path))
                    best[title] = min(best[title], time.perf_counter() - began)
            assert len(counts) == 1, counts
            for title, seconds in best.items():
                speed = path.stat().st_size / 1e6 / seconds
                by_loop, by_tell = best["for line in file"] / seconds, best["file.tell()"] / seconds
                print(f"{line_bytes:12}  {title:20}{seconds:9.3f}{speed:8.0f}{by_loop:16.1f}{by_tell:14.1f}")
            access(path, counts.pop())


def access(path: Path, n_lines: int) -> None:
    """What it costs to get lines of an open index."""
    dice = random.Random(0)
    with LineIndex.build(path) as index:
        for title, numbers in {
            "at random": dice.choices(range(n_lines), k=3000),
            "in order": range(n_lines // 2, min(n_lines, n_lines // 2 + 3000)),
        }.items():
            began = time.perf_counter()
            for number in numbers:
                index[number]
            print(f"{'':12}  lines {title}: {(time.perf_counter() - began) / len(numbers) * 1e6:.0f} µs each")


if __name__ == "__main__":
    main()
