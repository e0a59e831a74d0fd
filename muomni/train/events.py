"""What the training loop tells whoever watches it, and how a watcher pauses or stops it. Plain data, no torch.

The loop calls a `Listener` with frozen events, from the thread it trains in, and asks a `Control` before each step
whether to wait or to end. Progress bar and training monitor are listeners; neither knows the loop.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TrainEvent:
    """A report on the way. `loss` and `examples_per_second` are means since the report before.

    Args:
        step, max_steps: optimizer steps done, and in the whole run.
        epoch: passes over the data, counted from 0.
        loss: the training loss (nats, where the stage's loss is a cross-entropy).
        lr: the learning rate of the last step.
        examples_per_second, unit: throughput in `unit`s (tokens or samples).
        memory_bytes: the most memory in use so far.
        seconds, seconds_left: time since the run began, and what is left at this pace.
        grad_norm: length of the gradient before clipping.
    """

    step: int
    max_steps: int
    epoch: int
    loss: float
    lr: float
    examples_per_second: float
    unit: str
    memory_bytes: int
    seconds: float
    seconds_left: float
    grad_norm: float


@dataclass(frozen=True)
class Validated:
    """Scores on the held-out data after `step`; `loss` is among the metrics. `best`: the lowest loss so far."""

    step: int
    metrics: dict[str, float]
    best: bool


@dataclass(frozen=True)
class Sampled:
    """Something the model made after `step`: what kind of thing, its text, and a picture (PNG) where there is one."""

    step: int
    kind: str
    text: str
    picture: bytes | None = None


@dataclass(frozen=True)
class Saved:
    """A checkpoint of `step` stands at `path`."""

    step: int
    path: str


@dataclass(frozen=True)
class Finished:
    """The run is over: `reason` is "finished", or why it ended before its last step."""

    step: int
    reason: str


@dataclass(frozen=True)
class Began:
    """A stage that is trained in parts begins the next one: its steps are counted from 0, its losses are its own."""

    part: str


@dataclass(frozen=True)
class Noted:
    """Something to know about the run before it begins, such as data that was left out."""

    text: str


Event = Noted | Began | TrainEvent | Validated | Sampled | Saved | Finished


class Listener(Protocol):
    """Anything that can be called with an event."""

    def __call__(self, event: Event) -> None: ...


class Control:
    """Pauses, resumes and stops a run from any thread; the loop asks it before each step.

    Stopping is for good, and wakes a paused run so that it can end.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._stopping = False

    @property
    def paused(self) -> bool:
        """Whether the run is to wait before its next step."""
        return self._paused

    @property
    def stopping(self) -> bool:
        """Whether the run is to end before its next step."""
        return self._stopping

    def pause(self) -> None:
        """Let the run wait before its next step. No effect on a run that is stopping."""
        with self._changed:
            self._paused = not self._stopping

    def resume(self) -> None:
        """Let a paused run go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def stop(self) -> None:
        """Let the run end before its next step."""
        with self._changed:
            self._stopping = True
            self._paused = False
            self._changed.notify_all()

    def wait_if_paused(self) -> None:
        """Return at once, or as soon as the run is resumed or stopped. Ctrl+C gets through."""
        with self._changed:
            while self._paused:
                self._changed.wait(timeout=0.2)  # Windows delivers an interrupt only between waits
