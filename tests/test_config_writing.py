"""Writing a config back: nothing lost, nothing torn, nothing touched without need."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muomni.config import STAGES, ConfigError, StageConfig, check_values, fields_of, read_config, save_changes
from muomni.config.writing import new_file, to_json
from muomni.errors import UserError

ORIGINAL = """{
  "_why": "learned the hard way",
  "seed": 3,
  "learning_rate": 0.001,
  "notes": {"by": "me", "μ": [1, null]},
  "//": "two slashes",
  "batch_size": 8
}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "thinker_mine.json"
    path.write_text(ORIGINAL)
    return path


def identity(path: Path) -> tuple[int, int, bytes]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, path.read_bytes()


def test_a_change_keeps_order_notes_and_the_names_that_the_file_uses(path: Path) -> None:
    file = save_changes(read_config(path), {"lr": 0.002, "batch_size": 4, "max_steps": 50_000})
    raw = json.loads(path.read_text())
    before = json.loads(ORIGINAL)
    assert list(raw) == [*before, "max_steps"]
    assert raw == before | {"learning_rate": 0.002, "batch_size": 4, "max_steps": 50_000}
    assert "μ" in path.read_text()
    assert read_config(path).config == file.config


def test_a_change_may_be_named_by_its_alias(path: Path) -> None:
    save_changes(read_config(path), {"num_epochs": 2, "learning_rate": 0.5})
    assert json.loads(path.read_text())["learning_rate"] == 0.5
    assert read_config(path).config.max_epochs == 2


@pytest.mark.parametrize("changes", [{}, {"seed": 3}, {"lr": 0.001, "max_epochs": 10}, {"learning_rate": 0.001}])
def test_a_file_whose_content_would_not_change_is_not_touched(path: Path, changes: dict[str, object]) -> None:
    before = identity(path)
    save_changes(read_config(path), changes)
    assert identity(path) == before


def test_a_wrong_change_leaves_the_file(path: Path) -> None:
    before = identity(path)
    with pytest.raises(ConfigError):
        save_changes(read_config(path), {"batch_size": 0})
    assert identity(path) == before


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_crash_in_the_middle_leaves_the_old_file_and_no_litter(
    path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError, match="No space left on device"):
        save_changes(read_config(path), {"seed": 4})
    assert path.read_text() == ORIGINAL
    assert os.listdir(path.parent) == [path.name]


def test_killed_between_writing_and_replacing_the_old_file_stands(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        save_changes(read_config(path), {"seed": 4})
    assert path.read_text() == ORIGINAL


def test_permissions_are_kept(path: Path) -> None:
    path.chmod(0o640)
    save_changes(read_config(path), {"seed": 4})
    assert path.stat().st_mode & 0o777 == 0o640


@st.composite
def valid_configs(draw: st.DrawFn) -> StageConfig:
    """Any config whose single settings are in range and whose rules hold (broken draws are thrown away)."""
    stage = draw(st.sampled_from(list(STAGES)))
    values = {}
    for name, spec in fields_of(STAGES[stage]).items():
        if not draw(st.integers(0, 4)):
            if spec.kind == "int":
                values[name] = draw(st.integers(int(spec.low or 0), int(spec.high or 0)))
            elif spec.kind == "float":
                values[name] = draw(st.floats(spec.low, spec.high, allow_nan=False))
            elif spec.kind == "bool":
                values[name] = draw(st.booleans())
            elif spec.kind == "choice":
                values[name] = draw(st.sampled_from(spec.choices))
            elif spec.kind == "str":
                values[name] = draw(
                    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
                )
    config, problems = check_values(stage, values)
    if config is None:
        config, _ = check_values(stage, {k: v for k, v in values.items() if k not in {p.field for p in problems}})
    return config or STAGES[stage]()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=valid_configs())
def test_every_config_survives_the_round_trip(tmp_path: Path, config: StageConfig) -> None:
    file = new_file(tmp_path / "any.json", config)
    assert file.config == config
    assert to_json(file.raw) == file.path.read_text()
