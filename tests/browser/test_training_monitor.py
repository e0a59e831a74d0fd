"""The training monitor in JupyterLab: its buttons are heard while the training cell runs, and a failed run fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter import Server, open_notebook, run_all, write_notebook
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

TRAINING = """
import math, time
from muomni.train.events import Finished, Sampled, TrainEvent, Validated
from muomni.widgets import TrainingMonitor

def training(listener, control, steps=20_000):
    began = time.perf_counter()
    for step in range(1, steps + 1):
        control.wait_if_paused()
        if control.stopping:
            listener(Finished(step - 1, "stopped"))
            return "stopped"
        sum(i * i for i in range(30_000))  # keeps the interpreter busy, as training does
        if step % 5 == 0:
            seconds = time.perf_counter() - began
            listener(TrainEvent(step, steps, 0, 1 + math.exp(-step / 300), 1e-3, step / seconds, "samples", 2**30,
                                seconds, seconds / step * (steps - step), 1.0))
        if step % 50 == 0:
            listener(Validated(step, {"loss": 1.1 + math.exp(-step / 300)}, True))
            listener(Sampled(step, "text", f"sample of step {step}"))
"""
RUN = 'monitor = TrainingMonitor(training, title="Stage A", targets={"entropy": 1.0})\nresult = monitor.run()'
FAILS = 'TrainingMonitor(lambda listener, control: 1 / 0, title="Broken").run()'


@pytest.fixture(scope="module")
def page(new_page: Page, server: Server) -> Iterator[Page]:
    write_notebook(server.folder / "notebooks" / "monitor.ipynb", TRAINING, RUN, "print('after:', result)", FAILS)
    open_notebook(new_page, server, "notebooks/monitor.ipynb")
    run_all(new_page, wait=False)
    new_page.wait_for_selector('[data-number="step"]')
    yield new_page


def step(page: Page) -> int:
    return int(page.locator('[data-number="step"]').first.get_attribute("data-value") or -1)


def test_pause_resume_and_stop_work_while_the_cell_runs(page: Page) -> None:
    state = page.locator(".mu-state").first
    page.wait_for_function("document.querySelector('[data-number=validation]')")
    assert not page.evaluate("window.ranAll")
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(state).to_have_text("paused")
    page.wait_for_timeout(300)
    before = step(page)
    page.wait_for_timeout(700)
    assert step(page) == before
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Resume").focus()
    page.keyboard.press("Space")
    expect(state).to_have_text("running")
    page.wait_for_function("(before) => Number(document.querySelector('[data-number=step]').dataset.value) > before",
                           arg=before)  # fmt: skip
    for text in ("Training loss from", "entropy is 1", "sample of step", "samples a second", "left"):
        expect(page.locator(".mu").first).to_contain_text(text)
    assert page.get_by_role("progressbar", name="Training progress").get_attribute("aria-valuemax") == "20000"
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function("window.ranAll")
    expect(state).to_have_text("stopped")
    expect(page.locator(".jp-OutputArea-output", has_text="after: stopped").first).to_be_visible()


def test_a_training_that_fails_fails_its_cell_and_says_so_in_the_panel(page: Page) -> None:
    page.wait_for_function("window.ranAll")
    expect(page.locator(".mu-state").nth(1)).to_have_text("failed")
    expect(page.locator(".muomni-error")).to_contain_text("ZeroDivisionError")
    error = page.locator(
        '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'
    )
    expect(error.first).to_contain_text("ZeroDivisionError")
