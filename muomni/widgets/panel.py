"""What all panels share: one synced picture of the panel, messages from the browser, and errors that cannot hide.

A panel is one widget (`anywidget`): the browser draws native, labelled controls once from `form`, and afterwards
only what changed in `shown`. The browser sends what was done as small messages, at most one under way at a time, so
that a fast drag never queues up; `shown["ack"]` names the message that it answers.

A `UserError` in a callback is shown to the learner. Anything else is a bug in the program: its traceback is kept in
`failures`, which is saved with the notebook's widget state, where `muomni.course.scan` finds it.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from muomni.errors import UserError

MOST_FAILURES = 3  # the first ones tell; a bug in drawing would add four a second


def front_end(script: str) -> str:
    """The JavaScript module of a panel: the shared part, then its own."""
    folder = files("muomni.widgets")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("panel.js", script))


def style() -> str:
    """The panels' style sheet."""
    return files("muomni.widgets").joinpath("panel.css").read_text(encoding="utf-8")


def failure_html(failures: Sequence[str]) -> str:
    """Tracebacks as the panels show them; `muomni.course.scan` knows the class."""
    return "".join(f'<pre class="mu-failure muomni-error" role="alert">{escape(text)}</pre>' for text in failures)


def beside(work: Callable[[], None]) -> None:
    """Run in a thread of its own, which ends when the program does: killed within a C++ library it would abort that."""
    threading.Thread(target=work, daemon=False).start()


class Panel(anywidget.AnyWidget):
    """A panel in a notebook. Subclasses say what it shows (`picture`), does (`act`) and reads as (`text`)."""

    form = traitlets.Dict().tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)
    failures = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self._stay_reachable()
        self.lock = threading.RLock()  # the browser's messages come in a thread of their own while a cell runs
        self.message = ""
        self._ticket = ""
        self.on_msg(self._receive)

    def picture(self) -> dict[str, Any]:
        """What the browser is to show now, as plain data."""
        raise NotImplementedError

    def act(self, content: dict[str, Any]) -> None:
        """Do what the browser's message asks for. Files come as bytes in `content["buffers"]`.

        Raises:
            UserError: it cannot be done; the text is shown to the learner.
        """
        raise NotImplementedError

    def text(self) -> str:
        """The panel as text."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Send the browser what changed."""
        with self.lock:
            self.shown = self.picture() | {"ack": self._ticket}

    def _receive(self, _: Any, content: Any, buffers: Any) -> None:
        with self.lock:
            self._ticket = str(content.get("ticket", ""))
            try:
                self.act({**content, "buffers": buffers} if buffers else content)
            except UserError as error:
                self.message = f"✕ {error}"
            except Exception:
                self.fail()
            try:
                self.refresh()
            except Exception:
                self.fail()
                self.shown = {**self.shown, "ack": self._ticket}

    def _stay_reachable(self) -> None:
        """Let the browser's messages arrive while a cell runs.

        JupyterLab addresses widget messages to a subshell, a thread beside the running cell. ipykernel 7.4 overrides
        that with the shell which last wrote to the widget: during a run that is the busy one, and a pause button would
        be heard when the run is over. Here JupyterLab's choice stands; other kernels never ask.
        """
        if self.comm is not None:
            self.comm._reply_subshell_for = lambda data, addressed: addressed

    def fail(self) -> None:
        """Keep the traceback of the exception being handled where it is seen: in the panel and in its saved state."""
        if len(self.failures) < MOST_FAILURES:
            self.failures = [*self.failures, traceback.format_exc()]
        html = {**self.shown.get("html", {}), "status": failure_html(self.failures)}
        self.shown = {**self.shown, "html": html}

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/plain"] = self.text()
        return bundle
