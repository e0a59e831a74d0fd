"""Chapter 34, configuration files: steps of an epoch, mending a config, splitting a batch, making a model fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from muomni.config import ConfigError, ThinkerConfig, check_values, differences, with_changes
from muomni.course.checks import exercise
from muomni.plan import GIB, peak_memory, plan

RUN = ThinkerConfig(ctx_len=256, batch_size=8, gradient_accumulation_steps=4, val_split=0.05)
TOKENS = 6_000_000

BROKEN = {
    "stage": "thinker",
    "d_model": 256,
    "n_layer": 6,
    "n_heads": 6,
    "n_kv_heads": 2,
    "lr": "3e-4",
    "max_steps": 2000,
    "warmup_steps": 2500,
}
"""Exercise 34.2's config, as the chapter prints it: four mistakes."""
MENDED = {
    "stage": "thinker",
    "d_model": 256,
    "n_layers": 6,
    "n_heads": 4,
    "n_kv_heads": 2,
    "lr": 3e-4,
    "max_steps": 2000,
    "warmup_steps": 80,
}

BUDGET_GIB = 0.3
SHORTEST_CONTEXT = 256
TURNED = ("batch_size", "gradient_accumulation_steps", "ctx_len")


@exercise(
    "34.1",
    expects=int,
    right=695,
    wrong=[
        (732, "held out"),
        (2783, "accumulation"),
        (178_125, "tokens, not examples"),
        (696, "whole steps"),
        (22_265, "effective batch"),
        (8192, "one step"),
        (4865, "one epoch"),
        (1, "5,700,000"),
    ],
    because="5,700,000 tokens are trained on, and a step takes 8 x 4 x 256 = 8,192 of them.",
)
def steps_per_epoch(answer: int) -> str | None:
    planned = plan(RUN, tokens=TOKENS)
    assert planned.tokens_per_step is not None  # a Thinker is planned by tokens
    if answer == planned.steps_per_epoch:
        return None
    mistakes = {
        TOKENS // planned.tokens_per_step: "The part that is held out for validation (val_split) is not trained on.",
        planned.training // (RUN.batch_size * RUN.ctx_len): "One step adds up 4 micro-batches (accumulation).",
        planned.training // planned.effective_batch_size: "The data is counted in tokens, not examples: ctx_len each.",
        -(-planned.training // planned.tokens_per_step): "Count whole steps: what is left over is no step.",
        planned.training
        // RUN.ctx_len: "That is the number of rows; one step takes the whole effective batch of them.",
        planned.tokens_per_step: "That is the tokens of one step; how many steps go into the training tokens?",
        planned.max_steps: "That is the whole run; one epoch is asked for.",
    }
    return mistakes.get(answer, f"Divide the {planned.training:,} training tokens by the tokens of one step.")


@exercise(
    "34.2",
    expects=dict,
    right=MENDED,
    wrong=[
        (BROKEN, "n_layer"),
        ({**MENDED, "n_heads": 6}, "n_heads"),
        ({**MENDED, "lr": "3e-4"}, "lr"),
        ({**MENDED, "warmup_steps": 2500}, "warmup_steps"),
        ({"stage": "thinker"}, "n_layers"),
        ({**MENDED, "d_model": 384, "n_heads": 6}, "keep d_model"),
        ({**MENDED, "max_steps": 3000, "warmup_steps": 2500}, "keep max_steps"),
        ({**MENDED, "warmup_steps": 0}, "3 to 5"),
    ],
    because="Every mistake is mended where it was made, and what was right has stayed.",
)
def mended(answer: Mapping[str, Any]) -> str | None:
    config, problems = check_values("thinker", answer)
    if problems:
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        return f"Reading it finds {count}. The first: {problems[0].field}: {problems[0].message}."
    assert isinstance(config, ThinkerConfig)
    if config.n_layers != 6:
        return f"The file asks for 6 layers; yours gives n_layers {config.n_layers}."
    for name in ("d_model", "max_steps"):
        if getattr(config, name) != BROKEN[name]:
            return f"Please keep {name} at {BROKEN[name]}, and mend the field that does not fit it."
    if config.lr != 3e-4:
        return f"The file asks for a learning rate of 3e-4; yours is {config.lr:g}."
    if not 60 <= config.warmup_steps <= 100:
        return f"It is accepted, but a warmup of {config.warmup_steps} is not 3 to 5 % of {config.max_steps} steps."
    return None


@exercise(
    "34.3",
    expects=FunctionType,
    right=lambda effective, fits: next((b, effective // b) for b in range(fits, 0, -1) if effective % b == 0),
    wrong=[
        (lambda effective, fits: (fits, effective // fits), "effective batch of"),
        (lambda effective, fits: (1, effective), "larger"),
        (lambda effective, fits: (effective, 1), "does not fit"),
        (lambda effective, fits: effective // fits, "two numbers"),
    ],
    because="The largest divisor that fits wastes no memory, and the effective batch stays exactly what it was.",
)
def split(answer: Callable[[int, int], tuple[int, int]]) -> str | None:
    for effective, fits in ((32, 32), (32, 20), (12, 5), (7, 3), (16, 1)):
        said = answer(effective, fits)
        called = f"split({effective}, {fits})"
        if not (isinstance(said, tuple) and len(said) == 2 and all(isinstance(part, int) for part in said)):
            return f"{called} gives {said!r}; two numbers are wanted: (batch_size, gradient_accumulation_steps)."
        batch, accumulation = said
        if batch > fits:
            return f"{called} gives {said}: a micro-batch of {batch} does not fit, {fits} is the most."
        if batch * accumulation != effective:
            return f"{called} gives {said}, an effective batch of {batch * accumulation} in place of {effective}."
        largest = max(part for part in range(1, fits + 1) if effective % part == 0)
        if batch != largest:
            return f"{called} gives {said}: a larger micro-batch, {largest}, fits and divides {effective} too."
    return None


@exercise(
    "34.4",
    expects=dict,
    right={"batch_size": 1, "gradient_accumulation_steps": 16, "ctx_len": 256},
    wrong=[
        ({}, "too much"),
        ({"batch_size": 1, "ctx_len": 256}, "effective batch"),
        ({"batch_size": 1, "gradient_accumulation_steps": 16}, "too much"),
        ({"batch_size": 4, "gradient_accumulation_steps": 4, "ctx_len": 64}, "ctx_len"),
        ({"batch_size": 1, "gradient_accumulation_steps": 16, "d_model": 128}, "d_model"),
        ({"batchsize": 1}, "batch_size"),
    ],
    because="The same number of examples stand behind each step; they are computed one after another, and are shorter.",
)
def fits(answer: Mapping[str, Any]) -> str | None:
    before = ThinkerConfig()
    try:
        after = with_changes(before, answer)
    except ConfigError as error:
        return f"The config refuses it: {error}"
    strange = [change.field for change in differences(before, after) if change.field not in TURNED]
    if strange:
        return f"Please leave {', '.join(strange)} as it is; turn only {', '.join(TURNED)}."
    if after.effective_batch_size != before.effective_batch_size:
        return f"The effective batch is now {after.effective_batch_size}; keep it at {before.effective_batch_size}."
    assert isinstance(after, ThinkerConfig)
    if after.ctx_len < SHORTEST_CONTEXT:
        return f"A ctx_len of {after.ctx_len} is shorter than it has to be: keep {SHORTEST_CONTEXT} or more."
    need = peak_memory(after, after.batch_size, after.gradient_accumulation_steps > 1).total
    if need > BUDGET_GIB * GIB:
        return f"It needs {need / GIB:.3f} GiB, {need / GIB - BUDGET_GIB:.3f} too much."
    return None
