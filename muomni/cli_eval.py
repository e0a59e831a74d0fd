"""What `muomni eval` does, like `cli_commands`: takes parsed arguments, returns the exit code."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from muomni import cli_text
from muomni.cli_commands import watched
from muomni.errors import BAD_USAGE, UserError

if TYPE_CHECKING:
    from muomni.evaluate.score import Score
    from muomni.evaluate.scorecard import Scorecard, StageCard

PICTURES = (".png", ".svg", ".pdf")
COLUMNS = ("rung", "metric", "value", "95 %", "n", "floor", "ceiling", "examples")


def evaluate(arguments: Namespace) -> int:
    """`muomni eval`"""
    plot: Path | None = arguments.plot
    if plot is not None and plot.suffix not in PICTURES:
        raise UserError(
            f"{str(plot)!r} is no name of a picture", field="--plot", fix=f"End it in {', '.join(PICTURES)}.",
            exit_code=BAD_USAGE,
        )  # fmt: skip
    from muomni.evaluate.scorecard import evaluate as score

    card = score(
        arguments.stages,
        weights=arguments.weights,
        data=arguments.data,
        reality=arguments.reality,
        limit=arguments.limit,
        seed=arguments.seed,
        progress=watched(),
    )
    if arguments.json:
        cli_text.print_json(card.to_json())
        print(*card.left_out(), sep="\n", end="\n" * bool(card.left_out()), file=sys.stderr)
    else:
        print_scorecard(card)
    if plot is not None:
        save_plot(card, plot)
    return 0


def save_plot(card: Scorecard, path: Path) -> None:
    """The ladders as a picture in a file, whole or not at all."""
    from muomni.evaluate.ladder_figure import ladder_figure
    from muomni.files import replacing

    with replacing(path) as temporary:
        ladder_figure(card).savefig(temporary, format=path.suffix[1:], dpi=120)


def print_scorecard(card: Scorecard) -> None:
    """A table for every stage, from the rung most like training to the one least like it."""
    for stage in card.stages:
        print(f"{stage.stage} · {stage.weights}")
        cli_text.print_table(COLUMNS, _rows(stage), indent=2)
        for climbed in stage.rungs:
            if climbed.scores and climbed.rung.note:
                print(f"  {climbed.rung.name}: {climbed.rung.note}")
            if climbed.skipped:
                print(f"  {climbed.rung.name}: skipped: {climbed.skipped}")
        print()
    print("floor: what chance gets; ceiling: the best that is possible; 95 %: bootstrap over the n examples.")
    for name, reason in card.skipped.items():
        print(f"{name} is skipped: {reason}")


def _rows(stage: StageCard) -> Sequence[Sequence[str]]:
    return [
        [climbed.rung.name, metric, *_numbers(score), score.split]
        for climbed in stage.rungs
        for metric, score in climbed.scores.items()
    ]


def _numbers(score: Score) -> list[str]:
    bounds = ["-" if bound is None else f"{bound:.4f}" for bound in (score.floor, score.ceiling)]
    return [f"{score.value:.4f}", f"{score.low:.4f} to {score.high:.4f}", f"{score.n:,}", *bounds]
