"""The planner against an oracle written from its rules alone, in fractions: every boundary, and random plans."""

import dataclasses
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni.config import STAGES, StageConfig, check_values, read_config, with_changes
from muomni.errors import UserError
from muomni.plan import GIB, Plan, count_parameters, peak_memory, plan
from muomni.plan.planner import batch_cap, divisors

CONFIGS = Path(__file__).parent.parent / "configs"
TOKEN_STAGES = ("thinker", "omni_sft")
CLASSES = {"very large": (1, 3), "large": (2, 4), "medium": (3, 6), "small": (5, 10)}
USED = {"very large": 2, "large": 3, "medium": 4, "small": 7}


def size_class(examples: int, unit: str) -> str:
    """The table of the rules, in millions."""
    size = Fraction(examples, 1_000_000)
    very, large, medium = (100, 50, 10) if unit == "tokens" else (1, Fraction(1, 2), Fraction(1, 10))
    return "very large" if size > very else "large" if size >= large else "medium" if size >= medium else "small"


def oracle(config: StageConfig, examples: int, epochs: int | None = None, percent: str = "4") -> dict[str, Any]:
    """Everything but the batch split and the memory, from the text of the rules."""
    held_out = floor(examples * Fraction(str(config.val_split)))
    training = examples - held_out
    ebs = config.batch_size * config.gradient_accumulation_steps * config.data_parallel
    unit = "tokens" if config.stage_name in TOKEN_STAGES else "samples"
    per_step = ebs * config.ctx_len if unit == "tokens" else ebs  # type: ignore[attr-defined]
    steps = max(1, floor(Fraction(training, per_step)))
    chosen = size_class(examples, unit)
    max_epochs = epochs or USED[chosen]
    max_steps = steps * max_epochs
    warmup = floor(Fraction(percent) / 100 * max_steps + Fraction(1, 2))
    return {
        "stage": config.stage_name,
        "unit": unit,
        "examples": examples,
        "training": training,
        "effective_batch_size": ebs,
        "data_parallel": config.data_parallel,
        "tokens_per_step": per_step if unit == "tokens" else None,
        "steps_per_epoch": steps,
        "size_class": chosen,
        "epochs_range": CLASSES[chosen],
        "max_epochs": max_epochs,
        "max_steps": max_steps,
        "warmup_steps": min(10_000, max(1, warmup), max_steps),
        "val_freq": min(1000, max(1, floor(Fraction(steps, 10)))),
        "checkpoint_freq": min(10_000, steps),
    }


def planned(config: StageConfig, examples: int, **wishes: Any) -> Plan:
    size = {"tokens" if config.stage_name in TOKEN_STAGES else "samples": examples}
    return plan(config, **size, **wishes)


def check(config: StageConfig, examples: int, **wishes: Any) -> Plan:
    found = planned(config, examples, **wishes)
    for name, value in oracle(config, examples).items():
        assert getattr(found, name) == value, name
    check_batches(config, found)
    changed, problems = check_values(config.stage_name, config.model_dump() | found.settings)
    assert changed is not None, problems
    assert changed.effective_batch_size == config.effective_batch_size
    return found


def check_batches(config: StageConfig, found: Plan) -> None:
    """B is the largest divisor of EBS/W within the cap that fits the budget, by trying every one."""
    share = config.batch_size * config.gradient_accumulation_steps
    parameters = count_parameters(config)
    part = 1 if parameters <= 50_000_000 else 2 if parameters <= 100_000_000 else 4
    cap = max(1, floor(Fraction(share, part)))
    candidates = [b for b in range(1, cap + 1) if share % b == 0]
    fitting = [b for b in candidates if peak_memory(config, b, share // b > 1).total <= found.memory_budget_bytes]
    assert found.batch_size == max(fitting, default=1)
    assert found.batch_size * found.gradient_accumulation_steps * found.data_parallel == found.effective_batch_size
    assert found.memory == peak_memory(config, found.batch_size, found.gradient_accumulation_steps > 1)
    assert found.fits == (found.memory.total <= found.memory_budget_bytes) == bool(fitting)
    assert found.parameters == parameters


def around(*limits: int) -> list[int]:
    return sorted({n + d for n in limits for d in (-1, 0, 1)} - {-1})


TOKEN_SIZES = [*around(0, 8192, 10_000_000, 50_000_000, 100_000_000), 8_000_000_000]
SAMPLE_SIZES = [*around(0, 16, 100_000, 500_000, 1_000_000), 8_000_000_000]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("val_split", [0.0, 0.1, 0.05, 0.9])
def test_every_boundary(stage: str, val_split: float) -> None:
    for profile in ("tiny", "nano"):
        config = with_changes(read_config(CONFIGS / f"{stage}_{profile}.json").config, {"val_split": val_split})
        for examples in TOKEN_SIZES if stage in TOKEN_STAGES else SAMPLE_SIZES:
            check(config, examples)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (10_000_000, "medium"),
        (9_999_999, "small"),
        (50_000_000, "large"),
        (49_999_999, "medium"),
        (100_000_000, "large"),
        (100_000_001, "very large"),
    ],
)
def test_the_class_limits_in_tokens(tokens: int, expected: str) -> None:
    assert planned(STAGES["thinker"](), tokens).size_class == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (100_000, "medium"),
        (99_999, "small"),
        (500_000, "large"),
        (499_999, "medium"),
        (1_000_000, "large"),
        (1_000_001, "very large"),
    ],
)
def test_the_class_limits_in_samples(samples: int, expected: str) -> None:
    assert planned(STAGES["vision"](), samples).size_class == expected


def test_a_plan_worked_out_by_hand() -> None:
    """10 M tokens, a tenth held out, 16 rows of 512: 9,000,000 // 8,192 = 1,098 steps; 4 epochs; 4 % of 4,392."""
    found = planned(STAGES["thinker"](), 10_000_000)
    assert (found.training, found.tokens_per_step, found.steps_per_epoch) == (9_000_000, 8192, 1098)
    assert (found.max_epochs, found.max_steps, found.warmup_steps) == (4, 4392, 176)
    assert (found.val_freq, found.checkpoint_freq, found.size_class) == (109, 1098, "medium")


def test_eight_billion_tokens() -> None:
    found = planned(STAGES["thinker"](), 8_000_000_000)
    assert (found.steps_per_epoch, found.max_epochs, found.max_steps) == (878_906, 2, 1_757_812)
    assert (found.warmup_steps, found.val_freq, found.checkpoint_freq) == (10_000, 1000, 10_000)


def test_shares_are_decimal_not_binary() -> None:
    """floor(30 x 0.1) is 3; in floats 0.1 + 0.1 + 0.1 is already above 0.3, and 29 x 0.01 x 100 below 29."""
    for share in range(0, 91):
        config = with_changes(STAGES["vision"](), {"val_split": share / 100})
        assert planned(config, 100).training == 100 - share
        assert planned(config, 10**9).training == 10**9 - share * 10**7


def test_halves_of_a_warmup_step_round_up() -> None:
    config = with_changes(STAGES["vision"](), {"batch_size": 1, "val_split": 0.0})
    for steps, warmup in ((1, 1), (12, 1), (37, 1), (38, 2), (62, 2), (63, 3), (112, 4), (113, 5)):
        assert plan(config, samples=steps, epochs=1).warmup_steps == warmup
    assert plan(config, samples=50, epochs=1, warmup_percent=5).warmup_steps == 3  # of 2.5
    assert plan(config, samples=50, epochs=1, warmup_percent=3).warmup_steps == 2


def test_a_run_of_one_step_warms_up_in_it() -> None:
    found = plan(STAGES["vision"](), samples=0, epochs=1)
    assert (found.max_steps, found.warmup_steps, found.val_freq, found.checkpoint_freq) == (1, 1, 1, 1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[StageConfig, int, float]:
    stage = draw(st.sampled_from(list(STAGES)))
    config = with_changes(
        STAGES[stage](),
        {
            "batch_size": draw(st.integers(1, 96)),
            "gradient_accumulation_steps": draw(st.integers(1, 40)),
            "data_parallel": draw(st.integers(1, 9)),
            "val_split": draw(st.integers(0, 900)) / 1000,
        },
    )
    limits = st.sampled_from(TOKEN_SIZES if stage in TOKEN_STAGES else SAMPLE_SIZES)
    examples = draw(st.one_of(st.integers(0, 10**10), st.integers(0, 10**5), limits))
    return config, examples, draw(st.sampled_from([0.05, 0.5, 1.0, 2.0, 12.0, 80.0]))


@settings(max_examples=120, deadline=None)
@given(case=cases())
def test_any_plan_is_what_the_rules_say(case: tuple[StageConfig, int, float]) -> None:
    config, examples, memory = case
    check(config, examples, memory_gib=memory)


@settings(max_examples=60, deadline=None)
@given(case=cases(), epochs=st.integers(1, 12), tenths=st.integers(0, 100))
def test_wishes_for_epochs_and_warmup_are_kept(case: tuple[StageConfig, int, float], epochs: int, tenths: int) -> None:
    config, examples, _ = case
    expected = oracle(config, examples, epochs, str(Fraction(tenths, 10)))
    found = planned(config, examples, epochs=epochs, warmup_percent=tenths / 10)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("parameters", "cap"), [(1, 64), (50_000_000, 64), (50_000_001, 32), (100_000_000, 32), (100_000_001, 16)]
)
def test_the_cap_follows_the_models_size(parameters: int, cap: int) -> None:
    assert batch_cap(64, parameters) == cap
    assert batch_cap(1, parameters) == 1


@pytest.mark.parametrize(("width", "per_batch"), [(256, 48), (1024, 24), (2048, 12)])
def test_larger_models_take_smaller_micro_batches(width: int, per_batch: int) -> None:
    """9, 56 and 146 M parameters: all, half and a quarter of the 48 rows a process has."""
    config = with_changes(
        STAGES["thinker"](),
        {
            "d_model": width,
            "n_heads": 8,
            "n_layers": 2,
            "d_ff": 4 * width,
            "batch_size": 6,
            "gradient_accumulation_steps": 8,
            "data_parallel": 2,
        },
    )
    found = planned(config, 10**7, memory_gib=100_000)
    assert (found.batch_size, found.gradient_accumulation_steps, found.data_parallel) == (per_batch, 48 // per_batch, 2)


@given(st.integers(1, 70_000))
def test_divisors(number: int) -> None:
    found = divisors(number)
    assert found == sorted(set(found)) and found[0] == 1 and found[-1] == number
    assert all(number % n == 0 for n in found)
    assert len(found) == sum(
        1 + (n * n != number) for n in range(1, ceil(number**0.5) + 1) if n * n <= number and number % n == 0
    )


def test_an_effective_batch_larger_than_any_usual_batch_is_kept() -> None:
    config = with_changes(STAGES["ocr"](), {"batch_size": 512, "gradient_accumulation_steps": 128})
    found = check(config, 10**6, memory_gib=100_000)
    assert found.batch_size * found.gradient_accumulation_steps == 65_536


@pytest.mark.parametrize("stage", STAGES)
def test_what_does_not_fit_says_by_how_much_and_what_would(stage: str) -> None:
    config = STAGES[stage]()
    least = peak_memory(config, 1, config.effective_batch_size > 1).total
    budget = (least - 1) / GIB
    found = planned(config, 1000, memory_gib=budget)
    assert found.batch_size == 1 and not found.fits
    assert found.gradient_accumulation_steps == config.batch_size * config.gradient_accumulation_steps
    assert found.advice.startswith("0.01 GiB too much even with batch_size 1; ")
    assert planned(config, 1000, memory_gib=(least + 1) / GIB).fits


@pytest.mark.parametrize("stage", STAGES)
def test_the_change_that_is_advised_fits_and_is_valid(stage: str) -> None:
    config = STAGES[stage]()
    least = peak_memory(config, 1, config.effective_batch_size > 1).total
    advised = 0
    for tenths in range(1, 10):
        budget = least * tenths / 10 / GIB
        advice = planned(config, 1000, memory_gib=budget).advice
        assert "too much even with batch_size 1" in advice
        if "would fit" in advice:
            name, value = advice.split("; ")[1].split(" would fit")[0].split()
            smaller = with_changes(config, {name: value == "True" if name == "use_amp" else int(value)})
            assert planned(smaller, 1000, memory_gib=budget).fits
            advised += 1
        else:
            enough = float(advice.split("a budget of ")[1].split()[0])
            assert planned(config, 1000, memory_gib=enough).fits
    assert advised or stage == "vocoder"


def test_a_plan_planned_again_is_the_same() -> None:
    for stage in STAGES:
        config = STAGES[stage]()
        once = planned(config, 123_456)
        twice = planned(with_changes(config, once.settings), 123_456)
        assert once == twice


@pytest.mark.parametrize(
    ("stage", "wishes", "said"),
    [
        ("thinker", {"samples": 5}, "thinker is planned by tokens"),
        ("vision", {"tokens": 5}, "planned by samples"),
        ("vision", {}, "planned by samples"),
        ("vision", {"samples": -1}, "is -1; allowed is a whole number from 0 up"),
        ("thinker", {"tokens": 5, "samples": 5}, "planned by tokens"),
        ("vision", {"samples": 5, "epochs": 0}, "--epochs is 0; max_epochs may be a whole number from 1 to 1000"),
        ("vision", {"samples": 5, "epochs": 1001}, "--epochs is 1001"),
        ("vision", {"samples": 10**20}, "make a run of"),
        ("vision", {"samples": 5, "warmup_percent": -1.0}, "--warmup-percent: is -1"),
        ("vision", {"samples": 5, "warmup_percent": float("nan")}, "--warmup-percent: is nan"),
        ("vision", {"samples": 5, "warmup_percent": 101.0}, "--warmup-percent: is 101"),
        ("vision", {"samples": 5, "memory_gib": 0.0}, "--memory-gb: is 0"),
        ("vision", {"samples": 5, "memory_gib": float("inf")}, "--memory-gb: is inf"),
        ("vision", {"samples": 5, "memory_gib": float("nan")}, "--memory-gb: is nan"),
    ],
)
def test_an_impossible_wish_is_bad_usage(stage: str, wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        plan(STAGES[stage](), **wishes)
    assert said in str(caught.value) and caught.value.exit_code == 2


def test_the_plan_as_plain_data_has_every_field_of_the_rules() -> None:
    found = planned(STAGES["thinker"](), 10**6).to_json()
    assert set(found) >= {
        "stage",
        "unit",
        "examples",
        "training",
        "effective_batch_size",
        "batch_size",
        "gradient_accumulation_steps",
        "data_parallel",
        "tokens_per_step",
        "steps_per_epoch",
        "size_class",
        "epochs_range",
        "max_epochs",
        "max_steps",
        "warmup_steps",
        "val_freq",
        "checkpoint_freq",
        "parameters",
        "memory",
        "memory_budget_bytes",
        "fits",
    }
    memory = found["memory"]
    assert set(memory) == {"parameters", "gradients", "optimizer", "activations", "temporaries", "total"}
    assert memory["total"] == sum(value for name, value in memory.items() if name != "total")
    assert planned(STAGES["vision"](), 10**6).to_json()["tokens_per_step"] is None


def test_the_oracle_can_fail() -> None:
    config = STAGES["thinker"]()
    wrong = dataclasses.replace(planned(config, 10**7), batch_size=8, gradient_accumulation_steps=2)
    with pytest.raises(AssertionError):
        check_batches(config, wrong)
