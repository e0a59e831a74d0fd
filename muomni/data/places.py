"""Folders of real data: which are ours, whether there is room for more, and how a new one takes its place.

A folder that a command of ours made has `.muomni.json` in it. Only such a folder is ever replaced.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from muomni.errors import UserError

MARKER = ".muomni.json"
SPARE = 256 << 20
"""Bytes that stay free."""


def read_marker(folder: Path) -> dict[str, Any]:
    """What the command that made `folder` wrote into it; nothing where that is not known."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def check_ours(folder: Path) -> None:
    """A `UserError` where `folder` exists and no command of ours made it."""
    if folder.exists() and not (folder / MARKER).exists():
        raise UserError(
            "is there already and was not made by this command", file=folder, fix="Move it away and run it again."
        )


def check_space(folder: Path, need: int) -> None:
    """A `UserError` unless `need` bytes, and some to spare, are free where `folder` is or will be."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < need + SPARE:
        raise UserError(
            f"has {free / 1e9:.1f} GB free; {(need + SPARE) / 1e9:.1f} GB are needed",
            file=there,
            fix="Free some space, take less, or choose another folder (--out).",
        )


def put_in_place(staging: Path, folder: Path) -> None:
    """Let `staging` take the place of `folder`, whose old contents go only when the new ones are there."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    staging.replace(folder)
    shutil.rmtree(old, ignore_errors=True)
