"""From a JSON file to a config, or to one error that lists everything wrong with it.

`read_config(path)` parses, resolves aliases, checks types and ranges against the stage's schema and then the rules
over several settings. `check_values(stage, values)` does the same for values that come from elsewhere (`--set`, a
panel). Notes are allowed and kept: `notes`, `$schema`, and any key that begins with `_` or `//`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from muomni.config.fields import FieldSpec, fields_of
from muomni.config.rules import broken_rules
from muomni.config.stages import STAGES, StageConfig
from muomni.errors import UserError
from muomni.files import os_reason

LONGEST_FILE = 1 << 20
MOST_PROBLEMS = 50  # a file with more is no config, and nobody reads on


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config: the setting (None: the whole file), what, and the line where it stands."""

    field: str | None
    message: str
    line: int | None = None


class ConfigError(UserError):
    """Everything that is wrong with one config, told at once: one line a problem."""

    def __init__(self, problems: list[Problem], file: str | Path | None = None) -> None:
        self.problems = problems
        super().__init__("config", file=file)

    def _text(self) -> str:
        return "\n".join(self._line(problem) for problem in self.problems)

    def _line(self, problem: Problem) -> str:
        return UserError(problem.message, file=self.file, line=problem.line, field=problem.field)._text()


@dataclass(frozen=True)
class ConfigFile:
    """A config as it stands on disk: the checked values, and the JSON object they came from (order and notes)."""

    path: Path
    stage: str
    config: StageConfig
    raw: dict[str, Any]


def is_note(key: str) -> bool:
    """Keys that the program leaves alone: remarks of the file's owner."""
    return key in ("notes", "$schema", "stage") or key.startswith(("_", "//"))


def read_config(path: str | Path) -> ConfigFile:
    """Read and check one config file.

    Raises:
        ConfigError: with every problem of the file.
        UserError: the file is missing, unreadable or no JSON object.
    """
    path = Path(path)
    text = _read_text(path)
    raw, repeated = _parse(text, path)
    if not isinstance(raw, dict):
        raise UserError(f"holds {_shown(raw)}; a config is a JSON object {{...}}", file=path, line=1)
    stage = _stage_of(raw, path)
    config, problems = check_values(stage, raw)
    placed = [Problem(p.field, p.message, _line_of(text, p.field)) for p in problems]
    placed += [Problem(key, "stands twice in the file; keep one", _line_of(text, key, last=True)) for key in repeated]
    if config is None or placed:
        raise ConfigError(placed[:MOST_PROBLEMS], file=path)
    return ConfigFile(path=path, stage=stage, config=config, raw=raw)


def check_values(stage: str, raw: Mapping[str, Any]) -> tuple[StageConfig | None, list[Problem]]:
    """A config of `stage` from raw values, or None and everything that is wrong with them."""
    kind = STAGES[stage]
    specs = fields_of(kind)
    values, problems = _named(kind, raw)
    try:
        config: StageConfig | None = kind(**values)
    except ValidationError as error:
        config = None
        wrong = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
        problems += [
            Problem(name, f"is {_shown(values[name])}; allowed is {specs[name].allowed}")
            for name in values
            if name in wrong
        ]
        values = {name: value for name, value in values.items() if name not in wrong}
        sound = {name: spec.default for name, spec in specs.items() if name not in wrong} | values
    else:
        sound = {name: getattr(config, name) for name in specs}
    problems += [Problem(field, message) for field, message in broken_rules(sound)]
    return (None, problems) if problems else (config, [])


def with_changes(config: StageConfig, changes: Mapping[str, Any]) -> StageConfig:
    """`config` with some settings changed (aliases allowed), checked as a whole.

    Raises:
        ConfigError: with every problem that the changes make.
    """
    named, problems = _named(type(config), changes)
    changed, more = check_values(config.stage_name, config.model_dump() | named)
    if changed is None or problems:
        raise ConfigError(problems + more)
    return changed


def parse_setting(stage: str, text: str) -> tuple[str, Any]:
    """`key=value` as typed on a command line → (setting, value). The value is JSON; bare words are texts.

    Raises:
        UserError: there is no `=`; the setting is unknown.
    """
    key, sign, value = text.partition("=")
    if not sign:
        raise UserError(f'"{text}" is not of the form key=value', field="--set", exit_code=2)
    kind = STAGES[stage]
    name = kind.aliases.get(key.strip(), key.strip())
    spec = fields_of(kind).get(name)
    if spec is None:
        raise UserError(_unknown(key.strip(), kind), field="--set", exit_code=2)
    return name, _typed(value.strip(), spec)


def _typed(text: str, spec: FieldSpec) -> Any:
    if spec.kind in ("str", "choice"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text  # the check that follows says what is allowed
    return float(value) if spec.kind == "float" and type(value) is int else value


def _named(kind: type[StageConfig], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Values under their own names, notes left out; unknown and doubly given names are problems."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    specs = fields_of(kind)
    for key, value in raw.items():
        if len(problems) >= MOST_PROBLEMS:
            break
        name = kind.aliases.get(key, key)
        if name in specs:
            if name in values:
                problems.append(Problem(key, f"says {name} a second time; keep one of the two names"))
            values[name] = value
        elif not is_note(key):
            problems.append(Problem(key, _unknown(key, kind)))
        elif not _finite(value):
            problems.append(Problem(key, f"is {_shown(value)}; JSON has no NaN or Infinity, not even in a note"))
    return values, problems


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _unknown(key: str, kind: type[StageConfig]) -> str:
    known = [*fields_of(kind), *kind.aliases]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"known settings are {', '.join(fields_of(kind))}"
    return f'"{key}" is no setting of {kind.stage_name}; {hint}'


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_json(path: Path) -> Any:
    """The JSON value in a small file.

    Raises:
        UserError: the file is missing or unreadable, or its JSON is broken: with the line and column.
    """
    value, repeated = _parse(_read_text(path), path)
    if repeated:
        raise UserError(f'says "{repeated[0]}" twice; keep one', file=path)
    if not _finite(value):
        raise UserError("holds NaN or Infinity, which is no JSON", file=path, fix="Write finite numbers.")
    return value


def _read_text(path: Path) -> str:
    try:
        if path.is_dir():
            raise UserError("is a folder; a JSON file is expected", file=path)
        size = path.stat().st_size
        if size > LONGEST_FILE:
            raise UserError(f"is {size} bytes long; a config has at most {LONGEST_FILE}", file=path)
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.json")], n=1)
        raise UserError("does not exist", file=path, fix=f"Did you mean {near[0]}?" if near else None) from None
    except OSError as error:
        raise UserError(f"cannot be read ({os_reason(error)})", file=path) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"is not UTF-8 at byte {error.start}", file=path, line=line, fix="Save it as UTF-8.") from None


def _parse(text: str, path: Path) -> tuple[Any, list[str]]:
    """The JSON value in `text`, and the keys that stand twice in one object. NaN is left for the checks to find."""
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = Counter(key for key, _ in items)
        repeated.extend(key for key, times in keys.items() if times > 1)
        return dict(items)

    try:
        raw = json.loads(text, object_pairs_hook=pairs)
        json.dumps(raw, indent=2, ensure_ascii=False).encode()  # what cannot be written back is refused at once
    except json.JSONDecodeError as error:
        raise UserError(
            f"is no JSON: {error.msg[0].lower()}{error.msg[1:]} at column {error.colno}",
            file=path,
            line=error.lineno,
            fix=_remedy(text, error),
        ) from None
    except RecursionError:
        raise UserError("is nested too deeply to be a config", file=path) from None
    except ValueError as error:  # numbers of thousands of digits, half of a surrogate pair
        raise UserError(f"is no JSON that can be read: {error}", file=path) from None
    return raw, repeated


def _remedy(text: str, error: json.JSONDecodeError) -> str:
    lines = text.splitlines()
    line = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
    before = text[: error.pos].rstrip()
    if not text.strip():
        return "The file is empty."
    if "\x00" in text:
        return "The file holds NUL bytes: it was damaged or is no text."
    if re.search(r"(^|[^:\"])//", line) or "/*" in line:
        return 'JSON has no // comments: remove it, or keep it as a note: "_note": "...".'
    if before.endswith(","):
        return "Remove the comma before the closing bracket."
    if "'" in line:
        return "JSON uses double quotes."
    if error.pos >= len(text.rstrip()):
        return "The file ends too early: a bracket or quote is left open."
    return "Look just before this place for a missing comma, quote or bracket."


def _line_of(text: str, key: str | None, last: bool = False) -> int | None:
    if key is None:
        return None
    places = [match.start() for match in re.finditer(re.escape(json.dumps(key)) + r"\s*:", text)]
    return text[: places[-1 if last else 0]].count("\n") + 1 if places else None


def _stage_of(raw: Mapping[str, Any], path: Path) -> str:
    said = raw.get("stage")
    if isinstance(said, str) and said in STAGES:
        return str(said)
    stages = ", ".join(STAGES)
    if said is not None:
        raise UserError(f"is {_shown(said)}; allowed is one of {stages}", file=path, field="stage")
    for stage in STAGES:
        if path.stem == stage or path.stem.startswith(stage + "_"):
            return stage
    raise UserError("does not say its stage", file=path, fix=f'Add "stage", or name the file after one: {stages}.')
