"""The chat panel: type, record, upload or draw; see the answer come piece by piece, and hear it.

`ChatPanel(muomni.load("nano"))` in a notebook shows the panel; the same object answers to code:
`panel.ask("what do you see?", image="scene.png")`, `panel.forget()`, `print(panel.text())`.

    browser ─ bytes of a picture or a sound ─ files ─┐
    browser or code ─ a question ────────────────────┴ TrainedOmni.reply → pieces → log → Omni.say → sound

An answer is written in a thread of its own, so that the panel goes on answering (the stop button is heard).
"""

from __future__ import annotations

import colorsys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import traitlets

from muomni.data.pictures import count_frames
from muomni.data.sound import read_sound
from muomni.data.world.lexicon import SHAPES, SIZES
from muomni.data.world.picture import FIELD, HSV, outline
from muomni.data.world.scene import RADIUS
from muomni.errors import UserError
from muomni.infer.chat import Reply, Turn
from muomni.infer.load import name_of
from muomni.infer.omni import Omni
from muomni.models.omni import audio_config
from muomni.widgets import chat_view
from muomni.widgets.chat_view import Exchange, Shown
from muomni.widgets.data_row import Sound, open_picture, open_sound, wav_source
from muomni.widgets.panel import Panel, beside, front_end, style

KINDS = ("picture", "sound")
MOST_BYTES = 8 * 2**20
"""Of a file that is sent from the browser: Jupyter's connection takes messages of up to 10 MiB."""
REMEMBERED = 24
"""Turns kept for the model: more never fit in its context."""
NEW_PICTURE = "the picture begins a new conversation, for the model knows none about two"
WITH_MEDIA = 8
"""The newest exchanges, which show their pictures and sounds; older ones tell them in words."""


@dataclass(frozen=True)
class Attached:
    """A file that goes with the next question."""

    path: Path
    shown: Shown


class ChatPanel(Panel):
    """A panel that talks with an omni model.

    Args:
        model: the model, from `muomni.load`.
        speak: whether answers are spoken, too.

    Attributes:
        exchanges: all that was said, question by question.
        attached: what goes with the next question: "picture", "sound".

    Raises:
        UserError: the model has no weights for stage E.
    """

    _esm = front_end("chat_panel.js")
    _css = style()
    log = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, model: Omni, *, speak: bool = True) -> None:
        self.model, self.speak = model, speak
        self.omni = model.omni
        self.title = f"Chat with {name_of(self.omni.folder)}"
        self.exchanges: list[Exchange] = []
        self.turns: list[Turn] = []
        self.attached: dict[str, Attached] = {}
        self.busy = False
        self._stop = False
        self._folder = tempfile.TemporaryDirectory(prefix="muomni-chat-")  # goes with the panel
        super().__init__()
        config = self.omni.model.config
        self.form = {
            "title": self.title,
            "rate": config.sample_rate,
            "seconds": config.max_audio_seconds,
            "most_bytes": MOST_BYTES,
            "shapes": {name: () if name in ("circle", "ring") else outline(name) for name in SHAPES},
            "colors": {name: _hex(color) for name, color in HSV.items()},
            "sizes": {name: RADIUS[name] * FIELD for name in SIZES},
        }
        self.refresh()

    def ask(
        self,
        text: str = "",
        image: str | Path | None = None,
        audio: str | Path | None = None,
        video: str | Path | None = None,
    ) -> str:
        """Ask, wait for the answer, and return it. Files are attached first; what was attached already goes along.

        Raises:
            UserError: a file cannot be read, nothing is said, or another answer is on its way.
        """
        for kind, path in (("picture", image), ("picture", video), ("sound", audio)):
            if path is not None:
                self.attach(kind, path)
        with self.lock:
            turn, reply = self._begin(text)
        self._answer(turn, reply)
        return self.exchanges[-1].answer

    def attach(self, kind: str, path: str | Path, name: str = "") -> None:
        """Let a picture (or video) or a sound go with the next question, instead of the one that did.

        Args:
            kind: "picture" or "sound".
            name: what it is called; "": as its file.

        Raises:
            UserError: it cannot be read.
        """
        path = Path(path)
        with self.lock, _called(name):
            settings = audio_config(self.omni.model.config)
            if kind == "picture":
                shown = Shown(name or path.name, open_picture(path), "", count_frames(path))
            else:
                sound = open_sound(path, settings)
                samples = read_sound(path, settings.sample_rate)[: int(settings.max_audio_seconds * sound.rate)]
                shown = Shown(name or path.name, sound, self.model.listener.transcribe([samples])[0])
            self.attached[kind] = Attached(path, shown)
            self.refresh()

    def forget(self) -> None:
        """Begin anew: nothing has been said.

        Raises:
            UserError: an answer is on its way.
        """
        with self.lock:
            self._must_be_free()
            self.exchanges, self.turns, self.attached, self.message = [], [], {}, ""
            self.refresh()

    def text(self) -> str:
        """The conversation as text."""
        with self.lock:
            return "\n".join(chat_view.lines(self))

    def act(self, content: dict[str, Any]) -> None:
        """Do what was done in the browser."""
        kind, value = content.get("kind"), content.get("value")
        action = content.get("action") if kind == "press" else None
        self.message = ""
        if kind == "ask":
            turn, reply = self._begin(str(value or "").strip())
            beside(lambda: self._answer_behind(turn, reply))
        elif kind in KINDS:
            self._receive_file(kind, str(value or kind), content.get("buffers") or [])
        elif kind == "speak":
            self.speak = bool(value)
        elif kind == "problem":
            raise UserError(str(value))
        elif action == "stop":
            self._stop = True
        elif action == "forget":
            self.forget()
        elif action in KINDS:
            self.attached.pop(action, None)
        else:
            raise ValueError(f"unknown message {content!r}")

    def picture(self) -> dict[str, Any]:
        """What the browser shows now."""
        live = self.exchanges[-1] if self.busy and not self.exchanges[-1].done else None
        return {
            "busy": self.busy,
            "speak": self.speak,
            "attached": list(self.attached),
            "html": {
                "status": chat_view.status(self),
                "attached": chat_view.attached(self),
                "live": "" if live is None or not live.answer else chat_view.answer(live),
            },
        }

    def refresh(self) -> None:
        """Send the browser what changed; questions and answers only when there is a new one."""
        with self.lock:
            first = len(self.exchanges) - WITH_MEDIA
            log = [chat_view.exchange(each, n + 1, n >= first) for n, each in enumerate(self.exchanges)]
            if log != self.log:
                self.log = log
            super().refresh()

    def _receive_file(self, kind: str, name: str, buffers: Any) -> None:
        content = b"".join(bytes(each) for each in buffers)
        if not content:
            raise UserError("is empty", file=name, fix="Choose another file.")
        path = Path(self._folder.name) / f"{kind}-{time.monotonic_ns()}"  # a name of ours: theirs could lead anywhere
        path.write_bytes(content)
        try:
            self.attach(kind, path, name)
        except UserError:
            path.unlink()
            raise

    def _must_be_free(self) -> None:
        if self.busy:
            raise UserError("an answer is on its way", fix="Wait for it, or stop it.")

    def _begin(self, text: str) -> tuple[Turn, Reply]:
        """The question stands in the log, and its answer can be written."""
        self._must_be_free()
        media: dict[str, Any] = {}
        for kind, each in self.attached.items():
            media["audio" if kind == "sound" else "video" if each.shown.n_frames > 1 else "image"] = each.path
        turn = self.omni.turn(text, **media)
        anew = (NEW_PICTURE,) if turn.pictures and self.turns else ()
        reply = self.omni.reply([turn] if anew else [*self.turns, turn])
        given = tuple(each.shown for each in self.attached.values())
        self.exchanges.append(Exchange(turn.text, given, (*anew, *reply.notes)))
        self.turns = [] if anew else self.turns
        self.attached, self.busy, self._stop, self.message = {}, True, False, ""
        self.refresh()
        return turn, reply

    def _answer(self, turn: Turn, reply: Reply) -> None:
        """Write the answer, show it as it comes, and speak it."""
        began, first = time.perf_counter(), 0.0
        try:
            answer = ""
            for piece in reply:
                answer += piece
                first = first or time.perf_counter() - began
                self._tell(answer=answer.strip(), first=first)
                if self._stop:
                    break
            answer = answer.strip()
            self._tell(answer=answer, first=first, seconds=time.perf_counter() - began)
            self.turns = [*self.turns, replace(self._heard(turn), answer=answer)][-REMEMBERED:]
            if self.speak and answer and not self._stop:
                try:
                    sound, voice = self._spoken(answer)
                    self._tell(spoken=sound, voice=voice)
                except UserError as error:  # the answer stands, though nobody says it
                    self._tell(notes=(*self.exchanges[-1].notes, f"not spoken: {error}"))
        finally:
            with self.lock:
                self.busy = False
                self._tell(done=True)

    def _heard(self, turn: Turn) -> Turn:
        """What is kept of a turn: of a long sound the part that was heard, so that the cut is told once."""
        config = self.omni.model.config
        most = int(config.max_audio_seconds * config.sample_rate)
        return turn if turn.sound is None else replace(turn, sound=turn.sound[:most])

    def _spoken(self, answer: str) -> tuple[Sound, str]:
        samples = self.model.say(answer)
        talker = self.model.talker
        rate = talker.model.config.sample_rate
        sound = Sound(len(samples) / rate, rate, 1, len(samples), source=wav_source(samples, rate))
        return sound, talker.voiced_by.partition(":")[0]

    def _tell(self, **changes: Any) -> None:
        with self.lock:
            self.exchanges[-1] = replace(self.exchanges[-1], **changes)
            self.refresh()

    def _answer_behind(self, turn: Turn, reply: Reply) -> None:
        """Answer in a thread of its own; what goes wrong there is shown."""
        try:
            self._answer(turn, reply)
        except UserError as error:
            with self.lock:
                self.message = f"✕ {error}"
                self.refresh()
        except Exception:
            self.fail()


@contextmanager
def _called(name: str) -> Iterator[None]:
    """Errors about a file name it as its owner does."""
    try:
        yield
    except UserError as error:
        if not name:
            raise
        raise UserError(error.problem, file=name, field=error.field, fix=error.fix) from None


def _hex(color: tuple[float, float, float]) -> str:
    """Hue, saturation and value as the web writes a color."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hsv_to_rgb(*color))
