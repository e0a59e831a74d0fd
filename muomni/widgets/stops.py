"""Where a slider can stand: the values a setting's slider steps through, from its range and scale.

Even scales stop at every `step`. Log scales stop at powers of two and half-way between them (8, 12, 16, 24 ...), those
of the schedule and of fractions at round decimal numbers (1, 1.5, 2, 3, 5, 7, 10 ...). The value that the file holds
is always a stop, so that a slider can come back to it; the number field beside it takes every value in between.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, floor, log10

from muomni.config import FieldSpec

Number = int | float

DECIMAL = (1, 1.5, 2, 3, 5, 7)
DECIMAL_GROUPS = ("schedule", "plan")
MOST_STOPS = 1100
CROWDED = 0.08  # a regular stop nearer than this to the file's own value (on a log scale: as a ratio) is left out


def stops_of(spec: FieldSpec, own: Number) -> list[Number]:
    """The slider's stops in rising order; empty where a slider makes no sense (a seed).

    Args:
        spec: a setting of kind int or float with a range.
        own: the value in the file.
    """
    if spec.low is None or spec.high is None:
        return []
    if spec.scale == "linear":
        if spec.step is None or (spec.high - spec.low) / spec.step > MOST_STOPS:
            return []
        return _with_own(_even(spec), own, spec)
    regular = _binary(spec) if spec.kind == "int" and spec.group not in DECIMAL_GROUPS else _decimal(spec)
    ends = [_typed(spec.low, spec), _typed(spec.high, spec)]
    kept = [stop for stop in {*regular, *ends} if stop in ends or not _crowds(stop, own)]
    return _with_own(sorted(kept), own, spec)


def nearest(stops: list[Number], value: Number) -> int:
    """Index of the stop nearest to `value`."""
    place = bisect_left(stops, value)
    near = [index for index in (place - 1, place) if 0 <= index < len(stops)]
    return min(near, key=lambda index: abs(stops[index] - value))


def _even(spec: FieldSpec) -> list[Number]:
    assert spec.low is not None and spec.high is not None and spec.step is not None
    count = round((spec.high - spec.low) / spec.step)
    digits = max(0, ceil(-log10(spec.step))) + 1
    return [_typed(round(spec.low + index * spec.step, digits), spec) for index in range(count + 1)]


def _binary(spec: FieldSpec) -> list[Number]:
    assert spec.low is not None and spec.high is not None
    base = 125 if spec.unit == "Hz" else 1  # sample rates are 125 times powers of two: 8000, 16000, 24000
    powers = range(int(spec.high // base).bit_length() + 1)
    found = {base * part // 2 for power in powers for part in (2 << power, 3 << power)}
    return [stop for stop in found if spec.low <= stop <= spec.high]


def _decimal(spec: FieldSpec) -> list[Number]:
    assert spec.low is not None and spec.high is not None
    lowest = spec.low or 1
    found = [
        float(f"{digit}e{power}")
        for power in range(floor(log10(lowest)), ceil(log10(spec.high)) + 1)
        for digit in DECIMAL
    ]
    whole = spec.kind == "int"
    return [_typed(stop, spec) for stop in found if spec.low <= stop <= spec.high and not (whole and stop != int(stop))]


def _crowds(stop: Number, own: Number) -> bool:
    return stop != own and own > 0 and stop > 0 and max(stop, own) / min(stop, own) < 1 + CROWDED


def _with_own(stops: list[Number], own: Number, spec: FieldSpec) -> list[Number]:
    within = (
        isinstance(own, (int, float))
        and spec.low is not None
        and spec.high is not None
        and spec.low <= own <= spec.high
    )
    return sorted({*stops, _typed(own, spec)}) if within else stops


def _typed(number: Number, spec: FieldSpec) -> Number:
    return int(number) if spec.kind == "int" else float(number)
