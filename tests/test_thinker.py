"""The Thinker: who sees what, the KV cache, padding, embeddings as input, and training without data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_thinker import small_config, small_thinker, some_ids
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from muomni.errors import UserError
from muomni.models.thinker import Thinker, n_parameters
from muomni.plan.parameters import count_parameters

EXACT = {"rtol": 1e-4, "atol": 1e-4}
"""Logits of size 1 to 10 in fp32, summed in another order."""


def test_shapes_and_types_go_as_promised() -> None:
    model, ids = small_thinker(), some_ids(2, 10)
    assert model(ids).shape == (2, 10, 300)
    assert model(ids, last_only=True).shape == (2, 1, 300)
    hidden = model.hidden(ids, layer=1)
    assert hidden.last.shape == (2, 10, 32) and hidden.layer is not None and hidden.layer.shape == (2, 10, 32)
    assert model.hidden(ids).layer is None
    torch.testing.assert_close(F.linear(hidden.last, model.output_weight), model(ids))


def test_the_past_does_not_see_the_future_but_the_future_sees_the_past() -> None:
    for changes in ({}, {"n_experts": 4}, {"use_flash": False}):
        model, ids = small_thinker(**changes), some_ids(1, 20)
        changed = ids.clone()
        changed[0, 12] = (ids[0, 12] + 1) % 300
        before, after = model(ids), model(changed)
        torch.testing.assert_close(before[:, :12], after[:, :12], rtol=0, atol=1e-5)
        assert all((before[0, t] - after[0, t]).abs().max() > 1e-3 for t in range(12, 20))


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(), n_kv_heads=st.sampled_from([1, 2, 4]), n_experts=st.sampled_from([0, 3]), batch=st.integers(1, 3)
)
def test_cached_logits_are_the_full_logits_for_any_chunks(
    data: st.DataObject, n_kv_heads: int, n_experts: int, batch: int
) -> None:
    model = small_thinker(n_kv_heads=n_kv_heads, n_experts=n_experts)
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    padding = data.draw(st.lists(st.integers(0, 5), min_size=batch, max_size=batch))
    ids = some_ids(batch, sum(sizes))
    mask = torch.arange(sum(sizes)) >= torch.tensor(padding)[:, None]
    mask = mask if any(padding) else None
    with torch.no_grad():
        full = model(ids, mask=mask)
        cache = model.new_cache(sum(sizes))
        parts, done = [], 0
        for size in sizes:
            part = slice(done, done + size)
            # once the padding has been read, no mask need be given
            some_mask = None if mask is None or done >= max(padding) else mask[:, part]
            parts.append(model(ids[:, part], mask=some_mask, cache=cache))
            done += size
    cached = torch.cat(parts, 1)
    assert cache.length == sum(sizes)
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
    torch.testing.assert_close(cached[real], full[real], **EXACT)


def test_left_padding_changes_nothing() -> None:
    for changes in ({}, {"n_experts": 3}, {"use_flash": False}, {"token_shift": True}):
        model, ids = small_thinker(**changes), some_ids(1, 9)
        alone = model(ids)
        padded = torch.cat((some_ids(1, 4, seed=7), ids), 1)
        mask = torch.arange(13)[None] >= 4
        logits = model(padded, mask=mask)
        torch.testing.assert_close(logits[:, 4:], alone, **EXACT)
        assert logits.isfinite().all()
        assert not torch.allclose(model(padded)[:, 4:], alone, atol=1e-2)  # the mask is what does it


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    model, ids = small_thinker(), some_ids(3, 8)
    torch.testing.assert_close(model(ids)[1:2], model(ids[1:2]), **EXACT)


def test_documents_in_one_row_are_as_if_each_were_alone() -> None:
    for changes in ({}, {"use_flash": False}, {"token_shift": True}):
        model, ids = small_thinker(**changes), some_ids(1, 20)
        numbers = torch.tensor([[1] * 5 + [2] * 9 + [3] * 6])
        alone = torch.cat([model.hidden(part).last for part in ids.split((5, 9, 6), 1)], 1)
        torch.testing.assert_close(model.hidden(ids, documents=numbers).last, alone, **EXACT)
        assert (model.hidden(ids).last - alone)[0, 5:].abs().max() > 0.01, "without numbers they see each other"


def test_embeddings_may_stand_in_for_ids() -> None:
    model, ids = small_thinker(), some_ids(2, 6)
    torch.testing.assert_close(model(model.embedding(ids)), model(ids))
    targets = some_ids(2, 6, seed=5)
    torch.testing.assert_close(model.loss(model.embedding(ids), targets), model.loss(ids, targets))


def test_positions_are_relative_and_may_be_given() -> None:
    model, ids = small_thinker(), some_ids(1, 8)
    usual = model(ids)
    torch.testing.assert_close(model(ids, positions=torch.arange(8)[None]), usual, **EXACT)
    torch.testing.assert_close(model(ids, positions=torch.arange(8)[None] + 20.5), usual, **EXACT)
    assert not torch.allclose(model(ids, positions=torch.arange(8)[None] * 0.5), usual, atol=1e-2)


def test_too_long_a_text_is_a_users_mistake() -> None:
    model = small_thinker()
    with pytest.raises(UserError, match="65 tokens, more than the model's context of 64"):
        model(some_ids(1, 65))
    with pytest.raises(UserError, match="65 tokens"):
        model.loss(some_ids(1, 65), some_ids(1, 65))
    cache = model.new_cache(10)
    model(some_ids(1, 7), cache=cache)
    with pytest.raises(UserError, match=r"holds 7 tokens and 4 more do not fit: its limit is 10"):
        model(some_ids(1, 4), cache=cache)
    assert cache.length == 7
    assert model.new_cache(1000).max_len == 64


def test_the_chosen_layer_is_the_stream_after_that_block() -> None:
    model, ids = small_thinker(n_layers=3), some_ids(1, 5)
    streams = [model.hidden(ids, layer=layer).layer for layer in range(4)]
    first = streams[0]
    assert first is not None
    torch.testing.assert_close(first, model.embedding(ids))
    turn, bias = model.place(1, 5, None, None, None)
    for block, before, after in zip(model.blocks, streams, streams[1:], strict=False):
        assert before is not None and after is not None
        torch.testing.assert_close(block(before, turn=turn, bias=bias), after)
    last = streams[-1]
    assert last is not None
    torch.testing.assert_close(model.norm(last), model.hidden(ids).last)


def test_the_loss_is_the_mean_cross_entropy_of_counted_targets() -> None:
    model, ids, targets = small_thinker(), some_ids(2, 10), some_ids(2, 10, seed=4)
    targets[0, :5] = -100
    plain = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    torch.testing.assert_close(model.loss(ids, targets), plain, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(model.token_losses(ids, targets).sum() / 15, plain, rtol=1e-5, atol=1e-5)
    assert (model.token_losses(ids, targets)[0, :5] == 0).all()


def test_gradients_are_those_of_the_plain_loss() -> None:
    for changes in ({}, {"tie_embeddings": False}):
        model, ids, targets = small_thinker(**changes), some_ids(2, 10), some_ids(2, 10, seed=4)
        ours = torch.autograd.grad(model.loss(ids, targets), list(model.parameters()))
        plain = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        for a, b in zip(ours, torch.autograd.grad(plain, list(model.parameters())), strict=True):
            assert (a - b).norm() < 1e-5 * b.norm()


def test_dropout_and_the_balance_loss_belong_to_training() -> None:
    model, ids, targets = small_thinker(n_experts=4, dropout=0.2), some_ids(2, 10), some_ids(2, 10, seed=4)
    assert torch.equal(model.loss(ids, targets), model.loss(ids, targets))
    assert model.hidden(ids).balance_loss is None
    model.train()
    assert not torch.equal(model.loss(ids, targets), model.loss(ids, targets))
    balance = model.hidden(ids).balance_loss
    assert balance is not None and 0.9 < balance.item() <= 4.0
    calm, strict = (small_thinker(n_experts=4, expert_aux_weight=weight).train() for weight in (0.0, 1.0))
    difference = strict.loss(ids, targets) - calm.loss(ids, targets)
    expected = calm.hidden(ids).balance_loss
    assert expected is not None
    torch.testing.assert_close(difference, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_embeddings": False},
        {"use_swiglu": False, "n_kv_heads": 4},
        {"n_experts": 4, "n_kv_heads": 1},
        {"n_layers": 3, "d_ff": 100, "vocab_size": 999},
    ],
)
def test_the_number_of_parameters_is_the_planners(changes: dict[str, int]) -> None:
    config = small_config(**changes)
    assert n_parameters(Thinker(config)) == count_parameters(config)


def test_it_learns_a_text_by_heart() -> None:
    torch.manual_seed(0)
    model = Thinker(small_config())
    ids = some_ids(2, 33)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = model.loss(ids[:, :-1], ids[:, 1:]).item()
    for _ in range(80):
        loss = model.loss(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # knows nothing at first: its logits are noise of variance 4, which costs half of that more than equal ones
    assert first == pytest.approx(torch.tensor(300.0).log().item() + 2, abs=0.5)
    assert loss.item() < 0.1


def test_bf16_training_follows_fp32() -> None:
    losses = []
    for amp in (False, True):
        torch.manual_seed(0)
        model = Thinker(small_config())
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        ids = some_ids(4, 33)
        for _ in range(30):
            with torch.autocast("cpu", torch.bfloat16, enabled=amp):
                loss = model.loss(ids[:, :-1], ids[:, 1:])
            assert loss.dtype == torch.float32
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] < 4.5
    assert losses[1] == pytest.approx(losses[0], rel=0.02)  # 30 steps whose products are rounded to 8 bits


@pytest.mark.parametrize("changes", [{}, {"n_experts": 4}, {"use_swiglu": False, "tie_embeddings": False}])
@pytest.mark.parametrize("amp", [False, True])
def test_a_whole_training_step_runs_on_tensors_without_data(changes: dict[str, int], amp: bool) -> None:
    with FakeTensorMode():
        model = Thinker(small_config(dropout=0.1, **changes)).train()
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        ids = torch.zeros(2, 20, dtype=torch.long)
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=amp):
                loss = model.loss(ids, ids)
            loss.backward()
            optimizer.step()
            assert all(p.grad is not None for p in model.parameters())
            optimizer.zero_grad()


def test_saved_weights_hold_no_tables_and_no_matrix_twice() -> None:
    names = set(small_thinker().state_dict())
    assert "output.weight" not in names and not any("rotary" in name for name in names)
    assert "output.weight" in small_thinker(tie_embeddings=False).state_dict()
