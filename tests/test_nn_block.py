"""The block: residual branches, dropout in training only, and how weights begin."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from muomni.nn.block import Block, initialise


def test_a_block_whose_branches_say_nothing_changes_nothing() -> None:
    block = Block(32, 4, 64)
    with torch.no_grad():
        block.attention.output.weight.zero_()
        block.feed_forward.down.weight.zero_()
    x = torch.randn(2, 5, 32)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)


@pytest.mark.parametrize("causal", [True, False])
def test_only_a_causal_block_hides_the_future(causal: bool) -> None:
    torch.manual_seed(0)
    block = Block(32, 4, 64, causal=causal)
    x = torch.randn(1, 6, 32)
    changed = x.clone()
    changed[:, 4:] += 1.0
    same = torch.allclose(block(x)[:, :4], block(changed)[:, :4], atol=1e-6)
    assert same == causal


def test_dropout_acts_in_training_only() -> None:
    block = Block(32, 4, 64, dropout=0.5)
    x = torch.randn(1, 4, 32)
    assert not torch.equal(block.train()(x), block(x))
    torch.testing.assert_close(block.eval()(x), block(x), rtol=0, atol=0)


def test_cross_attention_reads_the_memory() -> None:
    torch.manual_seed(0)
    block = Block(32, 4, 64, causal=True, d_memory=16)
    x, memory = torch.randn(2, 5, 32), torch.randn(2, 9, 16)
    assert not torch.allclose(block(x, memory=memory), block(x, memory=memory + 1.0), atol=1e-4)


def test_initial_weights_have_the_deviation_of_their_role() -> None:
    torch.manual_seed(0)
    stack = nn.ModuleList(Block(128, 4, 256) for _ in range(8))
    initialise(stack)
    by_role: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for name, part in stack.named_modules():
        if isinstance(part, nn.Linear):
            by_role[name.endswith(("attention.output", "down"))].append(part.weight.flatten() * part.in_features**0.5)
    # the deviation of 400,000 draws is known to within about 0.1 %
    assert torch.cat(by_role[False]).std().item() == pytest.approx(1.0, rel=0.01)
    assert torch.cat(by_role[True]).std().item() == pytest.approx(16**-0.5, rel=0.01)
    assert abs(torch.cat(by_role[False]).mean().item()) < 0.005


def test_the_stream_does_not_grow_with_depth() -> None:
    torch.manual_seed(0)

    def size_at_the_top(depth: int) -> float:
        stack = nn.Sequential(*(Block(64, 4, 256) for _ in range(depth)))
        initialise(stack)
        x = torch.randn(1, 16, 64)
        with torch.no_grad():
            return (stack(x) - x).std().item()

    assert size_at_the_top(24) < 1.5 * size_at_the_top(2)
