"""Any row of any manifest at once, and what all rows are like, without opening a picture or a sound.

A manifest (CSV, JSON, JSON Lines or plain text) is gone through once by `read_rows`, in pieces as small as wanted. Kept
of a row are numbers only, some 30 bytes: where it ends, its split, how long its text is. A row is read again, from the
end of the one before, when it is asked for. So a view of the first row needs the first row, and of the last one pass.

| lengths in | are |
|---|---|
| characters | of the row's first text |
| tokens | of the same, where there is a tokenizer |
| seconds | the column `seconds`; without it the headers of some hundred sounds, evenly spread |
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from muomni.data.examples import path_below
from muomni.data.manifests import Position, Row, csv_records, read_rows, texts_of
from muomni.data.sound import sound_info
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError

MOST_ROWS = 1_000_000
"""Rows that are gone through; what is behind them is not looked at, and that is said."""
PIECE = 500
SAMPLED = 300
"""Sounds whose headers are read where no column tells their seconds."""
NO_SPLIT = "(no split)"


class Catalogue:
    """The rows of a manifest by number, as far as they have been gone through.

    Args:
        path: the manifest.
        tokenizer: counts the tokens of the texts; None leaves that out.

    Attributes:
        media: the column that names a row's file ("wav" or "image"); None for text alone.
        texts: the columns that hold text.
        done: whether every row has been gone through.
        problem: what ended that early: a row that cannot be read, or too many of them.

    Raises:
        UserError: the file is unreadable, its header is wrong, or it has no first row.
    """

    def __init__(self, path: str | Path, tokenizer: Tokenizer | None = None) -> None:
        self.path = Path(path)
        self.root = self.path.resolve().parent
        self.tokenizer = tokenizer
        self.media, self.texts = _columns(self.path)
        self.done = False
        self.problem: UserError | None = None
        self.split_names: list[str] = []
        self.n_sampled = 0
        self._offsets, self._lines, self._splits = array("q", [0]), array("I", [0]), array("B")
        self._characters, self._tokens, self._seconds = array("I"), array("I"), array("f")
        self._scan = self._scanned()
        if not next(self._scan, 0):
            raise self.problem or UserError("has no rows", file=self.path, fix="Check that it is the right file.")

    def __len__(self) -> int:
        """Rows gone through so far."""
        return len(self._splits)

    def __getitem__(self, number: int) -> Row:
        """Row `number`, from 0, read again from the file.

        Raises:
            IndexError: there is none, or it has not been gone through.
            UserError: the file has changed.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        start = Position(self._offsets[number], self._lines[number])
        row = next(read_rows(self.path, self._wanted, start if number else None), None)
        if row is None or row.end.offset != self._offsets[number + 1]:
            raise UserError("changed since it was opened", file=self.path, fix="Open it again.")
        return row

    def scan(self) -> Iterator[int]:
        """Go through the rows; gives how many are known every few hundred rows, and at the end."""
        return self._scan

    def finish(self) -> None:
        """Go through all rows that are left."""
        for _ in self._scan:
            pass

    def lengths(self, unit: str) -> np.ndarray:
        """The lengths known of `unit` (characters, tokens or seconds), `(n,)` float64."""
        found = {"characters": self._characters, "tokens": self._tokens, "seconds": self._seconds}[unit]
        values = np.array(found, dtype=np.float64)
        return values[np.isfinite(values)]

    def units(self) -> list[str]:
        """What lengths are known in."""
        heard = ["seconds"] if self.media == "wav" else []
        return [*heard, "characters", *(["tokens"] if self.tokenizer is not None else [])]

    def splits(self) -> dict[str, int]:
        """Rows of each split, in the order they appear."""
        counts = np.bincount(np.frombuffer(self._splits, np.uint8), minlength=len(self.split_names))
        return {name: int(n) for name, n in zip(self.split_names, counts, strict=True)}

    def matching(self, split: str = "", words: str = "") -> np.ndarray:
        """The numbers of the rows of a split ("": any) whose texts hold `words` in any case, `(n,)` int64."""
        codes = np.array(self._splits)
        chosen = np.ones(len(codes), bool)
        if split:
            chosen = codes == (self.split_names.index(split) if split in self.split_names else 255)
        if words:
            rows = islice(read_rows(self.path, self._wanted), len(codes))
            chosen &= np.fromiter((self._holds(row, words.lower()) for row in rows), bool, len(codes))
        return np.flatnonzero(chosen)

    def file_of(self, row: Row) -> Path | None:
        """The row's picture or sound.

        Raises:
            UserError: its path leaves the manifest's folder.
        """
        return None if self.media is None else path_below(self.root, row.values[self.media])

    @property
    def _wanted(self) -> tuple[str, ...]:
        return self.texts if self.media is None else (self.media, *self.texts)

    def _holds(self, row: Row, words: str) -> bool:
        said = texts_of(row, self.texts) + [text for pair in questions_of(row) for text in pair]
        return any(words in text.lower() for text in said)

    def _scanned(self) -> Iterator[int]:
        try:
            rows = read_rows(self.path, self._wanted)
            while piece := list(islice(rows, PIECE if len(self) else 1)):  # the first at once
                self._take(piece)
                yield len(self)
                if len(self) >= MOST_ROWS:
                    problem = f"has more than {MOST_ROWS:,} rows; only these are shown"
                    raise UserError(problem, file=self.path)
        except UserError as error:
            self.problem = error
        if self.media == "wav" and not np.isfinite(self._seconds).any():
            self._measure_some()
        self.done = True
        yield len(self)

    def _take(self, rows: list[Row]) -> None:
        """Keep the numbers of some rows."""
        texts = [next(iter(texts_of(row, self.texts)), "") for row in rows]
        for row, text in zip(rows, texts, strict=True):
            name = str(row.values.get("split") or NO_SPLIT)
            if name not in self.split_names:
                if len(self.split_names) == 200:
                    raise UserError("has more than 200 different splits", file=self.path, line=row.line, field="split")
                self.split_names.append(name)
            self._offsets.append(row.end.offset)
            self._lines.append(row.end.line)
            self._characters.append(len(text))
            self._seconds.append(_number(row.values.get("seconds")))
            self._splits.append(self.split_names.index(name))
        if self.tokenizer is not None:
            self._tokens.extend(map(len, self.tokenizer.encode_batch(texts, threads=1)))

    def _measure_some(self) -> None:
        """The seconds of evenly spread rows, by the headers of their files."""
        for number in np.unique(np.linspace(0, len(self) - 1, min(SAMPLED, len(self))).astype(int)):
            try:
                path = self.file_of(self[int(number)])
                assert path is not None
                self._seconds[int(number)] = sound_info(path).seconds
                self.n_sampled += 1
            except UserError:
                continue  # says so when the row is shown


def questions_of(row: Row) -> list[tuple[str, str]]:
    """(question, answer) of an annotation; nothing where there are none of this form."""
    listed = row.values.get("questions")
    pairs = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [(str(each.get("question", "")), str(each.get("answer", ""))) for each in pairs]


def _columns(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """The column of the files and those of the texts, by suffix and header."""
    if path.suffix in (".json", ".jsonl"):
        return "image", ("captions",)
    if path.suffix != ".csv":
        return None, ("text",)
    header = next((fields for _, _, fields in csv_records(path)), [])
    names = {name.strip() for name in header}
    return next((name for name in ("wav", "image") if name in names), None), ("text",)


def _number(value: object) -> float:
    """A column's number of seconds; NaN where it is none."""
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) else math.nan
    except ValueError:
        return math.nan
    return seconds if 0 <= seconds < 1e9 else math.nan
