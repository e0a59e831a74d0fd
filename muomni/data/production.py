"""The production manifests: where real data goes, who wrote what is there, and writing it so that it cannot tear.

| kind | manifest | a row |
|---|---|---|
| text | `text/production_corpus.txt` | a document on one line |
| image | `images/production_annotations.json` | `image`, `captions` |
| asr | `audio/production_asr.csv` | `wav,text` and more, as `speaker` |
| tts | `audio/production_tts.csv` | `text,wav` and more |
| ocr | `ocr/production_ocr.csv` | `image,text` and more |

Paths in a manifest are relative to its own folder. Beside each lies a record (`production_asr.source.json`): which set
or folder it is made of, licence, checksums, rows, and the manifest's own SHA-256. A manifest that does not match its
record, or has none, is somebody's own work: it is replaced only when told so.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.data.fingerprint import fingerprint
from muomni.data.manifests import ANNOTATION_KEYS, ASR_COLUMNS, OCR_COLUMNS, TEXT_COLUMNS, TTS_COLUMNS
from muomni.data.skipped import FIRST_FEW, Skipped
from muomni.data.text_lines import MAX_LINE_BYTES
from muomni.errors import UserError
from muomni.files import replacing, write_json

Row = dict[str, Any]
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
"""What no text holds and `str.split` does not take for white space."""


@dataclass(frozen=True)
class Kind:
    """A kind of data: its folder in the data folder, its manifest there, and the columns that come first."""

    name: str
    folder: str
    manifest: str
    columns: tuple[str, ...]

    @property
    def media(self) -> str:
        """The column that names a file: `wav` or `image`; a text has none and is its own."""
        return next((name for name in self.columns if name != "text"), "text")

    def path(self, out: str | Path) -> Path:
        """The production manifest in the data folder `out`."""
        return Path(out) / self.folder / self.manifest

    def record_path(self, out: str | Path) -> Path:
        """The record beside it."""
        path = self.path(out)
        return path.with_name(path.stem + ".source.json")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("text", "text", "production_corpus.txt", TEXT_COLUMNS),
        Kind("image", "images", "production_annotations.json", ANNOTATION_KEYS),
        Kind("asr", "audio", "production_asr.csv", ASR_COLUMNS),
        Kind("tts", "audio", "production_tts.csv", TTS_COLUMNS),
        Kind("ocr", "ocr", "production_ocr.csv", OCR_COLUMNS),
    )
}


def one_line(text: str) -> str:
    """`text` with every run of white space as one blank, and without what no text holds (NUL and other controls)."""
    return " ".join((CONTROL.sub(" ", text) if CONTROL.search(text) else text).split())


def read_record(kind: Kind, out: str | Path) -> dict[str, Any] | None:
    """The record of what made the manifest, if the manifest is still what was made then; else None."""
    path = kind.path(out)
    try:
        record = json.loads(kind.record_path(out).read_text(encoding="utf-8"))
        made = record["manifest"]
        if path.stat().st_size not in (made["bytes"], record.get("before", {}).get("bytes")):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    found = fingerprint(path)
    if found == made["sha256"]:
        return dict(record)
    # killed between the record and the manifest: what is there is still ours, only not of this record
    return {"manifest": made} if found == record.get("before", {}).get("sha256") else None


def check_replaceable(kind: Kind, out: str | Path, replace: bool) -> None:
    """A `UserError` where a manifest that we did not make, or that was changed since, would be overwritten."""
    path = kind.path(out)
    if path.exists() and not replace and read_record(kind, out) is None:
        raise UserError(
            "is there already and was not made by this command, or was changed since",
            file=path,
            fix="Move it away, or add --replace to overwrite it.",
        )


def spread(rows: Iterable[Row], limit: int | None) -> list[Row]:
    """All rows, or `limit` of them at even distances, so that every speaker and word has its share."""
    found = list(rows)
    if limit is None or len(found) <= limit:
        return found
    return [found[number * len(found) // limit] for number in range(limit)]


def write_manifest(kind: Kind, out: str | Path, rows: Iterable[Row], source: dict[str, Any], skipped: Skipped) -> Row:
    """Write the production manifest and its record, both atomically.

    Args:
        rows: for text `{"text": document}`; else the kind's columns and any others, the same in every row.
        source: what goes into the record: set, licence, files.
        skipped: what was left out on the way.

    Returns:
        The record.

    Raises:
        UserError: there is no row at all, with the first reasons; or the disk is full. The old manifest then stays.
    """
    path = kind.path(out)
    ours = read_record(kind, out) is not None
    before = {"bytes": path.stat().st_size, "sha256": fingerprint(path)} if ours else None
    with replacing(path) as temporary:
        written = _write(kind, temporary, rows, skipped)
        if not written:
            raise UserError(_nothing(skipped), file=path, fix="Nothing was written. See what was skipped, and why.")
        made = {"bytes": temporary.stat().st_size, "sha256": fingerprint(temporary)}
        record = {**source, "rows": written, "skipped": skipped.to_json(), "manifest": made}
        write_json(kind.record_path(out), record | ({"before": before} if before else {}))
    return record


def _nothing(skipped: Skipped) -> str:
    reasons = [f"{count:,} x {reason} (as {skipped.first[reason][0]})" for reason, count in skipped.counts.items()]
    return "would have no row at all" + (f": {'; '.join(reasons[:FIRST_FEW])}" if reasons else "")


def _write(kind: Kind, path: Path, rows: Iterable[Row], skipped: Skipped) -> int:
    if kind.name == "text":
        return _write_text(path, (row["text"] for row in rows), skipped)
    if kind.name == "image":
        return _write_objects(path, rows)
    return _write_table(path, rows, kind.columns)


def _write_text(path: Path, documents: Iterable[str], skipped: Skipped) -> int:
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, document in enumerate(documents, 1):
            line = one_line(document)
            if len(line) * 4 > MAX_LINE_BYTES and len(line.encode()) > MAX_LINE_BYTES:
                skipped.add(f"longer than {MAX_LINE_BYTES >> 20} MiB", f"document {number}")
            elif line:
                file.write(line + "\n")
                written += 1
    return written


def _write_objects(path: Path, rows: Iterable[Row]) -> int:
    """A JSON list, an object a line: one that a person can read and a line-by-line tool can cut."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(("[\n" if not written else ",\n") + json.dumps(row, ensure_ascii=False))
            written += 1
        file.write("\n]\n" if written else "[]\n")
    return written


def _write_table(path: Path, rows: Iterable[Row], columns: Sequence[str]) -> int:
    every: Iterator[Row] = iter(rows)
    first = next(every, None)
    if first is None:
        return 0
    header = [*columns, *(name for name in first if name not in columns)]
    written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in itertools.chain([first], every):
            writer.writerow([row[name] for name in header])
            written += 1
    return written
