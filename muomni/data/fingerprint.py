"""Is this still the same file? Two answers, one that costs nothing and one that cannot be fooled.

A `Stamp` is what the file system says of a file: size, time of last write, time of last change, inode. Programs can set
the time of last write to anything, but not the time of last change (ctime), so an edit that keeps the size and restores
the mtime still shows. Equal stamps mean an unchanged file, if the first was taken well after the file's last change:
file systems count time in ticks, and a second write within one tick leaves no trace. `fingerprint` is the SHA-256 of
all bytes, and is what decides wherever stamps differ (a file copied, touched, or restored from a backup).

On Windows ctime is the time of creation, so there an edit that keeps size and mtime passes for no edit.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

from muomni.data.input_files import file_status, opened

TICK_NS = 100_000_000
"""Longer than the clock tick of the file systems in use; younger changes than this are not trusted to a stamp."""

WORTH_WAITING = 8 << 20
"""Bytes that take longer to hash than to wait for the next tick."""

PIECE = 1 << 18
SAMPLES = 16
SAMPLE_BYTES = 4096


class Stamp(NamedTuple):
    """What the file system says of a file."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> Stamp:
        """The stamp of `path` now."""
        status = file_status(path)
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    @classmethod
    def once_settled(cls, path: str | Path) -> tuple[Stamp, bool]:
        """The stamp of `path` and whether it is settled; a large file just written gets a tick's time to be so."""
        stamp = cls.of(path)
        if not stamp.settled() and stamp.size > WORTH_WAITING:
            time.sleep(TICK_NS / 1e9)
            stamp = cls.of(path)
        return stamp, stamp.settled()

    def settled(self, now_ns: int | None = None) -> bool:
        """Whether a later write must show in the stamp, because the last one lies more than a tick back."""
        now_ns = time.time_ns() if now_ns is None else now_ns
        return max(self.mtime_ns, self.ctime_ns) + TICK_NS < now_ns


class PrefixHash:
    """SHA-256 of a file's first bytes, taken further as a reader gets on: never twice over the same bytes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.position = 0
        self._hash = hashlib.sha256()

    def advance(self, position: int | None = None) -> str:
        """The hash of the first `position` bytes (all, if None), in hexadecimal; `position` never goes back."""
        with opened(self.path) as file:
            file.seek(self.position)
            while position is None or self.position < position:
                piece = file.read(PIECE if position is None else min(PIECE, position - self.position))
                if not piece:
                    break
                self._hash.update(piece)
                self.position += len(piece)
        return self._hash.hexdigest()


def fingerprint(path: str | Path) -> str:
    """SHA-256 of the whole file, in hexadecimal: about a second for a gigabyte.

    Raises:
        UserError: the file is missing, a folder or unreadable.
    """
    return PrefixHash(path).advance()


def sampled_hash(file: BinaryIO, size: int) -> str:
    """SHA-256 of the size and of 16 evenly spread blocks, first and last included: a cheap second look, no proof."""
    digest = hashlib.sha256(str(size).encode())
    last = max(0, size - SAMPLE_BYTES)
    for sample in range(SAMPLES):
        file.seek(last * sample // (SAMPLES - 1))
        digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
