"""Where sliders can stop: within the range, both ends, the file's value, in rising order."""

from __future__ import annotations

from pathlib import Path

import pytest

from muomni.config import STAGES, FieldSpec, fields_of, read_config
from muomni.widgets.stops import nearest, stops_of

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("profile", ["nano", "tiny"])
def test_stops_cover_the_range_and_hold_the_files_value(stage: str, profile: str) -> None:
    config = read_config(CONFIGS / f"{stage}_{profile}.json").config
    numeric = [spec for spec in fields_of(type(config)).values() if spec.kind in ("int", "float")]
    assert len(numeric) > 20
    for spec in numeric:
        value = getattr(config, spec.name)
        stops = stops_of(spec, value)
        if spec.name == "seed":
            assert stops == []
            continue
        assert (stops[0], stops[-1]) == (spec.low, spec.high)
        assert value in stops and stops == sorted(set(stops))
        assert 2 <= len(stops) <= 1101
        assert {type(stop) for stop in stops} == {int if spec.kind == "int" else float}


def spec_of(kind: str, low: float, high: float, scale: str = "log", group: str = "model", unit: str = "") -> FieldSpec:
    return FieldSpec("x", kind, low, low, high, unit, "", scale, 0.1 if scale == "linear" else None, group, (), False)


def test_widths_stop_at_powers_of_two_and_half_way_between() -> None:
    assert stops_of(spec_of("int", 8, 64), 32) == [8, 12, 16, 24, 32, 48, 64]


def test_schedules_stop_at_round_decimal_numbers() -> None:
    assert stops_of(spec_of("int", 1, 30, group="schedule"), 10) == [1, 2, 3, 5, 7, 10, 15, 20, 30]


def test_learning_rates_stop_at_round_decimal_numbers() -> None:
    assert stops_of(spec_of("float", 1e-4, 1e-3), 3e-4) == [1e-4, 1.5e-4, 2e-4, 3e-4, 5e-4, 7e-4, 1e-3]


def test_sample_rates_stop_at_those_in_use() -> None:
    assert stops_of(spec_of("int", 4000, 48_000, unit="Hz"), 16_000) == [
        4000, 6000, 8000, 12_000, 16_000, 24_000, 32_000, 48_000]  # fmt: skip


def test_even_scales_have_no_rounding_noise() -> None:
    assert stops_of(spec_of("float", 0.0, 0.5, scale="linear"), 0.2) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_files_own_value_takes_the_place_of_a_stop_beside_it() -> None:
    assert stops_of(spec_of("int", 8, 64), 33) == [8, 12, 16, 24, 33, 48, 64]
    assert stops_of(spec_of("int", 8, 64), 40) == [8, 12, 16, 24, 32, 40, 48, 64]


def test_a_value_out_of_range_is_no_stop() -> None:
    assert stops_of(spec_of("int", 8, 16), 99) == [8, 12, 16]


def test_the_nearest_stop_is_found() -> None:
    assert [nearest([1, 2, 4, 8], value) for value in (0, 1, 2.9, 3.1, 100)] == [0, 0, 1, 2, 3]
