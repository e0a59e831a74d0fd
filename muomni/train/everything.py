"""All stages in order, A to G, each from what those before it made; resumable as a whole.

A stage whose run has taken all its steps is left alone, one that was interrupted goes on from its last checkpoint, and
the next one follows. So the same command, given again after any interruption, ends with the same seven models.

Models as small as ours keep one processor core busy, and a second one much less. So without a GPU two stages are
trained side by side, each in a process of its own with its share of the cores, as soon as there is what they begin
with, in the order of `SIDE_BY_SIDE`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from muomni.config import STAGES, StageConfig, ThinkerConfig, read_config
from muomni.config.reading import read_json
from muomni.errors import UserError
from muomni.train.beside import Beside
from muomni.train.checkpoint import RunFolder
from muomni.train.events import Control, Listener
from muomni.train.precision import best_device
from muomni.train.run import TASKS, matching_tokenizer, train

Shown = Callable[[str], AbstractContextManager[Listener]]
Did = Literal["trained", "resumed", "was finished", "cannot be trained yet"]

SIDE_BY_SIDE = ("thinker", "vision", "audio_enc", "omni_sft", "talker", "vocoder", "ocr")
"""First the omni model, which takes longest, and what it waits for; of that first what takes longer."""


@dataclass(frozen=True)
class Outcome:
    """What became of one stage. `steps` are those that its run has by now."""

    stage: str
    did: Did
    folder: str
    steps: int


@dataclass(frozen=True)
class _Job:
    """One stage's turn."""

    name: str  # "5/7 omni_sft"
    config: StageConfig
    did: Did

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.config.save_dir)

    @property
    def trains(self) -> bool:
        return self.did in ("trained", "resumed")

    def outcome(self) -> Outcome:
        return Outcome(self.config.stage_name, self.did, str(self.folder.path), _steps(self.folder))


def stages_at_once() -> int:
    """How many stages this machine best trains at a time: one on a GPU, two where there are cores for it."""
    return 1 if best_device().type == "cuda" else min(2, os.cpu_count() or 1)


def train_everything(
    configs: Path,
    profile: str,
    shown: Shown,
    say: Callable[[str], None],
    control: Control | None = None,
    at_once: int = 1,
) -> list[Outcome]:
    """Train every stage by its config of a profile.

    Args:
        shown: of a stage's title, a context manager that gives the listener of its run.
        say: is told one line before each stage.
        control: pauses, resumes or stops what is being trained; stopped, no further stage is begun.
        at_once: stages that are trained at a time; more than one in processes of their own.

    Raises:
        UserError: a config is missing or a stage fails; what was trained before it stays.
    """
    control = control or Control()
    jobs = [_job(number, stage, configs, profile) for number, stage in enumerate(STAGES, start=1)]
    if at_once == 1:
        return _in_turn(jobs, shown, say, control)
    return _side_by_side(jobs, shown, say, control, at_once)


def _job(number: int, stage: str, configs: Path, profile: str) -> _Job:
    config = read_config(configs / f"{stage}_{profile}.json").config
    folder = RunFolder(config.save_dir)
    did: Did = "resumed" if folder.has_run else "trained"
    if stage not in TASKS:
        did = "cannot be trained yet"
    elif _steps(folder) >= config.max_steps:
        did = "was finished"
    return _Job(f"{number}/{len(STAGES)} {stage}", config, did)


def _begins(job: _Job) -> str:
    title = f"[{job.name.partition(' ')[0]}] {job.config.title}"
    return f"{title}: {'begins' if job.did == 'trained' else job.did}"


def _in_turn(jobs: list[_Job], shown: Shown, say: Callable[[str], None], control: Control) -> list[Outcome]:
    outcomes = []
    for job in jobs:
        say(_begins(job))
        if job.trains:
            with shown(job.name) as listener:
                train(job.config, resume=job.folder.has_run, listener=listener, control=control)
        outcomes.append(job.outcome())
        if control.stopping:
            break
    return outcomes


def _side_by_side(
    jobs: list[_Job], shown: Shown, say: Callable[[str], None], control: Control, at_once: int
) -> list[Outcome]:
    """As many at a time as there may be, the first in `SIDE_BY_SIDE` that can begin before the others."""
    for job in jobs:
        if not job.trains:
            say(_begins(job))
    waiting = sorted((job for job in jobs if job.trains), key=lambda job: SIDE_BY_SIDE.index(job.config.stage_name))
    for job in waiting:
        if isinstance(job.config, ThinkerConfig):
            matching_tokenizer(job.config)  # made here, once, and not by two at the same time
    with Beside(threads=max(1, (os.cpu_count() or 1) // at_once), control=control) as beside:
        while beside.running or (waiting and not control.stopping):
            unmade = {Path(config.save_dir) for config in (*(job.config for job in waiting), *beside.configs)}
            ready = [job for job in waiting if unmade.isdisjoint(map(Path, job.config.begins_with))]
            if not ready and not beside.running:
                names = ", ".join(job.config.stage_name for job in waiting)
                problem = "would begin with each other's runs, or with their own"
                raise UserError(problem, field=names, fix="Name other runs in their configs.")
            for job in ready[: 0 if control.stopping else at_once - len(beside.running)]:
                say(_begins(job))
                waiting.remove(job)
                beside.start(job.config, job.folder.has_run, shown(job.name))
            beside.listen()
    return [job.outcome() for job in jobs if job not in waiting]


def _steps(folder: RunFolder) -> int:
    """The steps that a run has saved."""
    return int(read_json(folder.path / "last.json")["step"]) if folder.has_run else 0
