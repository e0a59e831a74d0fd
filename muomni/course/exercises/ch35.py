"""Chapter 35, data preparation: what a claim holds out, and what padding costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import exercise


@exercise(
    "35.1",
    expects=str,
    right="speaker",
    wrong=[("text", "same sentence"), ("seconds", "length"), ("split", "differs by definition"), ("wav", "one of")],
    because="What is claimed is about new people, so no person may be on both sides.",
)
def held_out_for_new_people(answer: str) -> str | None:
    known = {
        "text": "The same sentence may be said by an adult and by a child; the claim is about who speaks.",
        "seconds": "Clips of equal length are no harm: nobody learns a voice from it.",
        "split": "That column differs by definition; it does not say what was kept apart.",
    }
    return None if answer == "speaker" else known.get(answer, "Answer with one of the four columns' names.")


def _padding(batches: Sequence[Sequence[float]]) -> float:
    return 1 - sum(map(sum, batches)) / sum(len(batch) * max(batch) for batch in batches)


def _mean_of_batches(batches: Sequence[Sequence[float]]) -> float:
    return sum(1 - sum(batch) / (len(batch) * max(batch)) for batch in batches) / len(batches)


@exercise(
    "35.2",
    expects=FunctionType,
    right=_padding,
    wrong=[
        (_mean_of_batches, "mean of the batches"),
        (lambda batches: 1 - _padding(batches), "used"),
        (lambda batches: sum(len(b) * max(b) - sum(b) for b in batches), "share"),
        (lambda batches: 0.5, "expected"),
    ],
    because="Large batches weigh more than small ones: add up first, divide once.",
)
def padding_counted(answer: Callable[[list[list[float]]], float]) -> str | None:
    for batches in ([[2.0, 2.0]], [[1.0, 3.0]], [[1.0, 4.0], [8.0, 8.0, 8.0, 2.0]]):
        found, expected = answer([list(batch) for batch in batches]), _padding(batches)
        if abs(found - expected) < 1e-9:
            continue
        call = f"padding({batches})"
        if abs(found - (1 - expected)) < 1e-9:
            return f"{call} gives {found:g}: that is the share that is used."
        if found > 1:
            return f"{call} gives {found:g}: a share is at most 1; divide by all that the batches take."
        if abs(found - _mean_of_batches(batches)) < 1e-9:
            return f"{call} gives {found:g}: that is the mean of the batches' shares; weigh them by their size."
        return f"{call} gives {found:g}, expected is {expected:g}."
    return None
