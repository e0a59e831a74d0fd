"""Making thousands of files: in parallel, the same bytes every time, nothing twice, and on again after a kill.

A `Part` (text, images, audio, ocr) is cut into shards, each a pure function of its settings. A worker makes a shard,
writes its media, and last a note of what it made into `.build/`; after a kill, the next run finds the notes of the
shards that were whole and makes the others. When all are there the part writes its tables, `media.txt` (SHA-256, bytes
and path of every picture or sound) and, last of all, `manifest.json`. A part whose manifest, tables and media are as
they should be is left alone; pictures and sounds are looked at by their sizes here, by their hashes in `muomni data
check`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from muomni.errors import UserError
from muomni.files import os_reason, replacing, write_json, write_text
from muomni.processes import end_with

MEDIA = "media.txt"
MANIFEST = "manifest.json"
FEW = 400
"""So few items are made faster here than by workers that have yet to start."""


class Medium(NamedTuple):
    """A picture or a sound that was written: its path in the part's folder, its hash and its size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Made:
    """What one shard comes to: rows (anything JSON can hold) and the media it wrote."""

    rows: list[Any]
    media: list[Medium]


class Part(Protocol):
    """One folder of the data. It is sent to the workers, so it holds nothing but settings."""

    @property
    def name(self) -> str: ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides the bytes, but for the versions of libraries."""

    def versions(self) -> dict[str, str]:
        """The libraries that the bytes may depend on."""

    def shards(self) -> list[Sequence[Any]]:
        """The work, in pieces whose lengths say how much each is."""

    def make(self, shard: Sequence[Any], folder: Path) -> Made:
        """Make one piece: write its media below `folder`, return its rows."""

    def tables(self, rows: list[Any]) -> tuple[dict[str, str], dict[str, Any]]:
        """From all rows in the order of the shards: the text of each table by its name, and what the manifest says."""


def build(
    parts: Sequence[Part], out: Path, workers: int | None = None, progress: bool = True
) -> dict[str, dict[str, Any]]:
    """Make every part below `out` that is not there as it should be; the manifests by the parts' names.

    Args:
        workers: processes; None: one for each core.
        progress: show a progress bar.

    Raises:
        UserError: something cannot be written.
    """
    found = {part.name: unchanged(out / part.name, part.settings()) for part in parts}
    missing = [part for part in parts if found[part.name] is None]
    if missing:
        work = [_Work(part, out / part.name) for part in missing]
        _make_shards(work, workers or os.cpu_count() or 1, progress)
        for each in work:
            found[each.part.name] = each.finish()
    return {name: manifest for name, manifest in found.items() if manifest is not None}


def unchanged(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest in `folder`, if it was made with these settings and every file is still what it says."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if any(manifest[key] != value for key, value in settings.items()):
            return None
        for name, claims in manifest["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != claims["sha256"]:
                return None
        if MEDIA in manifest["files"] and not _all_there(folder, read_media(folder)):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def read_media(folder: Path) -> list[Medium]:
    """What `media.txt` lists; empty where there is none."""
    try:
        lines = (folder / MEDIA).read_text(encoding="utf-8").splitlines()
        return [Medium(path, sha, int(size)) for sha, size, path in (line.split("  ", 2) for line in lines)]
    except (OSError, ValueError):
        return []


def write_medium(folder: Path, path: str, content: bytes) -> Medium:
    """Write a picture or a sound, whole or not at all."""
    target = folder / path
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, target)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        problem = f"cannot be written ({os_reason(error)})"
        raise UserError(problem, file=target, fix="Free some space or choose another folder.") from error
    return Medium(path, hashlib.sha256(content).hexdigest(), len(content))


def _all_there(folder: Path, media: list[Medium]) -> bool:
    """Whether every file has its size. A folder is listed once: much faster than asking for each file."""
    sizes: dict[str, dict[str, int]] = {}
    for path, _, size in media:
        parent, _, name = path.rpartition("/")
        if parent not in sizes:
            with os.scandir(folder / parent) as entries:
                sizes[parent] = {entry.name: entry.stat().st_size for entry in entries}
        if sizes[parent].get(name) != size:
            return False
    return True


class _Work:
    """A part under construction."""

    def __init__(self, part: Part, folder: Path) -> None:
        self.part = part
        self.folder = folder
        self.shards = part.shards()
        recipe = json.dumps([part.settings(), part.versions()], sort_keys=True)
        self.notes = folder / ".build" / hashlib.sha256(recipe.encode()).hexdigest()[:16]
        try:
            self.notes.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"cannot be written ({os_reason(error)})"
            raise UserError(problem, file=folder, fix="Move what is there away, or choose another folder.") from error

    def note(self, number: int) -> Path:
        return self.notes / f"{number:05}.json"

    def made(self, number: int) -> Made | None:
        """What an earlier run made of a shard, if it is whole."""
        try:
            note = json.loads(self.note(number).read_text(encoding="utf-8"))
            made = Made(note["rows"], [Medium(*medium) for medium in note["media"]])
            return made if _all_there(self.folder, made.media) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self) -> dict[str, Any]:
        """Write the tables, the list of media and the manifest; remove what an older build left behind."""
        made = [self.made(number) for number in range(len(self.shards))]
        whole = [each for each in made if each is not None]
        if len(whole) < len(made):
            raise UserError("files vanished while they were made", file=self.folder, fix="Run it again.")
        tables, says = self.part.tables([row for each in whole for row in each.rows])
        media = sorted(medium for each in whole for medium in each.media)
        if media:
            tables[MEDIA] = "".join(f"{sha}  {size}  {path}\n" for path, sha, size in media)
            kept = {medium.path for medium in media}
            for old in read_media(self.folder):
                if old.path not in kept:
                    with suppress(OSError):
                        (self.folder / old.path).unlink()
            for folder in {(self.folder / path).parent for path in kept}:
                for torn in folder.glob(".*.part"):  # of a run that was killed
                    torn.unlink(missing_ok=True)
        files = {}
        for name, text in tables.items():
            write_text(self.folder / name, text)
            content = text.encode()
            files[name] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
                "lines": text.count("\n"),
            }
        manifest = {"name": f"tiny world, {self.part.name}"} | self.part.settings() | says
        manifest |= {"versions": self.part.versions(), "files": files}
        write_json(self.folder / MANIFEST, manifest)
        shutil.rmtree(self.folder / ".build", ignore_errors=True)
        return manifest


def _make_shards(work: list[_Work], workers: int, progress: bool) -> None:
    """Make the shards that no earlier run has made, the parts with the longest work first."""
    from tqdm.auto import tqdm

    todo = [(each, number) for each in work for number in range(len(each.shards)) if each.made(number) is None]
    n_items = sum(len(shard) for each in work for shard in each.shards)
    left = sum(len(each.shards[number]) for each, number in todo)
    with tqdm(total=n_items, initial=n_items - left, desc="tiny world", unit="item", disable=not progress) as bar:
        if workers == 1 or left <= FEW:
            for each, number in todo:
                bar.set_postfix_str(each.part.name)
                bar.update(_make_shard(each.part, each.shards[number], each.folder, each.note(number)))
        else:
            _in_processes(todo, workers, lambda name, n: (bar.set_postfix_str(name), bar.update(n)))


def _in_processes(todo: list[tuple[_Work, int]], workers: int, made: Callable[[str, int], Any]) -> None:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with, initargs=(os.getpid(),))
    waiting: dict[Future[int], str] = {}
    try:
        for each, number in todo:
            task = pool.submit(_make_shard, each.part, each.shards[number], each.folder, each.note(number))
            waiting[task] = each.part.name
        while waiting:
            for task in wait(waiting, return_when=FIRST_COMPLETED).done:
                made(waiting.pop(task), task.result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make_shard(part: Part, shard: Sequence[Any], folder: Path, note: Path) -> int:
    """Make one shard and note it: in a worker, or here."""
    made = part.make(shard, folder)
    with replacing(note) as temporary:
        temporary.write_text(json.dumps({"rows": made.rows, "media": made.media}), encoding="utf-8")
    return len(shard)
