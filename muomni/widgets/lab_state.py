"""The config lab without its looks: one config's settings, its plan, undo and redo, the diff and the save.

Two kinds of numbers live here. The *settings* are what the learner edits and what the file holds. The *plan* is what
`muomni.plan` makes of those settings and the size of the data. A setting that the plan also decides (`PLANNED`) is
shown with both values; the plan's are taken over on demand (`apply_plan`), or all the time for the schedule
(`follow`). Micro-batch and accumulation never follow by themselves: a slider must not jump from under the hand.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from muomni.config import (
    Change,
    ConfigError,
    ConfigFile,
    FieldSpec,
    Problem,
    StageConfig,
    check_values,
    differences,
    disagreements,
    fields_of,
    read_config,
    save_changes,
)
from muomni.errors import UserError
from muomni.plan import MEMORY_GIB, Memory, Plan, epoch_choice, peak_memory, plan
from muomni.widgets.data_size import DataSize
from muomni.widgets.plan_inputs import as_kind, plan_inputs, within

FOLLOWED = ("max_epochs", "max_steps", "warmup_steps", "val_freq", "checkpoint_freq")
"""What of the plan follows along when the schedule is asked to."""

ONE_GESTURE = 0.3  # seconds: edits of one control that come faster are one drag, and one undo
MOST_UNDO = 500


@dataclass(frozen=True)
class Snapshot:
    """All that can be edited, at one moment: what undo goes back to."""

    values: Mapping[str, Any]
    examples: Any
    epochs: Any = None
    warmup_percent: Any = 4.0
    memory_gib: Any = MEMORY_GIB
    follow: bool = False


@dataclass(frozen=True)
class Reading:
    """What a valid snapshot means: the plan, and what the settings as they stand would do."""

    config: StageConfig
    plan: Plan
    memory: Memory
    run_steps: int

    @property
    def fits(self) -> bool:
        """Whether the settings as they stand fit the memory budget."""
        return self.memory.total <= self.plan.memory_budget_bytes

    @property
    def differing(self) -> dict[str, tuple[int, int]]:
        """Settings whose value is not the plan's: {name: (as set, as planned)}."""
        pairs = {name: (getattr(self.config, name), value) for name, value in self.plan.settings.items()}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class LabState:
    """One config file being edited.

    Args:
        file: the config as it stands on disk.
        size: the data that the plan is made for.

    Attributes:
        neighbours: the other stages' configs, which must agree with this one.
        problems: what is wrong, by control; empty while the settings are valid.
        reading: the plan of the last valid settings.
    """

    def __init__(self, file: ConfigFile, size: DataSize) -> None:
        self.file = file
        self.size = size
        self.neighbours: dict[str, StageConfig] = {}
        self.specs = fields_of(type(file.config))
        self.now = Snapshot(values=_values(file.config), examples=size.examples)
        self.past: list[Snapshot] = []
        self.future: list[Snapshot] = []
        self.problems: dict[str, str] = {}
        self._gesture: tuple[str, float] = ("", 0.0)
        reading, problems = self._read(self.now)
        if reading is None:
            raise ConfigError([Problem(name, text) for name, text in problems.items()], file=file.path)
        self.reading = reading

    @property
    def unit(self) -> str:
        """What the data is counted in: tokens or samples."""
        return type(self.file.config).unit

    @property
    def inputs(self) -> dict[str, FieldSpec]:
        """The plan's own controls, described like settings."""
        return plan_inputs(self.unit)

    @property
    def valid(self) -> bool:
        return not self.problems

    @property
    def changes(self) -> list[Change]:
        """Settings that differ from the file, in the schema's order; values that are not valid yet are among them."""
        before = _values(self.file.config)
        return [Change(name, before[name], value) for name, value in self.now.values.items() if before[name] != value]

    def value(self, name: str) -> Any:
        """What a setting or one of the plan's inputs is set to."""
        if name in self.inputs:
            return self.now.examples if name == self.unit else getattr(self.now, name)
        return self.now.values[name]

    def put(self, name: str, value: Any, *, gesture: bool = False) -> None:
        """Change one setting or input, valid or not: what is wrong is in `problems` and the plan keeps its last state.

        Args:
            name: a setting (or another name it is accepted under), "tokens" or "samples", "epochs",
                "warmup_percent", "memory_gib", or one weight as "sft_mix.task".
            value: the new value.
            gesture: the edit may belong to a drag, whose edits are undone together.

        Raises:
            UserError: there is no such setting.
        """
        name = self._own_name(name)
        spec = self.inputs.get(name) or self.specs[name.partition(".")[0]]
        value = as_kind(value, "float" if "." in name else spec.kind)
        if name == self.unit:
            after = replace(self.now, examples=value, epochs=self._still_in_range(value))
        elif name in self.inputs:
            after = replace(self.now, **{name: value})
        elif "." in name:
            weights, task = name.split(".", 1)
            mix = dict(self.now.values[weights]) | {task: value}
            after = replace(self.now, values={**self.now.values, weights: mix})
        else:
            after = replace(self.now, values={**self.now.values, name: value})
            if name in FOLLOWED:
                after = replace(after, follow=False)  # set by hand: the hand wins
        merges = gesture and self._gesture[0] == name and time.monotonic() - self._gesture[1] < ONE_GESTURE
        self._go(after, remember=not merges)
        self._gesture = (name, time.monotonic())

    def set(self, name: str, value: Any) -> None:
        """Like `put`, but a value that is not allowed raises and changes nothing.

        Raises:
            UserError: there is no such setting, or the settings would not be valid.
        """
        before, past, future = self.now, list(self.past), list(self.future)
        self.put(name, value)
        if self.problems:
            error = ConfigError([Problem(field, text) for field, text in self.problems.items()])
            self._go(before, remember=False)
            self.past, self.future = past, future
            raise error

    def follow(self, on: bool) -> None:
        """Keep the schedule on the plan from now on, or leave it as it is."""
        self._go(replace(self.now, follow=on))

    def apply_plan(self) -> list[Change]:
        """Take over everything the plan decides. Returns what changed."""
        if not self.valid:
            raise UserError("cannot be applied while settings are not valid", field="plan", fix=self._first_problem())
        before = self.now.values
        changes = [
            Change(name, before[name], value)
            for name, value in self.reading.plan.settings.items()
            if before[name] != value
        ]
        if changes:
            self._go(replace(self.now, values={**before, **self.reading.plan.settings}))
        return changes

    def undo(self) -> bool:
        """Go one edit back. False: there is none."""
        return self._travel(self.past, self.future)

    def redo(self) -> bool:
        """Take back one undo. False: there is none."""
        return self._travel(self.future, self.past)

    def reset(self) -> None:
        """Read the file again and take its settings. Can be undone.

        Raises:
            UserError: the file is gone or is no longer valid.
        """
        self.file = read_config(self.file.path)
        self._go(replace(self.now, values=_values(self.file.config), follow=False))

    def save(self) -> list[Change]:
        """Write the changed settings into the file and return them. An unchanged file is not touched.

        Raises:
            UserError: settings are not valid, the file was changed by somebody else, or it cannot be written.
        """
        if not self.valid:
            raise UserError(
                "cannot be saved while settings are not valid", file=self.file.path, fix=self._first_problem()
            )
        changes = differences(self.file.config, self.reading.config)
        if changes:
            if read_config(self.file.path).raw != self.file.raw:
                raise UserError(
                    "was changed by something else since it was opened",
                    file=self.file.path,
                    fix="Reset to the file to take its settings; undo then brings yours back.",
                )
            self.file = save_changes(self.file, {change.field: change.after for change in changes})
        return changes

    def disagreements(self) -> list[tuple[str, Problem]]:
        """(stage, problem) where this config and its neighbours do not fit together."""
        found = disagreements({**self.neighbours, self.file.stage: self.reading.config})
        mine = self.file.stage
        return [
            (stage, problem)
            for stage, problems in found.items()
            for problem in problems
            if stage == mine or f"of the {mine} config" in problem.message
        ]

    def _still_in_range(self, examples: Any) -> Any:
        """The chosen number of epochs, or None where data of this size is gone through differently often."""
        if not within(examples, self.inputs[self.unit]) or not isinstance(self.now.epochs, int):
            return None
        choice = epoch_choice(examples, self.reading.config.unit)
        return self.now.epochs if choice.lowest <= self.now.epochs <= choice.highest else None

    def _own_name(self, name: str) -> str:
        kind = type(self.file.config)
        base, dot, task = name.partition(".")
        base = kind.aliases.get(base, base)
        is_weight = bool(dot) and base in self.specs and self.specs[base].kind == "weights"
        if (base in self.specs or base in self.inputs) and (not dot or (is_weight and task in self.now.values[base])):
            return base + dot + task
        near = get_close_matches(name, [*self.specs, *self.inputs, *kind.aliases], n=1, cutoff=0.5)
        raise UserError(
            f'"{name}" is no setting of {self.file.stage}',
            field="set",
            fix=f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(self.specs)}.",
        )

    def _go(self, after: Snapshot, remember: bool = True) -> None:
        """Make `after` the present."""
        reading, problems = self._read(after)
        if reading is not None and after.follow and not problems:
            kept = {name: reading.plan.settings[name] for name in FOLLOWED}
            after = replace(after, values={**after.values, **kept})
            reading, problems = self._read(after)
        if after == self.now and problems == self.problems:  # 1 is equal to true, but not allowed for it
            return
        if remember:
            self.past = [*self.past[-MOST_UNDO + 1 :], self.now]
        self.future = []
        self._gesture = ("", 0.0)
        self._arrive(after, reading, problems)

    def _travel(self, origin: list[Snapshot], target: list[Snapshot]) -> bool:
        if not origin:
            return False
        after = origin.pop()
        target.append(self.now)
        self._gesture = ("", 0.0)
        self._arrive(after, *self._read(after))
        return True

    def _arrive(self, after: Snapshot, reading: Reading | None, problems: dict[str, str]) -> None:
        self.now, self.problems = after, problems
        if reading is not None:
            self.reading = reading

    def _read(self, snapshot: Snapshot) -> tuple[Reading | None, dict[str, str]]:
        """The plan of a snapshot, or None, and what is wrong with it by control."""
        problems: dict[str, str] = {}
        for name, spec in plan_inputs(self.unit).items():
            value = snapshot.examples if name == self.unit else getattr(snapshot, name)
            if not within(value, spec):
                problems[name] = f"is {value!r}; allowed is {spec.allowed}"
        config, found = check_values(self.file.stage, snapshot.values)
        for problem in found:
            problems.setdefault(problem.field or "", problem.message)
        if config is None or problems:
            return None, problems
        choice = epoch_choice(snapshot.examples, config.unit)
        if snapshot.epochs is not None and not choice.lowest <= snapshot.epochs <= choice.highest:
            return None, {
                "epochs": f"is {snapshot.epochs}; {choice.size_class} data is gone through "
                f"{choice.lowest} to {choice.highest} times"
            }
        planned = plan(
            config,
            **{config.unit: snapshot.examples},
            epochs=snapshot.epochs,
            warmup_percent=snapshot.warmup_percent,
            memory_gib=snapshot.memory_gib,
        )
        memory = peak_memory(config, config.batch_size, config.gradient_accumulation_steps > 1)
        steps = min(config.max_steps, config.max_epochs * planned.steps_per_epoch)
        return Reading(config, planned, memory, steps), {}

    def _first_problem(self) -> str:
        name, text = next(iter(self.problems.items()))
        more = f" ({len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{name} {text}{more}."


def _values(config: StageConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in fields_of(type(config))}
