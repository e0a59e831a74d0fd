"""What the plan asks for besides the settings (size of the data, epochs, warmup, memory), described like settings."""

from __future__ import annotations

from typing import Any

from muomni.config import FieldSpec
from muomni.plan import MEMORY_GIB


def plan_inputs(unit: str) -> dict[str, FieldSpec]:
    """What the plan asks for besides the settings, in the form of settings."""
    return _INPUTS[unit]


def _input(
    name: str,
    kind: str,
    default: Any,
    low: float,
    high: float,
    unit: str,
    help: str,
    *,
    scale: Any = "linear",
    step: float | None = None,
    optional: bool = False,
) -> FieldSpec:
    return FieldSpec(name, kind, default, low, high, unit, help, scale, step, "plan", (), optional)


def _inputs(unit: str) -> dict[str, FieldSpec]:
    specs = (
        _input(unit, "int", 0, 0, 1e12, unit, "Size of the training data, held-out part included.", scale="log"),
        _input(
            "epochs",
            "int",
            None,
            1,
            10,
            "epochs",
            "Passes over the data, within the range for data of this size.",
            step=1,
            optional=True,
        ),
        _input("warmup_percent", "float", 4.0, 3.0, 5.0, "%", "Warmup as a share of the whole run.", step=0.1),
        _input("memory_gib", "float", MEMORY_GIB, 0.05, 1024.0, "GiB", "Memory that training may take.", scale="log"),
    )
    return {spec.name: spec for spec in specs}


_INPUTS = {unit: _inputs(unit) for unit in ("tokens", "samples")}


def as_kind(value: Any, kind: str) -> Any:
    """1 → 1.0 for a fraction and 8.0 → 8 for a whole number; anything else stays, and is judged by the check."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if kind == "float":
        return float(value)
    return int(value) if kind == "int" and float(value).is_integer() else value


def within(value: Any, spec: FieldSpec) -> bool:
    """Whether `value` is of the right kind and in range."""
    if value is None:
        return spec.optional
    right_kind = isinstance(value, int) if spec.kind == "int" else isinstance(value, (int, float))
    return right_kind and not isinstance(value, bool) and (spec.low or 0) <= value <= (spec.high or 0)
