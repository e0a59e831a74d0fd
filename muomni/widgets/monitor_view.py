"""The training monitor's fragments as HTML: progress, numbers, curves, samples, and the curves once more as a table."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate

from muomni.plan import GIB
from muomni.train.events import Sampled
from muomni.widgets.lab_view import cell
from muomni.widgets.panel import failure_html
from muomni.widgets.run_log import RunLog, duration, metrics_text
from muomni.widgets.svg import Level, Line, Point, chart, legend

DRAWN = 200
ROWS = 10


def smoothed(points: Sequence[Point]) -> list[Point]:
    """The mean of each point and its neighbours on both sides, as many on one as on the other: it does not lag."""
    sums = [0.0, *accumulate(y for _, y in points)]
    last, widest = len(points) - 1, len(points) // 25 + 1
    found = []
    for index, (x, _) in enumerate(points):
        reach = min(index, last - index, widest)
        found.append((x, (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)))
    return found


def progress(log: RunLog) -> str:
    """How far the run is: a bar, and the same in words."""
    event = log.last
    if event is None:
        return (
            '<div class="mu-progress" role="progressbar" aria-valuemin="0" aria-valuemax="1" aria-valuenow="0" '
            'aria-label="Training progress"><i style="width:0"></i></div>'
            '<div class="mu-progressline"><span>no step reported yet</span></div>'
        )
    share = 100 * log.step / max(1, event.max_steps)
    over = log.finished is not None
    left = "" if over else f"{cell('seconds_left', duration(event.seconds_left), round(event.seconds_left, 1))} left"
    return (
        f'<div class="mu-progressline"><span>step {cell("step", f"{log.step:,}", log.step)} of '
        f"{event.max_steps:,} ({share:.0f} %)</span><span>pass {event.epoch + 1} over the data</span>"
        f"<span>{duration(event.seconds)} so far</span><span>{left}</span></div>"
        f'<div class="mu-progress" role="progressbar" aria-label="Training progress" aria-valuemin="0" '
        f'aria-valuemax="{event.max_steps}" aria-valuenow="{log.step}"><i style="width:{share:.1f}%"></i></div>'
    )


def tiles(log: RunLog) -> str:
    """The latest numbers, large."""
    event = log.last
    if event is None:
        return ""
    best = f"best {log.best.metrics['loss']:.4f} at step {log.best.step:,}" if log.best else ""
    scores = log.scores.metrics if log.scores else {}
    validation = scores.get("loss")
    shown = [
        ("training loss", cell("loss", f"{event.loss:.4f}", event.loss), f"gradient length {event.grad_norm:.3g}"),
        ("validation loss", "–" if validation is None else cell("validation", f"{validation:.4f}", validation), best),
        (
            f"{event.unit} a second",
            cell("throughput", f"{event.examples_per_second:,.0f}", round(event.examples_per_second, 1)),
            "",
        ),
        ("GiB of memory", cell("memory", f"{event.memory_bytes / GIB:.2f}", event.memory_bytes), "most so far"),
        ("learning rate", cell("lr", f"{event.lr:.3g}", event.lr), ""),
    ]
    shown += [
        (escape(name.replace("_", " ")), cell(escape(name), f"{value:.4g}", value), "held-out data")
        for name, value in scores.items()
        if name != "loss"
    ]
    return (
        '<div class="mu-tiles mu-flow">'
        + "".join(
            f'<div class="mu-tile"><div class="mu-name">{name}</div><div class="mu-big">{number}</div>'
            f'<div class="mu-small">{detail}</div></div>'
            for name, number, detail in shown
        )
        + "</div>"
    )


def losses(log: RunLog, targets: Mapping[str, float]) -> str:
    """The loss curves, with the lines they are held against."""
    raw = log.loss.points
    if not raw:
        return '<h4>Loss</h4><p class="mu-words">No loss reported yet.</p>'
    even = smoothed(raw)
    every = max(1, len(raw) // DRAWN)
    lines = [
        Line("training, every report", raw[::every], "faint"),
        Line("training, smoothed", even[::every], "main"),
        Line("validation", log.validation.points, "marks"),
    ]
    levels = [Level(name, value) for name, value in targets.items()]
    heights = sorted(y for _, y in raw)
    ordinary = heights[int(0.98 * (len(heights) - 1))]  # so that one spike does not flatten the rest
    low = min([heights[0], *(y for _, y in log.validation), *targets.values()])
    high = max([min(heights[-1], low + 1.5 * (ordinary - low)), *(y for _, y in log.validation), *targets.values()])
    margin = 0.1 * (high - low or 1.0)
    words = f"Training loss from {raw[0][1]:.4g} to {even[-1][1]:.4g}"
    if log.validation.points:
        words += f"; validation loss last {log.validation.points[-1][1]:.4g}"
        words += f", lowest {min(y for _, y in log.validation):.4g}"
    words += "".join(f"; {name} is {value:.4g}" for name, value in targets.items()) + "."
    last = log.last.max_steps if log.last else 0
    picture = chart(
        lines, words, width=640, height=250, levels=levels, y_range=(low - margin, high + margin / 2), x_high=last
    )
    return f'<h4>Loss</h4>{picture}{legend(lines)}<p class="mu-words">{escape(words)}</p>'


def rate(log: RunLog) -> str:
    """The learning rate so far."""
    points = log.lr.points
    if not points or log.last is None:
        return ""
    top = max(y for _, y in points)
    words = f"Highest so far {top:.3g}, now {points[-1][1]:.3g}."
    every = max(1, len(points) // DRAWN)
    picture = chart(
        [Line("learning rate", points[::every])],
        f"Learning rate. {words}",
        width=640,
        height=160,
        y_range=(0.0, top * 1.05),
        x_high=log.last.max_steps,
    )
    return f'<h4>Learning rate</h4>{picture}<p class="mu-words">{words}</p>'


def samples(log: RunLog) -> str:
    """What the model made, the newest first and the very first for comparison."""
    if not log.samples:
        return '<h4>Samples</h4><p class="mu-words">None yet: the first comes with the first validation.</p>'
    items = "".join(
        f'<li><span class="mu-small">step {sample.step:,} · {escape(sample.kind)}</span>'
        f"{_picture(sample)}<pre>{escape(sample.text)}</pre></li>"
        for sample in reversed(log.samples)
    )
    scrolls = 'tabindex="0" data-lm-suppress-shortcuts="true"'  # by keyboard too, without moving the notebook
    return f'<h4>Samples, newest first</h4><ul class="mu-samples" {scrolls}>{items}</ul>'


def _picture(sample: Sampled) -> str:
    """A sample's picture, with its text as what it shows."""
    if sample.picture is None:
        return ""
    data = base64.b64encode(sample.picture).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(sample.text, quote=True)}">'


def table(log: RunLog) -> str:
    """The curves as a table of about ten rows."""
    points = log.loss.points
    if not points:
        return ""
    every = -(-len(points) // ROWS)
    chosen = [*range(len(points) - 1, -1, -every)][::-1]
    rates = dict(log.lr.points)
    rows = "".join(
        f'<tr><th scope="row">{x:,.0f}</th><td>{y:.4f}</td><td>{_near(log.validation.points, x)}</td>'
        f"<td>{rates.get(x, 0):.3g}</td></tr>"
        for x, y in (points[index] for index in chosen)
    )
    return (
        '<table class="mu-table"><thead><tr><th scope="col">step</th><th scope="col">training loss</th>'
        '<th scope="col">validation loss</th><th scope="col">learning rate</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _near(points: Sequence[Point], step: float) -> str:
    """The last validation up to `step`."""
    before = [y for x, y in points if x <= step]
    return f"{before[-1]:.4f}" if before else "–"


def status(log: RunLog, message: str, failures: Sequence[str]) -> str:
    """The state of the run and what went wrong, if anything did."""
    parts = [failure_html(failures)]
    saved = f" Checkpoint of step {log.saved.step:,} in {escape(log.saved.path)}." if log.saved else ""
    scores = f" Validation: {escape(metrics_text(log.scores))}." if log.scores and log.finished else ""
    words = (
        message or f"Training is {log.state}."
        if log.state in ("running", "paused", "stopping")
        else (message or f"Training: {log.state}.")
    )
    parts.append(f'<div class="mu-said" role="status">{escape(words)}{scores}{saved}</div>')
    return "".join(parts)
