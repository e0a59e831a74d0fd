"""Mixture of experts (Shazeer et al. 2017; Switch Transformer, Fedus et al. 2021): many feed-forward layers, few used.

A router gives every token a probability for each expert; the token goes to the `experts_per_token` likeliest and gets
the mean of what they say, weighted by those probabilities. No token is ever dropped: tokens are sorted by expert, each
expert takes its stretch, and the results are put back. N = B T tokens, K experts per token, E experts, C width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch._guards import detect_fake_mode
from torch.nn import functional as F

from muomni.errors import UserError
from muomni.nn.feed_forward import feed_forward


class Experts(nn.Module):
    """Feed-forward experts behind a router.

    In training, `take_balance_loss` gives the Switch loss of the last forward pass:  E · sum over experts of
    (share of tokens sent there) · (mean probability given there).  It is 1 when all experts are used alike and E when
    one gets everything.

    Raises:
        UserError: a token is to see more experts than there are.
    """

    def __init__(
        self, d_model: int, d_ff: int, n_experts: int, experts_per_token: int = 2, use_swiglu: bool = True
    ) -> None:
        super().__init__()
        if not 1 <= experts_per_token <= n_experts:
            raise UserError(
                f"experts_per_token is {experts_per_token} with {n_experts} experts",
                field="experts_per_token",
                fix=f"It must be from 1 to n_experts ({n_experts}).",
            )
        self.experts_per_token = experts_per_token
        self.router = nn.Linear(d_model, n_experts, bias=False)
        self.experts = nn.ModuleList(feed_forward(d_model, d_ff, use_swiglu) for _ in range(n_experts))
        self._balance_loss: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (..., C) -> (..., C)
        tokens = x.flatten(0, -2)  # (N, C)
        weights, chosen, probabilities = self._route(tokens)
        n_experts = len(self.experts)
        load = (chosen.view(-1, 1) == torch.arange(n_experts, device=x.device)).sum(0)  # (E,) tokens sent to each
        if self.training and torch.is_grad_enabled():
            self._balance_loss = n_experts * (load / load.sum() * probabilities.mean(0)).sum()

        order = chosen.flatten().argsort(stable=True)  # (N K,) places of the choices, sorted by expert
        stretches = tokens[order // self.experts_per_token].split(self._sizes(load, chosen.numel()))
        said = torch.cat([expert(some) for expert, some in zip(self.experts, stretches, strict=True)])
        back = torch.empty_like(said).index_copy(0, order, said)  # (N K, C), in the order of the choices
        mixed = (back.view(*chosen.shape, -1) * weights.unsqueeze(-1)).sum(1)
        return mixed.to(said.dtype).view(x.shape)

    def take_balance_loss(self) -> torch.Tensor | None:
        """The balance loss of the last forward pass in training, once; None if there was none."""
        loss, self._balance_loss = self._balance_loss, None
        return loss

    def _route(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weights and experts of each token, both (N, K), and all probabilities (N, E). In fp32: near ties decide."""
        with torch.autocast(tokens.device.type, enabled=False):
            probabilities = F.linear(tokens.float(), self.router.weight.float()).softmax(-1)
        weights, chosen = probabilities.topk(self.experts_per_token, -1)
        if self.experts_per_token > 1:
            # with a single expert the weight stays the probability itself, or the router would learn nothing
            weights = weights / weights.sum(-1, keepdim=True)
        return weights, chosen, probabilities

    def _sizes(self, load: torch.Tensor, choices: int) -> list[int]:
        """How many of the sorted choices each expert takes.

        Fake tensors have no data to count. Memory is then traced with equal stretches: the experts' stretches always
        add up to N K rows, so the bytes are the same.
        """
        if detect_fake_mode(load) is None:
            return load.tolist()
        n_experts = len(self.experts)
        return [(choices + n_experts - 1 - place) // n_experts for place in range(n_experts)]
