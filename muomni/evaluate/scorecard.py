"""The scorecard: stage → metric → score, with the weights, the data and the seed that each score is of.

muomni eval → evaluate(...) → Scorecard ─ to_json() → {"vision": {"r_at_1": {"value": 0.61, ...}, ...}, ...}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.config import STAGES, read_config
from muomni.errors import BAD_USAGE, UserError
from muomni.evaluate.ladder import LADDERS, Climbed, climb
from muomni.evaluate.material import Material, material
from muomni.evaluate.score import Score
from muomni.infer.load import checkpoint_folder, name_of, newest, shipped
from muomni.models.checkpoint import CONFIG

NEWEST, SHIPPED = "newest", "shipped"
PROFILE = "nano"
POINTERS = ("best", "last")


@dataclass(frozen=True)
class StageCard:
    """One stage: its name, the weights, and its ladder."""

    stage: str
    weights: str
    rungs: tuple[Climbed, ...]

    def scores(self) -> Iterator[tuple[str, Score, str | None]]:
        """(metric, score, what names its examples)."""
        for climbed in self.rungs:
            for metric, score in climbed.scores.items():
                yield metric, score, climbed.source


@dataclass(frozen=True)
class Scorecard:
    """All stages that were scored, and why others were not."""

    stages: tuple[StageCard, ...]
    skipped: dict[str, str]
    seed: int

    def to_json(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Stage → metric → {value, low, high, n, floor, ceiling, split, weights, data, seed}."""
        return {
            card.stage: {
                metric: score.to_json() | {"weights": card.weights, "data": source, "seed": self.seed}
                for metric, score, source in card.scores()
            }
            for card in self.stages
        }

    def left_out(self) -> list[str]:
        """A line for every stage and every rung that was skipped, with the reason."""
        lines = [f"{stage} is skipped: {reason}" for stage, reason in self.skipped.items()]
        for card in self.stages:
            lines += [f"{card.stage}: {one.rung.name}: skipped: {one.skipped}" for one in card.rungs if one.skipped]
        return lines


def evaluate(
    stages: Sequence[str] = (),
    weights: str | Path = NEWEST,
    data: str | Path = "data",
    reality: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Scorecard:
    """Score trained stages on held-out examples.

    Args:
        stages: which; none: every one that has weights and data.
        weights: "newest": the learner's own runs in `checkpoints/`, else the shipped weights; "shipped"; or the folder
            of a run, of a checkpoint, or of several stages' runs.
        data: the data folder.
        reality: a folder of real recordings and texts, see `Material`; None: what MUOMNI_REALITY names, if anything.
        limit: at most so many examples of each kind, for a quick look.
        seed: of the bootstrap.
        progress: show a progress bar.

    Raises:
        UserError: an unknown stage; a stage that was asked for has no weights or data; nothing can be scored.
    """
    from tqdm.auto import tqdm

    for stage in stages:
        _check_stage(stage)
    found = material(data, reality, limit, seed)
    folders, skipped = _weights_of(stages, weights, found)
    bar = tqdm(total=sum(len(LADDERS[stage].rungs) for stage in folders), unit="rung", disable=not progress)
    cards = []
    with bar:
        for stage, folder in folders.items():
            trained = LADDERS[stage].load(folder)
            rungs = list[Climbed]()
            for rung in LADDERS[stage].rungs:
                bar.set_description(f"{stage}: {rung.name}")
                rungs.append(climb(rung, trained, found))
                bar.update()
            cards.append(StageCard(stage, name_of(folder), tuple(rungs)))
    return Scorecard(tuple(cards), skipped, seed)


def _check_stage(stage: str) -> None:
    if stage in LADDERS:
        return
    close = difflib.get_close_matches(stage, STAGES, n=1)
    fix = f"Did you mean {close[0]}?" if close else f"Name some of {', '.join(STAGES)}."
    raise UserError(f"{stage!r} is no stage", fix=fix, exit_code=BAD_USAGE)


def _weights_of(asked: Sequence[str], weights: str | Path, found: Material) -> tuple[dict[str, Path], dict[str, str]]:
    """The checkpoint's folder of every stage to score, and the reasons why others are not scored."""
    folders, skipped = dict[str, Path](), dict[str, str]()
    single = _stage_of(weights)
    if single is not None and any(stage != single for stage in asked):
        other = next(stage for stage in asked if stage != single)
        raise UserError(f"holds a model of stage {single}, not of {other}", file=weights, exit_code=BAD_USAGE)
    for stage in STAGES:
        if (asked and stage not in asked) or (single is not None and stage != single):
            continue
        try:
            _check_stage(stage)
            folder = _folder(stage, weights)
            for table in LADDERS[stage].needs:
                found.table(table)
            folders[stage] = folder
        except UserError as error:
            if asked or single is not None:
                raise
            skipped[stage] = str(error)
    if not folders:
        reasons = "\n  ".join(f"{stage}: {reason}" for stage, reason in skipped.items())
        raise UserError(f"nothing can be scored:\n  {reasons}")
    return folders, skipped


def _folder(stage: str, weights: str | Path) -> Path:
    """The checkpoint of a stage that `weights` names."""
    if weights == SHIPPED:
        return shipped(stage, PROFILE)
    if weights == NEWEST:
        return _checkpoint(newest(stage, PROFILE))
    run = Path(weights)
    if _is_run(run):
        return _checkpoint(run)
    return _checkpoint(run / f"{stage}_{PROFILE}")


def _is_run(folder: Path) -> bool:
    return (folder / CONFIG).exists() or any((folder / f"{which}.json").exists() for which in POINTERS)


def _checkpoint(run: Path) -> Path:
    """The best checkpoint of a run; the last, where none was ever validated."""
    best, last = (run / f"{which}.json" for which in POINTERS)
    return checkpoint_folder(run, "last" if last.exists() and not best.exists() else "best")


def _stage_of(weights: str | Path) -> str | None:
    """The stage of a folder that holds one run or one checkpoint; None for other choices of weights.

    Raises:
        UserError: the folder is not there, or holds nothing of the kind.
    """
    if weights in (NEWEST, SHIPPED):
        return None
    folder = Path(weights)
    if not folder.is_dir():
        fix = f"Give {NEWEST}, {SHIPPED}, or the folder of a run."
        raise UserError("is no folder of weights", file=weights, field="--weights", fix=fix, exit_code=BAD_USAGE)
    if _is_run(folder):
        return read_config(_checkpoint(folder) / CONFIG).stage
    if not any(_is_run(folder / f"{stage}_{PROFILE}") for stage in STAGES):
        raise UserError("holds neither a checkpoint nor runs", file=weights, fix="Name the folder of a run.")
    return None
