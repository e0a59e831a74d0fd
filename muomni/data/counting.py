"""How many tokens a text has, and how many samples a manifest: exactly, in bounded memory, and never twice.

Each line that is not blank ends in one special token, whether a document ends there or goes on, so

    tokens = pieces + documents,      documents = lines that are not blank

A count streams the file. It writes a checkpoint before it goes 10,000 lines or rows past the last one, and after an
interruption, a kill included, it goes on from there. A finished count is kept: asked again, it answers without reading.
What is kept is bound to the file's content and to the tokenizer (`count_memory`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from muomni.data.count_memory import CountMemory, Totals
from muomni.data.input_files import cache_folder, check_readable, index_file
from muomni.data.manifests import is_manifest, read_rows, text_columns, texts_of
from muomni.data.text_lines import BLOCK_LINES, Position, is_blank, read_blocks
from muomni.data.tokenizer import Tokenizer
from muomni.data.words import PieceCounter
from muomni.errors import UserError

CHECKPOINT_LINES = BLOCK_LINES
CHECKPOINT_BYTES = 8 << 20
BATCH_BYTES = 1 << 19


@dataclass(frozen=True)
class Count:
    """What a file holds.

    Attributes:
        lines: lines of a text, or rows of a manifest.
        documents: lines of a text, or texts in a manifest's rows, that are not blank.
        pieces: the tokens of their text.
        characters: the characters of their text, line endings not among them.
        bytes: the size of the file.
        resumed_at: how many lines or rows an interrupted count had already done.
        cached: whether the answer was kept from an earlier count.
        indexed: whether it is the length of the file's line index.
    """

    lines: int = 0
    documents: int = 0
    pieces: int = 0
    characters: int = 0
    bytes: int = 0
    resumed_at: int = 0
    cached: bool = False
    indexed: bool = False

    @property
    def tokens(self) -> int:
        """Pieces and terminators: as many as the Thinker's training stream has."""
        return self.pieces + self.documents

    @property
    def samples(self) -> int:
        """Rows of a manifest."""
        return self.lines


def count_tokens(
    path: str | Path,
    tokenizer: Tokenizer,
    *,
    columns: Sequence[str] | None = None,
    cache_dir: str | Path | None = "auto",
    progress: bool = True,
) -> Count:
    """Tokens of a text file, or of the texts in a CSV or JSON manifest.

    Args:
        columns: a manifest's columns with text: by default `text` of a CSV, `captions` of a JSON list.
        cache_dir: where counts and checkpoints are kept: `.cache` in the data folder, if not named. None writes
            nothing, and what an earlier count kept in the data folder is still used.
        progress: show a progress bar.

    Raises:
        UserError: the file is unreadable, malformed, has no text, or changes while it is counted.
    """
    path = Path(path)
    columns = tuple(columns or text_columns(path))
    memory = _memory(path, f"tokens {tokenizer.fingerprint} {','.join(columns)}", cache_dir)
    count = _count(path, memory, columns, tokenizer, progress)
    if count.documents == 0:
        raise UserError("holds no text, so there is nothing to count", file=path, fix="Add lines of text.")
    return count


def count_samples(
    path: str | Path,
    columns: Sequence[str] = (),
    *,
    cache_dir: str | Path | None = "auto",
    progress: bool = True,
) -> Count:
    """Rows of a manifest: those below a CSV file's header, or the objects of a JSON list.

    A CSV file with a valid line index is answered from that; else every row is read and checked.

    Args:
        columns: the columns that must be there.
        cache_dir, progress: as for `count_tokens`.

    Raises:
        UserError: the file is unreadable, malformed, lacks a column or has no rows.
    """
    path, columns = Path(path), tuple(columns)
    count = _from_index(path, columns, cache_dir)
    if count is None:
        count = _count(path, _memory(path, f"rows {','.join(columns)}", cache_dir), columns, None, progress)
    if count.lines == 0:
        raise UserError(
            "has no rows, so there is nothing to train on", file=path, fix="Add rows, or make the data anew."
        )
    return count


def _memory(path: Path, work: str, cache_dir: str | Path | None) -> CountMemory:
    check_readable(path)
    return CountMemory(path, work, cache_folder(path, cache_dir), writes=cache_dir is not None)


def _from_index(path: Path, columns: Sequence[str], cache_dir: str | Path | None) -> Count | None:
    """The rows by the line index that is saved of the file, if that still holds."""
    check_readable(path)
    saved = index_file(path, cache_dir)
    if path.suffix != ".csv" or not saved.exists():
        return None
    from muomni.data.line_index import LineIndex  # with NumPy, which a plan can do without

    index = LineIndex.saved(path, saved)
    if index is None:
        return None
    next(read_rows(path, columns), None)  # checks the header
    return Count(lines=max(0, len(index) - 1), bytes=index.stamp.size, indexed=True)


def _count(
    path: Path, memory: CountMemory, columns: Sequence[str], tokenizer: Tokenizer | None, progress: bool
) -> Count:
    """The kept count, or a new one from the last checkpoint on."""
    size = memory.stamp.size
    if (kept := memory.finished()) is not None:
        return Count(**kept._asdict(), bytes=size, cached=True)
    counter = None if tokenizer is None else PieceCounter(tokenizer)
    at, totals = memory.resume()
    saved_at, saved, resumed = at, totals, totals
    with tqdm(total=size, initial=at.offset, unit="B", unit_scale=True, disable=not progress, leave=False) as bar:
        bar.set_description(f"counting {path.name}")
        for batch in _batches(path, columns, at, with_texts=counter is not None):
            far = totals.lines + batch.lines - saved.lines > CHECKPOINT_LINES
            if at != saved_at and (far or at.offset - saved_at.offset > CHECKPOINT_BYTES):
                memory.checkpoint(at, totals)
                saved_at, saved = at, totals
            totals = totals.plus(_tally(batch, counter))
            bar.update(batch.end.offset - at.offset)
            at = batch.end
    memory.finish(totals)
    return Count(**totals._asdict(), bytes=size, resumed_at=resumed.lines)


@dataclass(frozen=True)
class _Batch:
    """At most `CHECKPOINT_LINES` lines or rows, their texts, and where the next ones begin."""

    lines: int
    texts: list[str]
    end: Position


def _tally(batch: _Batch, counter: PieceCounter | None) -> Totals:
    if counter is None:
        return Totals(batch.lines)
    texts = [text for text in batch.texts if not is_blank(text)]
    return Totals(batch.lines, len(texts), counter.pieces(texts), sum(map(len, texts)))


def _batches(path: Path, columns: Sequence[str], start: Position, with_texts: bool) -> Iterator[_Batch]:
    """The file from `start` on."""
    if not is_manifest(path):
        for block in read_blocks(path, start, block_bytes=BATCH_BYTES):
            lines = block.lines()
            yield _Batch(len(lines), lines, block.end)
        return
    texts: list[str] = []
    n_rows, begin, end = 0, start, start
    for row in read_rows(path, columns, start):
        texts += texts_of(row, columns) if with_texts else ()
        n_rows, end = n_rows + 1, row.end
        if n_rows == CHECKPOINT_LINES or end.offset - begin.offset > BATCH_BYTES:
            yield _Batch(n_rows, texts, end)
            n_rows, texts, begin = 0, [], end
    if n_rows:
        yield _Batch(n_rows, texts, end)
