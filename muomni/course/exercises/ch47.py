"""Judges of chapter 47: how far a phase advances, folding sound by a period, what both sides of the game want."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

import torch

from muomni.course.checks import exercise


def _wrapped(angle: float) -> float:
    return math.remainder(angle, 2 * math.pi)


@exercise(
    "47.1",
    expects=FunctionType,
    right=lambda frequency, hop, rate: 2 * math.pi * frequency * hop / rate,
    wrong=[
        (lambda f, hop, rate: 2 * math.pi * f, "of a second"),
        (lambda f, hop, rate: 2 * math.pi * f / rate, "of a sample"),
        (lambda f, hop, rate: f * hop / rate, "turns"),
        (lambda f, hop, rate: 360 * f * hop / rate, "degrees"),
        (lambda f, hop, rate: math.pi * f * hop / rate, "should be"),
    ],
    because="full turns do not matter, and the network predicts how far each bin is from its own center's advance.",
)
def advance(answer: Callable[[float, int, int], float]) -> str | None:
    for frequency, hop, rate in ((130.0, 256, 16_000), (1000.0, 200, 22_050), (437.5, 64, 8_000)):
        found, wanted = float(answer(frequency, hop, rate)), 2 * math.pi * frequency * hop / rate
        if abs(_wrapped(found - wanted)) < 1e-6:
            continue
        call = f"advance({frequency:g}, {hop}, {rate}) should be {wanted:.4f}; yours is {found:.4f}"
        mistakes = {
            2 * math.pi * frequency: "that is the advance of a second; how long is a hop?",
            2 * math.pi * frequency / rate: "that is the advance of a sample; a frame comes every hop.",
            frequency * hop / rate: "these are turns; a turn is 2 pi radians.",
            360 * frequency * hop / rate: "these are degrees; radians are wanted.",
        }
        for value, mistake in mistakes.items():
            if math.isclose(found, value, rel_tol=1e-6):
                return f"{call}: {mistake}"
        return f"{call}."
    return None


def _folded(samples: torch.Tensor, period: int) -> torch.Tensor:
    return torch.nn.functional.pad(samples, (0, -len(samples) % period)).view(-1, period)


@exercise(
    "47.2",
    expects=FunctionType,
    right=_folded,
    wrong=[
        (lambda x, p: x[: len(x) // p * p].view(-1, p), "every sample"),
        (lambda x, p: _folded(x, p).T, "columns"),
        (lambda x, p: torch.nn.functional.pad(x, (0, -len(x) % p)).view(p, -1), "neighbours"),
        (lambda x, p: torch.nn.functional.pad(x, (-len(x) % p, 0)).view(-1, p), "at the end"),
        (lambda x, p: torch.nn.functional.pad(x, (0, p - len(x) % p)).view(-1, p), "only zeros"),
        (lambda x, p: x, "two dimensions"),
    ],
    because="a convolution over the rows alone then compares samples that are a period apart.",
)
def folded(answer: Callable[[torch.Tensor, int], torch.Tensor]) -> str | None:
    for length, period in ((11, 3), (12, 3), (10, 5)):
        samples = torch.arange(1.0, length + 1)
        found, wanted = torch.as_tensor(answer(samples.clone(), period)), _folded(samples, period)
        call = f"for {length} samples and a period of {period}"
        if found.shape == wanted.shape and torch.equal(found, wanted):
            continue
        if found.dim() != 2:
            return f"{call} two dimensions are wanted, (rows, period); yours has {found.dim()}."
        if found.shape == wanted.T.shape and torch.equal(found, wanted.T):
            return f"{call} rows and columns are exchanged: a row has {period} neighbouring samples."
        if found.shape == wanted.T.shape:
            return f"{call} a row should hold {period} neighbours, and a column samples that are {period} apart."
        if len(found) < len(wanted):
            return f"{call} some are lost: every sample is judged, so fill up the last row with zeros."
        if len(found) > len(wanted):
            return f"{call} there is a row of only zeros: nothing is missing where the period divides the length."
        if found[0, 0] == 0:
            return f"{call} the zeros stand at the beginning; put them at the end."
        return f"{call} it should be {wanted.tolist()}; yours is {found.tolist()}."
    return None


Scores = Sequence[float]


def _mean(values: Scores) -> float:
    return sum(values) / len(values)


def _both(real: Scores, made: Scores) -> tuple[float, float]:
    judge = _mean([(1 - s) ** 2 for s in real]) + _mean([s**2 for s in made])
    return judge, _mean([(1 - s) ** 2 for s in made])


@exercise(
    "47.3",
    expects=FunctionType,
    right=_both,
    wrong=[
        (lambda real, made: _both(made, real), "for recordings"),
        (lambda real, made: (_both(real, made)[0], -_both(real, made)[0]), "not the negative"),
        (lambda real, made: (_both(real, made)[0], _mean([s**2 for s in made])), "taken for a recording"),
        (lambda real, made: (_both(real, made)[0], _both(real, real)[1]), "what it made"),
        (lambda real, made: (_both(real, made)[1], _both(real, made)[0]), "first the discriminator"),
        (lambda real, made: (_both(real, made)[0] / 2, _both(real, made)[1]), "add both"),
        (lambda real, made: _both(real, made)[0], "two losses"),
        (lambda real, made: (0.0, 0.0), "should be"),
    ],
    because="muomni.models.discriminators does this for eight discriminators and adds up.",
)
def both_losses(answer: Callable[[Scores, Scores], Sequence[float]]) -> str | None:
    for real, made in (([0.9, 0.7], [0.2, 0.4]), ([1.0], [0.0]), ([0.5, 1.5], [-0.5, 0.25, 0.75])):
        found = answer(list(real), list(made))
        if not isinstance(found, Sequence) or len(found) != 2:
            return "two losses are wanted: the discriminator's and the generator's."
        wanted = _both(real, made)
        if all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(found, wanted, strict=True)):
            continue
        call = f"for scores {real} of recordings and {made} of what was made: "
        judge = math.isclose(found[0], wanted[0], rel_tol=1e-6)
        if math.isclose(found[0], wanted[1], rel_tol=1e-6) and math.isclose(found[1], wanted[0], rel_tol=1e-6):
            return f"{call}the order is wrong: first the discriminator's loss, then the generator's."
        if math.isclose(found[0], _both(made, real)[0], rel_tol=1e-6) and not judge:
            return f"{call}the discriminator should say 1 for recordings and 0 for the others, not the reverse."
        if math.isclose(found[0], wanted[0] / 2, rel_tol=1e-6) and not judge:
            return f"{call}the discriminator's two means are averaged; add both."
        if judge and math.isclose(found[1], -wanted[0], rel_tol=1e-6):
            return f"{call}the generator's loss is not the negative of the other's; it has a target of its own, 1."
        if judge and math.isclose(found[1], _mean([s**2 for s in made]), rel_tol=1e-6):
            return f"{call}the generator wants what it made to be taken for a recording: 1, not 0."
        if judge and math.isclose(found[1], _both(real, real)[1], rel_tol=1e-6):
            return f"{call}the generator is judged by what it made, not by the recordings."
        return f"{call}they should be {wanted[0]:.4f} and {wanted[1]:.4f}; yours are {found[0]:.4f}, {found[1]:.4f}."
    return None
