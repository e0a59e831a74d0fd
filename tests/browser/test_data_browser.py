"""The data browser in JupyterLab, by keyboard: another row, another picture and sound; filters, lengths, the check."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from jupyter import Server, open_notebook, run_all, write_notebook
from playwright.sync_api import Locator, Page, expect

from muomni.data.tokenizer import train_tokenizer
from muomni.data.world import make_world

pytestmark = pytest.mark.browser

CELL = """
import os
os.chdir("..")
from muomni.widgets import DataBrowser
browser = DataBrowser("data/audio/asr.csv")
browser
"""
PICTURES = 'pictures = DataBrowser("data/images/annotations.json")\npictures'
NO_FAILURE = "assert browser.failures == [] and pictures.failures == []"


@pytest.fixture(scope="module")
def page(new_page: Page, server: Server) -> Iterator[Page]:
    """A notebook with two browsers in its outputs, on a small world."""
    data = server.folder / "data"
    make_world(data, scale=0.01, parts=("text", "audio", "images"), workers=1, progress=False)
    train_tokenizer(data / "text/tiny_corpus.txt", data / "text/tokenizer_nano.model", 512)
    write_notebook(server.folder / "notebooks" / "browser.ipynb", CELL, PICTURES, NO_FAILURE)
    open_notebook(new_page, server, "notebooks/browser.ipynb")
    run_all(new_page)
    new_page.wait_for_selector(".mu-picture")
    yield new_page
    assert new_page.locator(".muomni-error").count() == 0


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=f"Data browser, {name}")


def line(within: Locator) -> Locator:
    return within.locator('[data-number="line"]')


def loaded(page: Page, selector: str) -> bool:
    """Whether the browser could decode the picture or the sound."""
    return bool(
        page.evaluate(
            """async (selector) => {
              const each = document.querySelector(selector);
              if (each.tagName === "IMG") { await each.decode(); return each.naturalWidth > 0; }
              for (let i = 0; i < 100 && each.readyState < 1; i++) await new Promise((done) => setTimeout(done, 50));
              return each.readyState >= 1 && each.duration > 0.3;
            }""",
            selector,
        )
    )


def test_the_next_row_is_heard_and_seen_by_keyboard(page: Page) -> None:
    speech = panel(page, "asr.csv")
    assert loaded(page, ".mu-sound")
    first = speech.locator("audio").get_attribute("src")
    speech.get_by_role("button", name="Next").focus()
    active = page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex")
    page.keyboard.press("Enter")
    expect(line(speech)).to_have_attribute("data-value", "3")
    expect(speech.locator("audio")).not_to_have_attribute("src", first or "")
    assert loaded(page, ".mu-sound")
    expect(speech.get_by_role("img", name="Log-mel spectrogram")).to_be_visible()
    expect(speech).to_contain_text("tokens")
    expect(speech).to_contain_text("frames, the sound gives")
    slider = speech.get_by_role("slider", name="Row", exact=True)
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(line(speech)).to_have_attribute("data-value", "4")
    assert slider.get_attribute("aria-valuetext") == "row 3 of 84"
    exact = speech.get_by_label("Row, exact number")
    exact.fill("84")
    exact.press("Enter")
    expect(line(speech)).to_have_attribute("data-value", "85")
    expect(speech.get_by_role("button", name="Next")).to_have_attribute("aria-disabled", "true")
    assert page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex") == active


def test_pictures_change_with_the_row(page: Page) -> None:
    pictures = panel(page, "annotations.json")
    assert loaded(page, ".mu-picture")
    before = pictures.locator("img").get_attribute("alt")
    pictures.get_by_role("button", name="Next").click()
    expect(pictures.locator("img")).not_to_have_attribute("alt", before or "")
    expect(pictures.locator("img")).to_have_attribute("alt", r"Picture of row 2: " + (
        pictures.locator(".mu-list li").first.inner_text()))  # fmt: skip
    assert loaded(page, ".mu-picture")


def test_filters_leave_fewer_rows_and_say_so(page: Page) -> None:
    speech = panel(page, "asr.csv")
    speech.get_by_label("Split").select_option("validation")
    expect(speech.locator('[data-number="passing"]')).to_have_attribute("data-value", "8")
    words = speech.get_by_label("Text contains")
    words.fill("no such words")
    words.press("Enter")
    expect(speech).to_contain_text("No row passes the filter.")
    words.fill("")
    words.press("Enter")
    speech.get_by_label("Split").select_option("")
    expect(speech.locator('[data-number="passing"]')).to_have_attribute("data-value", "84")
    exact = speech.get_by_label("Row, exact number")
    exact.fill("500")
    exact.press("Enter")
    expect(speech).to_contain_text("row: is 500; there are 84")


def test_lengths_change_their_unit_and_the_check_reads_every_file(page: Page) -> None:
    speech = panel(page, "asr.csv")
    for unit in ("tokens", "characters", "seconds"):
        speech.get_by_label("Lengths in").select_option(unit)
        expect(speech.locator(".mu-part-lengths svg")).to_have_attribute(
            "aria-label", re.compile(f"^From .* {unit}, half at most")
        )
    check = speech.get_by_role("button", name="Check every file")
    check.focus()
    page.keyboard.press("Enter")
    expect(speech.locator(".mu-part-check")).to_contain_text("84 of 84 rows can be used", timeout=60_000)
    expect(check).to_be_visible()


def test_every_control_has_a_name_and_every_picture_words(page: Page) -> None:
    controls = page.evaluate(
        """() => [...document.querySelectorAll(".mu input, .mu select, .mu button, .mu audio, .mu [tabindex='0']")]
          .filter((each) => each.offsetParent !== null)
          .map((each) => [each.getAttribute("aria-label") || [...(each.labels || [])].map((l) => l.textContent).join()
            || each.textContent, each.hasAttribute("data-lm-suppress-shortcuts"), each.outerHTML.slice(0, 90)])"""
    )
    assert len(controls) >= 16 and all(name.strip() and shielded for name, shielded, _ in controls), controls
    pictures = page.evaluate(
        "[...document.querySelectorAll('.mu svg, .mu img')].map((e) => e.getAttribute('aria-label') || e.alt)"
    )
    assert len(pictures) == 4 and all(len(words) > 25 for words in pictures)
