"""`muomni update-configs`: what data is there, and what it makes of each config's schedule, batches and paths.

    find the data → tokenizer (trained where there is none) → count → plan → changes with reasons → write

Nothing is written before every selected config has its plan, and in a dry run nothing is written in the project at all:
a tokenizer that has to be trained, and whatever counting keeps, go to a folder that is removed again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from muomni.config import (
    STAGES,
    ConfigFile,
    StageConfig,
    ThinkerConfig,
    disagreements,
    read_config,
    save_changes,
    with_changes,
)
from muomni.data.sources import SOURCES
from muomni.errors import UserError
from muomni.plan.data_paths import moved_paths
from muomni.plan.outcome import Outcome, Report, Request
from muomni.plan.planner import plan
from muomni.plan.reasons import explained, reasons
from muomni.plan.survey import Counted, Survey, Vocabulary

SHARES_TOKENIZER = ("thinker", "audio_enc", "vision", "talker", "omni_sft")
"""The stages that read or write the Thinker's tokens."""


def update_configs(request: Request, progress: bool = True) -> Report:
    """Plan the selected configs from the data that is there, and write them unless this is a dry run.

    Raises:
        UserError: a config or data file is wrong; then no config has been written.
    """
    files = {stage: _read(request, stage) for stage in request.selected}
    there = [stage for stage in files if _has_data(request, stage)]
    with _caches(request.data, request.dry_run) as (cache, scratch):
        survey = Survey(request.data, cache, scratch, request.assume_text_tokens, request.estimate, progress)
        vocabulary = _vocabulary(request, files, there, survey)
        files |= _sharing(request, files, vocabulary)
        outcomes = []
        for stage in sorted(files, key=list(STAGES).index):
            if stage in there:
                paths, why = moved_paths(files[stage].config, request.data)
                counted = survey.count(stage, there)
                outcomes.append(_planned(files[stage], counted, vocabulary, paths, why, memory_gib=request.memory_gib))
            elif stage in request.selected:
                outcomes.append(_skipped(request, files[stage], vocabulary))
            else:
                outcomes.append(_only_shared(files[stage], vocabulary))
    if not request.dry_run:
        for outcome in outcomes:
            save_changes(outcome.file, {change.field: change.after for change in outcome.changes})
    missing = tuple(outcome.stage for outcome in outcomes if outcome.skipped and outcome.stage in request.stages)
    return Report(tuple(outcomes), vocabulary, _notes(request, outcomes, vocabulary), missing)


def plan_of(file: ConfigFile, **sizes_and_wishes: Any) -> Outcome:
    """One config's plan for data of a given size; arguments as for `plan`. Nothing is read or written."""
    found = plan(file.config, **sizes_and_wishes)
    after = with_changes(file.config, found.settings)
    changes = explained(file.config, after, reasons(file.config, found))
    return Outcome(file.stage, file, after, Counted(None, found.examples), found, changes=tuple(changes))


def plan_from_disk(file: ConfigFile, data: Path, progress: bool = True, **wishes: Any) -> Outcome:
    """One config's plan for the data on disk, under the vocabulary that its tokenizer has. Nothing is written.

    Args:
        file: the config.
        data: the data's folder.
        progress: show progress on standard error.
        wishes: `epochs`, `warmup_percent`, `memory_gib`, as for `plan`.

    Raises:
        UserError: there is no data for it, or it is wrong.
    """
    stage, config = file.stage, file.config
    source = SOURCES[stage].first(data)
    if source is None:
        looked = " or ".join(map(str, SOURCES[stage].paths(data)))
        fix = f"Give --{config.unit} N, or get the data: {remedy(data)}."
        raise UserError(f"no data is there: looked for {looked}", field=stage, fix=fix)
    vocabulary = None
    with _caches(data, outside=True) as (cache, scratch):
        survey = Survey(data, cache, scratch, progress=progress)
        if stage in SHARES_TOKENIZER:
            tokenizer, asked = Path(getattr(config, "tokenizer", "")), int(getattr(config, "vocab_size", 0))
            vocabulary = survey.vocabulary(tokenizer, asked, [SOURCES["thinker"].first(data) or source])
        counted = survey.count(stage, (stage,))
    return _planned(file, counted, vocabulary, {}, {}, **wishes)


def _has_data(request: Request, stage: str) -> bool:
    source = SOURCES[stage]
    return source.first(request.data) is not None or (
        source.unit == "tokens" and request.assume_text_tokens is not None
    )


def _vocabulary(
    request: Request, files: Mapping[str, ConfigFile], there: Sequence[str], survey: Survey
) -> Vocabulary | None:
    """The Thinker's tokenizer, where a stage that has data needs one: from the corpus, else from its own texts."""
    readers = [stage for stage in there if stage in SHARES_TOKENIZER]
    if not readers or request.assume_text_tokens is not None:
        return None
    config = (files.get("thinker") or _read(request, "thinker")).config
    assert isinstance(config, ThinkerConfig)
    found = [SOURCES[stage].first(request.data) for stage in ("thinker", *readers)]
    return survey.vocabulary(Path(config.tokenizer), config.vocab_size, [path for path in found if path is not None])


def _sharing(request: Request, files: Mapping[str, ConfigFile], vocabulary: Vocabulary | None) -> dict[str, ConfigFile]:
    """The configs that were not asked for but use the tokenizer too, where its size is not the one they have."""
    if vocabulary is None or vocabulary.pieces == vocabulary.asked:
        return {}
    others = [stage for stage in SHARES_TOKENIZER if stage not in files and request.path(stage).exists()]
    read = {stage: _read(request, stage) for stage in others}
    return {stage: file for stage, file in read.items() if _shared(file.config, vocabulary)}


def _shared(config: StageConfig, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """The vocabulary's size, for a config that uses this tokenizer and has another size."""
    if vocabulary is None or Path(getattr(config, "tokenizer", "")) != vocabulary.path:
        return {}
    size: int = getattr(config, "vocab_size", 0)
    return {} if size == vocabulary.pieces else {"vocab_size": vocabulary.pieces}


def _planned(
    file: ConfigFile,
    counted: Counted,
    vocabulary: Vocabulary | None,
    paths: Mapping[str, str],
    why: Mapping[str, str],
    **wishes: Any,
) -> Outcome:
    """A config's new data paths and vocabulary, and the plan of what that makes of it."""
    config = with_changes(file.config, {**paths, **_shared(file.config, vocabulary)})
    found = plan(config, **{config.unit: counted.examples}, **wishes)
    after = with_changes(config, found.settings)
    changes = explained(file.config, after, {**why, **_why(vocabulary), **reasons(config, found)})
    return Outcome(file.stage, file, after, counted, found, changes=tuple(changes))


def _only_shared(file: ConfigFile, vocabulary: Vocabulary | None) -> Outcome:
    """A config in which nothing but the vocabulary changes."""
    after = with_changes(file.config, _shared(file.config, vocabulary))
    return Outcome(file.stage, file, after, changes=tuple(explained(file.config, after, _why(vocabulary))))


def _skipped(request: Request, file: ConfigFile, vocabulary: Vocabulary | None) -> Outcome:
    """A config without data: what was looked for. The vocabulary may change all the same."""
    looked_for = tuple(map(str, SOURCES[file.stage].paths(request.data)))
    return replace(_only_shared(file, vocabulary), looked_for=looked_for, make=remedy(request.data))


def _why(vocabulary: Vocabulary | None) -> dict[str, str]:
    return {} if vocabulary is None else {"vocab_size": vocabulary.reason}


def _notes(request: Request, outcomes: Sequence[Outcome], vocabulary: Vocabulary | None) -> tuple[str, ...]:
    """What stands beside the changes: an old tokenizer, and configs that do not fit together."""
    notes = list(vocabulary.notes) if vocabulary else []
    for follower, problems in disagreements({outcome.stage: outcome.config for outcome in outcomes}).items():
        notes += [f"{request.path(follower)}: {problem.field}: {problem.message}" for problem in problems]
    return tuple(notes)


def _read(request: Request, stage: str) -> ConfigFile:
    path = request.path(stage)
    if not path.exists():
        raise UserError("does not exist", file=path, fix="Run it in the project's folder, or give --configs.")
    file = read_config(path)
    if file.stage != stage:
        raise UserError(
            f'is "{file.stage}", but the file is named for {stage}',
            file=path,
            field="stage",
            fix="Say that stage, or rename the file.",
        )
    return file


def remedy(data: Path) -> str:
    """How to come by data for every stage."""
    return "muomni data make" if data == Path("data") else f"muomni data make --out {data}"


@contextmanager
def _caches(data: Path, outside: bool) -> Iterator[tuple[Path | str, Path | None]]:
    """Where counts are kept and where a tokenizer is trained: in the project, or in a folder outside that goes again.

    The folder outside begins with a copy of what is known, so that nothing is counted again that was counted before.
    """
    if not outside:
        yield "auto", None
        return
    from muomni.data.counting import cache_folder

    known = cache_folder(data / "text" / "corpus.txt")
    with tempfile.TemporaryDirectory(prefix="muomni-") as name:
        for kind in ("*.count", "*.progress", "*.index"):
            for record in known.glob(kind) if known else ():
                shutil.copy2(record, name)
        yield Path(name), Path(name)
