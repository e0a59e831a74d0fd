"""Text as training rows: every document's tokens, a terminator after each line, cut into full rows of `ctx_len`.

The stream of a file is written once, as 16- or 32-bit numbers, beside the data's other caches, and memory-mapped: any
size of corpus trains in the same memory. A row is `ctx_len` inputs and the tokens that follow each of them; nothing is
padding, so an epoch as planned is an epoch as trained. From epoch to epoch the rows begin elsewhere (the stream is
turned by a seeded offset), so that no token is always the first of its row.

    row i of epoch e:  stream[(i L + offset_e + j) mod T],  j = 0 … L        (L = ctx_len, T = tokens of the split)

Where documents are short, most rows so begin in the middle of one, and ask for words whose reasons are not in the row.
With `starts`, a row begins instead at the last document start before it, up to half a row earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from muomni.data.fingerprint import fingerprint
from muomni.data.text_lines import is_blank, read_blocks
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.files import replacing

IGNORED = -100
"""A target that no loss counts."""


@dataclass(frozen=True)
class PackedTokens:
    """One split of a token stream as rows of inputs and targets, both `(ctx_len,)` int64.

    Args:
        starts: where documents start (at the terminator before them), sorted; None: rows begin anywhere.
        turns: whether the rows begin elsewhere in each epoch.
    """

    stream: np.ndarray
    ctx_len: int
    seed: int
    turns: bool = True
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.stream) // self.ctx_len

    def row(self, index: int, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of one row; the token after the split's last is not known and not counted."""
        length = len(self.stream)
        start = self._begin((index * self.ctx_len + self._offset(epoch)) % length)
        tokens = self.stream[np.arange(start, start + self.ctx_len + 1) % length].astype(np.int64)
        inputs, targets = tokens[:-1], tokens[1:].copy()
        after_last = length - 1 - start % length  # where the stream's last token stands in this row
        if 0 <= after_last < self.ctx_len:
            targets[after_last] = IGNORED
        return inputs, targets

    def _begin(self, place: int) -> int:
        """Where the row at `place` begins."""
        if self.starts is None:
            return place
        before = int(np.searchsorted(self.starts, place, side="right")) - 1
        near = before >= 0 and place - self.starts[before] <= self.ctx_len // 2
        return int(self.starts[before]) if near else place

    def _offset(self, epoch: int) -> int:
        if epoch == 0 or not self.turns:
            return 0
        return int(np.random.default_rng((self.seed, epoch, 1)).integers(len(self.stream)))


def split_rows(
    stream: np.ndarray, training: int, ctx_len: int, seed: int = 0, *, eot_id: int | None = None
) -> tuple[PackedTokens, PackedTokens]:
    """Rows of the stream's first `training` tokens, and of the rest, which is held out.

    Args:
        eot_id: the terminator that documents start at; None lets rows begin anywhere.

    Raises:
        UserError: one of the two has tokens, but not enough for a row, or there is nothing to train on.
    """
    train, held_out = (
        PackedTokens(part, ctx_len, seed, turns, None if eot_id is None else np.flatnonzero(part == eot_id))
        for part, turns in ((stream[:training], True), (stream[training:], False))
    )
    for name, rows in (("training", train), ("validation", held_out)):
        if len(rows) == 0 and (len(rows.stream) or rows is train):
            raise UserError(
                f"is {ctx_len}, but the text gives only {len(rows.stream)} tokens for {name}",
                field="ctx_len",
                fix="Use more text, a shorter ctx_len or another val_split.",
            )
    return train, held_out


def token_stream(
    path: str | Path,
    tokenizer: Tokenizer,
    *,
    documents: str = "lines",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> np.ndarray:
    """All tokens of a text file, memory-mapped from the cache, which is made first where it is missing or stale."""
    path = Path(path)
    folder = Path(cache_dir) if cache_dir is not None else path.parent / ".cache"
    kind = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)
    key = f"{fingerprint(path)[:16]}-{tokenizer.fingerprint[:16]}-{documents}"
    cached = folder / f"{path.stem}-{key}.tokens"
    if not cached.exists():
        for stale in folder.glob(f"{path.stem}-*-{documents}.tokens"):
            stale.unlink(missing_ok=True)
        with replacing(cached) as temporary, temporary.open("wb") as file:
            for ids in _terminated(path, tokenizer, documents, progress):
                file.write(ids.astype(kind).tobytes())
    if cached.stat().st_size == 0:
        raise UserError("holds no text", file=path, fix="Put one document on each line.")
    return np.memmap(cached, dtype=kind, mode="r")


def _terminated(path: Path, tokenizer: Tokenizer, documents: str, progress: bool) -> Iterator[np.ndarray]:
    """Token ids of one block of lines after the other, every line with its terminator."""
    bar = tqdm(
        total=path.stat().st_size, unit="B", unit_scale=True, desc=f"tokens of {path.name}", disable=not progress
    )
    with bar:
        for lines, ends in _lines_and_ends(path, documents, bar):
            ids: list[int] = []
            for pieces, end in zip(tokenizer.encode_batch(lines), ends, strict=True):
                ids += pieces
                ids.append(tokenizer.eot_id if end else tokenizer.newline_id)
            yield np.asarray(ids)


def _lines_and_ends(path: Path, documents: str, bar: tqdm) -> Iterator[tuple[list[str], list[bool]]]:
    """Blocks of non-blank lines, and of each whether it ends its document (in paragraphs: before a blank line)."""
    waiting: list[str] = []  # the last line of a block: whether it ends a paragraph, the next line tells
    for block in read_blocks(path):
        lines = waiting
        ends: list[bool] = []
        for line in block.lines():
            if not is_blank(line):
                ends += [documents == "lines"] * (len(lines) > len(ends))
                lines.append(line)
            elif len(lines) > len(ends):
                ends.append(True)
        waiting = [lines.pop()] if len(lines) > len(ends) else []
        yield lines, ends
        bar.update(block.size)
    if waiting:
        yield waiting, [True]
