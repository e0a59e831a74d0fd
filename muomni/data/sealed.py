"""Small JSON records that are either whole or ignored: what a count has found, and how far it got.

A record is one line of JSON with the SHA-256 of its own contents. A line that was torn by a crash, cut, overwritten or
edited by hand does not match its seal and counts for nothing; it never stops a run. Checkpoints are appended to a
journal, one line each, which is a hundred times cheaper than replacing a file, and the last whole line is the state.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from muomni.errors import UserError
from muomni.files import write_text

SEAL = "seal"
LARGEST_JOURNAL = 1 << 26


def sealed(record: dict[str, Any]) -> str:
    """`record` as one line of JSON that carries the hash of its contents."""
    return json.dumps({**record, SEAL: _hash_of(record)}) + "\n"


def unsealed(line: str) -> dict[str, Any] | None:
    """The record in `line`, or None where the line is not what `sealed` made."""
    try:
        record = json.loads(line)
        if isinstance(record, dict) and record.pop(SEAL, None) == _hash_of(record):
            return record
    except (ValueError, RecursionError):
        pass
    return None


def _hash_of(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_last(path: Path) -> dict[str, Any] | None:
    """The last whole record of the file at `path`, or None: missing, unreadable, or nothing whole in it."""
    try:
        if path.stat().st_size > LARGEST_JOURNAL:
            return None
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return None
    return next((record for line in reversed(lines) if (record := unsealed(line)) is not None), None)


def write_record(path: Path, record: dict[str, Any]) -> bool:
    """Replace the file at `path` by one record, atomically. False where the folder cannot be written."""
    try:
        write_text(path, sealed(record))
    except UserError:
        return False
    return True


def append_record(path: Path, record: dict[str, Any]) -> bool:
    """Add one record to the journal at `path`. False where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.write(("\n" + sealed(record)).encode())  # the newline in front ends a line that a crash tore
    except OSError:
        return False
    return True
