"""Tables that people keep beside their files: commas, tabs or bars between the fields, with or without a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from muomni.data.input_files import check_readable
from muomni.errors import UserError

AUDIO = ("wav", "audio", "path", "file", "filename", "file_name", "clip")
IMAGE = ("image", "path", "file", "filename", "file_name", "image_name")
SPOKEN = ("text", "sentence", "transcript", "transcription", "normalized_text")
CAPTION = ("caption", "captions", "text", "comment")
WRITTEN = ("text", "label", "word", "words")
SPEAKER = ("speaker", "speaker_id", "client_id")

LARGEST_FIELD = 1 << 20


class Line(NamedTuple):
    """One record: the line it begins on, counted from 1, and its fields."""

    number: int
    fields: list[str]


class Columns(NamedTuple):
    """Where the file's name, the text and, if there is one, the speaker stand in a table's records."""

    media: int
    text: int
    speaker: int | None


def read_table(path: Path, delimiter: str) -> Iterator[Line]:
    """The records of a table. Commas: quoted as in RFC 4180. Tabs and bars: as they stand, a quote is a quote.

    Raises:
        UserError: unreadable, not UTF-8, or not quoted as a CSV is; with file and line.
    """
    check_readable(path)
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_FIELD))
    number = 1
    with path.open(encoding="utf-8-sig", newline="") as file:
        plain = delimiter != ","
        reader = csv.reader(
            file, delimiter=delimiter, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL, strict=True
        )
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                fix = "Quote fields that hold commas or quotes, and write a quote inside them twice."
                raise UserError(f"is no record of a table ({error})", file=path, line=number, fix=fix) from None
            except UnicodeDecodeError as error:
                fix = "Save the table as UTF-8."
                raise UserError(f"is not UTF-8 ({error.reason})", file=path, line=number, fix=fix) from None
            if fields is None:
                return
            if any(field.strip() for field in fields):
                yield Line(number, fields)
            number = reader.line_num + 1


def first_line(path: Path) -> str:
    """The first line of a text, as far as it can be read as one: what is no UTF-8 below it is said when it is read."""
    try:
        with path.open("rb") as file:
            return file.readline(LARGEST_FIELD).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    except OSError:
        return ""


def columns_of(header: list[str], media: tuple[str, ...], text: tuple[str, ...]) -> Columns | None:
    """Which columns of `header` name the file and the text; None where one of them is missing."""
    names = [name.strip().lower() for name in header]

    def find(wanted: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    file, words = find(media), find(text)
    return None if file is None or words is None or file == words else Columns(file, words, find(SPEAKER))
