"""What a plan changes in a config, setting by setting, with the reason for each."""

from __future__ import annotations

from collections.abc import Mapping

from muomni.config import Change, StageConfig, differences, with_changes
from muomni.plan.planner import Plan
from muomni.plan.schedule import LONGEST_WARMUP, RAREST_CHECKPOINT, RAREST_VALIDATION


def planned_changes(config: StageConfig, plan: Plan) -> list[Change]:
    """The settings of `config` that the plan sets otherwise."""
    return explained(config, with_changes(config, plan.settings), reasons(config, plan))


def explained(before: StageConfig, after: StageConfig, reasons: Mapping[str, str]) -> list[Change]:
    """Every difference between two configs, with its reason."""
    return [Change(c.field, c.before, c.after, reasons.get(c.field, "")) for c in differences(before, after)]


def reasons(config: StageConfig, plan: Plan) -> dict[str, str]:
    """Why each planned setting is what it is."""
    low, high = plan.epochs_range
    steps = f"{plan.steps_per_epoch:,} step{'s' * (plan.steps_per_epoch != 1)}"
    middle = (low + high) // 2
    wished = "as asked for" if plan.max_epochs != middle else "the middle, rounded down"
    return {
        "batch_size": _batch_reason(plan),
        "gradient_accumulation_steps": f"keeps the effective batch of {plan.effective_batch_size:,}",
        "max_epochs": f"{plan.size_class} data ({plan.examples:,} {plan.unit}): {low}-{high} epochs, {wished}",
        "max_steps": f"{plan.max_epochs:,} epochs of {steps}",
        "warmup_steps": _warmup_reason(plan),
        "val_freq": "at least every 1,000 steps"
        if plan.val_freq == RAREST_VALIDATION
        else f"ten times an epoch of {steps}",
        "checkpoint_freq": "at least every 10,000 steps"
        if plan.checkpoint_freq == RAREST_CHECKPOINT
        else f"once an epoch of {steps}",
    }


def _batch_reason(plan: Plan) -> str:
    if not plan.fits:
        return f"the smallest; {plan.advice}"
    share = plan.batch_size * plan.gradient_accumulation_steps
    part = (
        ""
        if plan.parameters <= 50_000_000
        else " (half the batch at most)"
        if plan.parameters <= 100_000_000
        else " (a quarter of the batch at most)"
    )
    return f"the largest part of {share:,} that fits{part}"


def _warmup_reason(plan: Plan) -> str:
    if plan.warmup_steps == LONGEST_WARMUP:
        return f"no longer than {LONGEST_WARMUP:,} steps"
    return f"{100 * plan.warmup_steps / plan.max_steps:.2g} % of {plan.max_steps:,} steps"
