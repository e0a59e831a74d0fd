"""What the catalogue says of a set: its files with size and checksum, its terms, and the layout it comes in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RemoteFile:
    """One file of a set.

    Attributes:
        urls: where it is; the ones behind the first are mirrors of the same bytes.
        bytes: its size; a close estimate where `exact` is False (the checksum then decides).
        sha256, md5: as published, in hexadecimal, or None.
        wanted: patterns of the members to unpack; none means all.
    """

    urls: tuple[str, ...]
    bytes: int
    sha256: str | None = None
    md5: str | None = None
    exact: bool = True
    wanted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's own name, from its first address."""
        return PurePosixPath(urlsplit(self.urls[0]).path).name


@dataclass(frozen=True)
class RealSet:
    """A set of the catalogue: what it is, what it costs, on which terms, and which layout it comes in.

    Attributes:
        kind: text, image, asr, tts or ocr.
        unpacked: bytes on disk once unpacked, about.
        layout: the function of `convert.LAYOUTS` that reads it.
    """

    name: str
    kind: str
    about: str
    licence: str
    licence_url: str
    homepage: str
    files: tuple[RemoteFile, ...]
    unpacked: int
    layout: str
    default: bool = False

    @property
    def bytes(self) -> int:
        """What is transferred."""
        return sum(file.bytes for file in self.files)
