"""The chat panel in JupyterLab: asked by keyboard, with a drawing, a recording, files chosen and dropped; and heard."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
import soundfile
from jupyter import Server, open_notebook, run_all, write_notebook
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import muomni

pytestmark = pytest.mark.browser

CELL = """
import muomni
from muomni.widgets import ChatPanel
panel = ChatPanel(muomni.load("nano"))
panel
"""
TEXT = "assert panel.failures == []\nprint(panel)"


@pytest.fixture(scope="module")
def page(new_page: Page, server: Server) -> Iterator[Page]:
    write_notebook(server.folder / "notebooks" / "chat.ipynb", CELL, TEXT)
    open_notebook(new_page, server, "notebooks/chat.ipynb")
    run_all(new_page)
    new_page.wait_for_selector(".mu-question")
    yield new_page
    assert new_page.locator(".muomni-error").count() == 0


def entry(page: Page) -> Locator:
    """The last question and answer."""
    return page.locator(".mu-log > li").last


def ask(page: Page, text: str) -> None:
    question = page.get_by_role("textbox", name="Question")
    before = page.locator(".mu-log > li").count()
    question.fill(text)
    question.press("Enter")
    expect(page.locator(".mu-log > li")).to_have_count(before + 1)
    expect(entry(page).locator(".mu-answer")).not_to_be_empty()
    expect(question).to_have_value("")


def png(color: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(content, "PNG")
    return content.getvalue()


def test_a_question_typed_is_answered_and_heard(page: Page) -> None:
    expect(page.locator(".mu-conversation")).to_contain_text("Nothing has been said yet")
    page.get_by_role("textbox", name="Question").focus()
    active = page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex")
    ask(page, "how are you?")
    assert page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex") == active
    expect(entry(page).locator(".mu-answer")).to_have_text(str(muomni.load("nano").chat("how are you?")))
    heard = page.evaluate(
        """async () => {
          const sound = document.querySelector(".mu-spoken");
          for (let i = 0; i < 100 && !sound.played.length; i++) await new Promise((done) => setTimeout(done, 50));
          return [sound.duration, sound.played.length];
        }"""
    )
    assert heard[0] > 0.3 and heard[1] >= 1, "the answer is played"


def test_a_picture_is_drawn_by_keyboard_and_by_hand(page: Page) -> None:
    page.get_by_text("Draw a picture").focus()
    page.keyboard.press("Enter")
    canvas = page.get_by_role("application", name="Drawing")
    canvas.focus()
    for key in (*["ArrowLeft"] * 4, "Enter"):
        page.keyboard.press(key)
    page.get_by_label("Shape", exact=True).select_option("star")
    page.get_by_label("Color", exact=True).select_option("blue")
    canvas.click(position={"x": 200, "y": 128})
    expect(page.locator(".mu-draw")).to_contain_text("Drawn: big red circle at the left, big blue star at the right.")
    page.get_by_role("button", name="Use the drawing").click()
    given = page.locator(".mu-attached img")
    expect(given).to_have_attribute("alt", "drawing (big red circle at the left, big blue star at the right), "
                                           "picture of 256 x 256 pixels")  # fmt: skip
    source = (given.get_attribute("src") or "").partition(",")[2]
    drawn = Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")
    red, blue = drawn.getpixel((64, 128)), drawn.getpixel((200, 128))
    assert red[0] > 150 > red[2] and blue[2] > 150 > blue[0]
    ask(page, "what do you see?")
    expect(page.locator(".mu-attached img")).to_have_count(0)
    expect(entry(page).locator("img")).to_be_visible()


def test_a_recording_becomes_a_sound_the_model_reads_and_without_leave_a_line_says_so(page: Page) -> None:
    record = page.get_by_role("button", name="Record")
    record.click()
    expect(page.locator(".mu-status")).to_contain_text("not allowed to use the microphone")
    page.context.grant_permissions(["microphone"])
    record.focus()
    page.keyboard.press("Enter")
    stop = page.get_by_role("button", name="Stop recording")
    expect(stop).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1200)
    stop.click()
    given = page.locator(".mu-attached audio")
    expect(page.locator(".mu-attached")).to_contain_text("the listener hears")
    expect(page.locator(".mu-status")).to_be_empty()
    source = (given.get_attribute("src") or "").partition(",")[2]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(source)))
    assert rate == 16_000 and 0.5 < len(samples) / rate < 6 and abs(samples).max() > 0.01, "the microphone beeps"
    page.get_by_role("button", name="Without the sound").focus()
    page.keyboard.press("Enter")
    expect(given).to_have_count(0)
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()


def test_files_are_chosen_or_dropped_and_what_they_are_not_is_told(page: Page) -> None:
    chooser = page.get_by_label("Picture or video")
    chooser.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator(".mu-status")).to_contain_text("✕ x.png: is no image that can be read")
    chooser.set_input_files({"name": "red.png", "mimeType": "image/png", "buffer": png("red")})
    expect(page.locator(".mu-attached img")).to_have_attribute("alt", "red.png, picture of 64 x 64 pixels")
    drop = """([name, type, bytes]) => {
      const given = new DataTransfer();
      given.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name, { type }));
      document.querySelector(".mu").dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true }));
    }"""
    page.evaluate(drop, ["blue.png", "image/png", base64.b64encode(png("blue")).decode()])
    expect(page.locator(".mu-attached img")).to_have_attribute("alt", "blue.png, picture of 64 x 64 pixels")
    page.evaluate(drop, ["notes.txt", "text/plain", ""])
    expect(page.locator(".mu-status")).to_contain_text("notes.txt: is neither a picture nor a sound")
    page.get_by_label("Sound", exact=True).set_input_files(
        {"name": "long.wav", "mimeType": "audio/wav", "buffer": bytes(9 * 2**20)}
    )
    expect(page.locator(".mu-status")).to_contain_text("long.wav: has 9.0 MiB, at most 8.0 are sent")
    ask(page, "")
    expect(entry(page)).to_contain_text("what do you see?")


def test_all_that_was_said_is_there_as_text(page: Page) -> None:
    page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    text = page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output").last
    expect(text).to_contain_text("you gave: blue.png")
    for words in ("you: how are you?", "you gave: drawing (big red circle", "μOmni:", "spoken in"):
        expect(text).to_contain_text(words)
    answers = page.locator(".mu-log .mu-answer").all_inner_texts()
    assert len(answers) == 3 and all(f"μOmni: {answer}" in text.inner_text() for answer in answers)
    page.get_by_role("button", name="Begin anew").click()
    expect(page.locator(".mu-log > li")).to_have_count(0)


def test_every_control_has_a_name_and_keeps_its_keys(page: Page) -> None:
    controls = page.evaluate(
        """() => [...document.querySelectorAll(".mu input, .mu select, .mu button, .mu audio, .mu [tabindex='0']")]
          .filter((each) => each.offsetParent !== null)
          .map((each) => [each.getAttribute("aria-label") || [...(each.labels || [])].map((l) => l.textContent).join()
            || each.textContent, each.hasAttribute("data-lm-suppress-shortcuts"), each.outerHTML.slice(0, 90)])"""
    )
    assert len(controls) >= 13 and all(name.strip() and shielded for name, shielded, _ in controls), controls
