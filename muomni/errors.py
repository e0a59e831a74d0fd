"""The one exception for a mistake that its user can mend.

A `UserError` reads as one clear line: where (file, line, field), what was found, what is allowed and what to do.
The command line prints it without a traceback; the panels show it beside the control.
"""

from __future__ import annotations

from pathlib import Path

BAD_DATA = 1
BAD_USAGE = 2


class UserError(Exception):
    """A mistake in a file, a setting or a call, with its remedy.

    Args:
        problem: what is wrong, with the value found and what is allowed.
        file: the file it is in, when there is one.
        line: the line of that file, counted from 1.
        field: the setting or column it is in.
        fix: what to do about it.
        exit_code: `BAD_DATA` (1) for data and configs, `BAD_USAGE` (2) for a command typed wrongly.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        fix: str | None = None,
        exit_code: int = BAD_DATA,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        self.fix = fix
        self.exit_code = exit_code
        super().__init__(self._text())

    def _text(self) -> str:
        where = self.file or ""
        if self.line is not None:
            where += f":{self.line}" if where else f"line {self.line}"
        parts = [part for part in (where, self.field, self.problem) if part]
        text = ": ".join(parts)
        return f"{text.rstrip('.')}. {self.fix}" if self.fix else text
