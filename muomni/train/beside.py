"""Runs in processes of their own, beside each other; their events and errors come here, and what a `Control` says goes
there.

    with Beside(threads=1, control=control) as beside:
        beside.start(config, resume=False, view=ProgressBar(config.stage_name))
        while beside.running:
            beside.listen()
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import torch

from muomni.config import StageConfig
from muomni.errors import UserError
from muomni.processes import end_with
from muomni.train.events import Control, Event, Listener
from muomni.train.run import train

WAIT = 0.2
"""Seconds between two looks at the control and the processes."""


@dataclass(frozen=True)
class Ended:
    """The last message of a run: nothing, or why it failed."""

    error: UserError | None = None


@dataclass
class Run:
    """A run that goes on in another process."""

    config: StageConfig
    view: ExitStack
    listener: Listener
    process: BaseProcess
    told: Any  # a queue of the orders for it


class Beside:
    """Trains several configs at a time. A context manager: what still runs at its end is ended.

    Args:
        threads: of each run.
        control: is obeyed by all of them.
    """

    def __init__(self, threads: int, control: Control) -> None:
        self.threads, self.control = threads, control
        self.context = get_context("spawn")
        self.messages = self.context.Queue()
        self.running: list[Run] = []
        self.order = "resume"

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in self.running:
            run.process.terminate()
        for run in self.running:
            run.process.join()
            run.view.close()

    @property
    def configs(self) -> list[StageConfig]:
        """Those that are being trained."""
        return [run.config for run in self.running]

    def start(self, config: StageConfig, resume: bool, view: AbstractContextManager[Listener]) -> None:
        """Train a config from now on, and tell its events to the listener that `view` gives while it lasts.

        They are told while `listen` is called.
        """
        told = self.context.Queue()
        process = self.context.Process(
            target=_train, args=(config, resume, self.threads, self.messages, told, os.getpid())
        )
        told.put(self.order)
        process.start()
        open_view = ExitStack()
        self.running.append(Run(config, open_view, open_view.enter_context(view), process, told))

    def listen(self) -> None:
        """Wait a moment for an event, and hand it on; and what the control has to say.

        Raises:
            UserError: a run failed, or its process was ended.
        """
        self._obey()
        gone = [run for run in self.running if run.process.exitcode is not None]
        try:
            self._hear(*self.messages.get(timeout=WAIT))
        except queue.Empty:
            for run in gone:  # without a last message
                problem = f"its process ended before its run did (exit code {run.process.exitcode})"
                fix = "Memory is the likely cause. Close other programs, or train one stage at a time (--at-once 1)."
                raise UserError(problem, field=run.config.stage_name, fix=fix) from None

    def _hear(self, stage: str, message: Event | Ended) -> None:
        run = next(run for run in self.running if run.config.stage_name == stage)
        if not isinstance(message, Ended):
            run.listener(message)
            return
        if message.error is not None:
            raise message.error
        run.process.join()
        run.view.close()
        self.running.remove(run)

    def _obey(self) -> None:
        order = "stop" if self.control.stopping else "pause" if self.control.paused else "resume"
        if order != self.order:
            self.order = order
            for run in self.running:
                run.told.put(order)


def _train(config: StageConfig, resume: bool, threads: int, messages: Any, told: Any, parent: int) -> None:
    """One run, in its own process."""
    control = Control()
    end_with(parent)
    threading.Thread(target=_follow, args=(told, control), daemon=True).start()
    torch.set_num_threads(threads)
    stage, error = config.stage_name, None
    try:
        train(config, resume=resume, listener=lambda event: messages.put((stage, event)), control=control)
    except UserError as failed:
        error = failed
    except KeyboardInterrupt:
        return  # the first process says it
    messages.put((stage, Ended(error)))


def _follow(told: Any, control: Control) -> None:
    while True:
        getattr(control, told.get())()
