"""All stages in order, A to G, each from what those before it made; resumable as a whole.

A stage whose run has taken all its steps is left alone, one that was interrupted goes on from its last checkpoint, and
the next one follows. So the same command, given again after any interruption, ends with the same seven models.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from muomni.config import STAGES, read_config
from muomni.config.reading import read_json
from muomni.train.checkpoint import RunFolder
from muomni.train.events import Control, Listener
from muomni.train.run import TASKS, train

Shown = Callable[[str], AbstractContextManager[Listener]]


@dataclass(frozen=True)
class Outcome:
    """What became of one stage. `steps` are those that its run has by now."""

    stage: str
    did: Literal["trained", "resumed", "was finished", "cannot be trained yet"]
    folder: str
    steps: int


def train_everything(
    configs: Path, profile: str, shown: Shown, say: Callable[[str], None], control: Control | None = None
) -> list[Outcome]:
    """Train every stage by its config of a profile.

    Args:
        shown: of a stage's title, a context manager that gives the listener of its run.
        say: is told one line before each stage.
        control: pauses, resumes or stops the run that goes on; stopped, no further stage is begun.

    Raises:
        UserError: a config is missing or a stage fails; what was trained before it stays.
    """
    outcomes = []
    order = list(STAGES)
    for number, stage in enumerate(order, start=1):
        config = read_config(configs / f"{stage}_{profile}.json").config
        folder = RunFolder(config.save_dir)
        title = f"[{number}/{len(order)}] {config.title}"
        done = _steps(folder)
        did: Literal["trained", "resumed", "was finished", "cannot be trained yet"]
        if stage not in TASKS:
            did = "cannot be trained yet"
        elif done >= config.max_steps:
            did = "was finished"
        else:
            did = "resumed" if folder.has_run else "trained"
        say(f"{title}: {'begins' if did == 'trained' else did}")
        if did in ("trained", "resumed"):
            with shown(f"{number}/{len(order)} {stage}") as listener:
                done = train(config, resume=folder.has_run, listener=listener, control=control).step
        outcomes.append(Outcome(stage, did, str(folder.path), done))
        if control is not None and control.stopping:
            break
    return outcomes


def _steps(folder: RunFolder) -> int:
    """The steps that a run has saved."""
    return int(read_json(folder.path / "last.json")["step"]) if folder.has_run else 0
