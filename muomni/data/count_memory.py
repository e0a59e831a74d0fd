"""What is kept of a count: its result, and until then how far it has come. Nothing kept is believed unless it fits.

A kept result is sealed and belongs to one file content, one kind of work (tokens by one tokenizer, or rows) and one
format. Equal stamps are enough to say that the content is the same; where they differ, the SHA-256 of all bytes
decides. A checkpoint fits a file of the same size whose bytes before it have the same SHA-256, whatever its times say.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from muomni.data.fingerprint import PrefixHash, Stamp, fingerprint
from muomni.data.sealed import append_record, read_last, write_record
from muomni.data.text_lines import Position
from muomni.errors import UserError

FORMAT = 1


class Totals(NamedTuple):
    """Lines or rows, texts in them that are not blank, pieces and characters of those texts."""

    lines: int = 0
    documents: int = 0
    pieces: int = 0
    characters: int = 0

    def plus(self, other: Totals) -> Totals:
        """Both together."""
        return Totals(*(mine + its for mine, its in zip(self, other, strict=True)))


class CountMemory:
    """The memory of one count of one file.

    Args:
        path: the file counted.
        work: what is counted in it; results of other work are not used.
        folder: where results are kept.
        writes: whether to keep what this count finds.
    """

    def __init__(self, path: Path, work: str, folder: Path, writes: bool = True) -> None:
        self.path = path
        self.work = work
        self.writes = writes
        self.stamp, self._settled = Stamp.once_settled(path) if writes else (Stamp.of(path), False)
        self._prefix = PrefixHash(path)
        name = f"{path.absolute().parent.name}-{path.name}.{hashlib.sha256(work.encode()).hexdigest()[:12]}"
        self._result, self._journal = folder / f"{name}.count", folder / f"{name}.progress"

    def finished(self) -> Totals | None:
        """The kept result, if it is of the file as it is now."""
        record = self._fitting(self._result)
        if record is None:
            return None
        if not (record["settled"] and record["stamp"] == list(self.stamp)):
            if record["content"] != fingerprint(self.path):
                return None
            self._keep(record["content"], Totals(*record["totals"]))
        return Totals(*record["totals"])

    def resume(self) -> tuple[Position, Totals]:
        """Where an interrupted count stopped and what it had counted; else the beginning and nothing."""
        record = self._fitting(self._journal)
        if record is not None:
            at = Position(record["offset"], record["line"])
            if self._prefix.advance(at.offset) == record["prefix"]:
                return at, Totals(*record["totals"])
            self._prefix = PrefixHash(self.path)
        return Position(), Totals()

    def checkpoint(self, at: Position, totals: Totals) -> None:
        """Note that everything before `at` has been counted, unless the file has changed since it was opened."""
        if self.writes and Stamp.of(self.path) == self.stamp:
            place = {"prefix": self._prefix.advance(at.offset), "offset": at.offset, "line": at.line}
            append_record(self._journal, {**self._identity(), **place, "totals": totals})

    def finish(self, totals: Totals) -> None:
        """Keep the result.

        Raises:
            UserError: the file changed while it was counted.
        """
        content = self._prefix.advance(self.stamp.size) if self.writes else None
        if Stamp.of(self.path) != self.stamp:
            raise UserError("changed while it was counted", file=self.path, fix="Count again when it is written.")
        if content is not None:
            self._keep(content, totals)
            with suppress(OSError):
                self._journal.unlink(missing_ok=True)

    def _keep(self, content: str, totals: Totals) -> None:
        if self.writes:
            state = {"stamp": list(self.stamp), "settled": self._settled, "content": content}
            write_record(self._result, {**self._identity(), **state, "totals": totals})

    def _identity(self) -> dict[str, Any]:
        return {"format": FORMAT, "work": self.work, "size": self.stamp.size}

    def _fitting(self, kept: Path) -> dict[str, Any] | None:
        """The last whole record of `kept`, if it is of the same work on a file of this size and can be true."""
        record = read_last(kept)
        if record is None or any(record.get(key) != value for key, value in self._identity().items()):
            return None
        numbers = record.get("totals")
        if not isinstance(numbers, list) or len(numbers) != len(Totals._fields):
            return None
        numbers = [*numbers, record.get("offset", 0), record.get("line", 0)]
        possible = all(type(number) is int and 0 <= number <= self.stamp.size for number in numbers)
        return record if possible else None
