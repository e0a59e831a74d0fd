"""What was left out on the way, by reason: counted whole, the first few named, and too much of it refused.

Whoever goes through rows or files (a manifest's reader, an import, a download) keeps one `Skipped` and adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muomni.errors import UserError

MAX_SKIPPED = 0.05
"""The share of rows that may be skipped before a run stops."""
FEW = 20
"""So many tries are needed before a share says anything."""
HOPELESS = 0.5
LISTED, FIRST_FEW = 10, 5
MOST_REASONS = 100
OTHERS = "other reasons"


@dataclass
class Skipped:
    """What was left out: how many by reason, and where the first few of each were.

    Attributes:
        manifest: what is gone through, for messages.
        tried: rows looked at so far.
        counts: how many were skipped, by reason.
        first: where the first few of them were, by reason.
    """

    manifest: Path | None = None
    tried: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, where: object) -> None:
        """Count one."""
        if reason not in self.counts and len(self.counts) >= MOST_REASONS:
            reason = OTHERS
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.first.setdefault(reason, [])
        if len(examples) < LISTED:
            examples.append(str(where))

    @property
    def rows(self) -> int:
        """How many were skipped."""
        return sum(self.counts.values())

    @property
    def reasons(self) -> list[str]:
        """The first ones, each with where it was and why."""
        return [f"{where}: {reason}" for reason, places in self.first.items() for where in places][:LISTED]

    def check(self, limit: float = MAX_SKIPPED, at_end: bool = False) -> None:
        """A `UserError` with the list if too many were skipped: at the end, or if it cannot end well.

        Raises:
            UserError: more than `limit` of the rows were skipped; before the end, more than half of those so far.
        """
        nothing = at_end and self.rows == self.tried
        bearable = self.rows <= (limit if at_end else max(limit, HOPELESS)) * self.tried
        if not nothing and (self.tried < FEW or bearable):
            return
        if not self.tried:
            raise UserError("has no rows", file=self.manifest, fix="Check that it is the right file.")
        problem = f"{self.rows:,} of {self.tried:,} rows cannot be used (at most {limit:.0%} may):\n  "
        raise UserError(
            problem + "\n  ".join(self.reasons), file=self.manifest, fix="Mend these files, or leave their rows out."
        )

    def to_json(self) -> dict[str, Any]:
        """By reason: how many, and the first few."""
        return {
            reason: {"count": count, "first": self.first[reason][:FIRST_FEW]} for reason, count in self.counts.items()
        }

    def __str__(self) -> str:
        if not self.rows:
            return f"all {self.tried:,} rows of {self.manifest} can be used"
        return f"{self.rows:,} of {self.tried:,} rows of {self.manifest} are skipped:\n  " + "\n  ".join(self.reasons)
