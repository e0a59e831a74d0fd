"""Feed-forward layers and mixtures of them: no token dropped, and the balance measured."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from muomni.errors import UserError
from muomni.nn.experts import Experts
from muomni.nn.feed_forward import GELUFeedForward, SwiGLU, feed_forward


def test_swiglu_is_gated_and_gelu_has_two_matrices() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8)
    gated, plain = feed_forward(8, 16, True), feed_forward(8, 16, False)
    assert isinstance(gated, SwiGLU) and isinstance(plain, GELUFeedForward)
    gate, up = F.linear(x, gated.gate.weight), F.linear(x, gated.up.weight)
    torch.testing.assert_close(gated(x), F.linear(gate * gate.sigmoid() * up, gated.down.weight))
    torch.testing.assert_close(plain(x), F.linear(F.gelu(F.linear(x, plain.up.weight)), plain.down.weight))
    assert sum(p.numel() for p in gated.parameters()) == 3 * 8 * 16
    assert sum(p.numel() for p in plain.parameters()) == 2 * 8 * 16


def every_expert_on_every_token(layer: Experts, x: torch.Tensor) -> torch.Tensor:
    """The same sum the long way: all experts see all tokens, and weights of 0 hide most of it."""
    probabilities = layer.router(x).softmax(-1)
    best = probabilities.topk(layer.experts_per_token, -1)
    weights = torch.zeros_like(probabilities).scatter(-1, best.indices, best.values)
    if layer.experts_per_token > 1:
        weights = weights / weights.sum(-1, keepdim=True)
    return sum(weights[..., n : n + 1] * expert(x) for n, expert in enumerate(layer.experts))  # type: ignore[return-value]


@settings(max_examples=25, deadline=None)
@given(n_experts=st.integers(1, 6), per_token=st.integers(1, 6), tokens=st.integers(1, 30), seed=st.integers(0, 99))
def test_sorted_experts_are_the_long_sum(n_experts: int, per_token: int, tokens: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = Experts(8, 16, n_experts, min(per_token, n_experts))
    torch.nn.init.normal_(layer.router.weight)
    x = torch.randn(1, tokens, 8, requires_grad=True)
    ours, theirs = layer(x), every_expert_on_every_token(layer, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    leaves = [x, layer.router.weight, *layer.experts.parameters()]
    a = torch.autograd.grad(ours.square().sum(), leaves)
    b = torch.autograd.grad(theirs.square().sum(), leaves, materialize_grads=True)
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_balance_loss_is_1_when_even_and_rises_to_the_number_of_experts() -> None:
    layer = Experts(4, 8, 4, 1).train()
    tokens = torch.eye(4).repeat(6, 1)
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(4) * 30)  # token n to expert n, almost surely
    layer(tokens)
    even = layer.take_balance_loss()
    assert even is not None and even.item() == pytest.approx(1.0, abs=1e-4)
    layer(tokens[:1].repeat(24, 1))
    uneven = layer.take_balance_loss()
    assert uneven is not None and uneven.item() == pytest.approx(4.0, abs=1e-4)


def test_following_the_balance_loss_spreads_the_tokens() -> None:
    torch.manual_seed(0)
    layer = Experts(8, 8, 4, 1).train()
    x = torch.randn(256, 8) + 1.0
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[0.3], [0.0], [0.0], [0.0]]).expand(4, 8))
    optimizer = torch.optim.Adam(layer.router.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        layer(x)
        loss = layer.take_balance_loss()
        assert loss is not None
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] > 2.0 and losses[-1] < 1.2


def test_the_balance_loss_is_given_once_and_only_in_training() -> None:
    layer = Experts(8, 8, 2, 1)
    layer(torch.randn(3, 8))
    assert layer.take_balance_loss() is not None and layer.take_balance_loss() is None
    with torch.no_grad():
        layer(torch.randn(3, 8))
    assert layer.take_balance_loss() is None
    layer.eval()(torch.randn(3, 8))
    assert layer.take_balance_loss() is None


def test_a_router_with_one_expert_per_token_learns_from_the_task() -> None:
    layer = Experts(8, 8, 3, 1)
    layer(torch.randn(10, 8)).square().sum().backward()
    grad = layer.router.weight.grad
    assert grad is not None and grad.abs().max() > 0


def test_it_runs_on_tensors_without_data() -> None:
    with FakeTensorMode():
        layer = Experts(8, 16, 3, 2).train()
        x = torch.randn(2, 5, 8, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad is not None and x.grad.shape == x.shape


@pytest.mark.parametrize("per_token", [0, 5])
def test_more_experts_than_there_are_cannot_be_asked(per_token: int) -> None:
    with pytest.raises(UserError, match="experts_per_token"):
        Experts(8, 8, 4, per_token)
