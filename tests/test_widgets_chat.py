"""The chat panel without a browser: questions with pictures and sounds, answers, its text twin, and what cannot be."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

import muomni
from muomni.errors import UserError
from muomni.infer.omni import Omni
from muomni.widgets import ChatPanel
from muomni.widgets.chat_panel import NEW_PICTURE

RATE = 16_000


@pytest.fixture(scope="module")
def model() -> Omni:
    return muomni.load("nano")


@pytest.fixture
def panel(model: Omni) -> ChatPanel:
    return ChatPanel(model)


def png(color: str = "red", side: int = 64) -> bytes:
    """A circle on a light ground, as a file."""
    image = Image.new("RGB", (side, side), "#f0f0f0")
    ImageDraw.Draw(image).ellipse([side // 4, side // 4, side // 2, side // 2], fill=color)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def gif(n: int = 4) -> bytes:
    frames = [Image.open(io.BytesIO(png(color))) for color in ("red", "blue", "green", "black")[:n]]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=250)
    return content.getvalue()


def wav(seconds: float = 0.5, rate: int = RATE) -> bytes:
    content = io.BytesIO()
    samples = np.sin(np.arange(int(seconds * rate)) * 440 * 2 * np.pi / rate) / 4
    soundfile.write(content, samples, rate, format="WAV")
    return content.getvalue()


def says(panel: ChatPanel, kind: str, *files: bytes, **content: Any) -> None:
    panel._handle_custom_msg({"kind": kind, "ticket": "t", **content}, [memoryview(each) for each in files])
    assert panel.failures == [] and panel.shown["ack"] == "t"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def answered(panel: ChatPanel) -> None:
    wait_until(lambda: not panel.shown["busy"])
    assert panel.failures == []


def html(panel: ChatPanel) -> str:
    json.dumps([panel.shown, panel.log, panel.form], allow_nan=False)
    return "".join([*panel.log, *panel.shown["html"].values()])


# Asking.


def test_a_question_from_the_browser_is_answered_as_the_model_answers_it_and_spoken(
    panel: ChatPanel, model: Omni
) -> None:
    says(panel, "ask", value=" how are you? ")
    answered(panel)
    said = panel.exchanges[0]
    assert said.answer == model.chat("how are you?") != "" and said.done and 0 < said.first <= said.seconds
    assert panel.shown["html"]["live"] == "" and "✕" not in html(panel)
    spoken = re.search(r'<audio class="mu-sound mu-spoken" controls src="data:audio/wav;base64,([^"]+)"', panel.log[0])
    assert spoken is not None
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(spoken[1])), dtype="float32")
    assert rate == RATE and np.allclose(samples, model.say(said.answer).clamp(-1, 1).numpy(), atol=1e-4)
    assert f"you: how are you?\nμOmni: {said.answer}\n  spoken in" in panel.text() == str(panel)


def test_the_answer_comes_piece_by_piece(panel: ChatPanel) -> None:
    seen: list[str] = []
    panel.observe(lambda change: seen.append(change["new"]["html"]["live"]), "shown")
    answer = panel.ask("how are you?")
    shown = [re.sub(r"<[^>]+>", "", each) for each in seen if each]
    lengths = list(dict.fromkeys(len(each) for each in shown))
    assert len(lengths) >= 3 and lengths == sorted(lengths) and all(answer.startswith(each) for each in shown)


def test_turns_are_remembered_until_begun_anew(panel: ChatPanel, model: Omni) -> None:
    panel.ask("a big red ring is above a small blue star. what is red?")
    panel.ask("what size is it?")
    first, second = panel.turns
    assert first.answer == panel.exchanges[0].answer and second.answer == panel.exchanges[1].answer
    assert second.answer == model.omni.reply([first, model.omni.turn("what size is it?")]).whole()
    says(panel, "press", action="forget")
    assert panel.exchanges == panel.turns == panel.log == [] and "Nothing has been said yet" in panel.text()


def test_a_new_picture_begins_a_new_conversation_and_its_questions_go_on(
    panel: ChatPanel, model: Omni, tmp_path: Path
) -> None:
    path = tmp_path / "dot.png"
    path.write_bytes(png())
    panel.ask("how are you?")
    assert panel.ask("what color is it?", image=path) == model.chat("what color is it?", image=path)
    assert panel.exchanges[0].notes == () and panel.exchanges[1].notes == (NEW_PICTURE,)
    panel.ask("and the shape?")
    assert len(panel.turns) == 2 and panel.turns[0].pictures and panel.exchanges[2].notes == ()


def test_pictures_and_sounds_go_with_one_question(panel: ChatPanel, model: Omni, tmp_path: Path) -> None:
    says(panel, "picture", png(), value="dot.png")
    says(panel, "sound", wav(rate=8000), value="recording")
    assert panel.shown["attached"] == ["picture", "sound"]
    assert 'alt="dot.png, picture of 64 x 64 pixels"' in panel.shown["html"]["attached"]
    assert "goes with the next question: recording, sound of 0.50 s" in panel.text()
    says(panel, "ask", value="what do you see?")
    answered(panel)
    (tmp_path / "dot.png").write_bytes(png())
    (tmp_path / "tone.wav").write_bytes(wav(rate=8000))
    assert panel.exchanges[0].answer == model.chat("what do you see?", tmp_path / "dot.png", tmp_path / "tone.wav")
    assert panel.attached == {} and panel.shown["html"]["attached"] == ""
    assert 'alt="dot.png, picture' in panel.log[0] and "you gave: recording, sound of 0.50 s" in panel.text()
    panel.ask("how are you?")
    assert panel.turns[-1].pictures == () and panel.turns[-1].sound is None


def test_a_sound_is_also_told_as_text(panel: ChatPanel, model: Omni, tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    soundfile.write(path, model.say("how are you?").numpy(), RATE)
    panel.ask(audio=path)
    heard = model.transcribe(path)
    assert heard and f"the listener hears: {heard}" in panel.text() and f"hears: {heard}" in panel.log[0]


def test_an_animated_picture_is_a_video_of_which_every_frame_is_seen(panel: ChatPanel, tmp_path: Path) -> None:
    says(panel, "picture", gif(), value="clip.gif")
    assert "clip.gif, video of 4 frames" in panel.text()
    says(panel, "ask", value="what color is it?")
    answered(panel)
    turn = panel.turns[0]
    assert turn.seconds == pytest.approx(1.0)
    assert len(turn.pictures) == panel.omni.turn("what color is it?", video=_file(tmp_path, gif())).pictures.__len__()


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "clip.gif"
    path.write_bytes(content)
    return path


def test_what_was_attached_can_be_taken_back_and_replaced(panel: ChatPanel) -> None:
    says(panel, "picture", png(), value="a.png")
    says(panel, "picture", png("blue"), value="b.png")
    assert "b.png" in panel.text() and "a.png" not in panel.text()
    says(panel, "press", action="picture")
    assert panel.attached == {} and panel.shown["attached"] == []


def test_without_speaking_no_sound_is_made(panel: ChatPanel) -> None:
    says(panel, "speak", value=False)
    panel.ask("how are you?")
    assert panel.exchanges[0].spoken is None and "<audio" not in html(panel) and not panel.shown["speak"]


def test_an_answer_that_cannot_be_spoken_is_still_given(panel: ChatPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    def say(text: str) -> None:
        raise UserError("has no voice")

    monkeypatch.setattr(panel.model, "say", say)
    answer = panel.ask("how are you?")
    assert answer and panel.exchanges[0].answer == answer and panel.exchanges[0].notes == ("not spoken: has no voice",)
    assert "! not spoken: has no voice" in panel.text() and not panel.busy


def test_what_was_cut_is_told(panel: ChatPanel) -> None:
    panel.ask("red " * 400 + "what color?")
    assert panel.exchanges[0].notes and all(f"  ! {note}" in panel.text() for note in panel.exchanges[0].notes)
    assert "are read" in panel.log[0]


def test_a_cut_is_told_once_and_a_very_long_text_is_shown_in_part(panel: ChatPanel, tmp_path: Path) -> None:
    (tmp_path / "long.wav").write_bytes(wav(20.0))
    panel.ask(audio=tmp_path / "long.wav")
    panel.ask("how are you?")
    assert "first 8 are heard" in panel.exchanges[0].notes[0] and "heard" not in "".join(panel.exchanges[1].notes)
    panel.ask("red " * 10_000)
    assert "(40,000 characters)" in panel.text() and len(panel.text()) < 6_000


def test_old_exchanges_keep_their_words_and_lose_their_media(panel: ChatPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni.widgets.chat_panel.WITH_MEDIA", 1)
    for _ in range(2):
        says(panel, "picture", png(), value="dot.png")
        says(panel, "ask", value="what do you see?")
        answered(panel)
    assert "<img" not in panel.log[0] and "<audio" not in panel.log[0] and "dot.png" in panel.log[0]
    assert "<img" in panel.log[1] and "<audio" in panel.log[1]


# While an answer is on its way.


class Slow:
    """An omni model that waits before every piece."""

    def __init__(self, model: Omni, pieces: int = 200, fails: Exception | None = None) -> None:
        self.real, self.pieces, self.fails = model.omni, pieces, fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def reply(self, turns: Any) -> Any:
        reply = self.real.reply(turns)

        def pieces() -> Any:
            for _ in range(self.pieces):
                time.sleep(0.02)
                yield "very "
            if self.fails is not None:
                raise self.fails

        return type(reply)(pieces(), reply.notes)


def test_an_answer_can_be_stopped_and_what_was_said_is_kept(panel: ChatPanel, model: Omni) -> None:
    panel.omni = Slow(model)  # type: ignore[assignment]
    says(panel, "ask", value="tell me more.")
    wait_until(lambda: "very very" in panel.shown["html"]["live"])
    says(panel, "ask", value="and?")
    assert "an answer is on its way" in panel.shown["html"]["status"] and len(panel.exchanges) == 1
    with pytest.raises(UserError, match="on its way"):
        panel.forget()
    says(panel, "press", action="stop")
    answered(panel)
    said = panel.exchanges[0]
    assert said.answer.startswith("very very") and said.answer.count("very") < 200 and said.spoken is None
    assert panel.turns[0].answer == said.answer


@pytest.mark.parametrize(
    ("error", "shown"), [(UserError("is too much", field="text"), "✕ text: is too much"), (ValueError("bug"), "")]
)
def test_what_goes_wrong_in_an_answer_is_shown_and_the_panel_goes_on(
    panel: ChatPanel, model: Omni, error: Exception, shown: str
) -> None:
    panel.omni = Slow(model, 2, error)  # type: ignore[assignment]
    says(panel, "ask", value="tell me more.")
    wait_until(lambda: not panel.busy and bool(panel.message or panel.failures))
    assert shown in html(panel) and bool(panel.failures) == isinstance(error, ValueError)
    panel.failures, panel.omni = [], model.omni
    assert panel.ask("how are you?") == model.chat("how are you?")


# What cannot be.


@pytest.mark.parametrize(
    ("kind", "name", "content", "problem"),
    [
        ("picture", "x.png", b"no picture", "✕ x.png: is no image that can be read"),
        ("picture", "x.png", b"", "✕ x.png: is empty"),
        ("sound", "../../notes.wav", b"hello, i am a text", "✕ ../../notes.wav: is no sound that can be read"),
        ("sound", "none.wav", wav(0.0), "✕ none.wav: holds no sound at all"),
        ("picture", "cut.png", png(side=256)[:300], "✕ cut.png: is no image that can be read"),
    ],
)
def test_a_bad_file_is_one_clear_line_with_its_own_name(
    panel: ChatPanel, kind: str, name: str, content: bytes, problem: str
) -> None:
    says(panel, kind, content, value=name)
    status = panel.shown["html"]["status"]
    assert problem in status and 'role="alert"' in status and "muomni-chat" not in status and panel.attached == {}
    assert problem in panel.text() and "\n" not in panel.message
    says(panel, "ask", value="how are you?")
    answered(panel)
    assert panel.shown["html"]["status"] == ""


def test_problems_of_the_browser_and_empty_questions_are_told(panel: ChatPanel) -> None:
    says(panel, "problem", value="No microphone was found. <Upload> a sound.")
    assert "✕ No microphone was found. &lt;Upload&gt; a sound." in panel.shown["html"]["status"]
    says(panel, "ask", value="  ")
    assert "✕ nothing is said" in panel.shown["html"]["status"] and panel.exchanges == []


def test_words_of_people_and_files_are_escaped(panel: ChatPanel) -> None:
    says(panel, "picture", png(), value='<b>"x".png')
    says(panel, "ask", value="<script>alert(1)</script>")
    answered(panel)
    assert "<script" not in html(panel) and '<b>"x"' not in html(panel) and "&lt;script&gt;" in panel.log[0]


def test_a_message_nobody_knows_is_a_failure_of_the_program(panel: ChatPanel) -> None:
    panel._handle_custom_msg({"kind": "dance", "ticket": "t"}, [])
    assert "unknown message" in panel.failures[0] and "muomni-error" in panel.shown["html"]["status"]


def test_asking_from_code_names_the_file_as_it_was_given(panel: ChatPanel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone.png: does not exist"):
        panel.ask(image=tmp_path / "gone.png")
    assert panel.exchanges == [] and panel.attached == {}
