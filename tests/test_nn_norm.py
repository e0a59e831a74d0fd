"""RMSNorm: the formula, its hand-written gradient, and its types."""

from __future__ import annotations

import torch

from muomni.nn.norm import RMSNorm


def formula(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


def a_norm(width: int, eps: float = 1e-5) -> RMSNorm:
    norm = RMSNorm(width, eps)
    torch.nn.init.normal_(norm.weight, 1.0, 0.3)
    return norm


def test_it_is_the_formula_with_and_without_gradient() -> None:
    torch.manual_seed(0)
    norm, x = a_norm(24), torch.randn(2, 5, 24) * 3
    expected = formula(x, norm.weight, norm.eps)
    torch.testing.assert_close(norm(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(norm(x), expected)


def test_its_gradient_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    norm = a_norm(24)
    x = (torch.randn(3, 7, 24) * 2).requires_grad_()
    grad = torch.randn(3, 7, 24)
    ours = torch.autograd.grad(norm(x), (x, norm.weight), grad)
    theirs = torch.autograd.grad(formula(x, norm.weight, norm.eps), (x, norm.weight), grad)
    # both in fp32: sums of 24 and 21 products, in another order
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_eps_counts_where_the_vector_is_small() -> None:
    x = torch.full((1, 8), 1e-3)
    torch.testing.assert_close(RMSNorm(8, eps=1e-2)(x), x / (1e-6 + 1e-2) ** 0.5)


def test_under_autocast_it_hands_on_bf16_and_keeps_the_gradient_in_fp32() -> None:
    torch.manual_seed(0)
    norm, x = a_norm(16), torch.randn(4, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x)
        with torch.no_grad():
            assert norm(x).dtype == torch.bfloat16
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), formula(x, norm.weight, norm.eps), rtol=2**-8, atol=0)
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.float32
    assert norm.weight.grad is not None and norm.weight.grad.dtype == torch.float32
