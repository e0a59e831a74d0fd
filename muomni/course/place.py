"""Where a notebook runs: in the project's folder, like the command line.

A kernel starts in its notebook's folder, so `configs/thinker_nano.json` would mean something else in a notebook than in
a terminal. A chapter's first cell calls `start()`, and from then on every path in it means the same as everywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

from muomni.errors import BAD_USAGE, UserError


def project_folder(start: str | Path = ".") -> Path:
    """The nearest folder, from `start` upwards, that holds `configs/` and `notebooks/`.

    Raises:
        UserError: there is none.
    """
    here = Path(start).resolve()
    for folder in (here, *here.parents):
        if (folder / "configs").is_dir() and (folder / "notebooks").is_dir():
            return folder
    raise UserError(
        "no folder from here upwards holds configs/ and notebooks/",
        file=here,
        fix="Open the notebook inside the project's folder, or change to it first.",
        exit_code=BAD_USAGE,
    )


def start() -> Path:
    """Make the project's folder the current one, and return it. Calling it again changes nothing."""
    folder = project_folder()
    os.chdir(folder)
    return folder
