"""From a config back to its file: atomic, in the file's own key order, notes kept, untouched where nothing changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.config.fields import fields_of
from muomni.config.reading import ConfigFile, read_config, with_changes
from muomni.config.stages import STAGES, StageConfig
from muomni.files import write_text


@dataclass(frozen=True)
class Change:
    """One setting before and after, and why."""

    field: str
    before: Any
    after: Any
    reason: str = ""


def differences(before: StageConfig, after: StageConfig) -> list[Change]:
    """Settings that differ, in the schema's order."""
    names = fields_of(type(before))
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in names)
    return [Change(name, old, new) for name, old, new in pairs if old != new]


def updated_raw(file: ConfigFile, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The file's JSON object with settings changed under the names that it uses, new ones at its end."""
    own_name = {STAGES[file.stage].aliases.get(key, key): key for key in file.raw}
    return file.raw | {own_name.get(name, name): value for name, value in changes.items()}


def save_changes(file: ConfigFile, changes: Mapping[str, Any]) -> ConfigFile:
    """Write `changes` into the config's file, checked first. A file whose content would stay the same is not touched.

    Raises:
        ConfigError: the changed config would not be valid; the file stays as it is.
        UserError: the file cannot be written; it stays as it is.
    """
    config = with_changes(file.config, changes)
    kept = {change.field: change.after for change in differences(file.config, config)}
    if not kept:
        return file
    raw = updated_raw(file, kept)
    write_text(file.path, to_json(raw))
    return ConfigFile(file.path, file.stage, config, raw)


def new_file(path: str | Path, config: StageConfig) -> ConfigFile:
    """Write every setting of `config` to a new file and read it back."""
    write_text(path, to_json({"stage": config.stage_name} | config.model_dump()))
    return read_config(path)


def to_json(raw: Mapping[str, Any]) -> str:
    """The text of a config file: indented, every setting on its own line."""
    return json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
