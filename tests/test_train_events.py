"""The control of a run: pausing holds the loop, resuming and stopping let it go."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from muomni.train.events import Control, Finished


def counting_loop(control: Control, counted: list[int]) -> threading.Thread:
    """A stand-in for the training loop: counts until it is stopped."""

    def loop() -> None:
        while True:
            control.wait_if_paused()
            if control.stopping:
                return
            counted.append(len(counted))
            time.sleep(0.001)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread


def wait_until(condition, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    return False


def test_a_paused_loop_stands_still_and_goes_on_when_resumed():
    control, counted = Control(), []
    thread = counting_loop(control, counted)
    assert wait_until(lambda: len(counted) > 3)
    control.pause()
    assert control.paused
    time.sleep(0.05)  # a step that had begun may still end
    before = len(counted)
    time.sleep(0.1)
    assert len(counted) == before
    control.resume()
    assert wait_until(lambda: len(counted) > before)
    control.stop()
    thread.join(timeout=5)
    assert not thread.is_alive()


def test_stopping_wakes_a_paused_loop_and_is_for_good():
    control, counted = Control(), []
    control.pause()
    thread = counting_loop(control, counted)
    time.sleep(0.05)
    assert counted == []
    control.stop()
    thread.join(timeout=5)
    assert not thread.is_alive()
    control.pause()
    assert control.stopping and not control.paused


def test_waiting_without_a_pause_returns_at_once():
    began = time.perf_counter()
    for _ in range(1000):
        Control().wait_if_paused()
    assert time.perf_counter() - began < 1.0  # generous: about 5 ms


def test_events_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Finished(3, "finished").step = 4  # type: ignore[misc]
