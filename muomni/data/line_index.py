"""Any line of a text file, or any row of a CSV file, at once: an index that is built as fast as the file is read.

Writing down where each line begins would cost more than finding it. What is kept is one number for every 32 KiB of the
file: how many lines end before it (a rank directory, as in succinct data structures). Line i is then found by
bisection and a scan of one block, which NumPy does in microseconds, and the index of a gigabyte takes 256 KB. Newlines
are counted by NumPy's vector instructions while the block lies in the cache of a core, on as many cores as there are.

A CSV row may span lines, and blank lines are no rows. Where a file has neither quotes nor blank lines, rows are lines;
else `csv.reader` itself says where rows begin, and all their places are kept.

The index is saved beside the data's other caches and is valid while the file's stamp and a sampled hash stay the same:
building anew is faster than any full hash.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import threading
from collections import OrderedDict
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from muomni.data.fingerprint import Stamp, sampled_hash
from muomni.data.input_files import index_file, opened
from muomni.data.manifests import csv_records
from muomni.data.text_lines import BOM, MAX_LINE_BYTES
from muomni.errors import UserError
from muomni.files import replacing

FORMAT = 1
BLOCK = 1 << 15
BLOCKS_A_READ = 64
PIECE = 1 << 18
NEWLINE = 10
KEPT_BLOCKS = 64


class LineIndex:
    """Random access to the lines of a file (rows of a CSV file, header included, as row 0).

    `len(index)`, `index[i]` (text without its line ending; negative i count from the end), `index.span(i)` (bytes).
    Open one with `LineIndex.open`; it can be shared by threads and sent to worker processes.
    """

    def __init__(self, path: Path, stamp: Stamp, kind: str, table: np.ndarray, settled: bool = True) -> None:
        self.path = path
        self.stamp = stamp
        self.settled = settled
        self.kind = kind  # "blocks": lines that end before each block; "rows": begin and end of each row
        self._table = table
        self._endings: OrderedDict[int, np.ndarray] = OrderedDict()

    @classmethod
    def open(cls, path: str | Path, cache_dir: str | Path | None = "auto") -> LineIndex:
        """The index of a file: the saved one if it is still valid, else a new one, which is saved.

        Args:
            path: a text file, or a CSV file by its suffix.
            cache_dir: where indexes are saved: `.cache` in the data folder, if not named. None saves nothing.

        Raises:
            UserError: the file cannot be read, or is a CSV file with a malformed record.
        """
        path = Path(path)
        saved = index_file(path, cache_dir)
        index = cls.saved(path, saved)
        if index is None:
            index = cls.build(path)
            if cache_dir is not None:
                index.save(saved)
        return index

    @classmethod
    def build(cls, path: str | Path) -> LineIndex:
        """A new index, by reading the whole file."""
        path = Path(path)
        stamp = Stamp.of(path)
        settled = stamp.settled()
        if path.suffix == ".csv" and not _rows_are_lines(path):
            rows = [(begin.offset, end.offset) for begin, end, _ in csv_records(path)]
            return cls(path, stamp, "rows", np.array(rows, dtype="<i8").reshape(-1, 2), settled)
        return cls(path, stamp, "blocks", _lines_before_blocks(path, stamp.size), settled)

    def __len__(self) -> int:
        return len(self._table) if self.kind == "rows" else int(self._table[-1])

    def __getitem__(self, index: int) -> str:
        begin, end = self.span(index)
        data = self._map[begin:end]
        if data.endswith(b"\n"):
            data = data[: -2 if data.endswith(b"\r\n") else -1]
        if begin == 0 and data.startswith(BOM):
            data = data[len(BOM) :]
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            line = index % len(self) + 1
            raise UserError("is not UTF-8", file=self.path, line=line, fix="Convert the file to UTF-8.") from None

    def span(self, index: int) -> tuple[int, int]:
        """Where line `index` begins and the next one does, in bytes."""
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"line {index} of {count}")
        index %= count
        if self.kind == "rows":
            return int(self._table[index, 0]), int(self._table[index, 1])
        block, within = self._place(index)
        end = self._end(block, within)
        before = (block, within - 1) if within else self._place(index - 1)
        begin = self._end(*before) if index else 0
        if end - begin > MAX_LINE_BYTES:
            problem = f"is a line of more than {MAX_LINE_BYTES >> 20} MiB"
            raise UserError(problem, file=self.path, line=index + 1, fix="Break it into several lines.")
        return begin, end

    def _place(self, index: int) -> tuple[int, int]:
        """The block in which line `index` ends, and how many lines end in it before."""
        block = int(np.searchsorted(self._table, index, side="right")) - 1
        return block, index - int(self._table[block])

    def _end(self, block: int, within: int) -> int:
        """The byte behind the line that is the `within`-th to end in a block."""
        endings = self._endings_of(block)
        if within < len(endings):
            return block * BLOCK + int(endings[within]) + 1
        if block == len(self._table) - 2 and within == len(endings):
            return self.stamp.size  # the last line has no newline
        raise UserError("changed while it was in use", file=self.path, fix="Open it again.")

    def _endings_of(self, block: int) -> np.ndarray:
        """Where the newlines of a block are; those of the last blocks asked for are kept."""
        found = self._endings.get(block)
        if found is None:
            data = np.frombuffer(self._map[block * BLOCK : (block + 1) * BLOCK], np.uint8)
            found = np.flatnonzero(data == NEWLINE).astype(np.uint16)
            self._endings[block] = found
            if len(self._endings) > KEPT_BLOCKS:
                self._endings.popitem(last=False)
        return found

    @cached_property
    def _map(self) -> mmap.mmap | bytes:
        with opened(self.path) as file:
            if self.stamp.size == 0:
                return b""
            if Stamp.of(self.path) != self.stamp:
                raise UserError("changed since it was indexed", file=self.path, fix="Open it again.")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_endings": OrderedDict(), "_map": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        del state["_map"]  # a mapping cannot be sent; the other process makes its own
        self.__dict__.update(state)

    def close(self) -> None:
        """Give the mapping back; the next access makes a new one."""
        mapping = self.__dict__.pop("_map", None)
        if isinstance(mapping, mmap.mmap):
            mapping.close()

    def __enter__(self) -> LineIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def save(self, saved: Path) -> bool:
        """Write the index to `saved`. False where that folder cannot be written, or the file changed meanwhile."""
        table = self._table.tobytes()
        with opened(self.path) as file:
            sample = sampled_hash(file, self.stamp.size)
        if Stamp.of(self.path) != self.stamp:
            return False
        header = {
            "format": FORMAT,
            "stamp": self.stamp,
            "settled": self.settled,
            "sample": sample,
            "kind": self.kind,
            "table": hashlib.sha256(table).hexdigest(),
        }
        try:
            with replacing(saved) as temporary:
                temporary.write_bytes(json.dumps(header).encode() + b"\n" + table)
        except UserError:
            return False
        return True

    @classmethod
    def saved(cls, path: Path, saved: Path) -> LineIndex | None:
        """The index saved for `path`, or None: there is none, it is damaged, or the file has changed since."""
        stamp = Stamp.of(path)
        try:
            head, _, table = saved.read_bytes().partition(b"\n")
            header = json.loads(head)
            valid = (header["format"], header["stamp"], header["settled"]) == (FORMAT, list(stamp), True)
            if not valid or header["table"] != hashlib.sha256(table).hexdigest():
                return None
            with opened(path) as file:
                if header["sample"] != sampled_hash(file, stamp.size):
                    return None
            numbers = np.frombuffer(table, dtype="<i8")
            return cls(path, stamp, header["kind"], numbers.reshape(-1, 2) if header["kind"] == "rows" else numbers)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


def _lines_before_blocks(path: Path, size: int) -> np.ndarray:
    """(n_blocks + 1,) int64: how many lines end before each block; the last number is how many there are."""
    n_blocks = -(-size // BLOCK)
    counts = np.zeros(n_blocks + 1, dtype="<i8")
    n_threads = max(1, min(_cpus(), n_blocks // (2 * BLOCKS_A_READ)))
    shares = [n_blocks * number // n_threads for number in range(n_threads + 1)]
    failures: list[UserError] = []
    threads = [
        threading.Thread(target=_count_share, args=(path, first, counts[first + 1 : last + 1], failures))
        for first, last in pairwise(shares)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    np.cumsum(counts, out=counts)
    if size and not _ends_with_newline(path, size):
        counts[-1] += 1
    return counts


def _count_share(path: Path, first: int, counts: np.ndarray, failures: list[UserError]) -> None:
    """The newlines of each block from block `first` on, into `counts`."""
    data = np.empty(min(BLOCKS_A_READ, len(counts)) * BLOCK, np.uint8)
    try:
        with opened(path) as file:
            file.seek(first * BLOCK)
            for at in range(0, len(counts), BLOCKS_A_READ):
                share = counts[at : at + BLOCKS_A_READ]
                part = data[: len(share) * BLOCK]
                got = file.readinto(part) or 0  # type: ignore[attr-defined]
                part[got:] = 0
                share[:] = _newlines_by_block(part)
    except UserError as error:
        failures.append(error)


def _newlines_by_block(data: np.ndarray) -> np.ndarray:
    """(n,) the newlines in each block of `data`, (n BLOCK,) uint8, which is overwritten.

    Few calls on much data, all of which let go of the GIL: the ones and zeros of the comparison are added eight at a
    time, as the bytes of 64-bit numbers, 32 rows of them, so that no byte overflows.
    """
    n_blocks = len(data) // BLOCK
    found = np.equal(data, NEWLINE, out=data.view(np.bool_))
    eights = np.add.reduce(found.view(np.uint64).reshape(n_blocks, 32, -1), axis=1)
    return np.add.reduce(eights.view(np.uint8).reshape(n_blocks, -1), axis=1, dtype=np.int64)


def _ends_with_newline(path: Path, size: int) -> bool:
    with opened(path) as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _rows_are_lines(path: Path) -> bool:
    """Whether a CSV file has no quotes and no blank lines, so that each of its lines is a row."""
    with opened(path) as file:
        before = b"\n"
        while piece := file.read(PIECE):
            seen = before + piece
            if b'"' in piece or b"\n\n" in seen or b"\n\r\n" in seen:
                return False
            before = seen[-2:]
    return True


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
