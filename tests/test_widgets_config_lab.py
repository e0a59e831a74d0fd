"""The config lab as a widget, without a browser: what it shows, what it does when the browser says something."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from small_project import with_batches_of_32

import muomni.widgets
from muomni.config import STAGES, read_config
from muomni.errors import UserError
from muomni.widgets import ConfigLab

CONFIGS = Path(__file__).parent.parent / "configs"
FILES = [f"{stage}_{profile}.json" for stage in STAGES for profile in ("nano", "tiny")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    with_batches_of_32(tmp_path / "configs" / "thinker_nano.json")
    return tmp_path / "configs"


@pytest.fixture
def lab(folder: Path) -> ConfigLab:
    return ConfigLab(folder / "thinker_nano.json", tokens=1_000_000, samples=10_000)


def browser_says(lab: ConfigLab, **content: Any) -> None:
    """What a message from the browser does, as the kernel delivers it."""
    lab._handle_custom_msg({"ticket": "t", **content}, [])


def html_of(lab: ConfigLab, part: str) -> str:
    return lab.shown["html"][part]


def numbers_in(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-number="([^"]+)" data-value="([^"]*)"', html))


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order."""

    EMPTY = ("br", "wbr", "line", "rect", "circle", "path", "polyline", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> after {self.open}"
        self.open.pop()


@pytest.mark.parametrize("name", FILES)
def test_every_config_has_a_labelled_control_for_every_setting(folder: Path, name: str) -> None:
    lab = ConfigLab(folder / name)
    fields = {field["name"]: field for section in lab.form["sections"] for field in section["fields"]}
    specs = lab.state.specs
    assert set(fields) == {*specs, lab.state.unit, "epochs", "warmup_percent", "memory_gib"}
    for field in fields.values():
        assert (
            field["help"] and field["allowed"] and field["kind"] in ("int", "float", "bool", "str", "choice", "weights")
        )
        assert field["stops"] or field["kind"] not in ("int", "float") or field["name"] == "seed"
        assert field["name"] in lab.shown["values"]
    assert lab.form["files"] == FILES
    json.dumps([lab.form, lab.shown], allow_nan=False)


@pytest.mark.parametrize("name", FILES)
def test_the_shown_numbers_are_the_plans_and_the_html_is_well_formed(folder: Path, name: str) -> None:
    lab = ConfigLab(folder / name, tokens=123_456_789, samples=123_456)
    shown = numbers_in(html_of(lab, "headline")) | numbers_in(html_of(lab, "comparison"))
    for number in ("steps_per_epoch", "max_steps", "warmup_steps", "parameters", "training", "max_epochs"):
        assert shown[number] == str(lab.numbers[number])
    assert shown["memory_total"] == str(lab.numbers["as_set"]["memory"]["total"])
    for setting in ("val_freq", "checkpoint_freq", "batch_size", "gradient_accumulation_steps"):
        assert shown[f"plan_{setting}"] == str(lab.numbers[setting])
        assert shown[f"set_{setting}"] == str(lab.numbers["as_set"][setting])
    for part, html in lab.shown["html"].items():
        checker = Balanced()
        checker.feed(html)
        assert checker.open == [], part


def test_everything_drawn_is_also_said(lab: ConfigLab) -> None:
    for part in ("memory", "rate"):
        labels = re.findall(r'<svg class="mu-svg"[^>]*role="img" aria-label="([^"]+)"', html_of(lab, part))
        assert len(labels) == 1 and re.search(r"\d", labels[0])
    for category in ("parameters", "gradients", "optimizer", "activations", "temporaries", "total"):
        assert f"memory_{category}" in numbers_in(html_of(lab, "memory"))


def test_a_slider_changes_the_numbers_and_its_message_is_answered(lab: ConfigLab) -> None:
    before = numbers_in(html_of(lab, "headline"))
    browser_says(lab, kind="set", field="batch_size", value=64, gesture=True, ticket="a-1")
    after = numbers_in(html_of(lab, "headline"))
    assert lab.shown["ack"] == "a-1" and lab.shown["values"]["batch_size"] == 64
    assert all(before[name] != after[name] for name in ("steps_per_epoch", "max_steps", "warmup_steps", "memory_total"))
    assert lab.shown["notes"]["batch_size"] == ["edited", "in the file: 32"]
    assert lab.failures == []


def test_a_wrong_value_is_told_beside_its_control_and_above(lab: ConfigLab) -> None:
    browser_says(lab, kind="set", field="n_heads", value=3)
    assert lab.shown["notes"]["n_heads"][0] == "error" and "d_model 128" in lab.shown["notes"]["n_heads"][1]
    assert 'role="alert"' in html_of(lab, "status") and "n_kv_heads" in html_of(lab, "status")
    assert lab.shown["stale"]
    browser_says(lab, kind="press", action="save")
    assert not lab.shown["saving"] and "cannot be saved" in html_of(lab, "status")
    browser_says(lab, kind="press", action="undo")
    assert not lab.shown["stale"] and 'role="alert"' not in html_of(lab, "status")


def test_a_budget_too_small_is_told_with_the_way_out(lab: ConfigLab) -> None:
    browser_says(lab, kind="set", field="memory_gib", value=0.06)
    assert "apply the plan" in html_of(lab, "status") and 'role="alert"' in html_of(lab, "status")
    browser_says(lab, kind="press", action="apply")
    assert 'role="alert"' not in html_of(lab, "status") and lab.numbers["as_set"]["fits"]
    browser_says(lab, kind="set", field="memory_gib", value=0.05)
    browser_says(lab, kind="set", field="d_model", value=1024)
    assert "even with batch_size 1" in html_of(lab, "status")


def test_saving_shows_the_difference_first_and_writes_only_when_confirmed(lab: ConfigLab, folder: Path) -> None:
    path = folder / "thinker_nano.json"
    before = path.read_bytes()
    browser_says(lab, kind="press", action="save")
    assert lab.shown["saving"] == "" and "Nothing to save" in html_of(lab, "status")
    browser_says(lab, kind="set", field="batch_size", value=64)
    browser_says(lab, kind="press", action="confirm")  # without having been asked
    assert path.read_bytes() == before
    browser_says(lab, kind="press", action="save")
    assert "batch_<wbr>size" in lab.shown["saving"] and ">32<" in lab.shown["saving"] and "64" in lab.shown["saving"]
    browser_says(lab, kind="press", action="cancel")
    assert lab.shown["saving"] == "" and path.read_bytes() == before
    browser_says(lab, kind="press", action="save")
    browser_says(lab, kind="press", action="confirm")
    assert json.loads(path.read_text()) == json.loads(before) | {"batch_size": 64}
    assert "Saved 1 setting" in html_of(lab, "status") and lab.changes == []
    assert read_config(path).config.batch_size == 64


def test_undo_of_everything_closes_the_difference(lab: ConfigLab) -> None:
    browser_says(lab, kind="set", field="batch_size", value=64)
    browser_says(lab, kind="press", action="save")
    browser_says(lab, kind="press", action="undo")
    assert lab.shown["saving"] == ""


def test_edits_of_one_file_wait_while_another_is_open(lab: ConfigLab) -> None:
    browser_says(lab, kind="set", field="batch_size", value=64)
    browser_says(lab, kind="open", file="vocoder_tiny.json")
    assert lab.form["file"] == "vocoder_tiny.json" and lab.numbers["stage"] == "vocoder"
    assert lab.shown["edited"] == ["thinker_nano.json"]
    browser_says(lab, kind="open", file="thinker_nano.json")
    assert lab.shown["values"]["batch_size"] == 64


def test_a_stage_that_must_follow_is_named_with_what_is_edited_here(lab: ConfigLab) -> None:
    browser_says(lab, kind="set", field="d_model", value=192)
    assert "omni_sft" in html_of(lab, "status") and "talker" in html_of(lab, "status")
    browser_says(lab, kind="open", file="omni_sft_nano.json")
    assert lab.shown["notes"]["d_model"][0] == "warning" and "192" in lab.shown["notes"]["d_model"][1]
    browser_says(lab, kind="set", field="d_model", value=192)
    assert lab.shown["notes"]["d_model"][0] == "edited"


def test_a_broken_file_is_told_and_the_open_one_stays(lab: ConfigLab, folder: Path) -> None:
    (folder / "vision_nano.json").write_text('{"d_model": 8,}')
    browser_says(lab, kind="open", file="vision_nano.json")
    assert lab.form["file"] == "thinker_nano.json" and "comma" in html_of(lab, "status") and lab.failures == []
    browser_says(lab, kind="set", field="batch_size", value=64)
    assert "comma" not in html_of(lab, "status")


def test_a_file_that_is_not_there_raises_at_once(folder: Path) -> None:
    with pytest.raises(UserError, match="thinker_nano"):
        ConfigLab(folder / "thinker_nan.json")


def test_a_programming_error_in_a_callback_is_kept_and_shown(lab: ConfigLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.state, "put", lambda *args, **options: 1 / 0)
    browser_says(lab, kind="set", field="batch_size", value=64, ticket="x-1")
    assert "ZeroDivisionError" in lab.failures[0] and lab.shown["ack"] == "x-1"
    assert 'class="mu-failure muomni-error"' in html_of(lab, "status")


def test_a_programming_error_while_drawing_is_kept_too(lab: ConfigLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni.widgets.lab_view.memory", lambda *args: 1 / 0)
    browser_says(lab, kind="set", field="batch_size", value=64, ticket="x-2")
    assert "ZeroDivisionError" in lab.failures[0] and lab.shown["ack"] == "x-2"
    assert "muomni-error" in html_of(lab, "status") and "ZeroDivisionError" in html_of(lab, "status")
    for _ in range(10):
        browser_says(lab, kind="set", field="batch_size", value=32)
    assert len(lab.failures) == 3


def test_an_unknown_message_is_a_programming_error(lab: ConfigLab) -> None:
    browser_says(lab, kind="dance")
    assert "unknown message" in lab.failures[0]


def test_text_from_files_cannot_become_markup(lab: ConfigLab) -> None:
    browser_says(lab, kind="set", field="tokenizer", value="<img src=x onerror=alert(1)>")
    browser_says(lab, kind="press", action="save")
    assert "<img" not in json.dumps([lab.shown["html"], lab.shown["saving"]])
    browser_says(lab, kind="set", field="batch_size", value="<b>many</b>")
    assert "<b>many" not in html_of(lab, "status")


def test_code_and_panel_show_the_same(lab: ConfigLab) -> None:
    lab.set("batch_size", 8)
    assert lab.shown["values"]["batch_size"] == 8
    assert lab.config.batch_size == 8 and lab.changes[0].field == "batch_size"
    assert lab.undo() and lab.shown["values"]["batch_size"] == 32
    assert lab.redo() and lab.shown["values"]["batch_size"] == 8
    lab.follow_plan()
    assert lab.shown["following"] and lab.shown["values"]["max_steps"] == lab.numbers["max_steps"]
    lab.reset()
    assert lab.changes == []
    lab.apply_plan()
    assert lab.numbers["as_set"]["max_steps"] == lab.numbers["max_steps"]


def test_the_panels_text_stands_where_no_widget_can(lab: ConfigLab) -> None:
    bundle = lab._repr_mimebundle_()[0]
    assert bundle["text/plain"] == lab.text() == repr(lab)
    assert f"{lab.numbers['max_steps']:,}" in lab.text()


def test_edits_from_two_threads_do_not_mix(lab: ConfigLab) -> None:
    def edit(field: str) -> None:
        for value in range(1, 60):
            browser_says(lab, kind="set", field=field, value=value)

    threads = [threading.Thread(target=edit, args=(field,)) for field in ("batch_size", "print_freq", "seed")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab.failures == [] and len(lab.state.past) == 3 * 59
    assert [lab.shown["values"][field] for field in ("batch_size", "print_freq", "seed")] == [59, 59, 59]


def test_the_panels_load_without_torch() -> None:
    code = "import sys; from muomni.widgets import ConfigLab, TrainingMonitor; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_panel_that_does_not_exist_is_named() -> None:
    with pytest.raises(AttributeError, match="Konfig"):
        muomni.widgets.Konfig  # noqa: B018
    assert {"ConfigLab", "TrainingMonitor"} <= set(dir(muomni.widgets))


def test_chart_colours_are_seen_on_light_and_dark_grounds() -> None:
    """3:1 is what WCAG 2 asks of graphics; the grounds are white and JupyterLab's dark theme."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    colours = re.findall(r"--mu-(?:fill\d|accent|second): (#\w{6})", str(ConfigLab._css))
    assert len(colours) == 7
    for colour in colours:
        assert contrast(colour, "#ffffff") >= 3 and contrast(colour, "#212121") >= 3, colour
