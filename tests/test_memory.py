"""Memory: the closed form against the exact trace of the real training step, and the trace against known sizes."""

from __future__ import annotations

import random
import statistics

import pytest
import torch

from muomni.config import ThinkerConfig
from muomni.plan import count_parameters, peak_memory
from muomni.train.memory_trace import LiveBytes, trace


def some_config(dice: random.Random) -> ThinkerConfig:
    """A valid Thinker from 32 to 512 wide, over everything that changes its memory."""
    heads = dice.choice([1, 2, 3, 4, 6, 8])
    width = heads * dice.choice([16, 32, 64])
    config = ThinkerConfig(
        vocab_size=dice.choice([512, 4096, 32000, 50000]),
        d_model=width,
        n_heads=heads,
        n_kv_heads=dice.choice([n for n in range(1, heads + 1) if heads % n == 0]),
        n_layers=dice.randint(1, 12),
        d_ff=dice.choice([2, 3, 4]) * width,
        ctx_len=dice.choice([64, 128, 256, 512, 1024]),
        batch_size=dice.choice([1, 2, 4, 8, 16, 32]),
        gradient_accumulation_steps=dice.choice([1, 1, 4]),
        dropout=dice.choice([0.0, 0.1]),
        use_swiglu=dice.random() < 0.7,
        use_amp=dice.random() < 0.5,
        tie_embeddings=dice.random() < 0.6,
        n_experts=dice.choice([0, 0, 0, 4, 8]),
        experts_per_token=dice.choice([1, 2]),
        separate_documents=dice.random() < 0.3,
    )
    return config.model_copy(update={"token_shift": config.n_kv_heads > 1 and dice.random() < 0.5})


def error(config: ThinkerConfig) -> float:
    predicted = peak_memory(config, config.batch_size, config.gradient_accumulation_steps > 1).total
    return predicted / trace(config).total - 1


@pytest.mark.parametrize("n, seed", [(6, 0), pytest.param(60, 7, marks=pytest.mark.slow)])
def test_the_closed_form_meets_the_exact_trace_over_random_configs(n: int, seed: int) -> None:
    dice = random.Random(seed)
    errors = [abs(error(some_config(dice))) for _ in range(n)]
    print(f"{n} configs: median error {statistics.median(errors):.2%}, worst {max(errors):.2%}")
    assert statistics.median(errors) <= 0.03
    assert max(errors) <= 0.08


def test_the_trace_counts_parameters_gradients_and_moments_exactly() -> None:
    config = ThinkerConfig(d_model=64, n_heads=4, vocab_size=1024, ctx_len=64)
    memory = trace(config, batch_size=1)
    size = 4 * count_parameters(config)
    # 512-byte blocks: at most one more a tensor; AdamW also keeps its step's number for each
    tensors = 4 * 11
    assert size <= memory.parameters <= size + 512 * tensors
    assert memory.gradients == memory.parameters
    assert 2 * memory.parameters <= memory.optimizer <= 2 * memory.parameters + 512 * tensors


def test_more_to_hold_is_more_memory() -> None:
    base = ThinkerConfig(d_model=64, n_heads=4, vocab_size=1024, ctx_len=128, batch_size=4, use_amp=False)

    def total(**changes: object) -> int:
        return trace(base.model_copy(update=changes)).total

    assert total(batch_size=8) > total()
    assert total(n_layers=8) > total()
    assert total(dropout=0.0) < total()
    assert total(use_amp=True) < total()
    assert total(use_flash=False) > total(), "without the fused kernel the scores are kept"


def test_live_bytes_counts_what_lives_and_forgets_what_does_not() -> None:
    with LiveBytes() as count:
        a = torch.ones(1000)  # 4,000 bytes: 8 blocks
        b = a[:10]  # a view holds nothing of its own
        c = a + a
        del c
        torch.ones(1)
    assert count.peak == 2 * 4096
    assert count.live == 4096
    del a, b
    assert count.live == 0
