"""Chapter 39, running all stages: examples of a process, a step shared out, what is left to do, one gradient."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from muomni.course.checks import exercise


def _micro_batches(examples: list[int], batch_size: int, rank: int, world: int) -> list[list[int]]:
    mine = examples[rank::world]
    return [mine[at : at + batch_size] for at in range(0, len(mine), batch_size)]


def _blocks(examples: list[int], batch_size: int, rank: int, world: int) -> list[list[int]]:
    share = len(examples) // world
    return _micro_batches(examples[rank * share : (rank + 1) * share], batch_size, 0, 1)


@exercise(
    "39.1",
    expects=FunctionType,
    right=_micro_batches,
    wrong=[
        (_blocks, "every 3"),
        (lambda e, b, r, w: _micro_batches(e, b, 0, 1), "all examples"),
        (lambda e, b, r, w: _micro_batches(e, b, r + 1, w), "begins"),
        (lambda e, b, r, w: [e[r::w]], "cut"),
        (lambda e, b, r, w: [each for each in _micro_batches(e, b, r, w) if len(each) == b], "shorter"),
        (lambda e, b, r, w: [[0]], "expected"),
    ],
    because="the processes' shares are the step's examples, each once.",
)
def examples_of_a_process(answer: Callable[[list[int], int, int, int], list[list[int]]]) -> str | None:
    examples = list(range(50, 67))
    for rank in (0, 1, 2):
        case = (list(examples), 2, rank, 3)
        found, wanted = [list(each) for each in answer(*case)], _micro_batches(*case)
        if found == wanted:
            continue
        shown = f"Of 17 examples, 50 to 66, process {rank} of 3 with batches of 2 takes {found}"
        if found == _blocks(*case):
            return f"{shown}: it takes every 3rd, not a block."
        if found == _micro_batches(examples, 2, 0, 1):
            return f"{shown}: these are all examples, not its share."
        if found == _micro_batches(examples, 2, rank + 1, 3):
            return f"{shown}: process {rank} begins with example number {rank} of the step."
        if [each for batch in found for each in batch] == [each for batch in wanted for each in batch]:
            return f"{shown}: the right ones, to be cut in lists of 2."
        if found == [each for each in wanted if len(each) == 2]:
            return f"{shown}: the last list may be shorter; it is not left out."
        return f"{shown}; expected {wanted}."
    return None


def _shared_out(effective: int, processes: int, most: int) -> tuple[int, int] | None:
    if effective % processes:
        return None
    each = effective // processes
    batch = max(n for n in range(1, min(most, each) + 1) if each % n == 0)
    return batch, each // batch


def _rounded(effective: int, processes: int, most: int) -> tuple[int, int]:
    each = effective // processes
    return min(most, each), max(1, each // most)


@exercise(
    "39.2",
    expects=FunctionType,
    right=_shared_out,
    wrong=[
        (lambda e, p, m: _shared_out(e, 1, m), "processes"),
        (_rounded, "examples"),
        (lambda e, p, m: None if e % p else (1, e // p), "larger"),
        (lambda e, p, m: None if e % p else (e // p, 1), "fit"),
        (lambda e, p, m: _shared_out(e - e % p, p, m), "None"),
        (lambda e, p, m: e, "pair"),
    ],
    because="batch x accumulation x processes is what was planned, so steps and learning rate stay right.",
)
def a_step_shared_out(answer: Callable[[int, int, int], tuple[int, int] | None]) -> str | None:
    for case in ((64, 2, 8), (48, 2, 10), (24, 4, 32), (30, 4, 8)):
        effective, processes, most = case
        found, wanted = answer(*case), _shared_out(*case)
        if found == wanted:
            continue
        shown = f"shared_out{case} gives {found}"
        if wanted is None:
            return f"{shown}: {effective} examples cannot be shared equally by {processes}; None is wanted."
        if not isinstance(found, tuple | list) or len(found) != 2:
            return f"{shown}: a pair is wanted, batch_size and gradient_accumulation_steps."
        batch, steps = found
        if batch * steps == effective:
            return f"{shown}: that leaves out that there are {processes} processes."
        if batch * steps * processes != effective:
            return f"{shown}: a step then has {batch * steps * processes} examples, not {effective}."
        if batch > most:
            return f"{shown}: only {most} examples fit into a process at once."
        return f"{shown}: a larger batch is possible, {wanted[0]}."
    return None


def _left(done: list[int | None], steps: int) -> list[str]:
    return ["trained" if n is None else "was finished" if n >= steps else "resumed" for n in done]


@exercise(
    "39.3",
    expects=FunctionType,
    right=_left,
    wrong=[
        (lambda done, steps: ["trained" if not n else "was finished" if n >= steps else "resumed" for n in done], "0"),
        (
            lambda done, steps: ["trained" if n is None else "was finished" if n > steps else "resumed" for n in done],
            "all its steps",
        ),
        (lambda done, steps: ["was finished" if n == steps else "trained" for n in done], "go on"),
        (lambda done, steps: [each for each in _left(done, steps) if each != "was finished"], "every stage"),
        (lambda done, steps: ["resumed"] * len(done), "all its steps"),
    ],
    because="the same command does what is left, whatever that is.",
)
def left_to_do(answer: Callable[[list[int | None], int], list[str]]) -> str | None:
    done: list[int | None] = [100, 40, 0, None, 120]
    found, wanted = list(answer(list(done), 100)), _left(done, 100)
    if len(found) != len(wanted):
        return f"{done} gives {len(found)} answers; one for every stage is wanted."
    for n, one, right in zip(done, found, wanted, strict=True):
        if one == right:
            continue
        why = {
            100: "it has all its steps.",
            40: "what was begun is not thrown away, its run will go on.",
            0: "a run saved at step 0 has begun, and goes on from there; None means that none began.",
        }.get(-1 if n is None else n, f"expected is {right!r}.")
        return f"With 100 steps wanted, a stage at {n} is said to be {one!r}: {why}"
    return None


@exercise(
    "39.4",
    expects=FunctionType,
    right=lambda means, counts: sum(m * c for m, c in zip(means, counts, strict=True)) / sum(counts),
    wrong=[
        (lambda means, counts: sum(means) / len(means), "mean of means"),
        (lambda means, counts: sum(means), "sum of the means"),
        (lambda means, counts: sum(m * c for m, c in zip(means, counts, strict=True)), "divide"),
        (lambda means, counts: sum(m * c for m, c in zip(means, counts, strict=True)) / len(means), "all targets"),
        (lambda means, counts: 0.0, "expected"),
    ],
    because="each target weighs the same, in whichever process it was.",
)
def one_gradient(answer: Callable[[list[float], list[int]], float]) -> str | None:
    for means, counts in (([4.0, 1.0], [10, 90]), ([2.0, -1.0, 0.5], [1, 2, 5])):
        found = answer(list(means), list(counts))
        total = sum(m * c for m, c in zip(means, counts, strict=True))
        wanted = total / sum(counts)
        if abs(found - wanted) < 1e-9:
            continue
        mistakes = (
            (sum(means) / len(means), "that is the mean of means; a process with few targets weighs too much."),
            (sum(means), "that is the sum of the means."),
            (total, "divide by the number of targets."),
            (total / len(means), "divide by the number of all targets, not of processes."),
        )
        named = [words for value, words in mistakes if abs(found - value) < 1e-9]
        return f"Means {means} over {counts} targets give {found:g}: {named[0] if named else f'expected {wanted:g}.'}"
    return None
