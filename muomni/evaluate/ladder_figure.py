"""The ladders as a picture: how far each rung is from chance to the best that is possible.

Errors and shares of right answers stand on one axis: (value - floor) / (ceiling - floor) is 0 where a model does no
better than chance and 1 where nobody could do better. Beside each bar stand the numbers as they were measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from muomni.evaluate.score import Score
from muomni.evaluate.scorecard import Scorecard, StageCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW, MARGIN, WIDTH = 0.42, 0.9, 10.0
"""Inches: height of a row, height around the rows of a stage, width of the figure."""


class Row(NamedTuple):
    """One line of the picture: a score; or, for a rung that was skipped, none."""

    rung: str
    metric: str
    score: Score | None


def place(value: float, score: Score) -> float:
    """Where a value of a score stands between its floor (0) and its ceiling (1)."""
    assert score.floor is not None and score.ceiling is not None
    return (value - score.floor) / (score.ceiling - score.floor)


def rows_of(card: StageCard) -> list[Row]:
    """The rows of a stage, from the first rung on; scores without floor or ceiling have no place."""
    rows = []
    for climbed in card.rungs:
        if climbed.skipped:
            rows.append(Row(climbed.rung.name, "", None))
        for metric in climbed.rung.shown:
            score = climbed.scores.get(metric)
            if score is not None and None not in (score.floor, score.ceiling) and score.floor != score.ceiling:
                rows.append(Row(climbed.rung.name, metric, score))
    return rows


def told(score: Score) -> str:
    """0.031 (0.022 to 0.041), chance 0.978, best 0"""
    return (
        f"{score.value:.3g} ({score.low:.3g} to {score.high:.3g}), chance {score.floor:.3g}, best {score.ceiling:.3g}"
    )


def ladder_figure(scorecard: Scorecard) -> Figure:
    """A bar for every rung of every stage, with its 95 % interval; chance and the best possible as lines."""
    from matplotlib.figure import Figure

    tables = [(card, rows_of(card)) for card in scorecard.stages]
    heights = [MARGIN + ROW * max(1, len(rows)) for _, rows in tables]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    axes = figure.subplots(len(tables), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for ax, (card, rows) in zip(axes, tables, strict=True):
        for y, (_, _, score) in enumerate(rows):
            if score is None:
                ax.text(0.02, y, "skipped", va="center", color="0.4", style="italic")
                continue
            value, low, high = (place(number, score) for number in (score.value, score.low, score.high))
            ax.barh(y, value, height=0.6, color="#4c78a8" if value >= 0 else "#b0413e")
            ax.plot([low, high], [y, y], color="black", linewidth=1.5, solid_capstyle="butt")
            ax.text(1.03, y, told(score), va="center", fontsize=8)
        ax.axvline(0, color="0.3", linestyle="--", linewidth=1)
        ax.axvline(1, color="0.3", linestyle="-", linewidth=1)
        ax.set_yticks(range(len(rows)), [f"{row.rung}  {row.metric}".strip() for row in rows], fontsize=8)
        ax.set_xlim(-0.1, 1.9)
        ax.set_ylim(max(1, len(rows)) - 0.5, -0.5)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["chance", "¼", "½", "¾", "best possible"], fontsize=8)
        ax.set_title(f"{card.stage} · {card.weights}", loc="left", fontsize=10)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    return figure
