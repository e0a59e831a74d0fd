"""The config lab's logic: a plan that answers every edit, undo and redo, the plan taken over, the diff and the save."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import with_batches_of_32

from muomni.config import STAGES, ConfigError, read_config
from muomni.errors import UserError
from muomni.plan import PLANNED, plan
from muomni.widgets.data_size import ASSUMED, DataSize, data_size
from muomni.widgets.lab_numbers import as_text, numbers
from muomni.widgets.lab_state import FOLLOWED, MOST_UNDO, LabState

CONFIGS = Path(__file__).parent.parent / "configs"
FILES = [f"{stage}_{profile}.json" for stage in STAGES for profile in ("nano", "tiny")]


def state_of(name: str, examples: int = 1_000_000, folder: Path = CONFIGS) -> LabState:
    return LabState(read_config(folder / name), DataSize(examples, "test", True))


@pytest.fixture
def thinker(tmp_path: Path) -> LabState:
    shutil.copy(CONFIGS / "thinker_nano.json", tmp_path)
    with_batches_of_32(tmp_path / "thinker_nano.json")
    return state_of("thinker_nano.json", folder=tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_the_numbers_of_every_config_are_the_planners(name: str) -> None:
    state = state_of(name)
    config = state.file.config
    expected = plan(config, **{config.unit: 1_000_000}).to_json()
    shown = numbers(state)
    assert {key: shown[key] for key in expected} == expected
    assert sum(shown["parts"].values()) == shown["parameters"]
    assert shown["as_set"]["max_steps"] == config.max_steps
    assert state.changes == [] and state.valid


@pytest.mark.parametrize("name", FILES)
def test_every_setting_can_be_edited_and_undone(name: str) -> None:
    state = state_of(name)
    before = dict(state.now.values)
    for field, spec in state.specs.items():
        value = before[field]
        other = {
            "bool": lambda v=value: not v,
            "str": lambda v=value: v + "x",
            "choice": lambda v=value, s=spec: next(choice for choice in s.choices if choice != v),
            "weights": lambda v=value: {task: weight + 1 for task, weight in v.items()},
        }.get(spec.kind, lambda v=value, s=spec: s.high if v != s.high else s.low)()
        state.put(field, other)
        assert state.value(field) == other
        assert field in {change.field for change in state.changes}
        assert state.undo()
        assert state.now.values == before


def test_a_batch_twice_as_large_halves_the_steps_and_takes_more_memory(thinker: LabState) -> None:
    before = numbers(thinker)
    thinker.put("batch_size", 64)
    after = numbers(thinker)
    assert after["effective_batch_size"] == 2 * before["effective_batch_size"]
    assert after["steps_per_epoch"] == before["steps_per_epoch"] // 2
    assert after["warmup_steps"] < before["warmup_steps"]
    assert after["as_set"]["memory"]["total"] > before["as_set"]["memory"]["total"]


def test_the_size_of_the_data_the_epochs_and_the_warmup_share_move_the_plan(thinker: LabState) -> None:
    thinker.put("tokens", 20_000_000)
    assert numbers(thinker)["size_class"] == "medium" and numbers(thinker)["max_epochs"] == 4
    thinker.put("epochs", 6)
    assert numbers(thinker)["max_steps"] == 6 * numbers(thinker)["steps_per_epoch"]
    thinker.put("warmup_percent", 5.0)
    assert numbers(thinker)["warmup_steps"] == round(0.05 * numbers(thinker)["max_steps"])


def test_a_choice_of_epochs_holds_while_the_data_allows_it(thinker: LabState) -> None:
    thinker.put("epochs", 6)
    thinker.put("tokens", 20_000_000)  # medium: 3 to 6
    assert numbers(thinker)["max_epochs"] == 6
    thinker.put("tokens", 200_000_000)  # very large: 1 to 3
    assert numbers(thinker)["max_epochs"] == 2 and thinker.valid


def test_epochs_outside_the_range_are_a_problem(thinker: LabState) -> None:
    thinker.put("epochs", 4)
    assert thinker.problems == {"epochs": "is 4; small data is gone through 5 to 10 times"}


def test_a_value_that_is_not_allowed_is_told_beside_its_control_and_the_plan_stays(thinker: LabState) -> None:
    before = numbers(thinker)
    thinker.put("n_heads", 3)
    assert set(thinker.problems) == {"n_heads", "n_kv_heads"}
    assert "does not divide d_model 128" in thinker.problems["n_heads"]
    assert numbers(thinker) == before | {"valid": False}
    thinker.put("batch_size", "many")
    assert "a whole number from 1" in thinker.problems["batch_size"]
    thinker.undo()
    thinker.undo()
    assert thinker.valid and numbers(thinker) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", -1), ("tokens", 1.5), ("tokens", ""), ("warmup_percent", 2.9), ("warmup_percent", 5.1),
     ("memory_gib", 0), ("memory_gib", True), ("epochs", 0), ("lr", 0.0), ("dropout", 0.95), ("use_amp", 1),
     ("documents", "pages"), ("sft", 1)],
)  # fmt: skip
def test_set_refuses_what_is_not_allowed_and_changes_nothing(thinker: LabState, name: str, value: object) -> None:
    before = thinker.now
    with pytest.raises(UserError):
        thinker.set(name, value)
    assert thinker.now == before and thinker.valid and not thinker.past


def test_set_keeps_what_could_be_redone_when_it_refuses(thinker: LabState) -> None:
    thinker.set("batch_size", 8)
    thinker.undo()
    with pytest.raises(ConfigError):
        thinker.set("n_heads", 3)
    assert thinker.redo() and thinker.value("batch_size") == 8


def test_other_names_of_a_setting_work_and_unknown_ones_name_the_nearest(thinker: LabState) -> None:
    thinker.set("learning_rate", 1e-3)
    assert thinker.value("lr") == 1e-3
    with pytest.raises(UserError, match='Did you mean "n_heads"'):
        thinker.set("nheads", 2)


def test_one_weight_of_the_mix_is_edited_by_its_task() -> None:
    state = state_of("omni_sft_nano.json")
    before = state.value("sft_mix")["read"]
    state.set("sft_mix.read", before + 3)
    assert state.value("sft_mix")["read"] == before + 3
    assert state.changes[0].before["read"] == before
    with pytest.raises(UserError):
        state.set("sft_mix.sing", 1)
    for task in state.value("sft_mix"):
        state.put(f"sft_mix.{task}", 0)
    assert "at least one above 0" in state.problems["sft_mix"]


def test_whole_numbers_for_fractions_and_fractions_that_are_whole_are_taken_as_meant(thinker: LabState) -> None:
    thinker.set("dropout", 0)
    thinker.set("batch_size", 8.0)
    assert isinstance(thinker.value("dropout"), float) and isinstance(thinker.value("batch_size"), int)


def test_undo_and_redo_go_many_levels(thinker: LabState) -> None:
    states = [thinker.now]
    for value in range(1, 40):
        thinker.put("batch_size", value)
        states.append(thinker.now)
    for expected in reversed(states[:-1]):
        assert thinker.undo() and thinker.now == expected
    assert not thinker.undo()
    for expected in states[1:]:
        assert thinker.redo() and thinker.now == expected
    assert not thinker.redo()


def test_an_edit_after_undo_forgets_what_was_undone(thinker: LabState) -> None:
    thinker.put("batch_size", 8)
    thinker.undo()
    thinker.put("batch_size", 16)
    assert not thinker.redo() and thinker.value("batch_size") == 16


def test_undo_remembers_a_bounded_number_of_edits(thinker: LabState) -> None:
    for value in range(MOST_UNDO + 50):
        thinker.put("seed", value + 1)
    assert len(thinker.past) == MOST_UNDO


def test_a_drag_is_one_undo_and_edits_apart_are_several(thinker: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("muomni.widgets.lab_state.time.monotonic", lambda: next(clock) * 0.01)
    for value in (33, 34, 35):
        thinker.put("batch_size", value, gesture=True)
    thinker.undo()
    assert thinker.value("batch_size") == 32
    monkeypatch.setattr("muomni.widgets.lab_state.time.monotonic", lambda: next(clock) * 10.0)
    for value in (33, 34):
        thinker.put("batch_size", value, gesture=True)
    thinker.undo()
    assert thinker.value("batch_size") == 33


def test_a_drag_of_another_control_is_its_own_undo(thinker: LabState) -> None:
    thinker.put("batch_size", 33, gesture=True)
    thinker.put("ctx_len", 256, gesture=True)
    thinker.undo()
    assert thinker.value("batch_size") == 33 and thinker.value("ctx_len") == 128


def test_applying_the_plan_makes_settings_and_plan_agree(thinker: LabState) -> None:
    assert thinker.reading.differing
    changes = thinker.apply_plan()
    assert {change.field for change in changes} <= set(PLANNED)
    assert thinker.reading.differing == {} and thinker.reading.run_steps == thinker.reading.plan.max_steps
    assert thinker.apply_plan() == []
    assert thinker.undo() and thinker.changes == []


def test_the_plan_cannot_be_applied_to_settings_that_are_not_valid(thinker: LabState) -> None:
    thinker.put("n_heads", 3)
    with pytest.raises(UserError, match="n_heads is 3"):
        thinker.apply_plan()


def test_a_followed_schedule_moves_with_every_edit_and_in_one_undo(thinker: LabState) -> None:
    thinker.follow(True)
    followed = dict(thinker.now.values)
    assert all(followed[name] == thinker.reading.plan.settings[name] for name in FOLLOWED)
    thinker.put("batch_size", 48)
    assert thinker.value("max_steps") == thinker.reading.plan.max_steps != followed["max_steps"]
    thinker.undo()
    assert thinker.now.values == followed


def test_a_schedule_set_by_hand_is_followed_no_longer(thinker: LabState) -> None:
    thinker.follow(True)
    thinker.put("max_steps", 123)
    assert not thinker.now.follow and thinker.value("max_steps") == 123
    thinker.put("batch_size", 64)
    assert thinker.value("max_steps") == 123


def test_following_never_moves_the_micro_batch(thinker: LabState) -> None:
    thinker.follow(True)
    thinker.put("memory_gib", 0.06)
    assert thinker.reading.plan.batch_size != 32 and thinker.value("batch_size") == 32


EDITS = st.one_of(
    st.tuples(st.just("batch_size"), st.integers(1, 256)),
    st.tuples(st.just("gradient_accumulation_steps"), st.integers(1, 64)),
    st.tuples(st.just("n_layers"), st.integers(1, 8)),
    st.tuples(st.just("n_heads"), st.integers(1, 8)),
    st.tuples(st.just("ctx_len"), st.integers(8, 2048)),
    st.tuples(st.just("tokens"), st.integers(0, 10**10)),
    st.tuples(st.just("memory_gib"), st.floats(0.05, 100)),
    st.tuples(st.just("undo"), st.none()),
    st.tuples(st.just("redo"), st.none()),
    st.tuples(st.just("follow"), st.booleans()),
)


@given(edits=st.lists(EDITS, max_size=12))
def test_after_any_edits_the_plan_is_the_planners_and_keeps_the_effective_batch(edits: list) -> None:
    state = state_of("thinker_nano.json")
    for name, value in edits:
        if name == "follow":
            state.follow(value)
        elif name in ("undo", "redo"):
            getattr(state, name)()
        else:
            state.put(name, value)
        if state.valid:
            config, now = state.reading.config, state.now
            expected = plan(config, tokens=now.examples, epochs=now.epochs, warmup_percent=now.warmup_percent,
                            memory_gib=now.memory_gib)  # fmt: skip
            assert state.reading.plan == expected
            assert config.model_dump() == dict(now.values)
            split = expected.batch_size * expected.gradient_accumulation_steps * config.data_parallel
            assert split == config.effective_batch_size
    while state.undo():
        pass
    assert state.changes == []


def test_saving_writes_the_changes_into_the_file_and_keeps_its_order_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "thinker_mine.json"
    path.write_text('{"_why": "mine", "learning_rate": 0.001, "d_model": 64, "n_heads": 2}')
    state = state_of(path.name, folder=tmp_path)
    state.set("lr", 2e-3)
    state.set("n_layers", 2)
    saved = [(change.field, change.before, change.after) for change in state.save()]
    assert saved == [("lr", 0.001, 0.002), ("n_layers", 4, 2)]
    assert list(json.loads(path.read_text()).items()) == [
        ("_why", "mine"), ("learning_rate", 0.002), ("d_model", 64), ("n_heads", 2), ("n_layers", 2)]  # fmt: skip
    assert state.changes == []


def test_saving_without_changes_does_not_touch_the_file(thinker: LabState) -> None:
    stamp = thinker.file.path.stat().st_mtime_ns
    thinker.set("batch_size", 8)
    thinker.undo()
    assert thinker.save() == []
    assert thinker.file.path.stat().st_mtime_ns == stamp


def test_settings_that_are_not_valid_are_not_saved(thinker: LabState) -> None:
    before = thinker.file.path.read_bytes()
    thinker.put("n_heads", 3)
    with pytest.raises(UserError, match="not valid"):
        thinker.save()
    assert thinker.file.path.read_bytes() == before


def test_a_file_that_somebody_else_changed_is_not_overwritten(thinker: LabState) -> None:
    thinker.set("batch_size", 8)
    raw = json.loads(thinker.file.path.read_text()) | {"lr": 0.01}
    thinker.file.path.write_text(json.dumps(raw))
    with pytest.raises(UserError, match="something else"):
        thinker.save()
    assert json.loads(thinker.file.path.read_text()) == raw
    thinker.reset()
    assert thinker.value("lr") == 0.01 and thinker.changes == []
    thinker.undo()
    assert thinker.value("batch_size") == 8
    thinker.save()
    assert json.loads(thinker.file.path.read_text())["batch_size"] == 8


def test_reset_takes_the_file_and_can_be_undone(thinker: LabState) -> None:
    thinker.set("batch_size", 8)
    thinker.reset()
    assert thinker.changes == []
    thinker.undo()
    assert thinker.value("batch_size") == 8


def test_stages_that_no_longer_fit_together_are_named(thinker: LabState) -> None:
    thinker.neighbours = {"omni_sft": read_config(CONFIGS / "omni_sft_nano.json").config}
    assert thinker.disagreements() == []
    thinker.set("d_model", 192)
    stage, problem = thinker.disagreements()[0]
    assert (stage, problem.field) == ("omni_sft", "d_model") and "192" in problem.message


def test_the_text_tells_the_same_numbers(thinker: LabState) -> None:
    text = as_text(thinker)
    shown = numbers(thinker)
    for number in (shown["steps_per_epoch"], shown["max_steps"], shown["parameters"], shown["tokens_per_step"]):
        assert f"{number:,}" in text
    assert "differs" in text and "budget" in text
    thinker.put("n_heads", 3)
    assert "Not valid" in as_text(thinker) and "n_heads is 3" in as_text(thinker)


def test_the_size_of_data_that_is_not_there_is_assumed_and_says_so(tmp_path: Path) -> None:
    for name in ("thinker_nano.json", "vision_nano.json"):
        config = read_config(CONFIGS / name).config
        size = data_size(config, tmp_path)
        assert size.examples == ASSUMED[config.unit] and size.source.startswith("assumed") and not size.counted


def test_rows_of_a_manifest_are_counted(tmp_path: Path) -> None:
    (tmp_path / "ocr").mkdir()
    (tmp_path / "ocr" / "ocr_train.csv").write_text("image,text\na.png,one\nb.png,two\nc.png,three\n")
    size = data_size(read_config(CONFIGS / "ocr_nano.json").config, tmp_path)
    assert size == DataSize(3, "counted: rows of data/ocr/ocr_train.csv", True)


def test_a_manifest_that_cannot_be_read_is_an_assumption_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "ocr").mkdir()
    (tmp_path / "ocr" / "ocr_train.csv").write_text("picture,word\na.png,one\n")
    size = data_size(read_config(CONFIGS / "ocr_nano.json").config, tmp_path)
    assert size.examples == ASSUMED["samples"] and "image" in size.source


def test_tokens_are_guessed_from_bytes_where_there_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "data" / "text").mkdir(parents=True)
    (tmp_path / "data" / "text" / "tiny_corpus.txt").write_text("abcdefg\n" * 1000)
    size = data_size(read_config(CONFIGS / "thinker_nano.json").config, tmp_path / "data")
    assert size.examples == 2000 and size.source.startswith("guessed") and not size.counted
