"""What a training run has told so far, kept small however long it runs: curves, scores, samples, state. No looks."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from muomni.train.events import Began, Event, Finished, Noted, Sampled, Saved, TrainEvent, Validated

LONGEST_CURVE = 400
MOST_SAMPLES = 6


class Curve:
    """A curve of at most `longest` points. When it is full, neighbours are averaged in pairs, so that a run of any
    length keeps its whole shape in the same memory."""

    def __init__(self, longest: int = LONGEST_CURVE) -> None:
        self.longest = longest
        self.points: list[tuple[float, float]] = []
        self._stride = 1  # values behind one point
        self._open: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        """Append a value; values that are not finite are left out."""
        if not isfinite(y):
            return
        self._open.append((x, y))
        if len(self._open) < self._stride:
            return
        self.points.append((x, sum(value for _, value in self._open) / len(self._open)))
        self._open = []
        if len(self.points) >= self.longest:
            pairs = zip(self.points[::2], self.points[1::2], strict=False)
            self.points = [(right[0], (left[1] + right[1]) / 2) for left, right in pairs]
            self._stride *= 2

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return iter(self.points)


class RunLog:
    """Takes the loop's events in order."""

    def __init__(self) -> None:
        self.state = "not started"
        self.notes: list[str] = []
        self._begin()

    def _begin(self) -> None:
        """Nothing of the run, or of its next part, has been told."""
        self.last: TrainEvent | None = None
        self.loss = Curve()
        self.lr = Curve()
        self.validation = Curve()
        self.scores: Validated | None = None
        self.best: Validated | None = None
        self.samples: list[Sampled] = []
        self.saved: Saved | None = None
        self.finished: Finished | None = None

    def take(self, event: Event) -> None:
        """Note one event."""
        if isinstance(event, TrainEvent):
            self.last = event
            self.loss.add(event.step, event.loss)
            self.lr.add(event.step, event.lr)
        elif isinstance(event, Validated):
            self.scores = event
            if event.best:
                self.best = event
            if "loss" in event.metrics:
                self.validation.add(event.step, event.metrics["loss"])
        elif isinstance(event, Sampled):
            self.samples = thin_samples(self.samples, event)
        elif isinstance(event, Saved):
            self.saved = event
        elif isinstance(event, Noted):
            self.notes.append(event.text)
        elif isinstance(event, Began):
            self.notes.append(f"Next: the {event.part}.")
            self._begin()
        elif isinstance(event, Finished):
            self.finished = event
            self.state = event.reason

    @property
    def step(self) -> int:
        if self.finished is not None:
            return self.finished.step
        return self.last.step if self.last else 0

    def summary(self) -> str:
        """The run in a few lines of text: what a reader without a kernel gets."""
        if self.last is None:
            return f"Training: {self.state}."
        event = self.last
        lines = [
            f"Training: {self.state} at step {self.step:,} of {event.max_steps:,} after {duration(event.seconds)}.",
            f"Loss {event.loss:.4f}, {event.examples_per_second:,.0f} {event.unit}/s, learning rate {event.lr:.3g}.",
        ]
        if self.scores:
            lines.append(f"Validation at step {self.scores.step:,}: {metrics_text(self.scores)}.")
        if self.best and self.best is not self.scores:
            lines.append(f"Best at step {self.best.step:,}: {metrics_text(self.best)}.")
        lines += self.notes
        if self.saved:
            lines.append(f"Checkpoint of step {self.saved.step:,}: {self.saved.path}")
        return "\n".join(lines)


def thin_samples(samples: list[Sampled], new: Sampled) -> list[Sampled]:
    """The first sample and the newest ones, enough to see the model get better; a repeated text is kept once."""
    if len(samples) > 1 and (samples[-1].kind, samples[-1].text) == (new.kind, new.text):
        samples = samples[:-1]
    samples = [*samples, new]
    return samples if len(samples) <= MOST_SAMPLES else [samples[0], *samples[-MOST_SAMPLES + 1 :]]


def metrics_text(event: Validated) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items())


def duration(seconds: float) -> str:
    """Seconds in words: "12 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
