"""The config lab in JupyterLab, by keyboard: sliders move numbers, every control has a name, saving writes the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CHAPTER
from jupyter import KERNEL, Server, open_notebook, run_all, write_notebook
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

CELL = 'from muomni.widgets import ConfigLab\nlab = ConfigLab("../configs/{}", tokens=25_000_000, samples=20_000)\nlab'
BUSY = """
import time
end = time.time() + 25
while time.time() < end and lab.state.value("print_freq") != 30:
    sum(range(9999))
"""


@pytest.fixture(scope="module")
def page(new_page: Page, server: Server) -> Iterator[Page]:
    """A notebook with the lab in its output."""
    write_notebook(
        server.folder / "notebooks" / "lab.ipynb", CELL.format("thinker_tiny.json"), "assert lab.failures == []"
    )
    open_notebook(new_page, server, "notebooks/lab.ipynb")
    run_all(new_page)
    new_page.wait_for_selector(".mu-tile")
    yield new_page
    assert new_page.locator(".muomni-error").count() == 0


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def number(page: Page, name: str) -> int:
    return int(float(page.locator(f'[data-number="{name}"]').first.get_attribute("data-value") or "nan"))


def press(page: Page, control: Locator, key: str) -> None:
    control.focus()
    page.keyboard.press(key)


def changes(page: Page, name: str, before: int) -> int:
    """Wait until a number is no longer what it was, and return it."""
    expect(page.locator(f'[data-number="{name}"]').first).not_to_have_attribute("data-value", str(before))
    return number(page, name)


def settle(page: Page) -> None:
    """Back to the file's settings."""
    page.get_by_role("button", name="Reset to file").click()
    expect(page.get_by_role("button", name="Save…", exact=True)).to_be_visible()


def test_the_chapters_lab_turns_a_key_press_into_a_saved_file(new_page: Page, server: Server) -> None:
    notebook = server.folder / "notebooks" / CHAPTER
    if not notebook.exists():  # a stand-in until the chapter is there
        write_notebook(notebook, CELL.format("thinker_nano.json"))
    file = server.folder / "configs" / "thinker_nano.json"
    before = json.loads(file.read_text())
    open_notebook(new_page, server, f"notebooks/{CHAPTER}")
    run_all(new_page)
    new_page.wait_for_selector(".mu-tile")
    steps, warmup, memory = (number(new_page, name) for name in ("max_steps", "warmup_steps", "memory_total"))
    press(new_page, slider(new_page, "batch_size"), "ArrowRight")
    assert changes(new_page, "max_steps", steps) < steps
    assert number(new_page, "warmup_steps") < warmup and number(new_page, "memory_total") > memory
    press(new_page, new_page.get_by_role("button", name="Save 1 change"), "Enter")
    confirm = new_page.get_by_role("button", name="Write the file")
    expect(confirm).to_be_focused()
    assert json.loads(file.read_text()) == before, "nothing is written before it is confirmed"
    new_page.keyboard.press("Enter")
    expect(new_page.get_by_text("Saved 1 setting")).to_be_visible()
    after = json.loads(file.read_text())
    assert after == before | {"batch_size": after["batch_size"]} and after["batch_size"] > before["batch_size"]
    assert list(after) == list(before), "the file keeps its order"


def test_arrow_keys_move_the_slider_and_not_the_notebook(page: Page) -> None:
    settle(page)
    steps = number(page, "steps_per_epoch")
    active = page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex")
    control = slider(page, "batch_size")
    press(page, control, "ArrowRight")
    fewer = changes(page, "steps_per_epoch", steps)
    assert fewer < steps and "24 examples" in (control.get_attribute("aria-valuetext") or "")
    page.keyboard.press("ArrowLeft")
    assert changes(page, "steps_per_epoch", fewer) == steps
    page.keyboard.press("ArrowUp")
    changes(page, "steps_per_epoch", steps)
    assert page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex") == active
    assert page.locator(".jp-CodeCell").count() == 2


def test_an_exact_number_is_typed_and_a_wrong_one_is_told_beside_its_field(page: Page) -> None:
    settle(page)
    steps = number(page, "steps_per_epoch")
    exact = page.get_by_label("batch_size, exact value")
    exact.fill("20")
    exact.press("Enter")
    changes(page, "steps_per_epoch", steps)
    heads = page.get_by_label("n_heads, exact value")
    heads.fill("5")
    heads.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("n_heads")
    expect(heads).to_have_attribute("aria-invalid", "true")
    described = (heads.get_attribute("aria-describedby") or "").split()
    assert "does not divide d_model" in " ".join(page.locator(f"#{name}").inner_text() for name in described)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("cannot be saved")).to_be_visible()
    heads.fill("4")
    heads.press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(heads).not_to_have_attribute("aria-invalid", "true")


def test_edits_are_undone_and_done_again_by_keyboard(page: Page) -> None:
    settle(page)
    first = number(page, "memory_total")
    press(page, slider(page, "n_layers"), "ArrowRight")
    second = changes(page, "memory_total", first)
    page.wait_for_timeout(400)  # a new gesture
    page.keyboard.press("ArrowRight")
    third = changes(page, "memory_total", second)
    page.keyboard.press("Control+z")
    assert changes(page, "memory_total", third) == second
    page.keyboard.press("Control+z")
    assert changes(page, "memory_total", second) == first
    page.keyboard.press("Control+Shift+z")
    assert changes(page, "memory_total", first) == second
    press(page, page.get_by_role("button", name="Undo"), "Enter")
    assert changes(page, "memory_total", second) == first


def test_the_plan_is_applied_and_followed(page: Page) -> None:
    settle(page)
    press(page, page.get_by_role("button", name="Apply plan"), "Enter")
    expect(page.get_by_text("Plan applied")).to_be_visible()
    assert number(page, "set_max_steps") == number(page, "plan_max_steps")
    expect(page.locator(".mu-differs")).to_have_count(0)
    box = page.get_by_role("checkbox", name="keep the schedule on plan")
    press(page, box, "Space")
    expect(box).to_be_checked()
    steps = number(page, "set_max_steps")
    press(page, slider(page, "ctx_len"), "ArrowRight")
    assert changes(page, "set_max_steps", steps) == number(page, "plan_max_steps")


CONTROLS = """() => [...document.querySelectorAll(".mu input, .mu select, .mu button, .mu summary, .mu [tabindex='0']")]
  .filter((each) => each.offsetParent !== null)
  .map((each) => ({
    what: each.outerHTML.slice(0, 120),
    name: each.getAttribute("aria-label") || [...(each.labels || [])].map((label) => label.textContent).join(" ")
      || each.textContent,
    label: each.dataset.field && each.type === "range" ? each.labels?.[0]?.textContent : "-",
    tab: each.tabIndex,
    shielded: each.hasAttribute("data-lm-suppress-shortcuts"),
  }))"""


@pytest.mark.parametrize("file", ["thinker_tiny.json", "omni_sft_nano.json", "vocoder_tiny.json"])
def test_every_control_has_a_name_and_is_reached_by_keyboard(page: Page, file: str) -> None:
    settle(page)
    page.get_by_label("Config file").select_option(file)
    expect(page.get_by_label("Config file")).to_have_value(file)
    page.wait_for_function("title => document.querySelector('.mu-title').textContent.startsWith(title)",
                           arg={"t": "A", "o": "E", "v": "F"}[file[0]])  # fmt: skip
    controls = page.evaluate(CONTROLS)
    assert len(controls) > 60
    for control in controls:
        assert control["name"].strip() and control["label"], control
        assert control["tab"] >= 0 and control["shielded"], control
    pictures = page.evaluate("[...document.querySelectorAll('.mu svg:not([aria-hidden])')].map((each) => "
                             "[each.getAttribute('role'), each.getAttribute('aria-label')])")  # fmt: skip
    assert len(pictures) == 2 and all(role == "img" and len(label) > 40 for role, label in pictures)


def test_tab_goes_from_control_to_control_without_a_trap(page: Page) -> None:
    page.get_by_label("Config file").select_option("thinker_tiny.json")
    page.get_by_label("Config file").focus()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.dataset.field || document.activeElement.textContent"))
    assert {"tokens", "epochs", "warmup_percent", "memory_gib", "batch_size"} <= set(seen)


def test_the_lab_answers_while_a_cell_is_running(page: Page) -> None:
    """JupyterLab's subshells: a training cell does not freeze the panel above it."""
    settle(page)
    page.evaluate(f"(code) => void {KERNEL}.requestExecute({{code}})", BUSY)
    page.wait_for_timeout(500)
    steps = number(page, "steps_per_epoch")
    press(page, slider(page, "batch_size"), "ArrowRight")
    changes(page, "steps_per_epoch", steps)
    exact = page.get_by_label("print_freq, exact value")
    exact.fill("30")  # ends the busy cell
    exact.press("Enter")
    expect(page.get_by_role("button", name="Save 2 changes")).to_be_visible()


def test_edited_files_are_kept_apart(page: Page, server: Server) -> None:
    settle(page)
    press(page, slider(page, "n_layers"), "ArrowRight")
    chooser = page.get_by_label("Config file")
    expect(chooser.locator("option", has_text="thinker_tiny.json ● edited")).to_have_count(1)
    chooser.select_option("ocr_nano.json")
    expect(page.get_by_text("G · Reading")).to_be_visible()
    expect(page.get_by_role("button", name="Save…", exact=True)).to_be_visible()
    chooser.select_option("thinker_tiny.json")
    expect(page.get_by_role("button", name="Save 1 change")).to_be_visible()
    untouched = Path(server.folder / "configs" / "ocr_nano.json")
    assert untouched.read_bytes() == (Path(__file__).parents[2] / "configs" / "ocr_nano.json").read_bytes()
