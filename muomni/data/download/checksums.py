"""Is this the file that the set's authors published? Size and checksum, or what was seen at the first download.

Where nobody publishes a checksum, the SHA-256 of the first download is kept in a small JSON beside it, and any later
download must be the same bytes: a file that changes at its source is noticed, not silently trained on.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from muomni.data.download.entry import RemoteFile
from muomni.data.input_files import opened
from muomni.errors import UserError
from muomni.files import write_json

PIECE = 1 << 20
SEEN = "checksums.json"
"""File of the download folder that remembers what was downloaded, by name."""


class WrongChecksum(UserError):
    """The bytes are not those that were published, or not those of the first download."""


def verify(file: RemoteFile, path: Path) -> dict[str, Any]:
    """Check `path` against the catalogue and the first download; the file is kept only when it is right.

    Returns:
        {"name", "bytes", "sha256"} of the file.

    Raises:
        WrongChecksum: it is another file, and has been removed.
    """
    sha256, md5, size = _hashes(path, file.md5 is not None)
    seen = read_seen(path.parent)
    known = seen.get(file.name, {}).get("sha256") if file.sha256 is None and file.md5 is None else None
    problem, fix = (
        None,
        "It was removed. Run the same command again; if it stays, a proxy or the host changes the file.",
    )
    if file.exact and size != file.bytes:
        problem = f"has {size:,} bytes, not {file.bytes:,}"
    elif file.sha256 is not None and sha256 != file.sha256:
        problem = f"has the SHA-256 {sha256[:16]}..., published is {file.sha256[:16]}..."
    elif file.md5 is not None and md5 != file.md5:
        problem = f"has the MD5 {md5}, published is {file.md5}"
    elif known is not None and known != sha256:
        problem = f"has the SHA-256 {sha256[:16]}..., at the first download it was {known[:16]}..."
        fix = f"It was removed. If its authors changed the set, delete {path.parent / SEEN} to accept the new one."
    if problem is not None:
        path.unlink(missing_ok=True)
        raise WrongChecksum(problem, file=path, fix=fix)
    found = {"name": file.name, "bytes": size, "sha256": sha256}
    if seen.get(file.name) != found:
        write_json(path.parent / SEEN, {**seen, file.name: found})
    return found


def read_seen(folder: Path) -> dict[str, Any]:
    """What was downloaded into `folder` before, by file name; nothing where that is not known."""
    try:
        seen = json.loads((folder / SEEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: one for name, one in seen.items() if isinstance(one, dict)} if isinstance(seen, dict) else {}


def _hashes(path: Path, with_md5: bool) -> tuple[str, str, int]:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with opened(path) as file:
        while piece := file.read(PIECE):
            sha256.update(piece)
            size += len(piece)
            if with_md5:
                md5.update(piece)
    return sha256.hexdigest(), md5.hexdigest(), size
