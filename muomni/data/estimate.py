"""How many tokens a large text has, from a random sample of it, with a 95 % interval.

Drawing lines at random would read the whole file to find them, and drawing bytes prefers long lines. So the file is cut
into M cells of 2 KiB, and n of them are drawn, each as likely as any other. A cell's tokens are those of the text from
its cut to the next cell's: the first newline behind its beginning, else (in a long line) the first space, else the
beginning itself. Each byte belongs to one cell, so the lengths of the lines do not matter. With t_i tokens in the b_i
bytes of the i-th cell drawn, and B bytes in the file,

    R = sum(t) / sum(b),      estimate = R B,
    low, high = estimate -+ t(0.975, n - 1) M sd(t - R b) sqrt((1 - n / M) / n)

(the ratio estimator under simple random sampling without replacement; Cochran 1977, chapter 6). A cut inside a word,
which takes 2 KiB without a space, can add one token. Small files are counted, not estimated.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from muomni.data.counting import count_tokens
from muomni.data.input_files import file_status, opened
from muomni.data.text_lines import BOM, is_blank, read_blocks
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError

CELL = 2048
DRAWS = 3000
SMALL = 4 << 20
BATCH = 250


@dataclass(frozen=True)
class Estimate:
    """A number of tokens and its 95 % interval.

    Attributes:
        tokens, low, high: all three are equal where the file was small enough to count.
        lines: lines that the sample had, or that were counted.
        exact: whether they were counted.
    """

    tokens: int
    low: int
    high: int
    lines: int
    exact: bool


def estimate_tokens(
    path: str | Path, tokenizer: Tokenizer, *, draws: int = DRAWS, seed: int = 0, small: int = SMALL
) -> Estimate:
    """Tokens of a text file, terminators included, from `draws` cells of it; nothing is written.

    Args:
        draws: how many cells of 2 KiB to draw; at most a quarter of all are.
        seed: the same seed draws the same cells.
        small: a file of at most so many bytes is counted.

    Raises:
        UserError: the file is unreadable or has no text, or what was drawn is not UTF-8, holds a NUL or is
            of a line longer than any count accepts.
    """
    size = file_status(path).st_size
    n_cells = -(-size // CELL)
    draws = min(draws, n_cells // 4)
    if size <= small or draws < 2:
        count = count_tokens(path, tokenizer, cache_dir=None, progress=False)
        return Estimate(count.tokens, count.tokens, count.tokens, count.lines, True)
    with opened(path) as file:
        drawn = sorted(random.Random(seed).sample(range(n_cells), draws))
        stretches = [_stretch(file, cell, size, Path(path)) for cell in drawn]
    if not any(one.endings for one in stretches):  # a line too long to train on?
        _read_through(Path(path))
    tokens = _tokens_of(stretches, tokenizer)
    rate = sum(tokens) / max(1, sum(one.size for one in stretches))
    if rate == 0:
        raise UserError("seems to hold no text: all that was drawn is blank", file=path, fix="Count it instead.")
    misses = [count - rate * one.size for count, one in zip(tokens, stretches, strict=True)]
    error = n_cells * statistics.stdev(misses) * math.sqrt((1 - draws / n_cells) / draws)
    total, half = rate * size, _student(draws - 1) * error
    return Estimate(
        round(total),
        max(0, math.floor(total - half)),
        math.ceil(total + half),
        sum(len(one.texts) for one in stretches),
        False,
    )


@dataclass(frozen=True)
class _Stretch:
    """What a cell holds: texts of lines that are not blank, or of their parts; how many lines end in it; its bytes."""

    texts: list[str]
    endings: int
    size: int


def _tokens_of(stretches: list[_Stretch], tokenizer: Tokenizer) -> list[int]:
    tokens: list[int] = []
    for at in range(0, len(stretches), BATCH):
        batch = stretches[at : at + BATCH]
        lengths = map(len, tokenizer.encode_batch([text for one in batch for text in one.texts]))
        tokens += [sum(islice(lengths, len(one.texts))) + one.endings for one in batch]
    return tokens


def _stretch(file: BinaryIO, cell: int, size: int, path: Path) -> _Stretch:
    """The text from a cell's cut to that of the next."""
    file.seek(cell * CELL)
    data = file.read(2 * CELL)
    begin = _cut(data[:CELL]) if cell else len(BOM) if data.startswith(BOM) else 0
    to_the_end = (cell + 1) * CELL >= size
    end = len(data) if to_the_end else CELL + _cut(data[CELL:])
    goes_on = cell > 0 and data[begin - 1 : begin] != b"\n"  # the first line began in an earlier cell
    lines = _decoded(data[begin:end], path).split("\n")
    part = lines.pop()  # of a line that goes on in the next cell, or is the file's last
    lines = [line.removesuffix("\r") for line in lines]
    if to_the_end:
        lines, part = [*lines, part], ""
    texts = [line for number, line in enumerate(lines) if not is_blank(line) or (goes_on and number == 0)]
    return _Stretch([*texts, part] if part else texts, len(texts), end - (begin if cell else 0))


def _cut(data: bytes) -> int:
    """Where the first line begins in a cell, else the first word, else the first character."""
    if newline := data.find(b"\n") + 1:
        return newline
    if (space := data.find(b" ")) >= 0:
        return space
    return next((at for at, byte in enumerate(data) if byte & 0xC0 != 0x80), len(data))


def _decoded(data: bytes, path: Path) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        _read_through(path)
        raise UserError("changed while it was read", file=path, fix="Estimate again when it is written.")
    return text


def _read_through(path: Path) -> None:
    """Read the whole file, which says what is wrong with it and on which line."""
    for _ in read_blocks(path):
        pass


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t, by Cornish and Fisher's expansion; from 4 degrees of freedom within 1 %."""
    if freedom < 4:
        return {1: 12.706, 2: 4.303, 3: 3.182}.get(freedom, math.inf)
    z = statistics.NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
