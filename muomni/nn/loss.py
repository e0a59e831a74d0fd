"""Losses that cost less than their formulas: cross-entropy without all logits, and CTC by the columns it looks at.

Cross-entropy of the next token: N tokens, V words, C channels.

With a vocabulary of 32,000 words, the N x V logits are far larger than anything else in a small model. Here `CHUNK`
rows at a time are computed, judged and forgotten. Their gradient must be computed in the same moment, so the forward
pass also does backward's work (as the fused kernels of Liger-Kernel and Cut Cross-Entropy do):

    logits = h Wᵀ        loss = -log softmax(logits)[target]        dlogits = softmax(logits) - onehot(target)
    dh = dlogits W       dW = dlogitsᵀ h
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from muomni.nn.norm import product_dtype
from muomni.nn.padding import real_places

IGNORED = -100
"""The target that does not count."""

CHUNK = 1024
"""Rows of logits held at once."""

ROWS = 64
"""Rows of them judged at once."""


def linear_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    ignore_index: int = IGNORED,
    n_targets: torch.Tensor | int | None = None,
    chunk: int = CHUNK,
) -> torch.Tensor:
    """Mean cross-entropy, in nats, of `targets` under softmax(hidden weightᵀ).

    Products are computed in autocast's type where it is on; sums and the loss itself are fp32.

    Args:
        hidden: (..., C).
        weight: the output matrix (V, C).
        targets: (...), word numbers or `ignore_index`.
        n_targets: what the sum is divided by; None means the number of counted targets (at least 1, so that a batch
            without any has loss 0).

    Returns:
        A scalar, fp32.
    """
    hidden, targets = hidden.flatten(0, -2), targets.flatten()
    if n_targets is None:
        n_targets = (targets != ignore_index).sum().clamp(min=1)
    if not torch.is_grad_enabled():
        return token_losses(hidden, weight, targets, ignore_index=ignore_index, chunk=chunk).sum() / n_targets
    loss: torch.Tensor = _LinearCrossEntropy.apply(hidden, weight, targets, n_targets, ignore_index, chunk)
    return loss


@torch.no_grad()
def token_losses(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    ignore_index: int = IGNORED,
    chunk: int = CHUNK,
) -> torch.Tensor:
    """The cross-entropy of every target, in nats, fp32, shaped as `targets`; 0 where it does not count. No gradient."""
    dtype = product_dtype(hidden)
    table, rows = weight.to(dtype), hidden.flatten(0, -2).to(dtype)
    losses = [
        F.cross_entropy(F.linear(state, table).float(), target, ignore_index=ignore_index, reduction="none")
        for state, target in zip(rows.split(chunk), targets.flatten().split(chunk), strict=True)
    ]
    return torch.cat(losses).view(targets.shape)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,  # (N, C)
        weight: torch.Tensor,  # (V, C)
        targets: torch.Tensor,  # (N,)
        n_targets: torch.Tensor | int,
        ignore_index: int,
        chunk: int,
    ) -> torch.Tensor:
        dtype = product_dtype(hidden)
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        counts = targets != ignore_index
        share = (counts / n_targets).float().unsqueeze(1)  # (N, 1): what a row counts for
        targets = targets.where(counts, 0)
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_weight = torch.zeros_like(weight) if wants_weight else None
        loss = hidden.new_zeros((), dtype=torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            table, states = weight.to(dtype), hidden.to(dtype)
            logits = states.new_empty(min(chunk, len(states)), len(table))
            for start in range(0, len(states), chunk):
                some = slice(start, start + chunk)
                state, part = states[some], share[some]
                slope = torch.mm(state, table.t(), out=logits[: len(state)])  # (n, V), still the logits
                loss += _judge(slope, targets[some]) @ part.squeeze(1)  # now their gradient
                if grad_hidden is not None:
                    grad_hidden[some] = (slope @ table).mul_(part)
                if grad_weight is not None:
                    grad_weight += slope.t() @ (state * part).to(dtype)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        grad_hidden, grad_weight = ctx.saved_tensors
        # in place, to save a copy of the largest matrix; autograd refuses a second backward through the same graph
        if grad_hidden is not None:
            grad_hidden = grad_hidden.mul_(grad)
        if grad_weight is not None:
            grad_weight = grad_weight.mul_(grad)
        return grad_hidden, grad_weight, None, None, None, None


def _judge(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropies (n,) of logits (n, V), which become their gradients, softmax - onehot.

    In fp32 even where the logits are bf16, a few rows at a time: so the work stays in the processor's cache.
    """
    losses = []
    for some, target in zip(scores.split(ROWS), targets.split(ROWS), strict=True):
        row = torch.arange(len(some), device=some.device)
        exact = some.float()  # in fp32 `some` itself
        top, wanted = exact.amax(-1), exact[row, target]
        torch.softmax(exact, -1, out=exact)
        losses.append(top - wanted - exact.amax(-1).log())  # log p(top) is at least -log V: it never underflows
        exact[row, target] -= 1.0
        if exact is not some:
            some.copy_(exact)
    return torch.cat(losses)


def ctc_loss(
    logits: torch.Tensor, n_frames: torch.Tensor, targets: torch.Tensor, n_targets: torch.Tensor, blank: int
) -> torch.Tensor:
    """The sum of all examples' CTC costs (Graves et al. 2006), in nats: what `F.ctc_loss` computes.

    Of the V + 1 columns of logits it looks at those of an example's own pieces and of the blank alone, and so do all
    steps here but the softmax. B, T, L: examples, frames, pieces.

    Args:
        logits: (B, T, V + 1).
        n_frames, n_targets: (B,), how many of each are real.
        targets: (B, L), pieces; what lies behind an example's end is ignored.

    Returns:
        A scalar, fp32.
    """
    nats: torch.Tensor = _CTC.apply(logits, n_frames, targets, n_targets, blank)
    return nats


class _CTC(torch.autograd.Function):
    """dlogits = softmax(logits) - posterior, the probability that a frame says a column, given the targets."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        n_frames: torch.Tensor,
        targets: torch.Tensor,
        n_targets: torch.Tensor,
        blank: int,
    ) -> torch.Tensor:
        width, length = targets.shape[1], logits.shape[1]
        real = real_places(n_frames, length)[..., None]  # (B, T, 1)
        targets = targets.where(real_places(n_targets, width), blank)
        first = (targets[:, :, None] == targets[:, None]).int().argmax(-1)  # equal pieces share the first one's column
        columns = F.pad(targets, (0, 1), value=blank)[:, None].expand(-1, length, -1)  # (B, T, L + 1)
        slope = logits.float().log_softmax(-1)
        with torch.enable_grad():
            own = slope.gather(2, columns).requires_grad_()
            nats = F.ctc_loss(own.transpose(0, 1), first, n_frames, n_targets, blank=width, reduction="sum")
            (moved,) = torch.autograd.grad(nats, own)  # p - posterior, of a column without a piece p
        slope.exp_().mul_(real)
        slope.scatter_add_(2, columns, (moved - own.detach().exp()).mul_(real))
        ctx.save_for_backward(slope.to(logits.dtype))
        return nats.detach()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        (slope,) = ctx.saved_tensors
        return slope * grad, None, None, None, None
