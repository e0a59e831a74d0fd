"""Judges of chapter 27: perplexity, the length of an epoch, the schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType

from muomni.course.checks import exercise
from muomni.plan import learning_rate


@exercise(
    "27.1",
    expects=FunctionType,
    right=lambda nats: math.exp(nats),
    wrong=[(lambda nats: 2**nats, "bits"), (lambda nats: -math.log(max(nats, 1e-9)), "logarithm")],
    because="the perplexity of a uniform choice among n tokens is n.",
)
def perplexity(answer: Callable[[float], float]) -> str | None:
    found = answer(math.log(8))
    if math.isclose(found, 8, rel_tol=1e-6):
        return None
    if math.isclose(found, 2 ** math.log(8), rel_tol=1e-6):
        return "2 to the power of the loss is for a loss in bits; this one is in nats, so the base is e."
    if found < 0:
        return "a perplexity is never negative: undo the logarithm in the loss instead of taking another one."
    return f"for a loss of ln(8), a choice among 8 equally likely tokens, it should be 8; yours is {found:.4g}."


@exercise(
    "27.2",
    expects=FunctionType,
    right=lambda tokens, batch, accumulation, ctx: max(1, tokens // (batch * accumulation * ctx)),
    wrong=[
        (lambda tokens, batch, accumulation, ctx: max(1, tokens // (batch * ctx)), "accumulation"),
        (lambda tokens, batch, accumulation, ctx: max(1, tokens // (batch * accumulation)), "ctx_len"),
        (lambda tokens, batch, accumulation, ctx: tokens // (batch * accumulation * ctx), "at least 1"),
        (lambda tokens, batch, accumulation, ctx: max(1, tokens / (batch * accumulation * ctx)), "whole"),
    ],
    because="an epoch is as many whole steps as its tokens fill.",
)
def epoch(answer: Callable[[int, int, int, int], int]) -> str | None:
    found = answer(1_000_001, 8, 4, 128)
    if found == 1_000_001 // (8 * 128):
        return "accumulation is missing: 4 micro-batches make one step, so an epoch has fewer steps."
    if found == 1_000_001 // (8 * 4):
        return "you counted rows as tokens: each row holds ctx_len tokens."
    if found != int(found):
        return "a step is taken or not: the number has to be whole, rounded down."
    if found != 1_000_001 // (8 * 4 * 128):
        return f"for 1,000,001 tokens, batch 8, accumulation 4, ctx_len 128 it should be 244; yours is {found}."
    if answer(100, 8, 4, 128) != 1:
        return "a text smaller than one step still makes a step: at least 1."
    return None


def _right_rate(step: int, lr: float, warmup: int, max_steps: int) -> float:
    return learning_rate(step, lr=lr, warmup=warmup, max_steps=max_steps, min_ratio=0.0)


def _from_zero(step: int, lr: float, warmup: int, max_steps: int) -> float:
    return lr * step / warmup if step < warmup else _right_rate(step, lr, warmup, max_steps)


def _no_warmup(step: int, lr: float, warmup: int, max_steps: int) -> float:
    return lr * 0.5 * (1 + math.cos(math.pi * step / (max_steps - 1)))


def _straight(step: int, lr: float, warmup: int, max_steps: int) -> float:
    if step < warmup:
        return lr * (step + 1) / warmup
    return lr * (1 - (step - warmup) / (max_steps - 1 - warmup))


@exercise(
    "27.3",
    expects=FunctionType,
    right=_right_rate,
    wrong=[(_from_zero, "first step"), (_no_warmup, "warmup"), (_straight, "straight line")],
    because="this is the loop's own schedule, with lr_min_ratio 0.",
)
def schedule(answer: Callable[[int, float, int, int], float]) -> str | None:
    lr, warmup, steps = 1.0, 10, 111
    if answer(0, lr, warmup, steps) == 0:
        return "the first step would have a rate of 0 and learn nothing: step 0 is the first of the warmup steps."
    if not math.isclose(answer(9, lr, warmup, steps), 1.0) or not math.isclose(answer(0, lr, warmup, steps), 0.1):
        return "warmup is not as asked: of 10 warmup steps the first has a tenth of the rate, the tenth all of it."
    if math.isclose(answer(35, lr, warmup, steps), 0.75, rel_tol=1e-6):
        return "that is a straight line; a cosine stays high longer, and is at 0.854 after a quarter of the way."
    for step in range(steps):
        wanted, found = _right_rate(step, lr, warmup, steps), answer(step, lr, warmup, steps)
        if not math.isclose(wanted, found, rel_tol=1e-6, abs_tol=1e-9):
            return f"step {step} of {steps} with warmup {warmup} should have {wanted:.4f} of lr; yours has {found:.4f}."
    return None
