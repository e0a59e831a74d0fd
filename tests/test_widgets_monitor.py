"""The training monitor without a browser: it trains in the caller's thread, tells, obeys, and fails aloud."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from typing import Any

import pytest

from muomni.errors import UserError
from muomni.train.events import Began, Control, Event, Finished, Listener, Sampled, Saved, TrainEvent, Validated
from muomni.widgets import TrainingMonitor
from muomni.widgets.monitor_view import smoothed
from muomni.widgets.run_log import MOST_SAMPLES, Curve, RunLog, duration
from muomni.widgets.svg import chart, nice_ticks, short


def event(step: int, loss: float = 2.0, steps: int = 100, lr: float = 1e-3) -> TrainEvent:
    return TrainEvent(
        step, steps, step // 50, loss, lr, 1234.5, "tokens", 3 * 2**30, step * 0.1, (steps - step) * 0.1, 0.7
    )


def a_run(listener: Listener, control: Control, steps: int = 100) -> str:
    """A run that tells everything a real one does."""
    for step in range(1, steps + 1):
        control.wait_if_paused()
        if control.stopping:
            listener(Finished(step - 1, "stopped"))
            return "stopped"
        listener(event(step, 1 + 5 / step, steps))
        if step % 25 == 0:
            listener(Validated(step, {"loss": 1.2 + 4 / step, "accuracy": step / 100}, True))
            listener(Sampled(step, "text", f"text of step {step}"))
            listener(Saved(step, f"checkpoints/run/step-{step}"))
    listener(Finished(steps, "finished"))
    return "finished"


def browser_says(monitor: TrainingMonitor, action: str) -> None:
    monitor._handle_custom_msg({"kind": "press", "action": action, "ticket": "t"}, [])


def numbers_in(monitor: TrainingMonitor) -> dict[str, str]:
    html = "".join(monitor.shown["html"].values())
    return dict(re.findall(r'data-number="([^"]+)" data-value="([^"]*)"', html))


def wait_until(condition: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_it_runs_the_training_in_the_callers_thread_and_returns_what_it_returns() -> None:
    threads = []
    monitor = TrainingMonitor(lambda listener, control: threads.append(threading.current_thread()) or 42)
    assert monitor.run(show=False) == 42
    assert threads == [threading.current_thread()]
    assert monitor.shown["state"] == "finished"


def test_after_a_run_it_shows_its_last_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = TrainingMonitor(a_run, title="Stage A", targets={"entropy": 1.1})
    assert monitor.run() == "finished"
    shown = numbers_in(monitor)
    assert shown["step"] == "100" and shown["loss"] == str(1 + 5 / 100) and shown["validation"] == str(1.24)
    html = monitor.shown["html"]
    assert 'aria-valuenow="100"' in html["progress"] and "accuracy" in html["tiles"]
    assert "entropy 1.1" in html["losses"] and "entropy is 1.1" in html["losses"]
    assert 'tabindex="0" data-lm-suppress-shortcuts' in html["samples"]
    assert "text of step 100" in html["samples"] and "text of step 25" in html["samples"]
    assert "checkpoints/run/step-100" in html["status"] and monitor.failures == []
    assert re.search(r'<th scope="row">100</th><td>1.0500</td><td>1.2400</td><td>0.001</td>', html["table"])
    printed = capsys.readouterr().out
    assert "finished at step 100 of 100" in printed and "accuracy 1" in printed
    json.dumps(monitor.shown, allow_nan=False)


def test_pause_resume_and_stop_reach_the_loop() -> None:
    monitor = TrainingMonitor(lambda listener, control: slow(listener, control))
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(monitor.run(show=False)), daemon=True)
    thread.start()
    wait_until(lambda: monitor.events.step > 3)
    browser_says(monitor, "pause")
    assert monitor.shown["state"] == "paused" and "Nothing is lost" in monitor.shown["html"]["status"]
    time.sleep(0.05)
    step = monitor.events.step
    time.sleep(0.1)
    assert monitor.events.step == step
    browser_says(monitor, "resume")
    assert monitor.shown["state"] == "running"
    wait_until(lambda: monitor.events.step > step)
    browser_says(monitor, "stop")
    thread.join(timeout=5)
    assert results == ["stopped"] and monitor.shown["state"] == "stopped" and monitor.failures == []


def slow(listener: Listener, control: Control) -> str:
    def dawdling(event: Event) -> None:
        listener(event)
        time.sleep(0.002)

    return a_run(dawdling, control, steps=100_000)


def test_buttons_of_a_run_that_is_over_do_nothing() -> None:
    monitor = TrainingMonitor(a_run)
    browser_says(monitor, "stop")
    assert "Nothing to stop" in monitor.shown["html"]["status"] and not monitor.control.stopping
    monitor.run(show=False)
    browser_says(monitor, "pause")
    assert "Nothing to pause" in monitor.shown["html"]["status"] and not monitor.control.paused


def test_it_can_run_again_after_it_was_stopped() -> None:
    monitor = TrainingMonitor(a_run)
    monitor.control.stop()
    assert monitor.run(show=False) == "finished"
    assert monitor.run(show=False) == "finished" and len(monitor.events.loss) == 100


def test_training_that_fails_fails_the_cell_and_shows_why() -> None:
    def broken(listener: Listener, control: Control) -> None:
        listener(event(1))
        raise ZeroDivisionError("no data")

    monitor = TrainingMonitor(broken)
    with pytest.raises(ZeroDivisionError):
        monitor.run(show=False)
    assert monitor.shown["state"] == "failed" and "ZeroDivisionError: no data" in monitor.failures[0]
    assert "muomni-error" in monitor.shown["html"]["status"]


def test_a_mistake_of_the_user_is_one_line_and_no_failure_of_the_program() -> None:
    def refused(listener: Listener, control: Control) -> None:
        raise UserError("holds a run already", file="checkpoints/x")

    monitor = TrainingMonitor(refused)
    with pytest.raises(UserError):
        monitor.run(show=False)
    assert monitor.failures == [] and "holds a run already" in monitor.shown["html"]["status"]


def test_an_interrupt_gets_through() -> None:
    def interrupted(listener: Listener, control: Control) -> None:
        raise KeyboardInterrupt

    monitor = TrainingMonitor(interrupted)
    with pytest.raises(KeyboardInterrupt):
        monitor.run(show=False)
    assert monitor.shown["state"] == "interrupted" and monitor.failures == []


def test_an_error_in_drawing_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni.widgets.monitor_view.samples", lambda log: 1 / 0)
    monitor = TrainingMonitor.__new__(TrainingMonitor)
    with pytest.raises(ZeroDivisionError):
        monitor.__init__(a_run)  # what is wrong from the start is told at the start
    monkeypatch.undo()
    monitor = TrainingMonitor(a_run)
    monkeypatch.setattr("muomni.widgets.monitor_view.samples", lambda log: 1 / 0 if log.samples else "")
    with pytest.raises(ZeroDivisionError):
        monitor.run(show=False)
    assert monitor.events.step == 100, "the run went on to its end"
    assert "ZeroDivisionError" in monitor.failures[0]


def test_without_a_run_it_listens_to_a_loop_that_is_brought_to_it() -> None:
    monitor = TrainingMonitor()
    with pytest.raises(UserError, match="nothing to run"):
        monitor.run()
    a_run(monitor, Control())
    assert monitor.shown["state"] == "finished" and numbers_in(monitor)["step"] == "100"


def test_it_draws_a_few_times_a_second_however_fast_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("muomni.widgets.training_monitor.time.monotonic", lambda: clock[0])
    monitor = TrainingMonitor()
    drawn = []
    monitor.observe(lambda change: drawn.append(clock[0]), "shown")
    for step in range(1, 1001):
        clock[0] += 0.01
        monitor(event(step, steps=1000))
    monitor(Finished(1000, "finished"))
    assert 38 <= len(drawn) <= 43  # ten seconds at four a second, and the first and the last


def test_taking_an_event_costs_training_next_to_nothing() -> None:
    monitor = TrainingMonitor()
    a_run(monitor, Control())
    began = time.perf_counter()
    for step in range(2000):
        monitor(event(step, steps=2000))
    each = (time.perf_counter() - began) / 2000
    assert each < 0.001  # about 0.03 ms with the drawing; generous for a busy machine


def test_losses_that_are_not_finite_do_not_break_the_picture() -> None:
    monitor = TrainingMonitor()
    for step, loss in enumerate([3.0, math.nan, math.inf, 2.0], 1):
        monitor(event(step, loss))
    monitor(Finished(4, "finished"))
    assert monitor.failures == [] and "nan" not in monitor.shown["html"]["losses"]


def test_samples_cannot_become_markup() -> None:
    monitor = TrainingMonitor()
    monitor(event(1))
    monitor(Sampled(1, "<i>", "<script>alert(1)</script>"))
    monitor(Finished(1, "finished"))
    assert "<script>" not in monitor.shown["html"]["samples"] and "<i>" not in monitor.shown["html"]["samples"]


def test_a_curve_keeps_its_shape_in_bounded_memory() -> None:
    curve = Curve(longest=100)
    for step in range(1, 100_001):
        curve.add(step, float(step))
    points = list(curve)
    assert 50 <= len(points) < 100
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    stride = points[1][0] - points[0][0]
    # each point stands at the end of its stretch and holds the stretch's mean, half a stretch lower
    assert all(y == pytest.approx(x - (stride - 1) / 2) for x, y in points)


def test_the_first_sample_and_the_newest_are_kept_and_repeats_once() -> None:
    log = RunLog()
    for step in range(1, 20):
        log.take(Sampled(step, "text", f"text {step}"))
    assert [sample.step for sample in log.samples] == [1, 15, 16, 17, 18, 19] and len(log.samples) == MOST_SAMPLES
    log.take(Sampled(20, "text", "text 19"))
    assert [sample.step for sample in log.samples] == [1, 15, 16, 17, 18, 20]


def test_the_best_validation_is_kept() -> None:
    log = RunLog()
    log.take(event(10))
    log.take(Validated(10, {"loss": 1.0}, True))
    log.take(Validated(20, {"loss": 2.0}, False))
    assert "Best at step 10: loss 1" in log.summary() and "Validation at step 20: loss 2" in log.summary()


def test_smoothing_does_not_lag_and_takes_noise_away() -> None:
    line = [(step, 3.0 - 0.1 * step) for step in range(200)]
    assert [y for _, y in smoothed(line)] == pytest.approx([y for _, y in line])
    noisy = [(step, 1.0 if step % 2 else 3.0) for step in range(200)]
    assert all(abs(y - 2.0) < 0.1 for _, y in smoothed(noisy)[20:-20])
    assert smoothed([(1, 5.0)]) == [(1, 5.0)]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_durations_read_naturally(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (1.3, 5.8, [2, 3, 4, 5]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.003, "0.003"), (0.0003, "3e-4"), (1500, "1500"), (25_000, "25k"), (1_200_000, "1.2M"), (3e12, "3T")],
)
def test_tick_labels_are_short(number: float, text: str) -> None:
    assert short(number) == text


def test_a_chart_without_points_is_still_described() -> None:
    assert 'aria-label="nothing &quot;yet&quot;"' in chart([], 'nothing "yet"')


def test_the_next_part_of_a_run_has_its_own_steps_and_curves_and_can_be_stopped() -> None:
    def two_parts(listener: Listener, control: Control) -> None:
        for part, steps in (("codec", 60), ("talker", 30)):
            listener(Began(part))
            for step in range(1, steps + 1):
                listener(event(step, 2.0, steps))
                if part == "talker" and step == 10:
                    assert monitor.events.step == 10 and monitor.events.state == "running"
                    monitor.act({"action": "stop"})
                    assert control.stopping

    monitor = TrainingMonitor(two_parts)
    monitor.run(show=False)
    assert [x for x, _ in monitor.events.loss] == list(range(1, 31))
    assert "Next: the talker." in monitor.events.summary()
