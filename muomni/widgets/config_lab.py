"""The config lab: every setting of a stage under a slider, and at once what the run would cost.

`ConfigLab("configs/thinker_nano.json")` in a notebook shows the panel; the same object answers to code: `lab.set(
"batch_size", 8)`, `lab.numbers["max_steps"]`, `lab.save()`. The logic is `LabState`'s; this is its view.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muomni.config import STAGES, Change, StageConfig, read_config
from muomni.errors import UserError
from muomni.widgets import lab_form, lab_view
from muomni.widgets.data_size import DataSize, data_size
from muomni.widgets.lab_numbers import as_text, numbers
from muomni.widgets.lab_state import LabState
from muomni.widgets.panel import Panel, front_end, style


class ConfigLab(Panel):
    """A panel that edits a config and shows its plan.

    Args:
        config: the file to begin with; the other files of its folder can be switched to.
        tokens: size of the data for stages planned by tokens; None takes what is on disk, or an assumption.
        samples: the same for stages planned by samples.
        configs: the folder of the configs; None is the file's own.
        data: the folder of the data; None is `data` beside the folder of the configs.

    Raises:
        UserError: the file cannot be read or is not valid.
    """

    _esm = front_end("config_lab.js")
    _css = style()

    def __init__(
        self,
        config: str | Path,
        *,
        tokens: int | None = None,
        samples: int | None = None,
        configs: str | Path | None = None,
        data: str | Path | None = None,
    ) -> None:
        path = Path(config)
        self.folder = Path(configs) if configs is not None else path.parent
        self.data = Path(data) if data is not None else self.folder.resolve().parent / "data"
        self.given = {"tokens": tokens, "samples": samples}
        self.states: dict[str, LabState] = {}
        self.current = self._load(path)
        self.state.neighbours = self._neighbours()
        self.saving = False
        super().__init__()
        self.form = lab_form.form(self.state, self.current, [path.name for path in self._files()])
        self.refresh()

    @property
    def state(self) -> LabState:
        """The file being edited."""
        return self.states[self.current]

    @property
    def config(self) -> StageConfig:
        """The last valid settings."""
        return self.state.reading.config

    @property
    def numbers(self) -> dict[str, Any]:
        """Everything shown, by name: the fields of `muomni plan --json`, `parts` and `as_set`."""
        return numbers(self.state)

    @property
    def changes(self) -> list[Change]:
        """What saving would write."""
        return self.state.changes

    def text(self) -> str:
        """The panel as text."""
        return as_text(self.state)

    def set(self, name: str, value: Any) -> None:
        """Change one setting, or `tokens`, `samples`, `epochs`, `warmup_percent`, `memory_gib`.

        Raises:
            UserError: no such setting, or a value that is not allowed; nothing is changed.
        """
        with self.lock:
            self.state.set(name, value)
            self.refresh()

    def undo(self) -> bool:
        """Take back the last edit. False: there is none."""
        with self.lock:
            done = self.state.undo()
            self.refresh()
            return done

    def redo(self) -> bool:
        """Take back the last undo. False: there is none."""
        with self.lock:
            done = self.state.redo()
            self.refresh()
            return done

    def reset(self) -> None:
        """Go back to the file's settings; can be undone."""
        with self.lock:
            self.state.reset()
            self.refresh()

    def apply_plan(self) -> list[Change]:
        """Put what the plan decides into the settings. Returns what changed."""
        with self.lock:
            changes = self.state.apply_plan()
            self.refresh()
            return changes

    def follow_plan(self, on: bool = True) -> None:
        """Keep the schedule on the plan while other settings change."""
        with self.lock:
            self.state.follow(on)
            self.refresh()

    def save(self) -> list[Change]:
        """Write the changed settings to the file. Returns them; an unchanged file is not touched.

        Raises:
            UserError: settings are not valid, the file changed meanwhile, or it cannot be written.
        """
        with self.lock:
            changes = self.state.save()
            self.saving = False
            self.refresh()
            return changes

    def switch(self, file: str | Path) -> None:
        """Edit another file of the folder. What was edited here stays, unsaved, for when it is switched back to.

        Raises:
            UserError: the file cannot be read or is not valid; the panel stays on the file it has.
        """
        with self.lock:
            name = Path(file).name
            self.current = name if name in self.states else self._load(self.folder / name)
            self.state.neighbours = self._neighbours()
            self.saving = False
            self.form = lab_form.form(self.state, self.current, [path.name for path in self._files()])
            self.refresh()

    def act(self, content: dict[str, Any]) -> None:
        """Do what was done in the browser."""
        kind = content.get("kind")
        self.message = ""
        if kind == "set":
            self.state.put(str(content["field"]), content.get("value"), gesture=bool(content.get("gesture")))
        elif kind == "open":
            self.switch(str(content["file"]))
        elif kind == "follow":
            self.state.follow(bool(content["on"]))
        elif kind == "press":
            self.message = {
                "undo": self._undo,
                "redo": self._redo,
                "reset": self._reset,
                "apply": self._apply,
                "save": self._ask,
                "confirm": self._write,
                "cancel": self._cancel,
            }[content["action"]]()
        else:
            raise ValueError(f"unknown message {content!r}")

    def _undo(self) -> str:
        return "Undone." if self.state.undo() else "Nothing to undo."

    def _redo(self) -> str:
        return "Done again." if self.state.redo() else "Nothing to do again."

    def _reset(self) -> str:
        self.state.reset()
        return f"Back to the settings of {self.current}."

    def _apply(self) -> str:
        changes = self.state.apply_plan()
        told = ", ".join(f"{change.field} {change.before:,} → {change.after:,}" for change in changes)
        return f"Plan applied: {told}." if told else "The settings are the plan's already."

    def _ask(self) -> str:
        if not self.state.changes:
            return f"Nothing to save: the settings are those of {self.current}."
        if not self.state.valid:
            raise UserError("Settings that are not allowed cannot be saved; the list above says which")
        self.saving = True
        return ""

    def _write(self) -> str:
        if not self.saving:
            return ""
        changes = self.state.save()
        self.saving = False
        return f"Saved {len(changes)} setting{'s' if len(changes) != 1 else ''} to {self.state.file.path}."

    def _cancel(self) -> str:
        self.saving = False
        return "Not saved."

    def _load(self, path: Path) -> str:
        file = read_config(path)
        unit = type(file.config).unit
        given = self.given[unit]
        size = (
            data_size(file.config, self.data) if given is None else DataSize(given, "given to the panel", counted=True)
        )
        self.states[path.name] = LabState(file, size)
        return path.name

    def _neighbours(self) -> dict[str, StageConfig]:
        """The other stages of the same profile: as edited here, or as they stand in their files."""
        profile = Path(self.current).stem.rpartition("_")[2]
        found: dict[str, StageConfig] = {}
        for path in self._files():
            if path.stem.rpartition("_")[2] != profile or path.name == self.current:
                continue
            if path.name in self.states:
                config = self.states[path.name].reading.config
            else:
                try:
                    config = read_config(path).config
                except UserError:
                    continue  # says so when it is switched to
            found[config.stage_name] = config
        return found

    def _files(self) -> list[Path]:
        """The configs of the folder, in the order of the stages."""

        def order(path: Path) -> tuple[int, str]:
            stages = [index for index, stage in enumerate(STAGES) if path.stem.startswith(stage)]
            return (stages[0] if stages else len(STAGES), path.name)

        return sorted(self.folder.glob("*.json"), key=order)

    def picture(self) -> dict[str, Any]:
        """What the browser shows now."""
        state = self.state
        if not state.changes:
            self.saving = False
        prefix = f"mu{self.model_id}-"
        return {
            "values": lab_form.values(state),
            "notes": lab_form.notes(state),
            "stops": {
                "epochs": list(range(state.reading.plan.epochs_range[0], state.reading.plan.epochs_range[1] + 1))
            },
            "following": state.now.follow,
            "changed": len(state.changes),
            "edited": [name for name, other in self.states.items() if other.changes],
            "stale": not state.valid,
            "saving": lab_view.diff(state) if self.saving else "",
            "path": str(state.file.path),
            "html": {
                "status": lab_view.status(state, self.message, self.failures),
                "headline": lab_view.headline(state),
                "comparison": lab_view.comparison(state),
                "memory": lab_view.memory(state, prefix),
                "rate": lab_view.rate(state),
                "parts": lab_view.parts(state),
            },
        }
