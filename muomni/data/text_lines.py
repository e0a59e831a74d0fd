"""Text files read a block of whole lines at a time: bounded memory, and every fault named with its line.

One reading of what a line is, for the whole project: it ends at "\\n"; the "\\r" before that belongs to the ending (a
lone "\\r" does not); the last line needs no ending; a byte order mark at the start of the file is not text. What is not
UTF-8, holds a NUL, or has a line of more than 16 MiB is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from muomni.data.input_files import opened
from muomni.errors import UserError

BOM = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 16 << 20
BLOCK_BYTES = 1 << 18
BLOCK_LINES = 10_000


class Position(NamedTuple):
    """A place between two lines: bytes and lines before it. For a list of JSON objects, between two of those."""

    offset: int = 0
    line: int = 0


@dataclass(frozen=True)
class Block:
    """Some whole lines of a file.

    Attributes:
        text: the lines as they stand in the file, each with its ending (but for the file's last, which may have none).
        start: where they begin.
        size: bytes they take in the file.
    """

    text: str
    start: Position
    size: int

    @property
    def end(self) -> Position:
        """Where the next block begins."""
        lines = self.text.count("\n") + (self.text[-1:] not in ("", "\n"))
        return Position(self.start.offset + self.size, self.start.line + lines)

    def lines(self) -> list[str]:
        """The lines without their endings."""
        lines = (self.text.replace("\r\n", "\n") if "\r" in self.text else self.text).split("\n")
        if lines[-1] == "":
            lines.pop()
        return lines

    def endings(self) -> Iterator[tuple[str, Position]]:
        """Each line as it stands in the file, ending included, with the position behind it."""
        offset, line = self.start
        offset += self.size - len(self.text.encode("utf-8"))  # a byte order mark
        lines = self.text.split("\n")
        last = lines.pop()
        for text in [*(text + "\n" for text in lines), *([last] if last else [])]:
            offset += len(text) if text.isascii() else len(text.encode("utf-8"))
            line += 1
            yield text, Position(offset, line)


def read_blocks(path: str | Path, start: Position | None = None, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """All lines from `start` on, in blocks of about `block_bytes` and at most 10,000 lines.

    Raises:
        UserError: the file is unreadable, or a line of it is not UTF-8, holds a NUL or is too long.
    """
    at = start or Position()
    with opened(path) as file:
        file.seek(at.offset)
        rest = b""
        while piece := file.read(block_bytes):
            cut = piece.rfind(b"\n") + 1
            if cut:
                data, rest = rest + piece[:cut], piece[cut:]
                _check_length(data.find(b"\n"), at, path)
                for block in _divided(data, at, path):
                    yield block
                    at = block.end
            else:
                rest += piece
                _check_length(len(rest), at, path)
        if rest:
            yield from _divided(rest, at, path)


def read_lines(path: str | Path) -> Iterator[str]:
    """All lines of a text file without their endings, blank ones too. Raises `UserError` as `read_blocks` does."""
    for block in read_blocks(path):
        yield from block.lines()


def is_blank(line: str) -> bool:
    """Whether a line holds no text: blank lines are not tokens, not documents, and only part paragraphs."""
    return not line or line.isspace()


def _divided(data: bytes, at: Position, path: str | Path) -> Iterator[Block]:
    """`data`, decoded and checked, in blocks of at most `BLOCK_LINES` lines."""
    mark = len(BOM) if at.offset == 0 and data.startswith(BOM) else 0
    try:
        text = data[mark:].decode("utf-8") if mark else data.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = mark + error.start
        raise UserError(
            f"is not UTF-8 (byte 0x{data[wrong]:02x})",
            file=path,
            line=at.line + data.count(b"\n", 0, wrong) + 1,
            fix="Convert the file to UTF-8.",
        ) from None
    if "\0" in text:
        line = at.line + text.count("\n", 0, text.index("\0")) + 1
        raise UserError("holds a NUL character, so this is not text", file=path, line=line, fix="Remove it.")
    n_lines = text.count("\n")
    if n_lines <= BLOCK_LINES:
        yield Block(text, at, len(data))
        return
    first = 0
    while first < len(text):
        last = first
        for _ in range(BLOCK_LINES):
            last = text.find("\n", last) + 1
            if not last:
                last = len(text)
                break
        part = text[first:last]
        block = Block(part, at, mark + (len(part) if part.isascii() else len(part.encode("utf-8"))))
        yield block
        at, first, mark = block.end, last, 0


def _check_length(length: int, at: Position, path: str | Path) -> None:
    if length > MAX_LINE_BYTES:
        raise UserError(
            f"is a line of more than {MAX_LINE_BYTES >> 20} MiB",
            file=path,
            line=at.line + 1,
            fix="Break it into several lines.",
        )
