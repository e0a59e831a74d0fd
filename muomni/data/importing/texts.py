"""Own texts as documents, one per line: how a file is cut is read off the file itself, and said.

| the file has | a document is |
|---|---|
| `<|endoftext|>` | what stands between the marks |
| blank lines | a paragraph: the lines between two blank ones |
| neither | a line |
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from muomni.data.importing.layouts import walk
from muomni.data.production import Row
from muomni.data.skipped import Skipped
from muomni.errors import UserError

END_OF_TEXT = "<|endoftext|>"
LOOK = 1 << 20
"""Characters at a file's beginning by which it is decided how it is cut."""

LONGEST = 4 << 20
"""Characters after which a document is cut, so that a book without paragraphs is no single line of memory."""


def read_documents(path: Path, skipped: Skipped) -> tuple[str, Iterator[Row]]:
    """How `path` (a text, or a folder of .txt files) is cut into documents, and the documents.

    Raises:
        UserError: a folder without any .txt file, or a single file that is no UTF-8 text.
    """
    if path.is_file():
        how = _how(path)
        if how is None:
            raise UserError("is not UTF-8 text", file=path, fix="Save it as UTF-8.")
        return f"one text, a document per {how}", _checked(path, how, skipped)
    files = []
    for file in walk(path):
        if file.suffix != ".txt":
            skipped.add("no .txt file", file.relative_to(path).as_posix())
        else:
            files.append(file)
    if not files:
        raise UserError(
            "holds nothing that can be imported as text; looked for: .txt files", file=path, fix="Name a text file."
        )
    hows = {file: _how(file) for file in files}
    for file, cut in hows.items():
        if cut is None:
            skipped.add("not UTF-8 text", file.relative_to(path).as_posix())
    ways = sorted({cut for cut in hows.values() if cut is not None})
    layout = f"{len(files):,} .txt file{'s' * (len(files) != 1)}, a document per {' or '.join(ways) or 'line'}"
    return layout, (row for file, cut in hows.items() if cut is not None for row in _checked(file, cut, skipped))


def _how(path: Path) -> str | None:
    """mark, paragraph or line; None where the beginning is not UTF-8, or holds what no text does."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.read(LOOK)
    except UnicodeDecodeError:
        return None
    if "\0" in head:
        return None
    if END_OF_TEXT in head:
        return "mark"
    return "paragraph" if any(not line.strip() for line in head.strip().splitlines()) else "line"


def _checked(path: Path, how: str, skipped: Skipped) -> Iterator[Row]:
    """The documents of one file. Bytes further on that are no UTF-8 end it, and are counted."""
    try:
        yield from ({"text": text} for text in _cut(path, how) if text.strip())
    except UnicodeDecodeError as error:
        skipped.add(f"rest of the file is not UTF-8 ({error.reason})", path.name)


def _cut(path: Path, how: str) -> Iterator[str]:
    document: list[str] = []
    size = 0
    with path.open(encoding="utf-8-sig") as file:
        for line in iter(lambda: file.readline(LONGEST), ""):
            pieces = line.split(END_OF_TEXT) if how == "mark" else [line]
            for number, piece in enumerate(pieces):
                ends = number > 0 or how == "line" or (how == "paragraph" and not line.strip()) or size > LONGEST
                if ends and document:
                    yield "".join(document)
                    document, size = [], 0
                document.append(piece)
                size += len(piece)
    yield "".join(document)
