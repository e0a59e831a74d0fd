"""A Thinker's weights under the names of Llama, so that transformers and the tools around it can load them.

Only the names differ: the two compute the same function, as `tests/test_thinker_llama.py` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from muomni.config import ThinkerConfig
from muomni.errors import UserError

OUTSIDE = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
INSIDE = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
"""Names inside a block: ours (blocks.N.…) and Llama's (model.layers.N.…)."""


def llama_config(config: ThinkerConfig) -> dict[str, Any]:
    """What stands in the `config.json` of a transformers Llama.

    Raises:
        UserError: Llama has no such architecture (GELU, experts, shifted tokens).
    """
    strange = {
        f"n_experts {config.n_experts}": config.n_experts > 0,
        "use_swiglu false": not config.use_swiglu,
        "token_shift true": config.token_shift,
    }
    if found := next((name for name, is_so in strange.items() if is_so), None):
        raise UserError(
            f"Llama's format knows no model with {found}",
            fix="Export a dense SwiGLU model without token_shift, or use the weights in this project's own format.",
        )
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.d_model // config.n_heads,
        "hidden_act": "silu",
        "max_position_embeddings": config.ctx_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_bias": False,
        "mlp_bias": False,
    }


def to_llama(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A Thinker's `state_dict` under Llama's names. With tied embeddings there is no `lm_head.weight`."""
    return {_renamed(name): tensor for name, tensor in weights.items()}


def from_llama(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The way back. A `lm_head.weight` that is the embedding itself is left out, as `Thinker` wants it."""
    names = {theirs: ours for ours, theirs in OUTSIDE.items()}
    inside = {theirs: ours for ours, theirs in INSIDE.items()}
    embedding = weights.get("model.embed_tokens.weight")
    found = {}
    for name, tensor in weights.items():
        if name == "lm_head.weight" and embedding is not None and tensor.data_ptr() == embedding.data_ptr():
            continue
        if name in names:
            found[names[name]] = tensor
            continue
        _, _, number, part = name.removesuffix(".weight").split(".", 3)
        found[f"blocks.{number}.{inside[part]}.weight"] = tensor
    return found


def _renamed(name: str) -> str:
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, number, part = name.removesuffix(".weight").split(".", 2)
    return f"model.layers.{number}.{INSIDE[part]}.weight"
