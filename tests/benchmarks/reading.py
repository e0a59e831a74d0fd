"""Reading examples: ours beside the bare library calls, and the memory that a manifest of 1 GB takes.

    python -m tests.benchmarks.reading [--files 2000] [--rounds 3] [--workers 0 2] [--gb 1.0]

Ours goes through `Examples` and `Reader` (paths checked, failures counted); the bare calls are what a script would
write: `soundfile.read` and torchaudio's resampling, Pillow's open, convert and resize. Rounds take turns, and the best
of each counts. Wanted: at least 0.8 of the bare calls, and less than 300 MB.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio
from PIL import Image
from torch.utils.data import DataLoader

from muomni.data.examples import Examples, Reader
from muomni.data.pictures import read_picture
from muomni.data.sound import read_sound

RATE, SIDE = 16_000, 64
RESAMPLE = torchaudio.transforms.Resample(22_050, RATE)
STREAM = """
import re, sys
from pathlib import Path
from muomni.data.examples import Examples
from muomni.data.manifests import read_rows
way = sys.argv[2]
if way == "rows":
    rows = sum(1 for row in read_rows(sys.argv[1], ("wav", "text")))
else:
    rows = len(Examples.open(sys.argv[1], "wav", measure=lambda path: 1.0))
print(rows, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def our_sound(path: str) -> torch.Tensor:
    return read_sound(path, RATE)


def our_picture(path: str) -> torch.Tensor:
    return read_picture(path, SIDE)


def bare_sound(path: str) -> torch.Tensor:
    samples, rate = soundfile.read(path, dtype="float32")
    sound = torch.from_numpy(samples)
    return RESAMPLE(sound) if rate != RATE else sound


def bare_picture(path: str) -> torch.Tensor:
    image = Image.open(path).convert("RGB")
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image).transpose(2, 0, 1).copy())


class Bare:
    """The files of a manifest, read by bare calls."""

    def __init__(self, files: list[str], read: Callable[[str], torch.Tensor]) -> None:
        self.files, self.read = files, read

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.read(self.files[index])


def first(batch: list[Any]) -> Any:
    return batch[0]


def seconds(dataset: Any, workers: int) -> float:
    loader: DataLoader[Any] = DataLoader(dataset, batch_size=1, num_workers=workers, collate_fn=first)
    began = time.perf_counter()
    assert sum(1 for each in loader if each is not None) == len(dataset)
    return time.perf_counter() - began


def make(folder: Path, kind: str, files: int) -> tuple[Path, str]:
    """Files of one kind and their table; the column that names them."""
    noise = np.random.default_rng(0)
    rows = []
    for i in range(files):
        if kind.startswith("sound"):
            rate = 22_050 if "22" in kind else RATE
            name = f"{i}.flac"
            soundfile.write(folder / name, noise.normal(0, 0.1, 2 * rate), rate)
        else:
            side = 224 if "224" in kind else SIDE
            name = f"{i}.png"
            Image.fromarray(noise.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(folder / name)
        rows.append((name, "a text"))
    column = "wav" if kind.startswith("sound") else "image"
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(column, "text"), *rows])
    return folder / "table.csv", column


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--gb", type=float, default=1.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'files':>22}{'workers':>9}{'ours, files/s':>15}{'bare, files/s':>15}{'ratio':>8}")
    for kind in ("sound 16 kHz", "sound 22.05 kHz", "picture 64 px", "picture 224 px"):
        with tempfile.TemporaryDirectory() as name:
            table, column = make(Path(name), kind, arguments.files)
            ours = Reader(Examples.open(table, column), our_sound if column == "wav" else our_picture)
            files = [example.file for example in ours.examples]
            bare = Bare(files, bare_sound if column == "wav" else bare_picture)
            for workers in arguments.workers:
                best = [float("inf")] * 2
                for _ in range(arguments.rounds):
                    best = [min(old, seconds(each, workers)) for old, each in zip(best, (ours, bare), strict=True)]
                speeds = [arguments.files / each for each in best]
                print(f"{kind:>22}{workers:>9}{speeds[0]:15,.0f}{speeds[1]:15,.0f}{speeds[0] / speeds[1]:8.2f}")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "large.csv"
        line = "wav/some-folder/speaker-{:09}.flac,the small red circle is to the left of a big blue square\n"
        block = "".join(line.format(i) for i in range(100_000)).encode()
        with path.open("wb") as file:
            file.write(b"wav,text\n")
            while file.tell() < arguments.gb * 1e9:
                file.write(block)
        for way in ("rows", "Examples"):
            began = time.perf_counter()
            command = [sys.executable, "-c", STREAM, str(path), way]
            rows, megabytes = map(
                int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            )
            took = time.perf_counter() - began
            print(f"{path.stat().st_size / 1e9:.2f} GB manifest, {way}: {rows:,} rows, {took:.0f} s, {megabytes} MB")


if __name__ == "__main__":
    main()
