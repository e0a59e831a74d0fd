"""The chunked cross-entropy and CTC: PyTorch's numbers and gradients, for less."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from muomni.nn.loss import CHUNK, ctc_loss, linear_cross_entropy, token_losses


def case(rows: int, vocab: int, width: int, seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    hidden = (torch.randn(rows, width) * scale).requires_grad_()
    weight = (torch.randn(vocab, width) * scale).requires_grad_()
    return hidden, weight, torch.randint(0, vocab, (rows,))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 70),
    vocab=st.integers(2, 50),
    chunk=st.integers(1, 80),
    ignored=st.floats(0, 0.9),
    scale=st.sampled_from([0.1, 1.0, 8.0]),
    seed=st.integers(0, 1000),
)
def test_loss_and_gradients_are_those_of_cross_entropy(
    rows: int, vocab: int, chunk: int, ignored: float, scale: float, seed: int
) -> None:
    hidden, weight, targets = case(rows, vocab, 12, seed, scale)
    targets[1:][torch.rand(rows - 1) < ignored] = -100
    ours = linear_cross_entropy(hidden, weight, targets, chunk=chunk)
    theirs = F.cross_entropy(hidden.double() @ weight.double().t(), targets)
    # fp32 against float64; logits of size 12 * scale^2 are themselves rounded by 6e-8 of that
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-6, atol=1e-6 * max(1.0, scale**2))
    for a, b in zip(
        torch.autograd.grad(ours, (hidden, weight)), torch.autograd.grad(theirs, (hidden, weight)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=2e-6 * max(1.0, scale**3))


def test_in_fp32_it_is_as_exact_as_plain_cross_entropy() -> None:
    hidden, weight, targets = case(500, 300, 32, scale=0.3)
    ours = linear_cross_entropy(hidden, weight, targets, chunk=128)
    theirs = F.cross_entropy(hidden @ weight.t(), targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for a, b in zip(
        torch.autograd.grad(ours, (hidden, weight)), torch.autograd.grad(theirs, (hidden, weight)), strict=True
    ):
        assert (a - b).norm() < 1e-6 * b.norm()


def test_under_bf16_autocast_it_is_at_least_as_exact_as_plain_cross_entropy() -> None:
    hidden, weight, targets = case(500, 300, 32, scale=0.3)
    exact = F.cross_entropy(hidden @ weight.t(), targets)
    wanted = torch.autograd.grad(exact, (hidden, weight))
    with torch.autocast("cpu", torch.bfloat16):
        ours = linear_cross_entropy(hidden, weight, targets, chunk=128)
        theirs = F.cross_entropy(F.linear(hidden, weight).float(), targets)
    assert ours.dtype == torch.float32
    # one logit is off by up to 2^-9 of itself; over 500 tokens most of that cancels
    assert ours.item() == pytest.approx(exact.item(), rel=1e-3)
    errors = [
        [(a - b).norm() / b.norm() for a, b in zip(torch.autograd.grad(loss, (hidden, weight)), wanted, strict=True)]
        for loss in (ours, theirs)
    ]
    for our_error, their_error in zip(*errors, strict=True):
        assert our_error < max(1.5 * their_error, 2**-8)


def test_confident_tokens_keep_their_small_loss_and_gradient_in_bf16() -> None:
    """A probability of 0.9995 rounds to 1 in bf16; its loss and gradient of 0.0005 must not round to 0."""
    hidden = torch.eye(2).repeat(4, 1).requires_grad_()
    weight = (torch.eye(2) * 7.625).requires_grad_()
    targets = torch.tensor([0, 1] * 4)
    with torch.autocast("cpu", torch.bfloat16):
        ours = linear_cross_entropy(hidden, weight, targets)
    exact = math.log1p(math.exp(-7.625))
    assert ours.item() == pytest.approx(exact, rel=0.005)
    (grad,) = torch.autograd.grad(ours, weight)
    assert grad[0, 0].item() == pytest.approx(-0.5 * (1 - math.exp(-exact)), rel=0.01)


def test_huge_logits_do_not_overflow() -> None:
    hidden, weight, targets = case(20, 10, 8, scale=100.0)
    ours = linear_cross_entropy(hidden, weight, targets)
    torch.testing.assert_close(ours, F.cross_entropy(hidden @ weight.t(), targets))
    assert ours.item() > 1000


def test_a_batch_without_targets_has_no_loss_and_no_gradient() -> None:
    hidden, weight, targets = case(5, 7, 4)
    loss = linear_cross_entropy(hidden, weight, torch.full_like(targets, -100))
    loss.backward()
    assert loss.item() == 0.0 and hidden.grad is not None and hidden.grad.abs().max() == 0.0


def test_micro_batches_add_up_when_divided_by_the_whole_count() -> None:
    hidden, weight, targets = case(60, 11, 8)
    targets[5:25] = -100
    whole = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets), weight)[0]
    count = int((targets >= 0).sum())
    parts = [
        torch.autograd.grad(linear_cross_entropy(h, weight, t, n_targets=count), weight)[0]
        for h, t in zip(hidden.split(20), targets.split(20), strict=True)
    ]
    torch.testing.assert_close(sum(parts), whole)


def test_the_incoming_gradient_scales_and_a_frozen_side_gets_none() -> None:
    hidden, weight, targets = case(9, 7, 4)
    once = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets), weight)[0]
    third = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets) / 3, weight)[0]
    torch.testing.assert_close(third, once / 3)
    linear_cross_entropy(hidden, weight.detach(), targets).backward()
    assert hidden.grad is not None and weight.grad is None


def test_a_second_backward_is_refused_not_wrong() -> None:
    hidden, weight, targets = case(9, 7, 4)
    loss = linear_cross_entropy(hidden, weight, targets)
    (loss / 3).backward(retain_graph=True)
    with pytest.raises(RuntimeError):
        (loss / 3).backward()


def test_losses_by_token_have_the_targets_shape_and_the_same_mean() -> None:
    hidden, weight, targets = case(12, 7, 4)
    targets[3] = -100
    losses = token_losses(hidden.view(3, 4, 4), weight, targets.view(3, 4), chunk=5)
    assert losses.shape == (3, 4) and losses.flatten()[3] == 0.0
    with torch.no_grad():
        mean = linear_cross_entropy(hidden, weight, targets)
    torch.testing.assert_close(losses.sum() / 11, mean)


class Largest(TorchDispatchMode):
    """The largest tensor that any operator makes, in elements."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.elements = max(self.elements, out.untyped_storage().nbytes() // out.element_size())
        return out


def test_it_never_holds_more_than_a_chunk_of_logits_even_without_data() -> None:
    rows, vocab, width = 8 * CHUNK, 5000, 4
    with FakeTensorMode(), Largest() as largest:
        hidden = torch.randn(rows, width, requires_grad=True)
        weight = torch.randn(vocab, width, requires_grad=True)
        linear_cross_entropy(hidden, weight, torch.zeros(rows, dtype=torch.long)).backward()
        assert hidden.grad is not None and weight.grad is not None
    assert largest.elements == CHUNK * vocab


@settings(max_examples=40, deadline=None)
@given(pieces=st.integers(1, 12), longest=st.integers(1, 5), scale=st.sampled_from([0.1, 3.0]), seed=st.integers(0, 99))
def test_ctc_and_its_gradient_are_those_of_the_library(pieces: int, longest: int, scale: float, seed: int) -> None:
    """Also where a piece comes twice or three times in a row, where examples are short, and behind their ends."""
    torch.manual_seed(seed)
    logits = (scale * torch.randn(4, 2 * longest + 1, pieces + 1)).requires_grad_()
    targets, n_targets = torch.randint(0, pieces, (4, longest)), torch.randint(1, longest + 1, (4,))
    n_frames = 2 * n_targets  # enough for any: a blank between two that are equal
    ours = ctc_loss(logits, n_frames, targets, n_targets, pieces)
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    theirs = F.ctc_loss(log_probs, targets, n_frames, n_targets, blank=pieces, reduction="sum")
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    slopes = (torch.autograd.grad(0.5 * each, logits)[0] for each in (ours, theirs))
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)  # sums of up to 11 frames in fp32


def test_what_lies_behind_an_example_changes_nothing_of_its_ctc() -> None:
    logits, targets = torch.randn(1, 9, 6), torch.tensor([[1, 2, 4]])
    n_frames, n_targets = torch.tensor([5]), torch.tensor([2])
    loss = ctc_loss(logits, n_frames, targets, n_targets, 5)
    changed, other = logits.clone(), targets.clone()
    changed[:, 5:], other[:, 2:] = 9.0, 1
    torch.testing.assert_close(ctc_loss(changed, n_frames, other, n_targets, 5), loss)
    assert not torch.isclose(ctc_loss(logits, n_frames, torch.tensor([[1, 3, 4]]), n_targets, 5), loss)
