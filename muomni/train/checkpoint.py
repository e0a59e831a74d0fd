"""A run's folder: complete checkpoints, each in a folder of its own, and two pointers, `last` and `best`.

    checkpoints/thinker_nano/
      last.json  best.json     {"folder": "step-000400", ...}: replaced atomically, once the folder is whole
      step-000400/             model.safetensors  config.json  tokenizer.model  optimizer.safetensors  state.json
      history.jsonl            one line per report: what the curves are drawn from

A run killed at any moment leaves the pointers on whole checkpoints. `best` is replaced only by a better score. A folder
that holds another run is never written to unless it is resumed or replaced on purpose.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from muomni.config import Change, StageConfig, differences
from muomni.config.reading import read_json
from muomni.errors import UserError
from muomni.files import write_json, write_text
from muomni.models.checkpoint import CONFIG, fill, load_tensors, read_model, save_model, save_tensors

OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
HISTORY = "history.jsonl"

FREE_TO_CHANGE = {"num_workers", "print_freq", "val_freq", "checkpoint_freq", "save_dir", "use_compile", "tokenizer"}
"""Settings that a resumed run may have otherwise than it began: they change no weight."""


@dataclass(frozen=True)
class RunState:
    """Where a run stands after `step` steps. `data` is the fingerprint of what it trains on."""

    step: int
    data: str
    best: float | None
    best_step: int | None


class RunFolder:
    """The checkpoints and the history of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def has_run(self) -> bool:
        """Whether a run has saved here."""
        return (self.path / "last.json").exists()

    def pointed(self, name: str) -> Path | None:
        """The checkpoint folder that `last` or `best` points to, or None."""
        pointer = self.path / f"{name}.json"
        if not pointer.exists():
            return None
        folder = self.path / str(_object(pointer).get("folder", ""))
        if not (folder / CONFIG).exists():
            raise UserError(f"points to {folder.name}, which is no whole checkpoint", file=pointer)
        return folder

    def clear(self) -> None:
        """Remove the run's own files, and nothing else."""
        for pointer in ("last.json", "best.json", HISTORY):
            (self.path / pointer).unlink(missing_ok=True)
        for folder in self.path.glob("step-*"):
            shutil.rmtree(folder)

    def save(
        self,
        state: RunState,
        config: StageConfig,
        weights: dict[str, torch.Tensor],
        optimizers: Mapping[str, torch.optim.Optimizer],
        tokenizer: Path | None,
        best: bool,
    ) -> Path:
        """Save a whole checkpoint, then point `last` (and `best`, where it is the best so far) to it."""
        folder = self.path / f"step-{state.step:06d}"
        save_model(folder, weights, config, tokenizer)
        save_tensors(folder / OPTIMIZER, _flat_optimizers(optimizers))
        write_json(folder / STATE, vars(state))
        pointer = {"folder": folder.name, "step": state.step}
        if best:
            write_json(self.path / "best.json", pointer | {"score": state.best})
        write_json(self.path / "last.json", pointer)
        self._remove_unpointed()
        return folder

    def _remove_unpointed(self) -> None:
        kept = {self.pointed("last"), self.pointed("best")}
        for folder in self.path.glob("step-*"):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def restore(
        self, config: StageConfig, data: str, model: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> RunState:
        """Load the last checkpoint into `model` and `optimizers`.

        Raises:
            UserError: the run here was begun with other settings or other data, or a file is damaged.
        """
        folder = self.pointed("last")
        if folder is None:
            raise UserError("holds no run to resume", file=self.path, fix="Start it without resuming.")
        state = RunState(**_object(folder / STATE))
        saved, weights = read_model(folder)
        self._must_match(saved, config, state, data)
        fill(model, weights, folder)
        _restore_optimizers(optimizers, load_tensors(folder / OPTIMIZER))
        return state

    def _must_match(self, saved: StageConfig, config: StageConfig, state: RunState, data: str) -> None:
        changed: list[Change] = []
        if type(saved) is type(config):
            changed = [c for c in differences(saved, config) if c.field not in FREE_TO_CHANGE]
        fix = "Resume with the settings and data it began with, or train into another save_dir."
        if type(saved) is not type(config):
            raise UserError(f"holds a run of {saved.stage_name}, not of {config.stage_name}", file=self.path, fix=fix)
        if changed:
            listed = ", ".join(f"{c.field} {c.before} → {c.after}" for c in changed)
            raise UserError(f"holds a run with other settings ({listed})", file=self.path, fix=fix)
        if state.data != data:
            raise UserError("holds a run on other data: the data's fingerprint has changed", file=self.path, fix=fix)

    def record(self, entry: dict[str, Any]) -> None:
        """Add one line to the history."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / HISTORY).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """What was recorded, a line cut short by a crash left out."""
        path = self.path / HISTORY
        entries = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
        return entries

    def forget_after(self, step: int) -> None:
        """Drop the history of steps that a resumed run will do again."""
        kept = [entry for entry in self.history() if entry.get("step", 0) <= step]
        write_text(self.path / HISTORY, "".join(json.dumps(entry) + "\n" for entry in kept))


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError("holds no JSON object", file=path)
    return value


def _flat_optimizers(optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """Every optimizer's tensors under names "turn/parameter number/quantity"."""
    flat = {}
    for turn, optimizer in optimizers.items():
        for number, entries in optimizer.state_dict()["state"].items():
            flat.update({f"{turn}/{number}/{name}": torch.as_tensor(value) for name, value in entries.items()})
    return flat


def _restore_optimizers(optimizers: Mapping[str, torch.optim.Optimizer], flat: dict[str, torch.Tensor]) -> None:
    for turn, optimizer in optimizers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in flat.items():
            owner, number, quantity = name.split("/")
            if owner == turn:
                state.setdefault(int(number), {})[quantity] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
