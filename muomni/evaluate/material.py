"""What models are held against: the world's test tables, recordings of people, and optional packages.

Test tables are for measuring only: nothing is chosen by them. With a limit, examples are taken evenly from a whole
table, because its first rows may be of one kind.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from muomni.data.examples import Example, Examples, path_below
from muomni.data.input_files import check_readable
from muomni.data.manifests import read_rows
from muomni.errors import BAD_USAGE, UserError

REALITY = "MUOMNI_REALITY"
"""The environment variable that names the folder of real recordings and texts."""
SPEECH = "speech.tsv"
SPEECH_COLUMNS = ("path", "set", "speaker", "text")
MANIFEST = "manifest.json"
T = TypeVar("T")


class Unavailable(Exception):
    """Examples that are not there, and need not be: the reason, and how to get them."""


class Recording(NamedTuple):
    """Real speech: the file, the set and the speaker it is of, and what is said."""

    path: Path
    set: str
    speaker: str
    text: str


@dataclass(frozen=True)
class Material:
    """
    Args:
        data: the data folder.
        reality: a folder with `speech.tsv` (path, set, speaker, text; tabs between them) and `text/`; None: none.
        limit: at most so many examples of each kind.
        seed: of the bootstrap and of what is drawn at random.
    """

    data: Path
    reality: Path | None = None
    limit: int | None = None
    seed: int = 0

    def spread(self, items: Sequence[T], most: int | None = None) -> list[T]:
        """At most `most` and at most `limit` of the items, evenly from all of them."""
        wanted = min(len(items), *(n for n in (most, self.limit) if n is not None), len(items))
        return [items[int(i)] for i in np.linspace(0, len(items) - 1, wanted).round()]

    def table(self, name: str) -> Path:
        """A test table below the data folder.

        Raises:
            UserError: it is not there.
        """
        path = self.data / name
        if not path.exists():
            raise UserError("does not exist", file=path, fix="Run `muomni data make`, or name the folder with --data.")
        return path

    def lines(self, name: str, most: int | None = None) -> list[str]:
        """Lines of a text."""
        found = [str(row.values["text"]) for row in read_rows(self.table(name), ("text",))]
        if not found:
            raise UserError("holds no text", file=self.data / name)
        return self.spread(found, most)

    def rows(self, name: str, media: str) -> list[Example]:
        """All rows of a table with media ("wav" or "image")."""
        return list(Examples.open(self.table(name), media))

    def recordings(self, *sets: str) -> list[Recording]:
        """Real speech of these sets.

        Raises:
            Unavailable: no folder of real recordings is named.
            UserError: the one that is named has no such table.
        """
        path = self._real(SPEECH)
        check_readable(path)
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file, delimiter="\t", strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"is no table ({error})", file=path) from None
        found, root = [], path.parent.resolve()
        for number, row in enumerate(rows, start=2):
            for column in SPEECH_COLUMNS:
                if not row.get(column):
                    raise UserError("is missing", file=path, line=number, field=column)
            if row["set"] in sets:
                at = path_below(root, row["path"])
                found.append(Recording(at, row["set"], row["speaker"], row["text"]))
        if not found:
            raise Unavailable(f"{path} has no recordings of {' or '.join(sets)}")
        return found

    def real_text(self, name: str) -> str:
        """A real text below `text/`, whole.

        Raises:
            Unavailable: no folder of real texts is named, or it has no such text.
        """
        path = self._real(f"text/{name}")
        if not path.exists():
            raise Unavailable(f"{path} does not exist")
        check_readable(path)
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"is no UTF-8 text ({error.reason})", file=path) from None

    def _real(self, name: str) -> Path:
        if self.reality is None:
            raise Unavailable(f"no real recordings and texts are named: give --reality DIR or set {REALITY}")
        return self.reality / name

    def fingerprint(self, source: str) -> str | None:
        """What names the very examples of a source; None where there are none.

        Args:
            source: a folder of the data ("audio"): the SHA-256 of its manifest; "reality/NAME": of that file;
                "package:NAME": the package's version.
        """
        kind, _, name = source.partition(":")
        if kind == "package":
            version = installed(name)
            return None if version is None else f"{name} {version}"
        folder, _, file = source.partition("/")
        path = self.data / source / MANIFEST
        if folder == "reality":
            path = (self.reality or Path()) / file
        if not path.is_file():
            return None
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def installed(package: str) -> str | None:
    """The version of a package, or None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def material(data: str | Path, reality: str | Path | None = None, limit: int | None = None, seed: int = 0) -> Material:
    """Checked `Material`; without `reality` the folder that the environment variable MUOMNI_REALITY names, if any.

    Raises:
        UserError: a folder is not there, or the limit makes no sense.
    """
    if limit is not None and limit < 2:
        raise UserError(f"is {limit}; allowed is a whole number from 2 up", field="--limit", exit_code=BAD_USAGE)
    if seed < 0:
        raise UserError(f"is {seed}; allowed is a whole number from 0 up", field="--seed", exit_code=BAD_USAGE)
    if not Path(data).is_dir():
        raise UserError("is no folder", file=data, fix="Run `muomni data make`, or name the folder with --data.")
    reality = reality or os.environ.get(REALITY) or None
    if reality is not None and not (Path(reality) / SPEECH).is_file():
        raise UserError(f"holds no {SPEECH}", file=reality, fix=f"Name another folder with --reality or {REALITY}.")
    return Material(Path(data), None if reality is None else Path(reality), limit, seed)
