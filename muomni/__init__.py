"""μOmni: a course and a toolkit that builds a small omni model from zero.

The rooms, from the top down (imports run downwards only):

cli, widgets, course → infer, evaluate, train → models → nn; and plan → data → config.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muomni.infer.omni import Omni

__version__ = "0.1.0"


def load(name: str = "nano", runs: str | Path | None = None) -> Omni:
    """The trained model that comes with the package: `muomni.load("nano").transcribe("speech.wav")`.

    Args:
        name: the profile.
        runs: a folder of your own runs, such as "checkpoints", whose stages are preferred.

    Raises:
        UserError: when a part is asked for that has no weights.
    """
    from muomni.infer.omni import Omni

    return Omni(name, runs)
