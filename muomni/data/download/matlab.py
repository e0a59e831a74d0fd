"""Names and labels out of a MATLAB file (version 5, `.mat`): as much of the format as IIIT 5K-Word needs.

Its labels are a struct array, 1 x N, whose fields `ImgName` and `GroundTruth` hold text. A file is a 128-byte header
and elements; an element is a type, a byte count and data padded to 8 bytes (small ones keep 4 bytes of data beside the
count); type 15 holds other elements, compressed by zlib; type 14 is an array: flags, dimensions, name, contents. After
"MAT-File Format", The MathWorks, chapter 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

HEADER = 128
COMPRESSED, MATRIX = 15, 14
STRUCT, CELL, CHAR = 2, 1, 4
LARGEST = 512 << 20
"""Bytes that a compressed element may hold."""

TEXT_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


class MatlabError(ValueError):
    """The file is not of this format, or damaged."""


def read_text_fields(path: Path, fields: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The texts of `fields` for every entry of the file's first struct array that has them.

    Raises:
        MatlabError: the file is damaged, or has no such array.
    """
    data = path.read_bytes()
    if len(data) < HEADER or data[126:128] not in (b"IM", b"MI"):
        raise MatlabError("is no MATLAB file of version 5")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        for kind, content in _elements(memoryview(data)[HEADER:], order):
            if kind == COMPRESSED:
                plain = zlib.decompressobj()
                inside = memoryview(plain.decompress(content, LARGEST))
                kind, content = next(_elements(inside, order), (0, inside))
            names, values = _struct(content, order) if kind == MATRIX else ([], [])
            if set(fields) <= set(names):
                columns = [names.index(field) for field in fields]
                for start in range(0, len(values) - len(names) + 1, len(names)):
                    yield tuple(_text(values[start + column], order) for column in columns)
                return
    except (struct.error, zlib.error, IndexError, UnicodeDecodeError) as error:
        raise MatlabError(f"is damaged ({error})") from error
    raise MatlabError(f"has no array with the fields {', '.join(fields)}")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, data) of the elements that stand one behind the other in `data`."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # small: the count is in the upper half of the type, the data where the count would be
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
            at += 8
        else:
            begin = at + 8
            at = begin + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(data):
            raise MatlabError("is cut short")
        yield kind, data[begin : begin + size]


def _struct(content: memoryview, order: str) -> tuple[list[str], list[memoryview]]:
    """Field names, and the arrays of all entries: entry by entry, field by field. Nothing for other arrays."""
    parts = [data for _, data in _elements(content, order)]
    if not parts or _class(parts[0], order) != STRUCT:
        return [], []
    width = struct.unpack(f"{order}i", parts[3][:4])[0]
    if width <= 0:
        raise MatlabError("has field names of no length")
    cut = [bytes(parts[4][at : at + width]) for at in range(0, len(parts[4]), width)]
    return [name.split(b"\0")[0].decode("ascii") for name in cut], parts[5:]


def _class(flags: memoryview, order: str) -> int:
    return int(struct.unpack(f"{order}I", flags[:4])[0] & 0xFF)


def _text(content: memoryview, order: str) -> str:
    """The text of a character array, or of a cell with one in it."""
    parts = list(_elements(content, order))
    kind = _class(parts[0][1], order)
    if kind == CELL and len(parts) > 3:
        return _text(parts[3][1], order)
    if kind != CHAR:
        raise MatlabError("has a label that is no text")
    if len(parts) < 4:
        return ""
    stored, data = parts[3]
    codec = TEXT_CODECS.get(stored, "utf-8")
    return bytes(data).decode(codec if codec in ("latin-1", "utf-8") else f"{codec}-{'le' if order == '<' else 'be'}")
