"""JSON Schema of each stage, for editors: completion, ranges and hover texts while a config is edited by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muomni.config.fields import FieldSpec, fields_of
from muomni.config.stages import STAGES
from muomni.files import write_json

TYPES = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "choice": "string",
    "weights": "object",
}


def json_schema(stage: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one stage's config file."""
    kind = STAGES[stage]
    specs = fields_of(kind)
    properties: dict[str, Any] = {"$schema": {"type": "string"}, "stage": {"const": stage}, "notes": {}}
    properties |= {name: _property(spec) for name, spec in specs.items()}
    for alias, name in kind.aliases.items():
        properties[alias] = _property(specs[name]) | {"description": f"Another name of {name}."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.title,
        "type": "object",
        "properties": properties,
        "patternProperties": {"^(_|//)": {}},
        "additionalProperties": False,
    }


def _property(spec: FieldSpec) -> dict[str, Any]:
    unit = f" Unit: {spec.unit}." if spec.unit else ""
    found: dict[str, Any] = {"type": TYPES[spec.kind], "description": spec.help + unit, "default": spec.default}
    if spec.low is not None:
        found |= {"minimum": spec.low, "maximum": spec.high}
    if spec.choices:
        found["enum"] = list(spec.choices)
    if spec.kind == "weights":
        found["additionalProperties"] = {"type": "number", "minimum": 0}
    return found


def write_schemas(folder: str | Path) -> None:
    """Write `<stage>.schema.json` for every stage."""
    for stage in STAGES:
        write_json(Path(folder) / f"{stage}.schema.json", json_schema(stage))
