"""Attention: two kernels, one result; and who sees whom."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni.errors import UserError
from muomni.nn import attention
from muomni.nn.attention import (
    Attention,
    attend,
    blocks,
    choose_kernel,
    fused,
    padding_bias,
    previous_tokens,
    shift_tokens,
)
from muomni.nn.cache import LayerCache


def by_definition(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, bias: torch.Tensor | None
) -> torch.Tensor:
    """Attention in float64, head by head, with the whole matrix of scores."""
    per_group = q.shape[1] // k.shape[1]
    q, k, v = (x.double() for x in (q, k, v))
    k, v = (x.repeat_interleave(per_group, 1) for x in (k, v))
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / q.shape[-1] ** 0.5
    if bias is not None:
        scores = scores + bias
    if causal:
        n_queries, n_keys = scores.shape[-2:]
        places = torch.arange(n_keys - n_queries, n_keys)[:, None]
        scores = scores.masked_fill(torch.arange(n_keys) > places, float("-inf"))
    return torch.einsum("bhts,bhsd->bhtd", scores.softmax(-1), v)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    groups=st.integers(1, 3),
    per_group=st.integers(1, 3),
    before=st.integers(0, 9),
    n_queries=st.integers(1, 40),
    causal=st.booleans(),
    padded=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_both_kernels_are_the_definition(
    batch: int, groups: int, per_group: int, before: int, n_queries: int, causal: bool, padded: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    n_keys = n_queries + before
    q = torch.randn(batch, groups * per_group, n_queries, 8)
    k, v = torch.randn(batch, groups, n_keys, 8), torch.randn(batch, groups, n_keys, 8)
    bias = None
    if padded:
        real = torch.ones(batch, n_keys, dtype=torch.bool)
        real[0, : min(before, 3)] = False
        bias = padding_bias(real)
    expected = by_definition(q, k, v, causal, bias).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "BLOCK", 16)  # so that these short queries fill several blocks
        # fp32, softmax of a few dozen scores
        torch.testing.assert_close(blocks(q, k, v, causal, bias), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fused(q, k, v, causal, bias), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_the_kernels_agree_in_bf16_and_in_their_gradients(causal: bool) -> None:
    torch.manual_seed(0)
    leaves = [torch.randn(2, heads, 150, 16).bfloat16().requires_grad_() for heads in (4, 2, 2)]
    grad = torch.randn(2, 4, 150, 16).bfloat16()
    ours, theirs = (torch.autograd.grad(kernel(*leaves, causal, None), leaves, grad) for kernel in (blocks, fused))
    # bf16 has 8 bits: each kernel rounds the weights (and the scores) by up to 2^-9 of themselves
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 0.02 * b.abs().max()


def test_a_query_that_may_see_nothing_gives_numbers_and_finite_gradients() -> None:
    real = torch.tensor([[False, False, True, True]])
    for kernel in (blocks, fused):
        q, k, v = (torch.randn(1, 1, 4, 8, requires_grad=True) for _ in range(3))
        out = kernel(q, k, v, True, padding_bias(real))
        grads = torch.autograd.grad(out.sum(), (q, k, v))
        assert all(x.isfinite().all() for x in (out, *grads))


def test_a_bias_hides_its_keys_entirely() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 3, 8), torch.randn(1, 2, 5, 8), torch.randn(1, 2, 5, 8)
    real = torch.tensor([[True, False, True, True, False]])
    for kernel in (blocks, fused):
        out = kernel(q, k, v, False, padding_bias(real))
        torch.testing.assert_close(out, kernel(q, k[:, :, real[0]], v[:, :, real[0]], False, None))


def test_one_place_chooses_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def choose(device: str, dtype: torch.dtype, n_queries: int, n_keys: int, *, causal: bool, use_flash: bool) -> str:
        asked.append((device, dtype, n_queries, n_keys, causal, use_flash))
        return "blocks"

    monkeypatch.setattr(attention, "choose_kernel", choose)
    q, k = torch.randn(1, 2, 3, 8), torch.randn(1, 1, 7, 8)
    attend(q, k, k, causal=True, use_flash=False)
    assert asked == [("cpu", torch.float32, 3, 7, True, False)]


def test_the_rule_for_kernels() -> None:
    fp32, bf16 = torch.float32, torch.bfloat16
    assert choose_kernel("cuda", bf16, 512, 512, causal=True) == "fused"
    assert choose_kernel("cpu", bf16, 512, 512, causal=True) == "blocks"
    assert choose_kernel("cpu", fp32, 512, 512, causal=True) == "blocks"
    assert choose_kernel("cpu", fp32, 512, 512, causal=False) == "fused"
    assert choose_kernel("cpu", fp32, 4096, 4096, causal=True) == "fused"
    assert choose_kernel("cuda", bf16, 512, 512, causal=True, use_flash=False) == "blocks"
    assert choose_kernel("cpu", fp32, 4096, 4096, causal=False, use_flash=False) == "blocks"


def test_grouped_heads_are_heads_that_share_keys_and_values() -> None:
    torch.manual_seed(0)
    grouped = Attention(32, 4, 2)
    full = Attention(32, 4)
    with torch.no_grad():
        full.query.weight.copy_(grouped.query.weight)
        full.output.weight.copy_(grouped.output.weight)
        for ours, theirs in ((grouped.key, full.key), (grouped.value, full.value)):
            theirs.weight.copy_(ours.weight.view(2, 8, 32).repeat_interleave(2, 0).view(32, 32))
    x = torch.randn(2, 6, 32)
    torch.testing.assert_close(grouped(x, causal=True), full(x, causal=True))
    assert grouped.key.weight.numel() * 2 == full.key.weight.numel()


def test_cross_attention_sees_all_of_its_memory_and_hides_its_padding() -> None:
    torch.manual_seed(0)
    layer = Attention(32, 4, d_memory=20)
    x, memory = torch.randn(2, 3, 32), torch.randn(2, 7, 20)
    out = layer(x, memory=memory)
    assert out.shape == (2, 3, 32)
    changed = memory.clone()
    changed[:, -1] += 1.0
    assert not torch.allclose(layer(x, memory=changed)[:, 0], out[:, 0])
    real = torch.ones(2, 7, dtype=torch.bool)
    real[:, -1] = False
    bias = padding_bias(real)
    torch.testing.assert_close(layer(x, memory=changed, bias=bias), layer(x, memory=memory, bias=bias))


@pytest.mark.parametrize(("d_model", "heads", "groups"), [(30, 4, 2), (32, 4, 3)])
def test_heads_that_do_not_divide_are_refused(d_model: int, heads: int, groups: int) -> None:
    with pytest.raises(UserError, match=f"n_heads {heads}"):
        Attention(d_model, heads, groups)


@pytest.mark.parametrize("n_heads", [2, 3])
def test_shifted_heads_pair_a_key_with_the_next_value_or_with_the_one_before(n_heads: int) -> None:
    k, v = torch.randn(1, n_heads, 5, 4), torch.randn(1, n_heads, 5, 4)
    keys, values = shift_tokens(k, v)
    assert torch.equal(keys[:, :1, 1:], k[:, :1, :-1]) and torch.equal(values[:, :1], v[:, :1])
    assert torch.equal(keys[:, 1:], k[:, 1:]) and torch.equal(values[:, 1:, 1:], v[:, 1:, :-1])
    assert not keys[:, :1, 0].any() and not values[:, 1:, 0].any(), "the first token follows none"


def test_a_shift_goes_on_in_its_cache() -> None:
    k, v = torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5, 4)
    cache = LayerCache(5)
    cuts = (slice(0, 3), slice(3, 4), slice(4, 5))
    parts = [shift_tokens(k[:, :, part], v[:, :, part], None, cache) for part in cuts]
    together = zip(*parts, strict=True)
    for whole, cut in zip(shift_tokens(k, v), together, strict=True):
        assert torch.equal(torch.cat(cut, 2), whole)


def test_what_a_token_follows() -> None:
    """A branch follows the end of its trunk, padding is followed by nobody; counted from 1."""
    documents, trunks = torch.tensor([[0, 0, 1, 1, 2, 3, 3]]), torch.tensor([[0, 0, 0, 0, 0, 3, 3]])
    found = previous_tokens(documents=documents, trunks=trunks)
    assert found is not None and found.tolist() == [[0, 1, 2, 3, 2, 0, 6, 7]]
    found = previous_tokens(torch.tensor([[False, False, True, True], [True, True, False, True]]))
    assert found is not None and found.tolist() == [[0, 0, 0, 3, 4], [0, 1, 2, 2, 4]]
    assert previous_tokens() is None


def test_a_single_head_has_no_halves() -> None:
    with pytest.raises(UserError, match="n_kv_heads: is 1, and token_shift is on"):
        Attention(16, 4, 1, token_shift=True)
