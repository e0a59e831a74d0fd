"""Files that no reader can use, by the way in which they are wrong, for tests that expect a `UserError` of all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from muomni.data.text_lines import MAX_LINE_BYTES

Maker = Callable[[Path], Path]
"""Makes the bad file at about the given path and returns where it is."""


def holding(data: bytes) -> Maker:
    def make(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return make


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def missing(path: Path) -> Path:
    return path


def nul_in_name(path: Path) -> Path:
    return Path(f"{path}\0{path.suffix}")


def pipe(path: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(path)
    return path


def without_permission(path: Path) -> Path:
    path.write_bytes(b"image,text\na.png,red\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    return path


ANYWHERE: dict[str, Maker] = {
    "missing": missing,
    "folder": folder,
    "pipe": pipe,
    "no permission": without_permission,
    "NUL in its name": nul_in_name,
    "empty": holding(b""),
    "only a byte order mark": holding(b"\xef\xbb\xbf"),
    "only blank lines": holding(b"\n  \n\r\n\t\n"),
    "NUL bytes": holding(b"image,text\na.png,\0\0\n"),
    "not UTF-8": holding(b"image,text\na.png,caf\xe9\n"),
    "UTF-8 cut in a character": holding("image,text\na.png,é".encode()[:-1]),
    "UTF-16": holding("image,text\na.png,red\n".encode("utf-16")),
    "a picture": holding(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))),
    "a line without end": holding(b"x" * (MAX_LINE_BYTES + (1 << 19))),
}
"""Bad for every reader."""

CSV: dict[str, Maker] = ANYWHERE | {
    "no header": holding(b"a.png,red\nb.png,blue\n"),
    "column missing": holding(b"image,words\na.png,red\n"),
    "column misspelt": holding(b"imgae,text\na.png,red\n"),
    "column twice": holding(b"image,text,text\na.png,red,blue\n"),
    "header only": holding(b"image,text\n"),
    "header and blank lines": holding(b"image,text\r\n\r\n\r\n"),
    "too few fields": holding(b"image,text\na.png,red\nb.png\n"),
    "too many fields": holding(b"image,text\na.png,red, green, blue\n"),
    "quote not closed": holding(b'image,text\na.png,"red\nb.png,blue\n'),
    "text behind a quote": holding(b'image,text\na.png,"red"ish\n'),
    "lone carriage returns": holding(b"image,text\ra.png,red\r"),
    "a field without end": holding(b'image,text\na.png,"' + b"red\n" * 100_000),
    "semicolons": holding(b"image;text\na.png;red\n"),
    "JSON": holding(b'[{"image": "a.png", "caption": "red"}]'),
}

JSON: dict[str, Maker] = {name: make for name, make in ANYWHERE.items() if name != "a line without end"} | {
    "cut in an object": holding(b'[{"image": "a.png", "caption": "red"}, {"image": "b.p'),
    "cut between objects": holding(b'[{"image": "a.png", "caption": "red"},'),
    "cut behind an object": holding(b'[{"image": "a.png", "caption": "red"}'),
    "no comma": holding(b'[{"image": "a", "caption": "b"} {"image": "c", "caption": "d"}]'),
    "comma at the end": holding(b'[{"image": "a", "caption": "b"},]'),
    "something behind": holding(b'[{"image": "a", "caption": "b"}] x'),
    "no objects": holding(b"[]"),
    "numbers": holding(b"[1, 2, 3]"),
    "a string": holding(b'"image"'),
    "an object of lists": holding(b'{"images": [],\n "annotations": []}'),
    "a line that is a list": holding(b'{"image": "a", "caption": "b"}\n["image"]\n'),
    "key missing": holding(b'[{"image": "a.png"}]'),
    "key misspelt": holding(b'[{"image": "a.png", "captoin": "red"}]'),
    "caption a number": holding(b'[{"image": "a.png", "caption": 3}]'),
    "captions mixed": holding(b'[{"image": "a.png", "captions": ["red", null]}]'),
    "image a list": holding(b'[{"image": ["a.png"], "caption": "red"}]'),
    "half a surrogate": holding(b'[{"image": "a.png", "caption": "\\ud800"}]'),
    "bad escape": holding(b'[{"image": "a.png", "caption": "\\x"}]'),
    "newline in a string": holding(b'[{"image": "a.png", "caption": "a\nb"}]'),
    "single quotes": holding(b"[{'image': 'a.png', 'caption': 'red'}]"),
    "nested without end": holding(b'[{"image": ' + b"[" * 200_000),
    "a number without end": holding(b'[{"image": ' + b"1" * 10_000 + b"}]"),
    "an object without end": holding(b'[{"image": "' + b"x" * (18 << 20)),
    "two marks": holding(b"\xef\xbb\xbf\xef\xbb\xbf[]"),
}

TEXT: dict[str, Maker] = ANYWHERE

MODEL: dict[str, Maker] = {
    name: ANYWHERE[name]
    for name in ("missing", "folder", "pipe", "no permission", "NUL in its name", "empty", "a picture")
} | {"zeros": holding(bytes(1000)), "text": holding(b"not a model at all\n" * 100)}


def each(cases: dict[str, Maker]) -> pytest.MarkDecorator:
    """Parametrises a test by `make`."""
    return pytest.mark.parametrize("make", cases.values(), ids=[name.replace(" ", "_") for name in cases])
