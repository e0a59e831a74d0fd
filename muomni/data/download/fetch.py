"""One set from its host to the production manifest: agreement, space, transfer, check, unpacking, rows.

Every step can be killed: what has arrived is kept and gone on with, a half-unpacked folder is thrown away and made
anew, and folder and manifest move into place only when they are whole. Downloads lie in `.cache/downloads/SET` of the
data folder until they are unpacked; the set itself in `audio/SET` (or `text`, `images`, `ocr`), with `.muomni.json`.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from muomni.data.download.archives import Limits, unpack
from muomni.data.download.checksums import WrongChecksum, verify
from muomni.data.download.convert import FINISH, LAYOUTS
from muomni.data.download.entry import RealSet, RemoteFile
from muomni.data.download.transfer import transfer
from muomni.data.places import MARKER, check_ours, check_space, put_in_place, read_marker
from muomni.data.production import KINDS, Kind, check_replaceable, read_record, spread, write_manifest
from muomni.data.skipped import Skipped
from muomni.errors import UserError
from muomni.files import write_json

LAYOUT_VERSION = 1
"""Raised when a layout gives other rows for the same files, so that manifests made before are made again."""

MOST_SKIPPED = 0.1
"""Share of a published set that may be skipped; more means that it is not the set we know."""


def fetch_set(
    chosen: RealSet,
    out: str | Path,
    *,
    agree: Callable[[RealSet, int], None],
    limit: int | None = None,
    replace: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Bring `chosen` into the data folder `out`, or do nothing where it is there and matches.

    Args:
        agree: called with the set and the bytes to fetch before the first of them; stops all by raising.
        limit: at most this many rows, evenly spread; of a text, the first documents.
        replace: overwrite a production manifest that we did not make.

    Returns:
        The manifest's record, with `fetched` (bytes transferred; 0 for none) and `changed`.

    Raises:
        UserError: not agreed, no space, network, wrong checksum, unsafe archive, unknown layout, foreign files.
    """
    out, kind = Path(out), KINDS[chosen.kind]
    folder = out / kind.folder / chosen.name
    files = _unpacked_files(folder, chosen)
    record = read_record(kind, out)
    wished = {"set": chosen.name, "limit": limit, "layout": LAYOUT_VERSION}
    if files is not None and record is not None and wished.items() <= record.items():
        return {**record, "fetched": 0, "changed": False}
    check_replaceable(kind, out, replace)
    fetched = 0
    if files is None:
        check_ours(folder)
        downloads = out / ".cache" / "downloads" / chosen.name
        fetched = sum(_missing(file, downloads) for file in chosen.files)
        agree(chosen, fetched)
        corpus = chosen.unpacked if chosen.kind == "text" else 0
        check_space(out, fetched + chosen.unpacked + corpus)
        files = [_bring(file, downloads / file.name, progress) for file in chosen.files]
        _unpack_all(chosen, downloads, folder, files, progress)
    source = {
        "made_by": "muomni data download",
        **wished,
        "licence": chosen.licence,
        "licence_url": chosen.licence_url,
        "homepage": chosen.homepage,
        "files": files,
    }
    return {**_convert(chosen, kind, out, folder, source, limit, progress), "fetched": fetched, "changed": True}


def _missing(file: RemoteFile, downloads: Path) -> int:
    """Bytes of `file` that are still to come."""
    for name in (file.name, file.name + ".part"):
        if (downloads / name).is_file():
            return max(0, file.bytes - (downloads / name).stat().st_size)
    return file.bytes


def _bring(file: RemoteFile, target: Path, progress: bool) -> dict[str, Any]:
    """Transfer and check one file; one that came in several goes and is wrong is fetched once more, in one."""
    if target.is_file():
        try:
            return verify(file, target)
        except WrongChecksum:
            pass  # cut or changed since; it has been removed
    resumed = transfer(file, target, progress=progress)
    try:
        return verify(file, target)
    except WrongChecksum:
        if not resumed:
            raise
    transfer(file, target, progress=progress)
    return verify(file, target)


def _unpack_all(chosen: RealSet, downloads: Path, folder: Path, files: list[dict[str, Any]], progress: bool) -> None:
    """All archives into a folder beside the set's place, which it takes when everything is out."""
    from tqdm.auto import tqdm

    staging = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    limits = Limits(bytes=2 * chosen.unpacked + (64 << 20))
    try:
        with tqdm(total=chosen.unpacked, unit="B", unit_scale=True, desc="unpacking", disable=not progress) as bar:
            for file in chosen.files:
                unpack(downloads / file.name, staging, limits=limits, wanted=file.wanted, advance=bar.update)
        if chosen.layout in FINISH:
            FINISH[chosen.layout](staging)
        write_json(staging / MARKER, {"set": chosen.name, "files": files, "members": _members(staging)})
        put_in_place(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for file in chosen.files:
        (downloads / file.name).unlink(missing_ok=True)


def _members(folder: Path) -> int:
    """How many files lie below `folder`, the marker not counted."""
    return sum(len(files) for _, _, files in os.walk(folder)) - (folder / MARKER).exists()


def _unpacked_files(folder: Path, chosen: RealSet) -> list[dict[str, Any]] | None:
    """The record of the set's files where it is unpacked as the catalogue has it and no file is missing; else None."""
    marker = read_marker(folder)
    files = marker.get("files")
    if marker.get("set") != chosen.name or not isinstance(files, list) or len(files) != len(chosen.files):
        return None
    for file, found in zip(chosen.files, files, strict=True):
        if not isinstance(found, dict) or found.get("name") != file.name:
            return None
        if (file.sha256 or found.get("sha256")) != found.get("sha256"):
            return None
    return files if _members(folder) == marker.get("members") else None


def _convert(
    chosen: RealSet, kind: Kind, out: Path, folder: Path, source: dict[str, Any], limit: int | None, progress: bool
) -> dict[str, Any]:
    from tqdm.auto import tqdm

    skipped = Skipped()
    rows = tqdm(LAYOUTS[chosen.layout](folder, skipped), desc="rows", unit=" rows", disable=not progress)
    if kind.name == "text":
        return write_manifest(kind, out, itertools.islice(rows, limit), source, skipped)
    found = list(rows)
    lost = skipped.rows
    if lost > MOST_SKIPPED * (len(found) + lost) and found:
        reason = next(iter(skipped.counts))
        raise UserError(
            f"{lost:,} of {len(found) + lost:,} rows cannot be used ({reason}, as {skipped.first[reason][0]})",
            file=folder,
            fix="Remove this folder and run the command again.",
        )
    for row in found:
        row[kind.media] = f"{folder.name}/{row[kind.media]}"
    return write_manifest(kind, out, spread(found, limit), source, skipped)
