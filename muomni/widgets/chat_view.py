"""The chat panel's fragments as HTML, and the same as text. All text from people, files and models is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from muomni.widgets.data_row import Picture, Sound, shortened
from muomni.widgets.lab_view import cell
from muomni.widgets.panel import failure_html

if TYPE_CHECKING:
    from muomni.widgets.chat_panel import ChatPanel

NOTHING_YET = "Nothing has been said yet. Ask something; a picture or a sound may go with it."


@dataclass(frozen=True)
class Shown:
    """A picture, video or sound that was given: its name, and what it looks or sounds like.

    Args:
        heard: what the listener of stage B hears in a sound: the sound as text.
        n_frames: of a video; of a picture 1.
    """

    name: str
    media: Picture | Sound
    heard: str = ""
    n_frames: int = 1

    def __str__(self) -> str:
        if isinstance(self.media, Sound):
            return f"{self.name}, {self.media}" + (f"; the listener hears: {self.heard}" if self.heard else "")
        kind = f"video of {self.n_frames} frames" if self.n_frames > 1 else "picture"
        return f"{self.name}, {kind} of {self.media.width} x {self.media.height} pixels"


@dataclass(frozen=True)
class Exchange:
    """A question and its answer, as far as it has come.

    Args:
        notes: what did not fit in the context and was cut.
        first: seconds until the first piece of the answer; `seconds`: until the last.
        spoken: the answer as sound; `voice`: what made it.
    """

    text: str
    given: tuple[Shown, ...] = ()
    notes: tuple[str, ...] = ()
    answer: str = ""
    first: float = 0.0
    seconds: float = 0.0
    spoken: Sound | None = None
    voice: str = ""
    done: bool = False


def exchange(said: Exchange, number: int, with_media: bool) -> str:
    """A question, and its answer once it is whole. Of old ones, media are told in words alone."""
    parts = [f"<h4>{cell('exchange', f'You, {number}', number)}</h4>"]
    parts += [_given(each, with_media) for each in said.given]
    parts.append(f'<p class="mu-text">{escape(shortened(said.text))}</p>' if said.text else "")
    parts += [f'<p class="mu-words mu-note-line mu-is-warning">! {escape(note)}</p>' for note in said.notes]
    if not said.done:
        return "".join(parts)
    parts.append(f"<h4>μOmni, {number}</h4>" + answer(said))
    if said.spoken is not None:
        if with_media:
            name = escape(f"Answer {number}, spoken: {said.answer}", True)
            parts.append(f'<audio class="mu-sound mu-spoken" controls src="{said.spoken.source}" aria-label="{name}" ')
            parts.append('data-lm-suppress-shortcuts="true"></audio>')
        parts.append(f'<p class="mu-words">{escape(_spoken_words(said))}</p>')
    parts.append(f'<p class="mu-words">{escape(_times(said))}</p>')
    return "".join(parts)


def _given(shown: Shown, with_media: bool) -> str:
    words = f'<p class="mu-words">{escape(str(shown))}</p>'
    if not with_media or not shown.media.source:
        return words
    name = escape(str(shown), True)
    if isinstance(shown.media, Sound):
        keys = 'data-lm-suppress-shortcuts="true"'
        return f'<audio class="mu-sound" controls src="{shown.media.source}" aria-label="{name}" {keys}></audio>{words}'
    small = " mu-small-picture" if max(shown.media.width, shown.media.height) <= 128 else ""
    return f'<img class="mu-picture mu-given{small}" src="{shown.media.source}" alt="{name}">{words}'


def answer(said: Exchange) -> str:
    """The answer as far as it has come."""
    return f'<p class="mu-text mu-answer">{escape(said.answer) or "(no words)"}</p>'


def attached(panel: ChatPanel) -> str:
    """What goes with the next question."""
    return "".join(_given(each.shown, True) for each in panel.attached.values())


def status(panel: ChatPanel) -> str:
    """What went wrong and what is going on: the live region at the top."""
    parts = [failure_html(panel.failures)]
    if panel.message:
        alert = ' role="alert" class="mu-alert"' if panel.message.startswith("✕") else ' role="status" class="mu-said"'
        parts.append(f"<div{alert}>{escape(panel.message)}</div>")
    return "".join(parts)


def lines(panel: ChatPanel) -> list[str]:
    """The conversation as text."""
    written = [panel.title]
    for said in panel.exchanges:
        written += [f"you gave: {each}" for each in said.given]
        written += [f"you: {shortened(said.text)}"] if said.text else []
        written += [f"  ! {note}" for note in said.notes]
        written.append(f"μOmni: {said.answer or '(no words)'}")
        written += [f"  {_spoken_words(said)}"] if said.spoken is not None else []
    if not panel.exchanges:
        written.append(NOTHING_YET)
    written += [f"goes with the next question: {each.shown}" for each in panel.attached.values()]
    written += [panel.message] if panel.message else []
    return written


def _spoken_words(said: Exchange) -> str:
    assert said.spoken is not None
    return f"spoken in {said.spoken.seconds:.1f} s of sound, by {said.voice}"


def _times(said: Exchange) -> str:
    return f"first words after {1000 * said.first:.0f} ms, all after {1000 * said.seconds:.0f} ms"
