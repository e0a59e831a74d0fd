"""With the same weights, the Thinker is transformers' Llama."""

from __future__ import annotations

import pytest
import torch
from small_thinker import small_config, small_thinker, some_ids

from muomni.errors import UserError
from muomni.models.llama_format import from_llama, llama_config, to_llama
from muomni.models.thinker import n_parameters

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_and_loss_are_llamas(n_kv_heads: int, tied: bool) -> None:
    ours = small_thinker(n_kv_heads=n_kv_heads, tie_embeddings=tied, rope_theta=5000.0)
    settings = llama_config(ours.config)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)).eval()
    missing, unexpected = theirs.load_state_dict(to_llama(ours.state_dict()), strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    theirs.tie_weights()
    ids = some_ids(3, 40)
    with torch.no_grad():
        expected = theirs(input_ids=ids, labels=ids)
        # logits of size 1 to 10, fp32, summed in another order
        torch.testing.assert_close(ours(ids), expected.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.loss(ids[:, :-1], ids[:, 1:]), expected.loss, rtol=1e-5, atol=1e-5)
    assert n_parameters(ours) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_weights_come_back_from_llama(tied: bool) -> None:
    ours = small_thinker(tie_embeddings=tied)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama_config(ours.config)))
    theirs.load_state_dict(to_llama(ours.state_dict()), strict=False)
    theirs.tie_weights()
    back = from_llama(theirs.state_dict())
    assert set(back) == set(ours.state_dict())
    assert all(torch.equal(back[name], weight) for name, weight in ours.state_dict().items())


@pytest.mark.parametrize("changes", [{"n_experts": 2}, {"use_swiglu": False}, {"token_shift": True}])
def test_what_llama_does_not_have_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(UserError, match="Llama"):
        llama_config(small_config(**changes))
