"""The transformer block of every stage: attention, then feed-forward, each normed before and added back after.

    x = x + attention(norm(x))
    x = x + cross_attention(norm(x), memory)        with cross-attention only
    x = x + feed_forward(norm(x))

Dropout (Srivastava et al. 2014) acts on what is added, in training only; attention weights are left whole, so that
fused kernels serve training too. B, T, C: batch, time, width.
"""

from __future__ import annotations

import torch
from torch import nn

from muomni.nn.attention import Attention
from muomni.nn.cache import LayerCache
from muomni.nn.experts import Experts
from muomni.nn.feed_forward import feed_forward
from muomni.nn.norm import RMSNorm
from muomni.nn.rotary import Rotation


class Block(nn.Module):
    """One pre-norm transformer block.

    Args:
        d_model, n_heads, d_ff: width, query heads, inner width of the feed-forward layer.
        n_kv_heads: key-value heads; None means as many as query heads.
        causal: tokens see only those before them.
        use_swiglu: SwiGLU or GELU.
        dropout: share of each branch's output dropped in training.
        d_memory: width of the memory for cross-attention; None means a block without.
        token_shift: some heads look at the token before, see `nn.attention.shift_tokens`.
        n_experts, experts_per_token: a mixture of experts in place of the feed-forward layer; 0 experts: none.
        use_flash: False forbids the fused attention kernel.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        n_kv_heads: int | None = None,
        causal: bool = False,
        use_swiglu: bool = True,
        dropout: float = 0.0,
        norm_eps: float = 1e-5,
        d_memory: int | None = None,
        token_shift: bool = False,
        n_experts: int = 0,
        experts_per_token: int = 2,
        use_flash: bool = True,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.attention_norm = RMSNorm(d_model, norm_eps)
        self.attention = Attention(d_model, n_heads, n_kv_heads, token_shift=token_shift, use_flash=use_flash)
        if d_memory is not None:
            self.cross_norm = RMSNorm(d_model, norm_eps)
            self.cross_attention = Attention(d_model, n_heads, d_memory=d_memory, use_flash=use_flash)
        self.feed_forward_norm = RMSNorm(d_model, norm_eps)
        self.feed_forward = (
            Experts(d_model, d_ff, n_experts, experts_per_token, use_swiglu)
            if n_experts
            else feed_forward(d_model, d_ff, use_swiglu)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        *,
        turn: Rotation | None = None,
        bias: torch.Tensor | None = None,
        previous: torch.Tensor | None = None,
        cache: LayerCache | None = None,
        memory: torch.Tensor | None = None,
        memory_bias: torch.Tensor | None = None,
        memory_cache: LayerCache | None = None,
    ) -> torch.Tensor:
        """x (B, T, C) -> (B, T, C); the other arguments are those of `Attention`, memory's of the cross-attention."""
        normed = self.attention_norm(x)
        mixed = self.attention(normed, causal=self.causal, turn=turn, bias=bias, previous=previous, cache=cache)
        x = x + self.dropout(mixed)
        if memory is not None:
            looked = self.cross_attention(self.cross_norm(x), memory=memory, bias=memory_bias, cache=memory_cache)
            x = x + self.dropout(looked)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


def initialise(module: nn.Module) -> None:
    """Draw weights from normal(0, 1 / sqrt(input width)) (LeCun et al. 1998), embeddings from twice as wide a one.

    GPT-2's fixed 0.02 suits 768 channels or more: in a narrow model it keeps all attention scores near zero, and the
    model takes several times as many steps to find out where to look.

    What is added to the residual stream (attention's and the feed-forward layer's last matrix) is drawn smaller, by
    1 / sqrt(number of branches), so that the stream's size at the top does not grow with depth.
    """
    branches = sum(2 + hasattr(block, "cross_attention") for block in module.modules() if isinstance(block, Block))
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, part.weight[0].numel() ** -0.5)
        if isinstance(part, nn.Linear | nn.Embedding):
            adds = name.endswith(("attention.output", ".down"))
            std = (2 if isinstance(part, nn.Embedding) else 1) * part.weight.shape[1] ** -0.5
            nn.init.normal_(part.weight, 0.0, std / branches**0.5 if adds else std)
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d) and part.bias is not None:
            nn.init.zeros_(part.bias)
