"""One setting of a config: its default, range, unit, step and words, said once and used by everything.

The schemas declare settings with `setting(...)`; errors, JSON Schema, the panels and the docs read them back as
`FieldSpec`s, so that a range is written in one place only.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

Scale = Literal["linear", "log"]


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    scale: Scale = "linear",
    step: float | None = None,
    group: str = "model",
) -> Any:
    """A pydantic field with what a panel and an error message need to know.

    Args:
        default: the value when the file does not say.
        help: what it is and what it changes, in a sentence.
        low, high: the allowed range, both ends included.
        unit: what a number counts (tokens, steps, Hz, px); empty for plain numbers.
        scale: how a slider runs through the range: evenly or by powers of two (integers) and ten (fractions).
        step: the distance between a slider's stops on a linear scale.
        group: the section of the panel it stands in.
    """
    extra: JsonDict = {"help": help, "unit": unit, "scale": scale, "step": step, "group": group}
    finite = False if isinstance(default, float) else None
    return Field(default, ge=low, le=high, allow_inf_nan=finite, json_schema_extra=extra)


@dataclass(frozen=True)
class FieldSpec:
    """What is known of one setting. `kind` is one of int, float, bool, str, choice, weights."""

    name: str
    kind: str
    default: Any
    low: float | None
    high: float | None
    unit: str
    help: str
    scale: Scale
    step: float | None
    group: str
    choices: tuple[str, ...]
    optional: bool

    @property
    def allowed(self) -> str:
        """What may stand here, in words: "a whole number from 1 to 4096 (samples)"."""
        unit = f" ({self.unit})" if self.unit else ""
        span = "" if self.low is None else f" from {_plain(self.low)} to {_plain(self.high)}"
        words = {
            "int": f"a whole number{span}{unit}",
            "float": f"a number{span}{unit}",
            "bool": "true or false",
            "str": "a text in quotes",
            "choice": "one of " + ", ".join(f'"{choice}"' for choice in self.choices),
            "weights": "an object of task names and weights from 0 up, at least one above 0",
        }[self.kind]
        return words + (" or null" if self.optional else "")


def _plain(number: float | None) -> str:
    if number is None:
        return "any"
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else f"{number:g}"


@cache
def fields_of(config: type[BaseModel]) -> dict[str, FieldSpec]:
    """Every setting of a config class by its name, in the order they are declared."""
    specs = {}
    for name, field in config.model_fields.items():
        annotation, optional = _without_none(field.annotation)
        choices = tuple(get_args(annotation)) if get_origin(annotation) is Literal else ()
        kind = "choice" if choices else "weights" if get_origin(annotation) is dict else annotation.__name__
        bounds = {type(item).__name__: item for item in field.metadata}
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        specs[name] = FieldSpec(
            name=name,
            kind=kind,
            default=field.default,
            low=getattr(bounds.get("Ge"), "ge", None),
            high=getattr(bounds.get("Le"), "le", None),
            unit=str(extra.get("unit", "")),
            help=str(extra.get("help", "")),
            scale=extra.get("scale", "linear"),  # type: ignore[arg-type]
            step=extra.get("step"),  # type: ignore[arg-type]
            group=str(extra.get("group", "model")),
            choices=choices,
            optional=optional,
        )
    return specs


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """`int | None` → (int, True); `int` → (int, False)."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0], len(kinds) < len(get_args(annotation))
    return annotation, False
