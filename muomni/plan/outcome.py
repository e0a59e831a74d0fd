"""What `update-configs` is asked for, what became of each config, and both as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.config import STAGES, Change, ConfigFile, StageConfig
from muomni.data.sources import SOURCES
from muomni.plan.planner import MEMORY_GIB, Plan
from muomni.plan.survey import Counted, Vocabulary


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        data, configs: their folders.
        profile: the ending of the configs' names, `tiny` or `nano`.
        stages: which configs; all where empty.
        dry_run: write nothing.
        assume_text_tokens: do not tokenize; take this many tokens of text.
        estimate: estimate the tokens of the text from a sample of its lines.
        memory_gib: memory that training may take.
    """

    data: Path = Path("data")
    configs: Path = Path("configs")
    profile: str = "tiny"
    stages: tuple[str, ...] = ()
    dry_run: bool = False
    assume_text_tokens: int | None = None
    estimate: bool = False
    memory_gib: float = MEMORY_GIB

    @property
    def selected(self) -> tuple[str, ...]:
        """The stages asked for, in the planner's order."""
        return tuple(stage for stage in STAGES if not self.stages or stage in self.stages)

    def path(self, stage: str) -> Path:
        """A stage's config file."""
        return self.configs / f"{stage}_{self.profile}.json"


@dataclass(frozen=True)
class Outcome:
    """What became of one config. Without data, or where only shared settings change, there is no plan.

    Attributes:
        looked_for: where data was missing: the paths looked for.
        make: the command that makes that data, or what to do where none does.
        changes: in the order of the schema, each with its reason.
    """

    stage: str
    file: ConfigFile
    config: StageConfig
    counted: Counted | None = None
    plan: Plan | None = None
    looked_for: tuple[str, ...] = ()
    make: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def skipped(self) -> bool:
        """Whether its data is missing."""
        return bool(self.looked_for)

    def to_json(self) -> dict[str, Any]:
        """Plain data with the same keys for every config: null where there is no plan."""
        numbers = self.plan.to_json() if self.plan else {name: None for name in Plan.__dataclass_fields__}
        counted = self.counted or Counted(None, 0)
        return numbers | {
            "stage": self.stage,
            "config": str(self.file.path),
            "source": None if counted.source is None else str(counted.source),
            "unit": SOURCES[self.stage].unit,
            "interval": counted.interval and list(counted.interval),
            "reference_tokens": counted.reference_tokens,
            "skipped": {"looked_for": list(self.looked_for), "make": self.make} if self.skipped else None,
            "changes": [vars(change) for change in self.changes],
        }


@dataclass(frozen=True)
class Report:
    """All that was found and changed.

    Attributes:
        vocabulary: the tokenizer that was used, where one was.
        notes: what a person should know beside the changes.
        missing: the stages that were asked for by name and have no data.
    """

    outcomes: tuple[Outcome, ...]
    vocabulary: Vocabulary | None = None
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
