"""The config lab's results as HTML: numbers, memory, learning rate, parameters, and the diff before saving.

Each function takes the state and returns one fragment; the panel sends only those that changed. All text from files is
escaped. Cells carry `data-number`, so that a reader, a script or a test finds a number by its name.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from muomni.plan import Memory, parameters_by_part
from muomni.widgets.lab_numbers import CATEGORIES, gib, passes, percent, rates
from muomni.widgets.lab_state import LabState
from muomni.widgets.panel import failure_html
from muomni.widgets.svg import Line, Segment, budget_bar, chart, legend, swatch


def cell(name: str, text: str, value: Any) -> str:
    """A number that can be found: `name` in the DOM, its exact `value`, its readable `text`."""
    return f'<span data-number="{name}" data-value="{value}">{text}</span>'


def status(state: LabState, message: str, failures: list[str]) -> str:
    """What is wrong, what was done, what does not fit: the live region at the top."""
    parts = [failure_html(failures)]
    if state.problems:
        rows = "".join(f"<li><b>{escape(name)}</b> {escape(text)}</li>" for name, text in state.problems.items())
        many = f"{len(state.problems)} settings are" if len(state.problems) > 1 else "A setting is"
        parts.append(
            f'<div role="alert" class="mu-alert"><b>✕ {many} not allowed.</b> The numbers are those of the '
            f"last valid settings.<ul>{rows}</ul></div>"
        )
    else:
        parts += [
            f'<div role="alert" class="mu-alert"><b>✕ Does not fit.</b> {escape(text)}</div>'
            for text in _does_not_fit(state)
        ]
        parts += [
            f'<div class="mu-note"><b>! {escape(stage)}</b>: {escape(problem.field or "")} '
            f"{escape(problem.message)}</div>"
            for stage, problem in state.disagreements()
        ]
    if message:
        parts.append(f'<div role="status" class="mu-said">{escape(message)}</div>')
    return "".join(parts)


def _does_not_fit(state: LabState) -> list[str]:
    reading, plan = state.reading, state.reading.plan
    if not plan.fits:
        return [f"{plan.advice}."]
    if reading.fits:
        return []
    excess = gib(reading.memory.total - plan.memory_budget_bytes)
    return [
        f"As set, training takes {excess} GiB more than the budget. The plan splits the same "
        f"{plan.effective_batch_size:,} examples into {_split(plan.batch_size, plan.gradient_accumulation_steps)}, "
        "which fits: apply the plan."
    ]


def _name(setting: str) -> str:
    """A setting's name that may wrap at its underscores."""
    return f"<code>{escape(setting).replace('_', '_<wbr>')}</code>"


def _split(batch: int, accumulation: int) -> str:
    return f"{batch:,} × {accumulation:,}"


def headline(state: LabState) -> str:
    """The numbers that a slider moves most, large."""
    reading, plan = state.reading, state.reading.plan
    size = reading.memory.total
    mark = "fits" if reading.fits else "too much"
    if plan.tokens_per_step:
        per_step, per_step_name = plan.tokens_per_step, "tokens a step"
        detail = f"{plan.effective_batch_size:,} examples × {plan.tokens_per_step // plan.effective_batch_size:,}"
    else:
        per_step, per_step_name = plan.effective_batch_size, "examples a step"
        detail = f"{_split(plan.batch_size, plan.gradient_accumulation_steps)} × {plan.data_parallel}"
    tiles = (
        (
            "steps an epoch",
            cell("steps_per_epoch", f"{plan.steps_per_epoch:,}", plan.steps_per_epoch),
            f"{cell('training', f'{plan.training:,}', plan.training)} {plan.unit} to train on",
        ),
        (
            "steps planned",
            cell("max_steps", f"{plan.max_steps:,}", plan.max_steps),
            f"{cell('max_epochs', str(plan.max_epochs), plan.max_epochs)} epochs, of "
            f"{cell('epochs_range', f'{plan.epochs_range[0]}–{plan.epochs_range[1]}', list(plan.epochs_range))} "
            f"for {plan.size_class} data",
        ),
        (
            "warmup planned",
            cell("warmup_steps", f"{plan.warmup_steps:,}", plan.warmup_steps),
            f"steps, {state.now.warmup_percent} % of the run",
        ),
        (
            per_step_name,
            cell("tokens_per_step" if plan.tokens_per_step else "effective_batch_size", f"{per_step:,}", per_step),
            detail,
        ),
        ("parameters", cell("parameters", f"{plan.parameters:,}", plan.parameters), type(reading.config).stage_name),
        (
            "GiB of memory",
            cell("memory_total", gib(size), size),
            f"{mark}: {percent(size, plan.memory_budget_bytes)} of {state.now.memory_gib:g} GiB",
        ),
    )
    return (
        '<div class="mu-tiles">'
        + "".join(
            f'<div class="mu-tile"><div class="mu-name">{name}</div><div class="mu-big">{number}</div>'
            f'<div class="mu-small">{detail}</div></div>'
            for name, number, detail in tiles
        )
        + "</div>"
    )


def comparison(state: LabState) -> str:
    """The settings that a plan decides: as set, as planned, and whether they differ."""
    reading, plan = state.reading, state.reading.plan
    rows = []
    for name, planned in plan.settings.items():
        mine = getattr(reading.config, name)
        same = mine == planned
        mark = '<span class="mu-same">= same</span>' if same else '<span class="mu-differs">≠ differs</span>'
        rows.append(
            f'<tr><th scope="row">{_name(name)}</th><td>{cell("set_" + name, f"{mine:,}", mine)}</td>'
            f"<td>{cell('plan_' + name, f'{planned:,}', planned)}</td><td>{mark}</td></tr>"
        )
    effective = cell("effective_batch_size", f"{plan.effective_batch_size:,}", plan.effective_batch_size)
    return (
        f'<table class="mu-table"><caption>Your settings and the plan</caption><thead><tr><th scope="col">setting'
        '</th><th scope="col">as set</th><th scope="col">planned</th><th scope="col"></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        f'<p class="mu-words">Effective batch {effective} either way. {passes(reading)}</p>'
    )


def memory(state: LabState, prefix: str) -> str:
    """Memory by category against the budget: bar, and the numbers as a table."""
    reading, plan = state.reading, state.reading.plan
    budget, mine, planned = plan.memory_budget_bytes, reading.memory, plan.memory
    segments = [Segment(name, getattr(mine, name), kind) for kind, name in enumerate(CATEGORIES)]
    label = f"Memory: {gib(mine.total)} of {state.now.memory_gib:g} GiB; " + ", ".join(
        f"{segment.name} {gib(segment.size)}" for segment in segments
    )
    split = _split(reading.config.batch_size, reading.config.gradient_accumulation_steps)
    planned_split = _split(plan.batch_size, plan.gradient_accumulation_steps)
    both = (plan.batch_size, plan.gradient_accumulation_steps) != (
        reading.config.batch_size,
        reading.config.gradient_accumulation_steps,
    )
    head = f'<th scope="col">as set<br><small>{split}</small></th><th scope="col">share</th>'
    if both:
        head += f'<th scope="col">planned<br><small>{planned_split}</small></th>'

    def row(name: str, swatch_html: str) -> str:
        size = getattr(mine, name)
        cells = f"<td>{cell(f'memory_{name}', gib(size), size)}</td><td>{percent(size, mine.total)}</td>" + (
            f"<td>{gib(getattr(planned, name))}</td>" if both else ""
        )
        return f'<tr><th scope="row">{swatch_html}{name}</th>{cells}</tr>'

    rows = "".join(row(name, swatch(kind, prefix)) for kind, name in enumerate(CATEGORIES))
    return (
        "<h4>Memory of one step, GiB</h4>"
        + budget_bar(segments, budget, label, prefix)
        + f'<p class="mu-words">{_used(mine, budget, f"{state.now.memory_gib:g}")}</p>'
        + f'<table class="mu-table"><thead><tr><th scope="col">category</th>{head}</tr></thead>'
        + f"<tbody>{rows}</tbody><tfoot>{row('total', '')}</tfoot></table>"
    )


def _used(memory: Memory, budget: int, shown: str) -> str:
    if memory.total <= budget:
        return f"Uses {gib(memory.total)} of {shown} GiB ({percent(memory.total, budget)}); below, what it holds."
    return f"Needs {gib(memory.total)} GiB, {gib(memory.total - budget)} more than the budget of {shown}."


def rate(state: LabState) -> str:
    """The learning rate over the run, as set and (where it differs) as planned."""
    reading, plan = state.reading, state.reading.plan
    mine, words = rates(reading, planned=False)
    same = (reading.run_steps, reading.config.warmup_steps) == (plan.max_steps, plan.warmup_steps)
    lines = [Line("as set, as planned" if same else "as set", mine, "main")]
    text = f"As set{' and as planned' if same else ''}, it {words}."
    if not same:
        planned, planned_words = rates(reading, planned=True)
        lines.append(Line("planned", planned, "second"))
        text += f" As planned, it {planned_words}."
    top = max(y for line in lines for _, y in line.points)
    picture = chart(lines, f"Learning rate. {text}", height=150, y_range=(0.0, top * 1.04))
    return f'<h4>Learning rate</h4>{picture}{legend(lines)}<p class="mu-words">{escape(text)}</p>'


def parts(state: LabState) -> str:
    """Parameters by part, each with a bar of its share."""
    counts = parameters_by_part(state.reading.config)
    total = sum(counts.values())
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{cell(f"part_{escape(name)}", f"{count:,}", count)}</td>'
        f'<td>{percent(count, total)}</td><td class="mu-barcell"><i style="width:{100 * count / total:.1f}%"></i></td>'
        "</tr>"
        for name, count in counts.items()
    )
    return (
        f'<table class="mu-table"><caption>Parameters by part</caption><thead><tr><th scope="col">part</th>'
        f'<th scope="col">count</th><th scope="col">share</th><th></th></tr></thead><tbody>{rows}</tbody>'
        f'<tfoot><tr><th scope="row">total</th><td>{total:,}</td><td></td><td></td></tr></tfoot></table>'
    )


def diff(state: LabState) -> str:
    """What saving would write: every changed setting before and after."""
    rows = "".join(
        f'<tr><th scope="row">{_name(change.field)}</th><td class="mu-before">{_shown(change.before)}</td>'
        f'<td class="mu-after">→ {_shown(change.after)}</td></tr>'
        for change in state.changes
    )
    return (
        f'<table class="mu-table mu-diff"><caption>Changes to {escape(str(state.file.path))}</caption><thead><tr>'
        '<th scope="col">setting</th><th scope="col">in the file</th><th scope="col">will be</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _shown(value: Any) -> str:
    return escape(json.dumps(value, ensure_ascii=False))
