"""Unpacking that cannot be abused: zip, tar (plain, gzip, bzip2, xz) and single .gz files, into a folder made for it.

A member must be a plain file or a folder with a relative name that stays inside; links, devices, pipes, encrypted or
doubled members end the unpacking. How much may come out (bytes, members, how many times its own size) is bounded and
counted while it comes out, never believed from the archive's own headers. Files are created, never overwritten.
"""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from muomni.errors import UserError
from muomni.files import os_reason

PIECE = 1 << 20
RATIO_FLOOR = 64 << 20
"""Bytes that may come out before the ratio counts: small files of zeros are no bomb."""

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
IGNORED = "__MACOSX"
"""A folder that one system adds to zip files; it holds no data."""


@dataclass
class Limits:
    """What may come out of an archive.

    Attributes:
        bytes: in all.
        members: files and folders.
        ratio: bytes that come out for each byte of the archive.
    """

    bytes: int = 20 << 30
    members: int = 500_000
    ratio: int = 200


@dataclass
class _Unpacking:
    """One archive on its way into `folder`, and what has come out so far."""

    archive: Path
    folder: Path
    limits: Limits
    wanted: tuple[str, ...]
    advance: Callable[[int], Any]
    compressed: int = 0
    written: int = 0
    members: int = 0
    names: set[str] = field(default_factory=set)

    def fail(self, problem: str, member: str | None = None) -> UserError:
        where = None if member is None else repr(member if len(member) <= 100 else member[:97] + "...")
        fix = "Nothing of it was kept. Remove the archive and download it again; do not unpack it by other means."
        return UserError(problem, file=self.archive, field=where, fix=fix)

    def grew(self, count: int) -> None:
        """Count `count` more bytes that have come out."""
        self.written += count
        if self.written > self.limits.bytes:
            raise self.fail(f"unpacks to more than {self.limits.bytes:,} bytes")
        if self.written > max(RATIO_FLOOR, self.compressed * self.limits.ratio):
            raise self.fail(f"unpacks to more than {self.limits.ratio} times its size")

    def take(self, name: str, kind: str, source: Callable[[], IO[bytes]], *, counted: bool = False) -> None:
        """Write one member; `counted` says that its bytes were counted before they got here."""
        self.members += 1
        if self.members > self.limits.members:
            raise self.fail(f"has more than {self.limits.members:,} members")
        if kind not in ("file", "folder"):
            raise self.fail(f"is a {kind}; only files and folders are unpacked", name)
        parts = self._parts(name)
        if not parts or parts[0] == IGNORED:
            return
        path = "/".join(parts)
        if kind == "folder":
            return  # made when a file needs it
        if path in self.names:
            raise self.fail("is there twice", name)
        self.names.add(path)
        if self.wanted and not any(fnmatch.fnmatchcase(path, pattern) for pattern in self.wanted):
            return
        target = self.folder.joinpath(*parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with source() as stream, target.open("xb") as sink:
                while piece := stream.read(PIECE):
                    if not counted:
                        self.grew(len(piece))
                    sink.write(piece)
                    self.advance(len(piece))
        except (FileExistsError, NotADirectoryError) as error:
            raise self.fail("clashes with another member of nearly the same name", name) from error

    def _parts(self, name: str) -> list[str]:
        """The folders and the file of a member's name, or an error where it leads anywhere else."""
        if not name or any(character in name for character in "\0\\:") or any(ord(c) < 32 for c in name):
            raise self.fail("is no name for a file (NUL, backslash, colon or control character)", name)
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            raise self.fail("leads out of the folder", name)
        return [part for part in parts if part not in ("", ".")]


def unpack(
    archive: Path,
    folder: Path,
    *,
    limits: Limits | None = None,
    wanted: tuple[str, ...] = (),
    advance: Callable[[int], Any] = lambda count: None,
) -> int:
    """Unpack `archive` into `folder`; a lone .gz under its own name, and a file that is no archive as it is.

    Args:
        wanted: patterns of the members to write; all are looked at. None means all.
        advance: called with the number of bytes written, as they are.

    Returns:
        The bytes that came out.

    Raises:
        UserError: damaged, cut short, or a member that is not safe; `folder` may then hold a part, to be removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = _Unpacking(archive, folder, limits or Limits(), wanted, advance, archive.stat().st_size)
    with _damage(work):
        if archive.name.endswith(".zip"):
            _unzip(work)
        elif archive.name.endswith(ARCHIVES):
            _untar(work)
        elif archive.suffix == ".gz":
            work.take(archive.stem, "file", partial(_open_gzip, archive))
        else:
            work.written = work.compressed
            _put(archive, folder / archive.name)
    return work.written


def _put(file: Path, target: Path) -> None:
    """`file` under a second name, without a copy where the file system can; the first stays until all is done."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


@contextmanager
def _damage(work: _Unpacking) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile) as error:
        raise work.fail(f"is damaged or cut short ({error})") from error
    except (NotImplementedError, RuntimeError) as error:  # a way of packing that Python does not know
        raise work.fail(f"cannot be unpacked ({error})") from error
    except (ValueError, struct.error, OverflowError) as error:
        raise work.fail(f"is damaged ({error})") from error
    except OSError as error:
        if error.errno is None:  # bz2 says what is wrong with the data by an OSError without number
            raise work.fail(f"is damaged or cut short ({error})") from error
        raise UserError(
            f"cannot be unpacked ({os_reason(error)})", file=work.archive, fix="Free some space and run it again."
        ) from error


def _unzip(work: _Unpacking) -> None:
    _check_directory(work)
    with zipfile.ZipFile(work.archive) as archive:
        for member in archive.infolist():
            mode = stat.S_IFMT(member.external_attr >> 16)
            name = member.orig_filename  # as it stands there: zipfile cuts at NUL and turns separators
            if member.flag_bits & 1:
                raise work.fail("is encrypted", name)
            kind = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(mode, "device")
            if kind == "file" and name.endswith("/"):
                kind = "folder"
            work.take(name, kind, partial(archive.open, member))


def _check_directory(work: _Unpacking) -> None:
    """Refuse a zip whose list of members is too long, before `zipfile` reads all of it into memory.

    The end record (the last 22 bytes and a comment) says how many members there are; 65,535 means that a record before
    it (Zip64) says so. The list itself takes at least 46 bytes for each.
    """
    with work.archive.open("rb") as file:
        file.seek(max(0, work.compressed - (1 << 16) - 22 - 20 - 56))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("no end record")
    count, size = struct.unpack_from("<HI", tail, at + 10)
    wide = tail.rfind(b"PK\6\6", 0, at)
    if wide >= 0 and len(tail) >= wide + 56:
        count, size = struct.unpack_from("<QQ", tail, wide + 32)
    if count > work.limits.members or size > work.limits.members * 300:
        raise work.fail(f"names more than {work.limits.members:,} members")


class _Counted:
    """A stream whose bytes are counted as they come out of the compression, what tar itself needs included."""

    def __init__(self, stream: IO[bytes], work: _Unpacking) -> None:
        self._stream, self._work = stream, work

    def read(self, size: int = -1) -> bytes:
        size = PIECE if size < 0 else min(size, PIECE)
        data = self._stream.read(size)
        self._work.grew(len(data))
        return data


def _untar(work: _Unpacking) -> None:
    kinds: dict[bytes, str] = {
        tarfile.SYMTYPE: "link",
        tarfile.LNKTYPE: "hard link",
        tarfile.FIFOTYPE: "pipe",
        tarfile.CHRTYPE: "device",
        tarfile.BLKTYPE: "device",
    }
    with _decompressed(work.archive) as plain:
        stream: Any = _Counted(plain, work)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=PIECE) as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # or it keeps every header that it has seen
                kind = "folder" if member.isdir() else "file" if member.isreg() else kinds.get(member.type, "device")
                if member.issparse():
                    kind = "sparse file"
                work.take(member.name, kind, partial(_member, archive, member), counted=True)
        while stream.read(PIECE):  # to the end, so that damage behind the last member shows
            pass


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise tarfile.ReadError("a member without contents")
    return stream


def _open_gzip(archive: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(archive))


def _decompressed(archive: Path) -> IO[bytes]:
    """The tar inside, by the archive's first bytes: names lie."""
    with archive.open("rb") as file:
        magic = os.read(file.fileno(), 6)
    if magic.startswith(b"\x1f\x8b"):
        return _open_gzip(archive)
    if magic.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(archive))
    if magic.startswith(b"\xfd7zXZ"):
        return cast(IO[bytes], lzma.open(archive))
    return archive.open("rb")
