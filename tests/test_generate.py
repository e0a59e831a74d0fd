"""Generating: greedy and drawn, streamed and batched, and where it ends."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_thinker import small_thinker, some_ids

from muomni.errors import UserError
from muomni.infer import generate as generating
from muomni.infer.decoder import Decoder
from muomni.infer.generate import Sampling, generate, generate_batch
from muomni.models.thinker import Thinker


def written(model: Thinker, prompt: Any, **options: Any) -> list[int]:
    return list(generate(model, prompt, **options))


def greedy_without_cache(model: Thinker, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


PROMPT = some_ids(7).tolist()


@pytest.mark.parametrize(
    "changes", [{}, {"n_experts": 3}, {"use_swiglu": False}, {"tie_embeddings": False}, {"token_shift": True}]
)
def test_greedy_writing_is_the_likeliest_token_again_and_again(changes: dict[str, int]) -> None:
    model = small_thinker(**changes)
    # long enough for the rearranged decoder to take over
    assert written(model, PROMPT, max_new_tokens=40, temperature=0) == greedy_without_cache(model, PROMPT, 40)


@pytest.mark.parametrize(
    "changes", [{}, {"n_experts": 3}, {"n_kv_heads": 1}, {"use_flash": False}, {"token_shift": True}]
)
def test_the_rearranged_decoder_gives_the_models_logits(changes: dict[str, int]) -> None:
    model, ids = small_thinker(**changes), some_ids(2, 12)
    mask = torch.arange(12) >= torch.tensor([[3], [0]])
    with torch.inference_mode():
        full, cache = model(ids, mask=mask), model.new_cache()
        model(ids[:, :6], mask=mask[:, :6], cache=cache)
        decoder = Decoder(model)
        steps = [decoder(ids[:, t : t + 1], cache) for t in range(6, 12)]
    torch.testing.assert_close(torch.cat(steps, 1), full[:, 6:], rtol=1e-4, atol=1e-4)


def test_one_candidate_is_greedy() -> None:
    model = small_thinker()
    greedy = written(model, PROMPT, max_new_tokens=20, temperature=0)
    assert written(model, PROMPT, max_new_tokens=20, top_k=1) == greedy
    assert written(model, PROMPT, max_new_tokens=20, top_p=1e-6) == greedy
    assert written(model, PROMPT, max_new_tokens=20, temperature=1e-30) == greedy


def test_a_seed_makes_draws_reproducible() -> None:
    model = small_thinker()
    first = written(model, PROMPT, max_new_tokens=20, seed=3)
    assert written(model, PROMPT, max_new_tokens=20, seed=3) == first
    assert written(model, PROMPT, max_new_tokens=20, seed=4) != first
    own = torch.Generator().manual_seed(3)
    assert written(model, PROMPT, max_new_tokens=20, generator=own) == first


def test_top_k_and_top_p_draw_only_from_the_likeliest() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(400, 1)
    generator = torch.Generator().manual_seed(0)

    def drawn(**options: Any) -> set[int]:
        return set(Sampling(**options).choose(logits, generator=generator).tolist())

    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_p=0.7) == {0, 1}  # 0.5 is not enough, 0.8 is
    assert drawn(top_p=0.85) == {0, 1, 2}
    assert drawn(top_k=3, top_p=0.5) == {0}


def test_draws_follow_the_probabilities_and_the_temperature() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]])).repeat(20000, 1)
    generator = torch.Generator().manual_seed(0)
    for temperature in (1.0, 2.0):
        draws = Sampling(temperature).choose(logits, generator=generator)
        shares = torch.bincount(draws, minlength=3) / len(draws)
        expected = (logits[0] / temperature).softmax(-1)
        assert (shares - expected).abs().max() < 0.015  # four deviations of 20,000 draws


def test_ties_leave_exactly_k_candidates() -> None:
    draws = Sampling(top_k=2).choose(torch.zeros(300, 5), generator=torch.Generator().manual_seed(0))
    assert len(draws.unique()) <= 2


def test_a_repetition_penalty_makes_repeats_rarer() -> None:
    model = small_thinker()
    plain = written(model, PROMPT, max_new_tokens=50, temperature=0)
    varied = written(model, PROMPT, max_new_tokens=50, temperature=0, repetition_penalty=1e6)
    assert len(set(plain)) < 50
    assert len(set(varied)) == 50 and not set(varied) & set(PROMPT)
    logits = torch.tensor([[2.0, -2.0, 1.9]])
    seen = torch.tensor([[True, True, False]])
    assert Sampling(0, repetition_penalty=1.5).choose(logits, seen).item() == 2
    assert Sampling(0, repetition_penalty=1.0).choose(logits, seen).item() == 0
    drowned = Sampling(0, repetition_penalty=2.0).choose(torch.tensor([[-2.0, -3.0]]), torch.tensor([[True, False]]))
    assert drowned.item() == 1  # negative logits are pushed down too


def test_writing_ends_before_end_of_text() -> None:
    model = small_thinker()
    plain = written(model, PROMPT, max_new_tokens=30, temperature=0)
    eot = plain[10]
    assert written(model, PROMPT, max_new_tokens=30, temperature=0, eot_id=eot) == plain[: plain.index(eot)]


def test_writing_ends_where_the_context_is_full() -> None:
    model = small_thinker()  # ctx_len 64
    assert len(written(model, PROMPT, max_new_tokens=1000, temperature=0)) == 64 - 7 + 1
    assert len(written(model, some_ids(64).tolist(), max_new_tokens=5)) == 1
    with pytest.raises(UserError, match="65 tokens, where the context has room for 64"):
        generate(model, some_ids(65).tolist())


def test_tokens_come_one_by_one_and_no_mode_leaks_out() -> None:
    model = small_thinker(dropout=0.5).train()
    stream = generate(model, PROMPT, max_new_tokens=30, temperature=0)
    first = next(stream)
    assert isinstance(first, int)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert model.training and all(block.training for block in model.blocks)
    assert [first, *stream] == written(model.eval(), PROMPT, max_new_tokens=30, temperature=0)


@pytest.mark.parametrize("changes", [{}, {"n_experts": 3}, {"token_shift": True}])
def test_a_padded_batch_writes_what_each_prompt_writes_alone(changes: dict[str, int]) -> None:
    model = small_thinker(**changes)
    prompts = [some_ids(n, seed=n).tolist() for n in (3, 9, 5)]
    alone = [written(model, prompt, max_new_tokens=25, temperature=0) for prompt in prompts]
    assert generate_batch(model, prompts, max_new_tokens=25, temperature=0) == alone
    eot = alone[1][4]
    ended = [tokens[: tokens.index(eot)] if eot in tokens else tokens for tokens in alone]
    assert generate_batch(model, prompts, max_new_tokens=25, temperature=0, eot_id=eot) == ended


def test_padding_counts_as_no_repetition() -> None:
    model = small_thinker(tie_embeddings=False)
    prompts = [[5, 6], some_ids(9).tolist()]  # the first is padded, with the id 0
    assert model.output is not None
    with torch.no_grad():  # so that 0 is what the first goes on with
        model.output.weight[0] = model.hidden(torch.tensor([[5, 6]])).last[0, -1]
    alone = [written(model, p, max_new_tokens=20, temperature=0, repetition_penalty=1e4) for p in prompts]
    assert alone[0][0] == 0
    assert generate_batch(model, prompts, max_new_tokens=20, temperature=0, repetition_penalty=1e4) == alone


@pytest.mark.parametrize("token_shift", [False, True])
def test_a_conversation_goes_on_in_its_cache(token_shift: bool) -> None:
    model = small_thinker(token_shift=token_shift)
    cache = model.new_cache()
    answer = written(model, PROMPT, max_new_tokens=12, temperature=0, cache=cache)
    assert cache.length == 7 + 12 - 1  # the last token has been written, but not read
    question = some_ids(4, seed=9).tolist()
    again = written(model, [answer[-1], *question], max_new_tokens=12, temperature=0, cache=cache)
    assert again == written(model, [*PROMPT, *answer, *question], max_new_tokens=12, temperature=0)


def test_the_prompt_may_be_embeddings() -> None:
    model = small_thinker()
    embedded = model.embedding(torch.tensor(PROMPT)).detach()
    expected = written(model, PROMPT, max_new_tokens=15, temperature=0)
    assert written(model, embedded, max_new_tokens=15, temperature=0) == expected
    assert written(model, torch.tensor(PROMPT), max_new_tokens=15, temperature=0) == expected


def test_short_answers_rearrange_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: Thinker) -> None:
        raise AssertionError("the weights were rearranged")

    monkeypatch.setattr(generating, "Decoder", refuse)
    assert len(written(small_thinker(), PROMPT, max_new_tokens=8, temperature=0)) == 8
    with pytest.raises(AssertionError):
        written(small_thinker(), PROMPT, max_new_tokens=40, temperature=0)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
def test_arguments_out_of_range_are_refused_at_once(options: dict[str, float], field: str) -> None:
    with pytest.raises(UserError, match=field) as caught:
        generate(small_thinker(), PROMPT, **options)
    assert caught.value.exit_code == 2


def test_a_batch_is_no_prompt() -> None:
    with pytest.raises(UserError, match=r"shape \(2, 3\)"):
        generate(small_thinker(), some_ids(2, 3))


@pytest.mark.parametrize("prompt", [[], [300], [-1]])
def test_prompts_that_are_none_are_refused(prompt: list[int]) -> None:
    with pytest.raises(UserError, match="prompt"):
        generate(small_thinker(), prompt)
    with pytest.raises(UserError, match="prompt"):
        generate_batch(small_thinker(), [PROMPT, prompt])
