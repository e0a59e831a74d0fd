"""One config and the size of its data in, the whole plan out: batches, steps, warmup, parameters, memory.

The panels, `muomni plan` and `muomni update-configs` all call `plan`. The effective batch that the config asks for is
kept exactly; only how it is split into micro-batches and accumulation follows the model's size and the memory budget.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any

from muomni.config import FieldSpec, StageConfig, check_values, fields_of
from muomni.errors import BAD_USAGE, UserError
from muomni.plan.memory import GIB, Memory, peak_memory
from muomni.plan.parameters import count_parameters
from muomni.plan.schedule import (
    WARMUP_PERCENT,
    checkpoint_frequency,
    epoch_choice,
    training_examples,
    validation_frequency,
    warmup_steps,
)

MEMORY_GIB = 12.0


@dataclass(frozen=True)
class Plan:
    """What a run will be. Counts are of the unit that `unit` names; memory is in bytes."""

    stage: str
    unit: str
    examples: int
    training: int
    effective_batch_size: int
    batch_size: int
    gradient_accumulation_steps: int
    data_parallel: int
    tokens_per_step: int | None
    steps_per_epoch: int
    size_class: str
    epochs_range: tuple[int, int]
    max_epochs: int
    max_steps: int
    warmup_steps: int
    val_freq: int
    checkpoint_freq: int
    parameters: int
    memory: Memory
    memory_budget_bytes: int
    fits: bool
    advice: str

    @property
    def settings(self) -> dict[str, int]:
        """The settings that the plan decides, as a config names them."""
        return {name: getattr(self, name) for name in PLANNED}

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data, memory by category."""
        return asdict(self) | {"epochs_range": list(self.epochs_range), "memory": self.memory.to_json()}


PLANNED = (
    "batch_size",
    "gradient_accumulation_steps",
    "max_epochs",
    "max_steps",
    "warmup_steps",
    "val_freq",
    "checkpoint_freq",
)
"""The settings that a plan decides."""


def plan(
    config: StageConfig,
    *,
    tokens: int | None = None,
    samples: int | None = None,
    epochs: int | None = None,
    warmup_percent: float = WARMUP_PERCENT,
    memory_gib: float = MEMORY_GIB,
) -> Plan:
    """Plan one stage.

    Args:
        config: the stage's settings; its effective batch is kept exactly.
        tokens: size of the data for the stages planned by tokens (thinker, omni_sft).
        samples: size of the data for the others.
        epochs: passes over the data; None takes the middle of the range for data of this size.
        warmup_percent: warmup as a share of the run, in percent.
        memory_gib: memory that training may take, in GiB.

    Raises:
        UserError: the size is missing, negative or given in the other unit; the plan asked for is no possible run.
    """
    examples = _examples(config, tokens, samples)
    _check_wishes(config, epochs, warmup_percent, memory_gib)
    per_process = config.batch_size * config.gradient_accumulation_steps
    size = count_parameters(config)
    budget = int(memory_gib * GIB)
    batch, memory = largest_batch(config, per_process, size, budget)
    fits = memory.total <= budget

    effective = config.effective_batch_size
    training = training_examples(examples, config.val_split)
    tokens_per_step: int | None = effective * config.ctx_len if config.unit == "tokens" else None  # type: ignore[attr-defined]
    steps = max(1, training // (tokens_per_step or effective))
    choice = epoch_choice(examples, config.unit)
    max_epochs = choice.used if epochs is None else epochs
    max_steps = steps * max_epochs
    _within(fields_of(type(config))["max_steps"], max_steps, f"{config.unit} and epochs make a run of")
    return Plan(
        stage=config.stage_name,
        unit=config.unit,
        examples=examples,
        training=training,
        effective_batch_size=effective,
        batch_size=batch,
        gradient_accumulation_steps=per_process // batch,
        data_parallel=config.data_parallel,
        tokens_per_step=tokens_per_step,
        steps_per_epoch=steps,
        size_class=choice.size_class,
        epochs_range=(choice.lowest, choice.highest),
        max_epochs=max_epochs,
        max_steps=max_steps,
        warmup_steps=warmup_steps(max_steps, warmup_percent),
        val_freq=validation_frequency(steps),
        checkpoint_freq=checkpoint_frequency(steps),
        parameters=size,
        memory=memory,
        memory_budget_bytes=budget,
        fits=fits,
        advice="" if fits else _what_would_fit(config, memory, budget),
    )


def _examples(config: StageConfig, tokens: int | None, samples: int | None) -> int:
    wanted, other = (tokens, samples) if config.unit == "tokens" else (samples, tokens)
    if wanted is None or other is not None:
        raise UserError(
            f"{config.stage_name} is planned by {config.unit}",
            field=f"--{config.unit}",
            fix=f"Give the number of {config.unit}.",
            exit_code=BAD_USAGE,
        )
    if wanted < 0:
        raise UserError(
            f"is {wanted}; allowed is a whole number from 0 up", field=f"--{config.unit}", exit_code=BAD_USAGE
        )
    return wanted


def _check_wishes(config: StageConfig, epochs: int | None, warmup_percent: float, memory_gib: float) -> None:
    if epochs is not None:
        _within(fields_of(type(config))["max_epochs"], epochs, "--epochs is")
    if not 0 <= warmup_percent <= 100:
        raise UserError(
            f"is {warmup_percent:g}; allowed is a number from 0 to 100 (percent)",
            field="--warmup-percent",
            exit_code=BAD_USAGE,
        )
    if not 0 < memory_gib <= 1_000_000:
        raise UserError(
            f"is {memory_gib:g}; allowed is a number above 0 (GiB)", field="--memory-gb", exit_code=BAD_USAGE
        )


def _within(spec: FieldSpec, value: int, said: str) -> None:
    """A plan is a config that can be saved: a value out of its setting's range is refused here already."""
    if spec.low is not None and spec.high is not None and not spec.low <= value <= spec.high:
        raise UserError(f"{said} {value}; {spec.name} may be {spec.allowed}", exit_code=BAD_USAGE)


def divisors(number: int) -> list[int]:
    """The divisors of `number`, smallest first."""
    low = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return low + [number // n for n in reversed(low) if n * n != number]


def batch_cap(per_process: int, size: int) -> int:
    """The largest micro-batch considered: all of the effective batch for small models, less for larger ones."""
    if size <= 50_000_000:
        return per_process
    return max(1, per_process // (2 if size <= 100_000_000 else 4))


def largest_batch(config: StageConfig, per_process: int, size: int, budget: int) -> tuple[int, Memory]:
    """The largest micro-batch that divides the effective batch, keeps to the cap and fits the budget, and its memory.

    Where not even one example fits, it is 1. Memory grows with the batch, so the divisors are searched by halving.
    """
    cap = batch_cap(per_process, size)
    batches = [n for n in divisors(per_process) if n <= cap]
    best = peak_memory(config, batches[-1], batches[-1] < per_process)
    if best.total <= budget:
        return batches[-1], best
    low, high = 0, len(batches) - 1
    best = peak_memory(config, 1, per_process > 1)
    while high - low > 1:
        middle = (low + high) // 2
        memory = peak_memory(config, batches[middle], batches[middle] < per_process)
        if memory.total <= budget:
            low, best = middle, memory
        else:
            high = middle
    return batches[low], best


def _what_would_fit(config: StageConfig, memory: Memory, budget: int) -> str:
    """By how much one example misses the budget, and the first change that would make it fit."""
    missing = f"{_gib(memory.total - budget)} too much even with batch_size 1"
    for name, change in _smaller(config):
        smaller, _ = check_values(config.stage_name, config.model_dump() | change)
        if smaller is not None and peak_memory(smaller, 1, config.effective_batch_size > 1).total <= budget:
            wanted = ", ".join(f"{key} {value}" for key, value in change.items())
            return f"{missing}; {wanted} would fit{name}"
    return f"{missing}; no single change is enough: it needs a budget of {_gib(memory.total)}, or a narrower model"


def _gib(size: int) -> str:
    """Bytes as GiB, never rounded down: a budget of this much is enough."""
    return f"{-(-size * 100 // GIB) / 100:.2f} GiB"


def _smaller(config: StageConfig) -> list[tuple[str, dict[str, Any]]]:
    """Changes worth trying, the gentlest first."""
    changes: list[tuple[str, dict[str, Any]]] = []
    if not config.use_amp:
        changes.append((" (mixed precision)", {"use_amp": True}))
    for name in ("ctx_len", "max_audio_length", "n_layers", "decoder_layers", "d_ff"):
        value = getattr(config, name, 0)
        while value >= 2 and value % 2 == 0 and value > 8:
            value //= 2
            changes.append(("", {name: value}))
    for name in ("n_layers", "vision_layers"):
        value = getattr(config, name, 0)
        changes.extend(("", {name: fewer}) for fewer in range(value - 1, 0, -1))
    width = getattr(config, "d_model", 0) // 2
    return [*changes, ("", {"d_model": width})] if width else changes
