"""The Thinker: a decoder-only language model, stage A and the core of the omni model.

    ids (B, T) -> embedding (B, T, C) -> n_layers blocks -> RMSNorm -> logits (B, T, V)

Built like Llama (Touvron et al. 2023): RMSNorm before each branch, rotary positions, grouped-query attention, SwiGLU,
no biases; optionally a mixture of experts, and heads that look at the token before. With weights copied over, its
logits are those of transformers' `LlamaForCausalLM` (without those two). B, T, C, V: batch, time, width, vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import ThinkerConfig
from muomni.errors import UserError
from muomni.nn.attention import document_bias, padding_bias, previous_tokens
from muomni.nn.block import Block, initialise
from muomni.nn.cache import KVCache
from muomni.nn.experts import Experts
from muomni.nn.loss import IGNORED, linear_cross_entropy, token_losses
from muomni.nn.norm import RMSNorm, product_dtype
from muomni.nn.rotary import Rotary, Rotation


@dataclass(frozen=True)
class Hidden:
    """What the Thinker computes before the logits.

    Args:
        last: (B, T, C), after the final norm.
        layer: (B, T, C), the residual stream after the chosen block; None where none was chosen.
        balance_loss: how unevenly the experts were used (1 is evenly); None without experts or outside training.
    """

    last: torch.Tensor
    layer: torch.Tensor | None
    balance_loss: torch.Tensor | None


class Thinker(nn.Module):
    """A decoder-only transformer.

    Everywhere, `inputs` are token ids (B, T) or, for pictures and sound among the words, embeddings (B, T, C).

    Args:
        config: the architecture's fields of `ThinkerConfig` (or of any config that has them).
    """

    def __init__(self, config: ThinkerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.rotary = Rotary(config.d_model // config.n_heads, config.ctx_len, config.rope_theta)
        self.blocks = nn.ModuleList(
            Block(
                config.d_model,
                config.n_heads,
                config.d_ff,
                n_kv_heads=config.n_kv_heads,
                causal=True,
                use_swiglu=config.use_swiglu,
                dropout=config.dropout,
                norm_eps=config.norm_eps,
                token_shift=config.token_shift,
                n_experts=config.n_experts,
                experts_per_token=config.experts_per_token,
                use_flash=config.use_flash,
            )
            for _ in range(config.n_layers)
        )
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.output = None if config.tie_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        initialise(self)

    @property
    def output_weight(self) -> torch.Tensor:
        """The matrix (V, C) that turns states into logits: the embedding's own when they are tied."""
        return self.embedding.weight if self.output is None else self.output.weight

    def forward(
        self,
        inputs: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        cache: KVCache | None = None,
        last_only: bool = False,
    ) -> torch.Tensor:
        """Logits (B, T, V) of the token after each input; with `last_only`, (B, 1, V) after the last.

        Arguments and errors as in `hidden`.
        """
        states = self.hidden(inputs, positions=positions, mask=mask, cache=cache).last
        return F.linear(states[:, -1:] if last_only else states, self.output_weight)

    def hidden(
        self,
        inputs: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        documents: torch.Tensor | None = None,
        trunks: torch.Tensor | None = None,
        cache: KVCache | None = None,
        layer: int | None = None,
    ) -> Hidden:
        """The states behind the logits.

        Args:
            positions: (B, T), whole or fractional, for the rotary angles. By default tokens are counted from 0 (on
                from those in the cache), padding not counted.
            mask: (B, T), True where a token is real, False where it is padding; None: all are.
            documents: (B, T), numbers: a token sees only tokens with its own number. Not with a mask or a cache.
            trunks: (B, T), with documents: the number of the document that a token's own one branches off from.
            cache: the inputs follow what is in it, and are added to it.
            layer: also return the stream after this block: 1 to n_layers, or 0 for the embeddings.

        Raises:
            UserError: the text does not fit into ctx_len or into the cache.
        """
        turn, bias = self.place(inputs.shape[0], inputs.shape[1], positions, mask, cache)
        x = inputs if inputs.is_floating_point() else self.embedding(inputs)
        x = self.dropout(x)
        dtype = product_dtype(x)
        turn = turn.to(dtype)
        if documents is not None:
            bias = document_bias(documents, trunks, dtype)
        previous = previous_tokens(mask, documents, trunks) if self.config.token_shift else None
        chosen = x if layer == 0 else None
        for number, block in enumerate(self.blocks, start=1):
            seen = None if cache is None else cache.layers[number - 1]
            x = block(x, turn=turn, bias=bias, previous=previous, cache=seen)
            if number == layer:
                chosen = x
        return Hidden(self.norm(x), chosen, self._take_balance_loss())

    def loss(
        self,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        documents: torch.Tensor | None = None,
        n_targets: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean cross-entropy in nats of `targets` (B, T): the token after each input, or -100 where it is not judged.

        With experts, and in training only, the weighted balance loss is added. `n_targets` as in
        `linear_cross_entropy`.
        """
        hidden = self.hidden(inputs, positions=positions, mask=mask, documents=documents)
        loss = linear_cross_entropy(hidden.last, self.output_weight, targets, n_targets=n_targets)
        if hidden.balance_loss is not None:
            loss = loss + self.config.expert_aux_weight * hidden.balance_loss
        return loss

    @torch.no_grad()
    def token_losses(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The cross-entropy (B, T) in nats of every target by itself, 0 where it is -100. No gradient."""
        return token_losses(self.hidden(inputs).last, self.output_weight, targets, ignore_index=IGNORED)

    def new_cache(self, max_len: int | None = None) -> KVCache:
        """An empty cache for up to `max_len` tokens (at most, and by default, ctx_len)."""
        limit = self.config.ctx_len
        return KVCache(len(self.blocks), limit if max_len is None else min(max_len, limit))

    def place(
        self,
        batch: int,
        new: int,
        positions: torch.Tensor | None,
        mask: torch.Tensor | None,
        cache: KVCache | None,
    ) -> tuple[Rotation, torch.Tensor | None]:
        """Where `new` tokens stand: their rotary turns, and the bias that hides padding among all tokens.

        Raises:
            UserError: they do not fit into ctx_len or into the cache.
        """
        self._check_room(new, cache)
        before = 0 if cache is None else cache.length
        real = mask if cache is None else cache.note_padding(mask, batch, new)  # (B, before + new)
        bias = None if real is None else padding_bias(real)
        if positions is None and real is None:
            return self.rotary.stretch(before + (0 if cache is None else cache.shift), new), bias
        if positions is None:
            assert real is not None
            positions = (real.long().cumsum(1) - 1).clamp(min=0)[:, before:]
        return self.rotary.at(positions), bias

    def _check_room(self, new: int, cache: KVCache | None) -> None:
        if new > self.config.ctx_len:
            raise UserError(
                f"the text has {new} tokens, more than the model's context of {self.config.ctx_len}",
                field="ctx_len",
                fix="Shorten the text, or train with a longer ctx_len.",
            )
        if cache is not None:
            cache.make_room(new)

    def _take_balance_loss(self) -> torch.Tensor | None:
        """The mean balance loss of all layers with experts."""
        losses = []
        for block in self.blocks:
            if isinstance(block.feed_forward, Experts):
                loss = block.feed_forward.take_balance_loss()
                if loss is not None:
                    losses.append(loss)
        return torch.stack(losses).mean() if losses else None


def n_parameters(module: nn.Module) -> int:
    """Numbers that training may change; a matrix used twice (tied embeddings) counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
