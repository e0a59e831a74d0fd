"""How is this folder laid out? Each layout looks for its sign and gives (file, text) items; the first that fits is used.

| kind | layouts, in the order they are looked for |
|---|---|
| asr, tts | LJ Speech `metadata.csv` (`id|text|normalized`, `wavs/`); a CSV with a header as `wav,text`; Common Voice TSV (`path`, `sentence`, `clips/`); `x.wav` with `x.txt` |
| image | a CSV or text with the header `image,caption`; Flickr8k's `name.jpg#0<TAB>caption`; `x.jpg` with `x.txt` |
| ocr | a CSV with a header as `image,text`; lines `name<TAB>text`; `x.png` with `x.txt` or `x.gt.txt` |
"""  # noqa: E501 - the table's rows

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from muomni.data.importing.tables import (
    AUDIO,
    CAPTION,
    IMAGE,
    SPOKEN,
    WRITTEN,
    Columns,
    columns_of,
    first_line,
    read_table,
)
from muomni.data.skipped import Skipped
from muomni.errors import UserError

SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
BESIDE = ("", "wavs", "wav", "clips", "audio", "images", "Images", "img")
"""Folders beside a table in which the files that it names may lie."""


class Item(NamedTuple):
    """A file that a layout names, its text, its speaker if known, and where it is named, for messages."""

    file: str | Path
    text: str
    speaker: str | None
    where: str


@dataclass(frozen=True)
class Found:
    """A layout that fits: its name for people, the table if it has one, and its items."""

    layout: str
    table: Path | None
    items: Iterator[Item]


class Source(NamedTuple):
    """What was given: the folder, and the table where a file was named."""

    folder: Path
    table: Path | None

    def tables(self, *endings: str) -> list[Path]:
        """The files of the folder itself that may be the table; the named one only, where one is named."""
        if self.table is not None:
            return [self.table] if self.table.suffix in endings else []
        return sorted(path for path in self.folder.iterdir() if path.suffix in endings and path.is_file())


def walk(folder: Path) -> Iterator[Path]:
    """All files below `folder`, sorted; hidden ones and linked folders left out.

    Raises:
        UserError: a link that leads out of the folder.
    """
    inside = folder.resolve()
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(at) / name
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise link_out(path)
            if not name.startswith("."):
                yield path


def link_out(path: Path) -> UserError:
    """The error for a link from inside the folder to a file outside."""
    return UserError(
        f"is a link to {path.resolve()}, which leads out of the folder",
        file=path,
        fix="Put the file itself there, or import the folder that it is in.",
    )


def detect(kind: str, source: Source, skipped: Skipped) -> Found:
    """The first layout of `kind` that fits.

    Raises:
        UserError: none fits (with what was looked for), or several tables do.
    """
    media, text = {"image": (IMAGE, CAPTION), "ocr": (IMAGE, WRITTEN)}.get(kind, (AUDIO, SPOKEN))
    looks: dict[str, Callable[[], Found | None]] = {
        "image": {
            "a table with the header image,caption": lambda: _with_header(source, media, text),
            "lines name.jpg#0<TAB>caption": lambda: _numbered(source),
            "pictures with a .txt of the same name": lambda: _pairs(source, PICTURES, skipped),
        },
        "ocr": {
            "a table with the header image,text": lambda: _with_header(source, media, text),
            "lines name<TAB>text": lambda: _named(source),
            "pictures with a .txt of the same name": lambda: _pairs(source, PICTURES, skipped),
        },
    }.get(
        kind,
        {
            "metadata.csv with id|text and wavs/": lambda: _bars(source),
            "a table with the header wav,text (or path, sentence)": lambda: _with_header(source, media, text),
            "sound files with a .txt of the same name": lambda: _pairs(source, SOUNDS, skipped),
        },
    )
    for look in looks.values():
        found = look()
        if found is not None:
            return found
    raise UserError(
        f"holds nothing that can be imported as {kind}; looked for: {'; '.join(looks)}",
        file=source.table or source.folder,
        fix="Lay the files out in one of these ways, or name the table itself.",
    )


def _with_header(source: Source, media: tuple[str, ...], text: tuple[str, ...]) -> Found | None:
    fitting: dict[Path, tuple[str, Columns]] = {}
    for path in source.tables(".csv", ".tsv", ".txt"):
        head = first_line(path)
        delimiter = "\t" if "\t" in head else ","
        columns = columns_of(head.replace('"', "").split(delimiter), media, text)
        if columns is not None:
            fitting[path] = (delimiter, columns)
    if not fitting:
        return None
    path = _one_of(list(fitting), source)
    delimiter, columns = fitting[path]
    return Found(f"a table with a header, {path.name}", path, _table_items(path, delimiter, columns))


def _table_items(path: Path, delimiter: str, columns: Columns) -> Iterator[Item]:
    lines = read_table(path, delimiter)
    width = len(next(lines).fields)
    for number, fields in lines:
        if len(fields) != width:
            raise UserError(
                f"has {len(fields)} fields, the header has {width}",
                file=path,
                line=number,
                fix="Quote fields that hold commas.",
            )
        speaker = None if columns.speaker is None else fields[columns.speaker]
        yield Item(fields[columns.media], fields[columns.text], speaker, f"{path.name}:{number}")


def _one_of(paths: list[Path], source: Source) -> Path:
    """The one table, or Common Voice's checked one among its many."""
    by_name = {path.name: path for path in paths}
    for name in ("validated.tsv", "train.tsv", "metadata.csv", "captions.csv", "captions.txt", "labels.csv"):
        if name in by_name:
            return by_name[name]
    if len(paths) > 1:
        raise UserError(
            f"holds several tables ({', '.join(by_name)})", file=source.folder, fix="Name the one that is meant."
        )
    return paths[0]


def _bars(source: Source) -> Found | None:
    tables = [path for path in source.tables(".csv", ".txt") if first_line(path).count("|") in (1, 2)]
    if not tables:
        return None
    table = _one_of(tables, source)

    def items() -> Iterator[Item]:
        for number, fields in read_table(table, "|"):
            name = fields[0] if Path(fields[0]).suffix.lower() in SOUNDS else f"{fields[0]}.wav"
            yield Item(name, fields[-1] if len(fields) > 1 else "", None, f"{table.name}:{number}")

    return Found(f"LJ Speech: id|text|normalized text in {table.name}", table, items())


def _numbered(source: Source) -> Found | None:
    tables = [path for path in source.tables(".txt", ".token") if "#" in first_line(path).partition("\t")[0]]
    if not tables:
        return None
    table = _one_of(tables, source)

    def items() -> Iterator[Item]:
        for number, fields in read_table(table, "\t"):
            text = fields[1] if len(fields) == 2 else ""
            yield Item(fields[0].rpartition("#")[0], text, None, f"{table.name}:{number}")

    return Found(f"Flickr8k: name#number and caption in {table.name}", table, items())


def _named(source: Source) -> Found | None:
    def fits(path: Path) -> bool:
        name, tab, _ = first_line(path).partition("\t")
        return bool(tab) and Path(name).suffix.lower() in PICTURES

    tables = [path for path in source.tables(".txt", ".tsv") if fits(path)]
    if not tables:
        return None
    table = _one_of(tables, source)

    def items() -> Iterator[Item]:
        for number, fields in read_table(table, "\t"):
            yield Item(fields[0], "\t".join(fields[1:]), None, f"{table.name}:{number}")

    return Found(f"name and text, with a tab between, in {table.name}", table, items())


def _pairs(source: Source, endings: tuple[str, ...], skipped: Skipped) -> Found | None:
    if source.table is not None:
        return None
    files = list(walk(source.folder))
    media = [path for path in files if path.suffix.lower() in endings]
    texts = {path for path in files if path.suffix == ".txt"}
    text_of = {path: next((t for t in _texts_beside(path) if t in texts), None) for path in media}
    if not any(text_of.values()):
        return None

    def items() -> Iterator[Item]:
        for path, text in text_of.items():
            where = path.relative_to(source.folder).as_posix()
            if text is None:
                skipped.add("no .txt of the same name", where)
                continue
            try:
                yield Item(path, text.read_text(encoding="utf-8-sig"), None, where)
            except UnicodeDecodeError:
                skipped.add("text is not UTF-8", text.name)
        for text in sorted(texts - set(text_of.values())):
            skipped.add("a .txt without its file", text.relative_to(source.folder).as_posix())

    return Found("files with a .txt of the same name", None, items())


def _texts_beside(path: Path) -> tuple[Path, ...]:
    return path.with_suffix(".txt"), path.with_name(f"{path.stem}.gt.txt"), path.with_name(f"{path.name}.txt")
