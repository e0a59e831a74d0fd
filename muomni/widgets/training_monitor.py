"""The training monitor: a run as it happens, with its curves, samples and the buttons to pause, resume and stop it.

`TrainingMonitor(lambda listener, control: train(config, listener=listener, control=control)).run()` trains in the
notebook's own thread: the cell ends when the run does, and fails when the run fails, in a browser or without one.
The buttons answer meanwhile, because JupyterLab (from 4.4, with ipykernel 7) delivers widget messages to a thread
beside the running cell; elsewhere the notebook's stop button interrupts the run as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from muomni.errors import UserError
from muomni.train.events import Control, Event, Finished, Listener, TrainEvent
from muomni.widgets import monitor_view
from muomni.widgets.panel import Panel, front_end, style
from muomni.widgets.run_log import RunLog

Result = TypeVar("Result")

BETWEEN_UPDATES = 0.25  # seconds: four pictures a second are smooth and cost training next to nothing


class TrainingMonitor(Panel, Generic[Result]):
    """A panel that watches one training run. It is itself a listener, and can be handed to any loop as one.

    Args:
        run: trains; called with the listener to tell and the control to obey. None: events are brought by the caller.
        title: what is being trained.
        targets: losses to hold the curve against, by name (the grammar's entropy, a baseline).
    """

    _esm = front_end("training_monitor.js")
    _css = style()

    def __init__(
        self,
        run: Callable[[Listener, Control], Result] | None = None,
        *,
        title: str = "Training",
        targets: Mapping[str, float] | None = None,
    ) -> None:
        self.work = run
        self.title = title
        self.targets = dict(targets or {})
        self.control = Control()
        self.events = RunLog()
        self._updated = 0.0
        super().__init__()
        self.form = {"title": title}
        self.refresh()

    def run(self, show: bool = True) -> Result:
        """Show the panel (in a notebook), train, and return what the training returns. Runs again from the start.

        Raises:
            UserError: there is nothing to run.
            whatever the training raises.
        """
        if self.work is None:
            raise UserError(
                "has nothing to run",
                field="TrainingMonitor",
                fix="Give it a function: TrainingMonitor(lambda listener, control: train(...)).",
            )
        with self.lock:
            self.control, self.events = Control(), RunLog()
            self.failures, self.message = [], ""
            self.events.state = "running"
            self.refresh()
        if show:
            show_in_notebook(self)
        try:
            result = self.work(self, self.control)
        except KeyboardInterrupt:
            self._end("interrupted")
            raise
        except UserError as error:
            self._end("failed", f"✕ {error}")
            raise
        except BaseException:
            self.fail()
            self._end("failed")
            raise
        self._end(self.events.state if self.events.finished else "finished")
        if show:
            print(self.events.summary())
        return result

    def __call__(self, event: Event) -> None:
        """Take an event of the loop, and show it a few times a second."""
        with self.lock:
            first = isinstance(event, TrainEvent) and self.events.last is None
            if self.events.state == "not started":
                self.events.state = "running"
            now = time.monotonic()
            try:
                self.events.take(event)
                if first or isinstance(event, Finished) or now - self._updated >= BETWEEN_UPDATES:
                    self._updated = now
                    self.refresh()
            except Exception:  # hours of training are not lost to a picture; the panel and its saved state tell
                self.fail()

    def text(self) -> str:
        """The run so far as text."""
        return f"{self.title}. {self.events.summary()}"

    def act(self, content: dict[str, Any]) -> None:
        """Do what a button asks for."""
        action = content.get("action")
        if action not in ("pause", "resume", "stop"):
            raise ValueError(f"unknown message {content!r}")
        if self.events.state not in ("running", "paused"):
            self.message = f"Nothing to {action}: the run is {self.events.state}."
            return
        getattr(self.control, action)()
        self.events.state = "stopping" if action == "stop" else "paused" if self.control.paused else "running"
        self.message = {
            "pause": "Paused as soon as this step is done. Nothing is lost: resume goes on from there.",
            "resume": "Running again.",
            "stop": "Stopping after this step; a checkpoint is saved.",
        }[action]

    def _end(self, state: str, message: str = "") -> None:
        with self.lock:
            self.events.state, self.message = state, message
            self.refresh()

    def picture(self) -> dict[str, Any]:
        """What the browser shows now."""
        log = self.events
        return {
            "state": log.state,
            "html": {
                "progress": monitor_view.progress(log),
                "tiles": monitor_view.tiles(log),
                "losses": monitor_view.losses(log, self.targets),
                "rate": monitor_view.rate(log),
                "samples": monitor_view.samples(log),
                "table": monitor_view.table(log),
                "status": monitor_view.status(log, self.message, self.failures),
            },
        }


def show_in_notebook(panel: Panel) -> None:
    """Display a panel where there is a notebook to display it in."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is not None:
        display(panel)
