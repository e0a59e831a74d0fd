"""The config lab's numbers: as plain data for code cells and tests, and as text for readers without a kernel."""

from __future__ import annotations

from math import log10
from typing import Any

from muomni.plan import GIB, learning_rate, parameters_by_part
from muomni.widgets.lab_state import LabState, Reading
from muomni.widgets.svg import short

CATEGORIES = ("parameters", "gradients", "optimizer", "activations", "temporaries")


def numbers(state: LabState) -> dict[str, Any]:
    """Everything shown: the plan's fields, `parts` (parameters by part), and `as_set` (what the settings do)."""
    reading = state.reading
    return reading.plan.to_json() | {
        "parts": parameters_by_part(reading.config),
        "as_set": {
            "batch_size": reading.config.batch_size,
            "gradient_accumulation_steps": reading.config.gradient_accumulation_steps,
            "max_epochs": reading.config.max_epochs,
            "max_steps": reading.config.max_steps,
            "warmup_steps": reading.config.warmup_steps,
            "val_freq": reading.config.val_freq,
            "checkpoint_freq": reading.config.checkpoint_freq,
            "run_steps": reading.run_steps,
            "memory": reading.memory.to_json(),
            "fits": reading.fits,
        },
        "valid": state.valid,
    }


def gib(size: float) -> str:
    """Bytes in GiB with three significant digits: "0.0216", "11.4"."""
    value = size / GIB
    digits = 2 if value <= 0 else max(0, 2 - int(log10(value) // 1))
    return f"{value:,.{min(digits, 6)}f}"


def percent(part: float, whole: float) -> str:
    """A share: "0.2 %", "74 %"."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"


def passes(reading: Reading) -> str:
    """How far the settings as they stand will train, in words."""
    config, plan = reading.config, reading.plan
    epochs = reading.run_steps / plan.steps_per_epoch
    setting = "max_steps" if config.max_steps <= config.max_epochs * plan.steps_per_epoch else "max_epochs"
    return (
        f"As set, training ends after {reading.run_steps:,} steps ({epochs:,.3g} passes over the data): "
        f"{setting} ends it."
    )


def rates(reading: Reading, planned: bool) -> tuple[list[tuple[float, float]], str]:
    """The learning rate over the run as (step, rate) points, and the same in words."""
    config = reading.config
    steps = reading.plan.max_steps if planned else reading.run_steps
    warmup = reading.plan.warmup_steps if planned else config.warmup_steps
    top = highest_rate(reading)

    def at(step: int) -> float:
        return learning_rate(step, lr=top, warmup=warmup, max_steps=steps, min_ratio=config.lr_min_ratio)

    rise = max(1, min(warmup, steps) // 8)
    fall = max(1, (steps - warmup) // 48)
    marks = {*range(0, min(warmup, steps), rise), *range(min(warmup, steps - 1), steps, fall), steps - 1}
    points = [(float(step + 1), at(step)) for step in sorted(marks) if 0 <= step < steps]
    peak = max(rate for _, rate in points)
    start = f"rises over {warmup:,} steps to {short(peak)}" if warmup else f"starts at {short(peak)}"
    return points, f"{start}, then falls along a cosine to {short(at(steps - 1))} at step {steps:,}"


def highest_rate(reading: Reading) -> float:
    """The stage's learning rate; the generator's for the vocoder."""
    return float(getattr(reading.config, "lr", getattr(reading.config, "lr_g", 0.0)))


def as_text(state: LabState) -> str:
    """The whole lab as text."""
    reading = state.reading
    plan, config = reading.plan, reading.config
    tokens = f", {plan.tokens_per_step:,} tokens" if plan.tokens_per_step else ""
    lines = [
        f"{state.file.path.name}: {type(config).title}",
        f"Data: {plan.examples:,} {plan.unit} ({state.size.source}); {plan.training:,} for training",
        f"One step: {plan.effective_batch_size:,} examples{tokens}; one epoch: {plan.steps_per_epoch:,} steps",
        "",
        f"{'setting':<28}{'as set':>14}{'planned':>14}",
    ]
    for name, planned in plan.settings.items():
        mine = getattr(config, name)
        lines.append(f"{name:<28}{mine:>14,}{planned:>14,}{'  differs' if mine != planned else ''}")
    lines += ["", passes(reading), f"Learning rate: {rates(reading, planned=False)[1]}.", ""]
    lines.append(f"{'memory, GiB':<28}{'as set':>14}{'planned':>14}")
    for name in (*CATEGORIES, "total"):
        mine_bytes, planned_bytes = getattr(reading.memory, name), getattr(plan.memory, name)
        lines.append(f"{name:<28}{gib(mine_bytes):>14}{gib(planned_bytes):>14}")
    lines.append(f"{'budget':<28}{gib(plan.memory_budget_bytes):>14}{gib(plan.memory_budget_bytes):>14}")
    if plan.advice:
        lines.append(plan.advice)
    lines += ["", f"{'parameters':<28}{plan.parameters:>14,}"]
    lines += [f"  {part:<26}{count:>14,}" for part, count in parameters_by_part(config).items()]
    if state.problems:
        lines += ["", "Not valid (the numbers above are of the last valid settings):"]
        lines += [f"  {name} {text}" for name, text in state.problems.items()]
    return "\n".join(lines)
