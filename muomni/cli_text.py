"""How the command line shows its answers to people: tables in a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from muomni.config import Change
from muomni.plan import GIB, Memory, Plan

if TYPE_CHECKING:
    from muomni.doctor import Check
    from muomni.plan.outcome import Outcome, Report

MEMORY_PARTS = ("parameters", "gradients", "optimizer", "activations", "temporaries")


def print_json(value: Any) -> None:
    """`value` as JSON, and nothing else, on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], indent: int = 0) -> None:
    """Rows under their columns' names. Columns of numbers stand to the right, where all their cells are numbers."""
    cells = [list(row) for row in rows]
    right = [bool(cells) and all(_is_number(row[n]) for row in cells) for n in range(len(columns))]
    if sys.stdout.isatty():
        _rich_table(columns, cells, right, indent)
        return
    lines = [list(columns), *cells]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if left_free else cell.ljust(width)
            for cell, width, left_free in zip(line, widths, right, strict=True)
        )
        print(" " * indent + "  ".join(padded).rstrip())


def _rich_table(columns: Sequence[str], rows: list[list[str]], right: list[bool], indent: int) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, numbers in zip(columns, right, strict=True):
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(Padding(table, (0, 0, 0, indent)))


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "", 1).isdigit()


def gib(size: int) -> str:
    """Bytes as GiB, always: sizes that are compared are in one unit."""
    return f"{size / GIB:.1f} GiB" if size >= 10 * GIB else f"{size / GIB:.3f} GiB"


def shown(value: Any) -> str:
    """A setting's value as a person writes it: 10,000; false; text without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_outcome(outcome: Outcome, verb: str) -> None:
    """One config: its plan, or why there is none, and its changes."""
    print(f"{outcome.stage} · {outcome.file.path}")
    if outcome.skipped:
        print(f"  skipped: no data; looked for {', '.join(outcome.looked_for)}")
        print(f"  to make it: {outcome.make}")
    if outcome.plan is not None and outcome.counted is not None:
        print_plan(outcome.plan, str(outcome.counted.source or "given"), outcome.counted.interval)
        if outcome.counted.reference_tokens is not None:
            print(f"  {'texts':<8}{outcome.counted.reference_tokens:,} tokens (for reference)")
    if outcome.changes or not outcome.skipped:
        print_changes(outcome.changes, verb)


def print_plan(plan: Plan, source: str, interval: tuple[int, int] | None = None) -> None:
    """A plan in five lines: data, run, batch, memory, and what to do where it does not fit."""
    low, high = plan.epochs_range
    per_step = f" of {plan.tokens_per_step:,} tokens" if plan.tokens_per_step else ""
    about = f" (95 %: {interval[0]:,} to {interval[1]:,})" if interval else ""
    lines = {
        "data": f"{source}: {plan.examples:,} {plan.unit}{about}, {plan.training:,} to train on "
        f"({plan.size_class}: {low}-{high} epochs)",
        "run": f"{plan.max_steps:,} steps{per_step}: {plan.max_epochs} epochs x {plan.steps_per_epoch:,}; "
        f"{plan.warmup_steps:,} of them warmup",
        "watch": f"validation every {_steps(plan.val_freq)}, a checkpoint every {_steps(plan.checkpoint_freq)}",
        "batch": f"{plan.effective_batch_size:,} = {plan.batch_size:,} x {plan.gradient_accumulation_steps:,} "
        f"accumulated x {plan.data_parallel:,} processes",
        "memory": f"{gib(plan.memory.total)} of {gib(plan.memory_budget_bytes)} "
        f"({plan.parameters:,} parameters)" + ("" if plan.fits else ": DOES NOT FIT"),
    }
    for name, text in lines.items():
        print(f"  {name:<8}{text}")
    if plan.advice:
        print(f"  {'advice':<8}{plan.advice}")


def _steps(number: int) -> str:
    return "step" if number == 1 else f"{number:,} steps"


def print_report(report: Report, dry_run: bool) -> None:
    """What `update-configs` found and did, config by config."""
    if report.vocabulary is not None:
        found = report.vocabulary
        trained = f", {'to be ' * dry_run}trained on {found.trained_on}" if found.trained_on else ""
        print(f"tokenizer · {found.path}: {found.pieces:,} pieces{trained}")
    for outcome in report.outcomes:
        print_outcome(outcome, "would change" if dry_run else "changed")
    for note in report.notes:
        print(f"note: {note}")
    if dry_run:
        print("dry run: nothing was written")


def print_changes(changes: Sequence[Change], verb: str) -> None:
    """What changes (or changed) in a config, and why."""
    if not changes:
        print("  nothing to change")
        return
    print(f"  {verb}:")
    rows = [[c.field, shown(c.before), shown(c.after), c.reason] for c in changes]
    print_table(("setting", "before", "after", "reason"), rows, indent=4)


def print_memory(memory: Memory) -> None:
    """Peak memory by category."""
    rows = [[name, f"{getattr(memory, name):,}", gib(getattr(memory, name))] for name in MEMORY_PARTS]
    print_table(("", "bytes", ""), [*rows, ["total", f"{memory.total:,}", gib(memory.total)]], indent=2)


def print_checks(checks: Sequence[Check]) -> None:
    """One line a check, and the remedy below it where there is something to mend."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.state:<8}{check.name:<{width}}  {check.found}")
        if check.remedy:
            print(f"{'':<8}{'':<{width}}  → {check.remedy}")
