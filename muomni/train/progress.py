"""The run in a terminal: one progress bar, and a line whenever there is something to keep."""

from __future__ import annotations

from types import TracebackType

from tqdm.auto import tqdm

from muomni.train.events import Began, Event, Finished, Noted, Sampled, TrainEvent, Validated


class ProgressBar:
    """A listener that draws the run as a bar. Use it as a context manager, so that the bar is always closed.

    Args:
        name: stands before the bar.
        among_others: whether the name stands before each line, too.
    """

    def __init__(self, name: str, among_others: bool = False) -> None:
        self.name = name
        self.before = f"{name}: " if among_others else ""
        self.bar: tqdm | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, TrainEvent):
            bar = self._bar(event)
            bar.set_postfix_str(
                f"loss {event.loss:.3f}, {event.examples_per_second:,.0f} {event.unit}/s, lr {event.lr:.1e}",
                refresh=False,
            )
            bar.update(event.step - bar.n)
        elif isinstance(event, Validated):
            scores = ", ".join(f"{name} {value:.4f}" for name, value in event.metrics.items())
            self._say(f"step {event.step}: validation {scores}{' (best)' if event.best else ''}")
        elif isinstance(event, Sampled):
            self._say(f"step {event.step}: {event.kind}: {event.text}")
        elif isinstance(event, Noted):
            self._say(event.text)
        elif isinstance(event, Began):
            self._close()
            self._say(f"next: the {event.part}")
        elif isinstance(event, Finished):
            self._say(f"{event.reason} at step {event.step}")

    def _bar(self, event: TrainEvent) -> tqdm:
        if self.bar is None:
            self.bar = tqdm(total=event.max_steps, desc=self.name, unit="step", initial=0)
        return self.bar

    def _say(self, text: str) -> None:
        tqdm.write(self.before + text)
