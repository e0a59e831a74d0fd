"""One streaming reader for every manifest: CSV tables, JSON lists of annotations, JSON Lines and plain text.

| suffix | a row is | its values |
|---|---|---|
| `.csv` | a record by RFC 4180, below a header; quoted fields may hold commas, quotes, newlines | strings by column |
| `.json`, `.jsonl` | an object of the list, or of its line | as they stand; `caption` becomes `captions`, a list |
| any other | a line of text, blank ones left out | `text` |

Rows come one at a time with the line that they begin on, in bounded memory, and reading can start again behind any row.
Whatever is wrong with a file, a column or a row is a `UserError` that names file and line.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from muomni.data import json_list
from muomni.data.text_lines import Position, is_blank, read_blocks, read_lines
from muomni.errors import UserError

ASR_COLUMNS = ("wav", "text")
TTS_COLUMNS = ("text", "wav")
OCR_COLUMNS = ("image", "text")
ANNOTATION_KEYS = ("image", "captions")
TEXT_COLUMNS = ("text",)

MAX_FIELD = 1 << 17

__all__ = ["Position", "Row", "is_blank", "is_manifest", "read_lines", "read_rows", "text_columns", "texts_of"]


class Row(NamedTuple):
    """One row: the line it begins on (from 1), where the next one begins, and its values by column."""

    line: int
    end: Position
    values: dict[str, Any]


def read_rows(path: str | Path, columns: Sequence[str], start: Position | None = None) -> Iterator[Row]:
    """The rows of a manifest, from the first or from `start`, the `end` of an earlier row.

    Args:
        path: the manifest; its suffix says how it is read.
        columns: the columns that must be there. Others are passed on as they are.

    Raises:
        UserError: the file is unreadable or malformed, or a column is missing; with file, line, and a close name.
    """
    path = Path(path)
    if path.suffix == ".csv":
        return _csv_rows(path, columns, start or Position())
    if path.suffix in (".json", ".jsonl"):
        return _annotations(path, columns, start or Position())
    return _text_rows(path, start)


def texts_of(row: Row, columns: Sequence[str]) -> list[str]:
    """The texts in a row's `columns`; a list of captions gives each of them."""
    texts: list[str] = []
    for column in columns:
        value = row.values[column]
        texts += [value] if isinstance(value, str) else value
    return texts


def is_manifest(path: str | Path) -> bool:
    """Whether a file is a table or a list of objects by its suffix, and not plain text."""
    return Path(path).suffix in (".csv", ".json", ".jsonl")


def text_columns(path: str | Path) -> tuple[str, ...]:
    """The columns of a manifest that hold text, by its suffix."""
    return ("captions",) if Path(path).suffix in (".json", ".jsonl") else TEXT_COLUMNS


def _text_rows(path: Path, start: Position | None) -> Iterator[Row]:
    for block in read_blocks(path, start):
        for text, (_, end) in zip(block.lines(), block.endings(), strict=True):
            if not is_blank(text):
                yield Row(end.line, end, {"text": text})


class _Feed:
    """The physical lines of a file for `csv.reader`, and the place behind those it has taken."""

    def __init__(self, path: Path, start: Position) -> None:
        self.at = start
        self._blocks = read_blocks(path, start)

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            for text, end in block.endings():
                self.at = end
                yield text


def csv_records(path: Path, start: Position | None = None) -> Iterator[tuple[Position, Position, list[str]]]:
    """(begin, end, fields) of every record of a CSV file, blank lines left out; the header is the first record."""
    feed = _Feed(path, start or Position())
    reader = csv.reader(iter(feed), strict=True)
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
    while True:
        begin = feed.at
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise UserError(
                f"is no CSV record ({error})",
                file=path,
                line=begin.line + 1,
                fix='Quote fields that hold commas, quotes or newlines, and write a quote inside them twice ("").',
            ) from None
        if fields is None:
            return
        if fields:
            yield begin, feed.at, fields


def _csv_rows(path: Path, columns: Sequence[str], start: Position) -> Iterator[Row]:
    first = next(csv_records(path), None)
    if first is None:
        raise UserError("is empty", file=path, fix=f"Write a header ({','.join(columns)}) and rows.")
    begin, end, header = first
    header = [name.strip() for name in header]
    _check_header(header, columns, path, begin.line + 1)
    for begin, after, fields in csv_records(path, max(start, end)):
        if len(fields) != len(header):
            raise UserError(
                f"has {_fields(len(fields))}, the header has {len(header)} ({','.join(header)})",
                file=path,
                line=begin.line + 1,
                fix="Quote fields that hold commas.",
            )
        yield Row(begin.line + 1, after, dict(zip(header, fields, strict=True)))


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _check_header(header: list[str], columns: Sequence[str], path: Path, line: int) -> None:
    for name in columns:
        if header.count(name) > 1:
            raise UserError("is there twice", file=path, line=line, field=name, fix="Rename one of them.")
        if name not in header:
            raise UserError(
                f"the column is missing; the header has {','.join(header)[:200]}",
                file=path,
                line=line,
                field=name,
                fix=_did_you_mean(name, header) or f"The first line must name the columns {','.join(columns)}.",
            )


def _did_you_mean(name: str, names: Iterable[str]) -> str | None:
    by_lower = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"Did you mean {by_lower[close[0]]!r}? Rename it to {name!r}." if close else None


def _annotations(path: Path, keys: Sequence[str], start: Position) -> Iterator[Row]:
    for line, end, element in json_list.read_objects(path, start):
        values = _with_captions(element, path, line)
        for key in keys:
            if key not in values:
                raise UserError(
                    f"is missing; the object has {', '.join(element)[:200] or 'nothing'}",
                    file=path,
                    line=line,
                    field=key,
                    fix=_did_you_mean(key, element) or f"Each object needs {' and '.join(keys)}.",
                )
            if key != "captions" and not isinstance(values[key], str):
                raise UserError(f"is {_shown(values[key])}, not a string", file=path, line=line, field=key)
            _check_unicode(values[key], path, line, key)
        yield Row(line, end, values)


def _with_captions(element: dict[str, Any], path: Path, line: int) -> dict[str, Any]:
    """The object with `caption` or `captions` as a list of strings called `captions`."""
    for key in ("captions", "caption"):
        if key in element:
            value = element[key]
            captions = [value] if isinstance(value, str) else value
            if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
                problem = f"is {_shown(value)}, not a string or a list of strings"
                raise UserError(problem, file=path, line=line, field=key)
            return {**element, "captions": captions}
    return element


def _check_unicode(value: str | list[str], path: Path, line: int, key: str) -> None:
    try:
        for text in [value] if isinstance(value, str) else value:
            text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            "holds half of a surrogate pair, which is no character", file=path, line=line, field=key, fix="Remove it."
        ) from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
