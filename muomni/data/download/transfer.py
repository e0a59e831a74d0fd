"""One file over HTTP: goes on where it was cut off, tries again a bounded number of times, and never grows too large.

What has arrived lies in `NAME.part`, and `NAME.part.json` says which address and which version (strong ETag or date) it
is of. A later run asks for the rest by `Range`, and by `If-Range` that the file is still the same; a server that sends
all of it (200) starts it again, and one that sends another piece than was asked for is not believed. See RFC 9110,
sections 13 and 14.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import muomni
from muomni.data.download.entry import RemoteFile
from muomni.errors import UserError
from muomni.files import os_reason, write_json

PIECE = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as cut."""

TRIES = 5
"""Attempts in a row that bring nothing new before it is given up."""

MOST_TRIES = 100
BACKOFF = 1.0
"""Seconds before the second attempt; doubled after each that brings nothing, up to LONGEST_WAIT."""

LONGEST_WAIT = 30.0
ESTIMATE_SLACK = 1.5
"""A file whose exact size is not known may be this much larger than the catalogue says."""

PASSING = (408, 425, 429, 500, 502, 503, 504)


class _Cut(Exception):
    """The attempt ended early, for a reason that may pass."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _Gone(Exception):
    """This address will not give the file, however often it is asked."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything less."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before, after) == ("https", "http"):
            raise _Gone(f"redirects to {after or 'no address'}, which is not safe")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class _Part:
    """What has arrived of a file so far.

    Attributes:
        url, validator: the address it came from, and the version there; None where the server names none.
    """

    path: Path
    url: str | None = None
    validator: str | None = None

    @classmethod
    def of(cls, target: Path) -> _Part:
        part = cls(target.with_name(target.name + ".part"))
        try:
            known = json.loads(part.note.read_text(encoding="utf-8"))
            part.url, part.validator = known["url"], known["validator"]
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return part

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, url: str, validator: str | None) -> None:
        """Start again from nothing. The note is written before the first byte, so it is never of other bytes."""
        self.remove()
        self.url, self.validator = url, validator
        write_json(self.note, {"url": url, "validator": validator})

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def transfer(file: RemoteFile, target: Path, *, progress: bool = False) -> bool:
    """Bring `file` to `target`, going on with what an earlier run left. Its checksum is not looked at here.

    Returns:
        Whether a part from before this call or from another attempt is in it.

    Raises:
        UserError: no address gives it, the network fails again and again, its size is wrong, or the disk is full.
    """
    from tqdm.auto import tqdm

    part = _Part.of(target)
    resumed = part.size > 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tqdm(
            total=file.bytes, initial=part.size, unit="B", unit_scale=True, desc=file.name, disable=not progress
        ) as bar:
            resumed |= _attempts(file, part, bar)
        part.path.replace(target)
        part.remove()
    except OSError as error:
        raise UserError(
            f"cannot be written ({os_reason(error)})",
            file=target,
            fix="Free some space and run the same command again; it goes on where it was.",
        ) from error
    return resumed


def _attempts(file: RemoteFile, part: _Part, bar: Any) -> bool:
    """Ask until the file is whole; returns whether that took more than one attempt."""
    urls, fruitless = list(file.urls), 0
    for attempt in range(MOST_TRIES):
        before, url = part.size, urls[fruitless % len(urls)]
        try:
            _ask(file, url, part, bar)
            return attempt > 0 and before > 0
        except _Gone as error:
            urls.remove(url)
            if not urls:
                fix = "Try again later; if it stays, the set has moved: choose another (--list)."
                raise UserError(str(error), file=url, fix=fix) from error
        except _Cut as error:
            fruitless = 0 if part.size > before else fruitless + 1
            if fruitless >= TRIES:
                raise UserError(
                    f"the transfer broke off at {part.size:,} bytes, {TRIES} times in a row ({error})",
                    file=url,
                    fix="Check the connection and run the same command again; it goes on where it was.",
                ) from error
            wait = BACKOFF * 2 ** max(0, fruitless - 1)
            time.sleep(min(max(wait, error.wait), LONGEST_WAIT))
    raise UserError(
        f"the transfer broke off {MOST_TRIES} times", file=file.urls[0], fix="Run the same command again to go on."
    )


def _ask(file: RemoteFile, url: str, part: _Part, bar: Any) -> None:
    """One request; when it returns, the file is whole."""
    have = part.size
    if file.exact and have > file.bytes:
        part.remove()
        have = 0
    if file.exact and have == file.bytes > 0:
        return
    request = urllib.request.Request(
        url, headers={"User-Agent": f"muomni/{muomni.__version__}", "Accept-Encoding": "identity"}
    )
    if have and part.url == url and part.validator:
        request.add_header("If-Range", part.validator)
    elif have and not (file.sha256 or file.md5):
        have = 0  # nothing would show that the rest is of another version
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.build_opener(_NoDowngrade).open(request, timeout=TIMEOUT) as answer:
            total = _begin(answer, file, url, part, have)
            _read(answer, file, part, total, bar)
    except urllib.error.HTTPError as error:
        with error:
            _refused(error, part, have)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise _Gone(f"its certificate cannot be verified ({reason.verify_message})") from error
        raise _Cut(str(reason) or type(error).__name__) from error


def _refused(error: urllib.error.HTTPError, part: _Part, have: int) -> None:
    if error.code == 416 and have:  # the part is longer than the file, or whole: only a fresh start can tell
        part.remove()
        raise _Cut("the server has no such rest; starting again")
    if error.code in PASSING:
        after = error.headers.get("Retry-After", "")
        raise _Cut(f"HTTP {error.code} {error.reason}", float(after) if after.isdigit() else 0.0)
    if error.code // 100 == 3:
        raise _Gone("the server redirects in a circle")
    raise _Gone(f"the server answers {error.code} {error.reason}")


def _begin(answer: Any, file: RemoteFile, url: str, part: _Part, have: int) -> int | None:
    """Decide by the answer's head where its bytes belong; returns the file's whole size, where the server says it."""
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        version = _validator(answer.headers)
        other = part.url == url and None not in (part.validator, version) and version != part.validator
        if not have or found is None or int(found[1]) != have or other:
            part.remove()
            raise _Cut("the server sent another piece than was asked for")
        total = None if found[2] == "*" else int(found[2])
    else:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
    if file.exact and total is not None and total != file.bytes:
        raise _Gone(f"the server's file has {total:,} bytes, the set's has {file.bytes:,}")
    if answer.status != 206:
        part.begin(url, _validator(answer.headers))
    elif part.url != url:
        part.url, part.validator = url, _validator(answer.headers)
        write_json(part.note, {"url": part.url, "validator": part.validator})
    return file.bytes if file.exact else total


def _validator(headers: Message) -> str | None:
    """What names the version that is sent: a strong ETag, else the date of its last change (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return headers.get("Last-Modified")


def _read(answer: BinaryIO, file: RemoteFile, part: _Part, total: int | None, bar: Any) -> None:
    most = total if total is not None else int(file.bytes * ESTIMATE_SLACK) + PIECE
    with part.path.open("ab") as sink:
        size = sink.tell()
        bar.total = total or file.bytes
        bar.update(size - bar.n)
        while piece := _piece(answer, min(PIECE, most - size + 1)):
            size += len(piece)
            if size > most:
                break
            sink.write(piece)
            bar.update(len(piece))
    if size > most:
        part.remove()
        raise _Gone(f"the server sends more than the {most:,} bytes expected")
    if total is not None and size < total:
        raise _Cut(f"{size:,} of {total:,} bytes arrived")


def _piece(answer: BinaryIO, most: int) -> bytes:
    """The next bytes of an answer. What the network does is a cut; only the disk's errors are left for the caller."""
    try:
        return answer.read(most)
    except OSError as error:
        raise _Cut(os_reason(error)) from error
