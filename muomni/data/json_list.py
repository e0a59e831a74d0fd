"""JSON objects out of a list or out of lines, one at a time, however long the file.

A file that begins with `[` is one list of objects and may all stand on one line; one that begins with `{` is JSON
Lines, an object on each line. Python's decoder is given a window of the text that grows until an object in it is whole,
so memory holds one window and one object, never the file.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from muomni.data.input_files import opened
from muomni.data.text_lines import BOM, Position, is_blank, read_blocks
from muomni.errors import UserError

WINDOW = 1 << 18
MAX_OBJECT = 16 << 20
SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


class JsonObject(NamedTuple):
    """An object, the line it begins on (from 1), and the place right behind it."""

    line: int
    end: Position
    value: dict[str, Any]


def read_objects(path: str | Path, start: Position | None = None) -> Iterator[JsonObject]:
    """All objects of a JSON list or of JSON Lines, from `start` (the `end` of an earlier one) on.

    Raises:
        UserError: the file is unreadable, not UTF-8, cut short, or not a list of objects; with file and line.
    """
    path = Path(path)
    start = start or Position()
    with opened(path) as file:
        window = _Window(file, path, Position())
        opening = window.skip_space()
    if opening == "{":
        return _from_lines(path, start)
    if opening != "[":
        found = f"begins with {opening!r}" if opening else "is empty"
        raise UserError(
            f"{found}, not with a list of objects",
            file=path,
            line=window.at.line + 1 if opening else None,
            fix='Write [{"image": "a.png", "caption": "..."}, ...].',
        )
    return _from_list(path, start)


def _from_lines(path: Path, start: Position) -> Iterator[JsonObject]:
    for block in read_blocks(path, start):
        for text, end in block.endings():
            if is_blank(text):
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                fix = "Write one whole object on each line, or a list: [{...}, ...]."
                raise UserError(f"is no JSON ({_reason(error)})", file=path, line=end.line, fix=fix) from None
            yield JsonObject(end.line, end, _object(value, path, end.line))


def _from_list(path: Path, start: Position) -> Iterator[JsonObject]:
    with opened(path) as file:
        window = _Window(file, path, start)
        first = start.offset == 0
        if first:
            window.skip_space()
            window.take(1)
        while True:
            mark = window.skip_space()
            if mark == "]":
                break
            if not first:
                if mark != ",":
                    raise window.wrong(f"{mark!r} stands between two objects" if mark else "the list is not closed")
                window.take(1)
                mark = window.skip_space()
            if mark != "{":
                raise window.wrong(f"{mark!r} stands where an object must begin" if mark else "the list is not closed")
            line = window.at.line + 1
            value = window.decode()
            yield JsonObject(line, window.at, _object(value, path, line))
            first = False
        window.take(1)
        mark = window.skip_space()
        if mark:
            raise window.wrong(f"{mark!r} stands behind the end of the list")


class _Window:
    """A stretch of the file's text, and the place in the file where its unread part begins."""

    def __init__(self, file: BinaryIO, path: Path, at: Position) -> None:
        self.at = at
        self._file = file
        self._path = path
        self._text = ""
        self._next = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._ended = False
        self._read_to = at.offset
        file.seek(at.offset)

    def _grow(self, n_bytes: int = WINDOW) -> bool:
        """Append more of the file to the unread part. False at its end."""
        if self._ended:
            return False
        piece = self._file.read(n_bytes)
        if self._read_to == 0 and piece.startswith(BOM):
            piece = piece[len(BOM) :]
            self._read_to = len(BOM)
            self.at = Position(len(BOM), 0)
        self._ended = not piece
        self._text = self._text[self._next :]
        self._next = 0
        try:
            self._text += self._utf8.decode(piece, final=self._ended)
        except UnicodeDecodeError as error:
            wrong = error.object[: error.start].count(b"\n") + self._text.count("\n") + self.at.line
            fix = "Convert the file to UTF-8."
            raise UserError("is not UTF-8", file=self._path, line=wrong + 1, fix=fix) from None
        self._read_to += len(piece)
        return True

    def take(self, count: int) -> None:
        """Move on by `count` characters."""
        text = self._text[self._next : self._next + count]
        self._next += count
        size = len(text) if text.isascii() else len(text.encode("utf-8"))
        self.at = Position(self.at.offset + size, self.at.line + text.count("\n"))

    def skip_space(self) -> str:
        """Move on to the next character that is no white space, and say which: "" at the end of the file."""
        while True:
            self.take(SPACE.match(self._text, self._next).end() - self._next)  # type: ignore[union-attr]
            if self._next < len(self._text):
                return self._text[self._next]
            if not self._grow():
                return ""

    def decode(self) -> Any:
        """The JSON value that begins here; moves on behind it."""
        grown = WINDOW
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._next)
                self.take(end - self._next)
                return value
            except RecursionError as error:
                raise self.wrong(_reason(error)) from None
            except ValueError as error:
                if len(self._text) - self._next > MAX_OBJECT:
                    raise self.wrong(f"no whole object within {MAX_OBJECT >> 20} MiB") from None
                if isinstance(error, json.JSONDecodeError) and error.pos < len(self._text) - 8 and not _cut(error):
                    self.take(error.pos - self._next)
                    raise self.wrong(error.msg) from None
                if not self._grow(grown):
                    raise self.wrong(f"the object that begins here is cut short or wrong ({_reason(error)})") from None
                grown = min(2 * grown, MAX_OBJECT)

    def wrong(self, problem: str) -> UserError:
        """The error that `problem` is at the place reached."""
        fix = "Mend it, or write the file anew."
        return UserError(f"is no JSON list ({problem})", file=self._path, line=self.at.line + 1, fix=fix)


def _cut(error: json.JSONDecodeError) -> bool:
    """Whether the end of the window may be to blame: these are reported where the value began, not where it broke."""
    return error.msg.startswith("Unterminated string") or error.msg.startswith("Invalid \\")


def _object(value: Any, path: Path, line: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"is {type(value).__name__}, not an object", file=path, line=line, fix="Write {...}.")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
