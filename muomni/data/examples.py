"""The examples of a manifest with media: sound or pictures and their texts, any row at once, nothing lost in silence.

| manifest | a row's media | its texts |
|---|---|---|
| `.csv` with `wav,text` or `text,wav` | `wav` | `text` |
| `.csv` with `image,text` | `image` | `text` |
| `.json`, `.jsonl` | `image` | `captions` |

Opening a manifest goes through it once: every path must stay below the root, every file must be there and have a
readable header, every row must have a text. A row that fails is skipped *and counted*, with its reason; past
`MAX_SKIPPED` of the rows, or where nothing is left, the run stops with the list. A file whose header is fine may still
break when it is read: `read` counts these too.

Kept in memory are numbers only (row, length, split), some 30 bytes a row; rows are read again when they are asked for.

A `split` column says which rows train and which validate. Without it the last `val_split` of the usable rows validate.
"""

from __future__ import annotations

import csv
import io
import json
import mmap
import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from muomni.data.input_files import opened
from muomni.data.manifests import Row, read_rows, text_columns, texts_of
from muomni.data.skipped import FEW, MAX_SKIPPED, Skipped
from muomni.errors import UserError

TRAIN, VALIDATION = "train", "validation"
T = TypeVar("T")


class Example(NamedTuple):
    """One row: the line it stands on, its media file, its texts (at least one), and all its columns."""

    line: int
    file: str  # a name: making a `Path` of each would cost a tenth of reading a small picture
    texts: tuple[str, ...]
    values: dict[str, Any]

    @property
    def path(self) -> Path:
        """The media file."""
        return Path(self.file)

    @property
    def text(self) -> str:
        """The first text."""
        return self.texts[0]


def path_below(root: Path, name: str) -> Path:
    """The file that a manifest calls `name`, below `root`.

    Raises:
        UserError: the path leaves `root`: by "..", by another absolute path, or through a link.
    """
    if "\0" in name:
        raise UserError(f"{name[:80]!r} is no file name")
    try:
        path = _resolved((root / name).parent) / Path(name).name
        if path.is_symlink() or path.name in ("..", ""):
            path = path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        raise UserError(f"{name[:80]!r} is no file name") from None
    if not path.is_relative_to(root):
        raise UserError(f"{name[:80]!r} leaves the folder {root}", fix="Keep the media below the manifest's folder.")
    return path


@lru_cache(maxsize=1024)
def _resolved(folder: Path) -> Path:
    """`folder` with its links followed: media share a few folders."""
    return folder.resolve()


class Examples:
    """The usable rows of a manifest, by number.

    `len(examples)`, `examples[i]`, `examples.lengths` (what `measure` said of each), `examples.rows(split)`.
    Open it with `Examples.open`; it can be sent to worker processes.
    """

    def __init__(self, manifest: Path, root: Path, media: str) -> None:
        self.manifest = manifest
        self.root = root
        self.media = media
        self.skipped = Skipped(manifest)
        self.lengths = np.empty(0, np.float32)
        self._begins = self._sizes = self._lines = self._splits = np.empty(0, np.int64)

    @classmethod
    def open(
        cls,
        manifest: str | Path,
        media: str,
        root: str | Path | None = None,
        measure: Callable[[Path], float] | None = None,
        max_skipped: float = MAX_SKIPPED,
        progress: bool = False,
    ) -> Examples:
        """Go through a manifest and keep what can be used.

        Args:
            manifest: a CSV table, JSON list or JSON Lines file.
            media: the column that names the file: "wav" or "image".
            root: the folder that paths are relative to and must stay below; None: the manifest's own.
            measure: tells a file's length (say, its seconds) from its header; a `UserError` of it skips the row.
            max_skipped: the share of rows that may be skipped.
            progress: show a progress bar.

        Raises:
            UserError: the manifest is unreadable or malformed, a path leaves the root, too many rows are unusable.
        """
        from tqdm.auto import tqdm

        manifest = Path(manifest)
        root = Path(root if root is not None else manifest.parent).resolve()
        texts = text_columns(manifest)
        found = cls(manifest, root, media)
        begins, sizes, lines, splits = (array(kind) for kind in "qIIb")
        lengths = array("f")
        before = 0
        for row in tqdm(read_rows(manifest, (media, *texts)), desc=manifest.name, unit="row", disable=not progress):
            found.skipped.tried += 1
            begin, before = before, row.end.offset
            path = _located(row, media, root, manifest)
            try:
                if not any(said.strip() for said in texts_of(row, texts)):
                    raise UserError(f"{texts[0]} is empty")
                length = measure(path) if measure is not None else _exists(path)
            except UserError as error:
                found.skipped.add(error.problem, _where(row.line, error))
                found.skipped.check(max_skipped)
                continue
            begins.append(begin)
            sizes.append(row.end.offset - begin)
            lines.append(row.line)
            lengths.append(length)
            splits.append(_split_number(row.values.get("split")))
        found.skipped.check(max_skipped, at_end=True)
        found._begins, found._sizes, found._lines = (
            np.frombuffer(each, each.typecode) for each in (begins, sizes, lines)
        )
        found.lengths, found._splits = np.frombuffer(lengths, "f"), np.frombuffer(splits, "b")
        return found

    def __len__(self) -> int:
        return len(self._begins)

    def __getitem__(self, index: int) -> Example:
        begin = int(self._begins[index])
        values = self._values(self._map[begin : begin + int(self._sizes[index])].decode("utf-8-sig"))
        texts = values.get("captions", values.get("caption", values.get("text", "")))
        told = tuple([said for said in ([texts] if isinstance(texts, str) else texts) if said.strip()])
        return Example(int(self._lines[index]), os.path.join(self.root, values[self.media]), told, values)

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def rows(self, split: str, val_split: float = 0.1) -> np.ndarray:
        """The numbers of the examples of a split ("train" or "validation"), `(n,)` int64, in order.

        By the `split` column where the manifest has one; else the last `val_split` of all validate.

        Raises:
            UserError: nothing belongs to the split.
        """
        numbers = np.arange(len(self))
        if (self._splits >= 0).all():
            found = numbers[self._splits == (TRAIN, VALIDATION).index(split)]
        else:
            n_validation = int(len(self) * val_split)
            found = numbers[len(self) - n_validation :] if split == VALIDATION else numbers[: len(self) - n_validation]
        if not len(found):
            raise UserError(f"has no rows for {split}", file=self.manifest, fix="Add rows, or change val_split.")
        return found

    def _values(self, text: str) -> dict[str, Any]:
        if self.manifest.suffix == ".csv":
            row = [fields for fields in csv.reader(io.StringIO(text, newline="")) if fields][-1]  # a header may precede
            return dict(zip(self._header, row, strict=True))
        values: dict[str, Any] = json.loads(text.strip().lstrip("[,").strip())
        return values

    @cached_property
    def _header(self) -> list[str]:
        with self.manifest.open(newline="", encoding="utf-8-sig") as file:
            return [name.strip() for name in next(fields for fields in csv.reader(file) if fields)]

    @cached_property
    def _map(self) -> mmap.mmap:
        with opened(self.manifest) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_map"}


@dataclass
class Reader(Generic[T]):
    """Reads the media of examples; what breaks is skipped, counted, and stops the run when it is too much.

    Args:
        examples: where the files are.
        read: turns a path into a tensor, or raises a `UserError`.
        max_skipped: the share of reads that may fail.
    """

    examples: Examples
    read: Callable[[str], T]
    max_skipped: float = MAX_SKIPPED

    def __post_init__(self) -> None:
        self.skipped = Skipped(self.examples.manifest)

    def __getitem__(self, index: int) -> tuple[Example, T] | None:
        """An example and its media, or None where that cannot be read.

        Raises:
            UserError: too many could not.
        """
        example = self.examples[index]
        self.skipped.tried += 1
        try:
            return example, self.read(example.file)
        except UserError as error:
            self.skipped.add(error.problem, _where(example.line, error))
            if self.skipped.tried >= FEW:
                self.skipped.check(self.max_skipped, at_end=True)  # training has no end to wait for
            return None

    def __len__(self) -> int:
        return len(self.examples)


def _located(row: Row, media: str, root: Path, manifest: Path) -> Path:
    try:
        return path_below(root, row.values[media])
    except UserError as error:
        raise UserError(error.problem, file=manifest, line=row.line, field=media, fix=error.fix) from None


def _exists(path: Path) -> float:
    if not path.is_file():
        raise UserError("does not exist", file=path)
    return 0.0


def _split_number(name: object) -> int:
    return (TRAIN, VALIDATION).index(name) if name in (TRAIN, VALIDATION) else -1


def _where(line: int, error: UserError) -> str:
    """The row, and its file if that is what is wrong."""
    return f"row in line {line}" + (f": {Path(error.file).name}" if error.file else "")
