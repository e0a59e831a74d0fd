"""Take what a folder holds into the data folder: check every file, copy it, and write the production manifest.

Files are copied (`data/audio/NAME/`): the manifest then works when the original is moved, renamed or on a stick that is
gone, and nobody changes a recording under a training. `--link` makes hard links instead where space is short: a second
name of the same file, on the same disk. (A symbolic link would lead out of the data folder, which readers refuse.)
Files that already lie in the right folder of the data folder are neither copied nor linked.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muomni.data.importing.layouts import BESIDE, Found, Item, Source, detect, link_out
from muomni.data.importing.texts import read_documents
from muomni.data.input_files import check_readable, file_status
from muomni.data.places import MARKER, check_ours, check_space, put_in_place, read_marker
from muomni.data.production import KINDS, Kind, Row, check_replaceable, one_line, write_manifest
from muomni.data.skipped import Skipped
from muomni.errors import UserError
from muomni.files import os_reason, write_json


def import_data(
    path: str | Path,
    kind: str,
    out: str | Path,
    *,
    link: bool = False,
    replace: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Import a folder, or the table or text in one, as production data.

    Args:
        path: the folder, a table in it, or a text.
        kind: text, image, asr, tts or ocr.
        out: the data folder.
        link: link files instead of copying them.
        replace: overwrite a production manifest that we did not make.

    Returns:
        The manifest's record, with `layout` as it was found.

    Raises:
        UserError: no known layout, no usable row, a file outside the folder, no space, or a manifest that is not ours.
    """
    path, out, kind_of = Path(path), Path(out), KINDS[kind]
    is_folder = stat.S_ISDIR(file_status(path).st_mode)
    if not is_folder:
        check_readable(path)
    check_replaceable(kind_of, out, replace)
    skipped = Skipped()
    source = {"made_by": "muomni data import", "from": str(path), "licence": "your own"}
    if kind == "text":
        layout, documents = read_documents(path, skipped)
        return write_manifest(kind_of, out, documents, source | {"layout": layout}, skipped)
    found = detect(kind, Source(path if is_folder else path.parent, None if is_folder else path), skipped)
    taking = _Taking(path if is_folder else path.parent, out / kind_of.folder, kind_of, skipped)
    rows = taking.rows(found, progress)
    taking.move(link, progress)
    return write_manifest(kind_of, out, rows, source | {"layout": found.layout}, skipped)


class _Taking:
    """The files of one import: where each lies, and where it goes."""

    def __init__(self, root: Path, place: Path, kind: Kind, skipped: Skipped) -> None:
        self.root, self.place, self.kind, self.skipped = root.resolve(), place, kind, skipped
        self.name = re.sub(r"[^\w.-]+", "-", self.root.name).strip(".-") or "import"
        self.in_place = self.root.is_relative_to(place.resolve())
        if not self.in_place and place.resolve().is_relative_to(self.root):
            raise UserError(
                "holds the data folder itself", file=root, fix="Import a folder inside it, or choose another --out."
            )
        self.files: dict[Path, str] = {}

    def rows(self, found: Found, progress: bool) -> list[Row]:
        """The usable rows, in the order they are named; several captions of a picture make one row."""
        from tqdm.auto import tqdm

        rows: dict[Path, Row] = {}
        with_speaker = False
        for item in tqdm(found.items, desc="checking", unit=" files", disable=not progress):
            file = self._file(item, found.table)
            text = one_line(item.text)
            if file is None or not text:
                if file is not None:
                    self.skipped.add("no text", item.where)
            elif file not in rows:
                if problem := self._unreadable(file):
                    self.skipped.add(problem, item.where)
                    continue
                row: Row = {self.kind.media: self._target(file)}
                row |= {"captions": [text]} if self.kind.name == "image" else {"text": text}
                if item.speaker is not None:
                    row["speaker"], with_speaker = one_line(item.speaker), True
                rows[file] = row
            elif self.kind.name == "image":
                rows[file]["captions"].append(text)
            else:
                self.skipped.add("named twice", item.where)
        return [row | ({"speaker": ""} | row if with_speaker else {}) for row in rows.values()]

    def _file(self, item: Item, table: Path | None) -> Path | None:
        """The file of an item, or None where there is none. One outside the folder ends the import: nobody means it."""
        name = Path(item.file)
        if table is not None and (name.is_absolute() or ".." in name.parts or "\0" in str(name)):
            raise UserError(
                f"names {str(name)!r}, which leads out of the folder",
                file=table,
                line=int(item.where.rpartition(":")[2]),
                fix=f"Name files inside {table.parent}, relative to it.",
            )
        places = [name] if table is None else [table.parent / folder / name for folder in BESIDE]
        path = next((place for place in places if place.is_file()), None)
        if path is None or not path.stat().st_size:
            self.skipped.add("file missing or empty", item.where)
            return None
        real = path.resolve()
        if not real.is_relative_to(self.root):
            raise link_out(path)
        return real

    def _unreadable(self, file: Path) -> str | None:
        """Why `file` is no sound or picture, by its header; None where it is one."""
        try:
            if self.kind.folder == "audio":
                from muomni.data.sound import sound_info

                sound_info(file)
            else:
                from muomni.data.pictures import picture_size

                picture_size(file)
        except UserError as error:
            return error.problem
        return None

    def _target(self, file: Path) -> str:
        """The path of `file` in the manifest; noted for `move` where it is not there yet."""
        if self.in_place:
            return file.relative_to(self.place.resolve()).as_posix()
        inside = file.relative_to(self.root).as_posix()
        self.files[file] = inside
        return f"{self.name}/{inside}"

    def move(self, link: bool, progress: bool) -> None:
        """Copy or link all files into a new folder, which takes its place when it is whole."""
        if not self.files:
            return
        folder = self.place / self.name
        check_ours(folder)
        if "set" in read_marker(folder):
            raise UserError("is a downloaded set", file=folder, fix="Rename the folder that you import.")
        if not link:
            check_space(folder, sum(file.stat().st_size for file in self.files))
        staging = folder.with_name(f".{folder.name}.importing")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            for file, inside in self._shown(progress):
                target = staging / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                if link:
                    os.link(file, target)
                else:
                    shutil.copyfile(file, target)
            write_json(staging / MARKER, {"import": str(self.root), "members": len(self.files)})
            put_in_place(staging, folder)
        except OSError as error:
            fix = (
                "Import without --link: it needs both on one disk."
                if link
                else "Free some space; what was there is untouched."
            )
            raise UserError(f"cannot be written ({os_reason(error)})", file=folder, fix=fix) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _shown(self, progress: bool) -> Iterator[tuple[Path, str]]:
        from tqdm.auto import tqdm

        yield from tqdm(self.files.items(), desc="taking", unit=" files", disable=not progress)
