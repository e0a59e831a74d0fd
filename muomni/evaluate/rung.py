"""One rung of a stage's ladder: a kind of held-out examples, what is measured on them, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from muomni.evaluate.material import Material
from muomni.evaluate.score import Score


@dataclass(frozen=True)
class Rung:
    """
    Attributes:
        name: what is new about its examples.
        metrics: the scores that it gives.
        source: where its examples come from, as `Material.fingerprint` takes it.
        measure: takes the trained model and the material and returns a score for every metric.
            Raises `Unavailable` where the examples are not there.
        shown: the metrics that the picture of the ladder shows.
        note: what to expect, where that is not obvious.
    """

    name: str
    metrics: tuple[str, ...]
    source: str
    measure: Callable[[Any, Material], Mapping[str, Score]]
    shown: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Ladder:
    """The rungs of a stage, from what is most like training to what is least.

    Attributes:
        load: a checkpoint's folder to the trained model.
        needs: the tables below the data folder without which there is nothing to measure.
    """

    load: Callable[[Any], Any]
    needs: tuple[str, ...]
    rungs: tuple[Rung, ...]
