"""Attention (Vaswani et al. 2017), for every stage: causal or not, over itself or over a memory, with grouped heads.

Every query takes a weighted mean of the values, weights = softmax(q k / sqrt(D)). In grouped-query attention (Ainslie
et al. 2023) several query heads share one key-value head. B, T, S, C: batch, queries, keys, width; H, G: query and
key-value heads; D = C / H.

The same numbers are computed by one of two kernels, chosen in one place, `choose_kernel`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from muomni.errors import UserError
from muomni.nn.cache import LayerCache
from muomni.nn.rotary import Rotation, rotate

Kernel = Literal["fused", "blocks"]

BLOCK = 128
"""Queries in one block of the plain kernel: their scores should fit in a core's cache."""

MASKED = -1e9
"""Added to the scores of padding. Finite, so that a query that may see nothing gives numbers, not NaN."""


def choose_kernel(
    device: str, dtype: torch.dtype, n_queries: int, n_keys: int, *, causal: bool, use_flash: bool = True
) -> Kernel:
    """The faster kernel, as measured by `tests/benchmarks/thinker.py attention`.

    - GPUs: PyTorch's fused kernel, which never holds the T x S scores.
    - CPUs: plain products in blocks of queries. In bf16 the fused kernel makes no use of the CPU's bf16 instructions;
      in causal attention it computes scores that are masked. It remains the better one in fp32 without a causal mask,
      for a single query, and where the stored scores would get large (beyond 2,048 keys).

    Args:
        use_flash: False forbids the fused kernel everywhere.
    """
    if not use_flash:
        return "blocks"
    if device != "cpu":
        return "fused"
    if n_queries == 1 or n_keys > 2048:
        return "fused"
    return "blocks" if causal or dtype == torch.bfloat16 else "fused"


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    bias: torch.Tensor | None = None,
    use_flash: bool = True,
) -> torch.Tensor:
    """softmax(q k / sqrt(D) + bias) v.

    Args:
        q: queries (B, H, T, D).
        k, v: keys and values (B, G, S, D); H is a multiple of G.
        causal: a query sees the keys up to its own place; the last query stands at the last key.
        bias: added to the scores, (B or 1, 1, T or 1, S); see `padding_bias`. With rows of its own for T queries it
            has to hide what comes after them too, where that is to be hidden, as `document_bias` does.

    Returns:
        (B, H, T, D)
    """
    kernel = choose_kernel(q.device.type, q.dtype, q.shape[2], k.shape[2], causal=causal, use_flash=use_flash)
    return (fused if kernel == "fused" else blocks)(q, k, v, causal, bias)


def blocks(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, bias: torch.Tensor | None) -> torch.Tensor:
    """Product, softmax, product, block by block of queries: with a causal mask, each block skips the keys after it.

    The query heads of a group are stacked as more queries of their one key-value head, so nothing is copied for them.
    """
    batch, heads, n_queries, width = q.shape
    groups, n_keys = k.shape[1], k.shape[2]
    per_group = heads // groups
    step = BLOCK if causal else 4 * BLOCK
    q, k = q * width**-0.5, k.transpose(2, 3)
    outputs = []
    for start in range(0, n_queries, step):
        end = min(start + step, n_queries)
        seen = n_keys - n_queries + end if causal else n_keys
        size = end - start
        some = q[:, :, start:end].reshape(batch, groups, per_group * size, width)
        scores = (some @ k[..., :seen]).view(batch, groups, per_group, size, seen)
        if causal and size > 1 and not _has_rows(bias):
            scores = scores + _causal_bias(size, seen, q)
        if bias is not None:
            rows = bias[:, :, start:end] if _has_rows(bias) else bias
            scores = scores + rows[:, :, None, :, :seen].to(q.dtype)
        weights = scores.softmax(-1).view(batch, groups, per_group * size, seen)
        outputs.append((weights @ v[:, :, :seen]).view(batch, heads, size, width))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, bias: torch.Tensor | None) -> torch.Tensor:
    """PyTorch's kernel, which keeps only the output and one number a row for backward (FlashAttention, Dao 2022)."""
    n_queries, n_keys = q.shape[2], k.shape[2]
    causal = causal and n_queries > 1 and not _has_rows(bias)
    if causal and (bias is not None or n_keys != n_queries):
        # PyTorch's own causal mask starts at the first key and goes with no other mask
        future = _causal_bias(n_queries, n_keys, q)
        bias = future if bias is None else bias.to(q.dtype) + future
        causal = False
    grouped = q.shape[1] != k.shape[1]
    if grouped and q.device.type != "cpu" and (q.dtype == torch.float32 or bias is not None):
        # there, only the half-precision kernel without a mask knows groups; the others would fall back to T x S scores
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        grouped = False
    mask = None if bias is None else bias.to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped)


def _has_rows(bias: torch.Tensor | None) -> bool:
    return bias is not None and bias.shape[2] > 1


def _causal_bias(n_queries: int, n_keys: int, like: torch.Tensor) -> torch.Tensor:
    """(T, S): 0 where query t, standing at key S - T + t, may look, minus infinity after it."""
    full = torch.full((n_queries, n_keys), float("-inf"), dtype=like.dtype, device=like.device)
    return full.triu_(1 + n_keys - n_queries)


def padding_bias(real: torch.Tensor) -> torch.Tensor:
    """Scores' bias (B, 1, 1, S) that hides the keys where `real` (B, S) is False."""
    bias = torch.zeros(real.shape, device=real.device).masked_fill(~real.bool(), MASKED)
    return bias[:, None, None, :]


def window_bias(side: int, window: int) -> torch.Tensor:
    """Scores' bias (1, 1, N, N) that hides from a patch those more than `window` rows or columns away.

    For the N = side x side patches of a picture, row by row: neighborhood attention (Hassani et al. 2023).
    """
    at = torch.arange(side)
    far = (at[:, None] - at).abs() > window  # (side, side)
    hidden = far[:, None, :, None] | far[None, :, None, :]  # rows and columns of both patches
    return torch.zeros(1, 1, side**2, side**2).masked_fill(hidden.reshape(1, 1, side**2, side**2), MASKED)


def document_bias(
    documents: torch.Tensor, trunks: torch.Tensor | None = None, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Causal scores' bias (B, 1, T, T) that hides from a token what comes after it, and the tokens of other documents.

    Made once for all layers: each keeps it for its backward pass, and it is the largest thing there.

    Args:
        documents: (B, T), numbers.
        trunks: (B, T), for documents that branch off a common beginning, such as a picture: the number of the document
            that a token's own one goes on from, which it sees as well.
        dtype: of the scores.
    """
    hidden = documents[:, :, None] != documents[:, None, :]
    if trunks is not None:
        hidden &= trunks[:, :, None] != documents[:, None, :]
    hidden |= torch.ones_like(hidden[0]).triu_(1)
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, MASKED)[:, None]


def shift_tokens(
    k: torch.Tensor, v: torch.Tensor, previous: torch.Tensor | None = None, cache: LayerCache | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Half of the heads with the key of the token before, the others with its value.

    The first half look for a token and take the value of the one behind it, as induction heads do (Olsson et al. 2022);
    the others look for a token and take the value of the one in front of it: what is red, and what color the circle
    has. Which words belong together need then not be learned by one layer for the next. With an uneven number of heads,
    the others are more.

    Args:
        k, v: (B, G, T, D), keys turned to their positions; G is 2 or more.
        previous: (B, T + 1), see `previous_tokens`; None: each token follows the one before it.
        cache: has what the first token follows, and gets what the next one will.
    """
    half = k.shape[1] // 2
    ours = torch.cat((k[:, :half], v[:, half:]), 1)
    first = ours.new_zeros(*ours.shape[:2], 1, ours.shape[3]) if cache is None or cache.before is None else cache.before
    line = torch.cat((first, ours), 2)  # (B, G, 1 + T, D)
    if previous is not None:
        line = line.gather(2, previous[:, None, :, None].expand(-1, line.shape[1], -1, line.shape[3]))
    if cache is not None:
        cache.before = line[:, :, -1:]
    return torch.cat((line[:, :half, :-1], k[:, half:]), 1), torch.cat((v[:, :half], line[:, half:, :-1]), 1)


def previous_tokens(
    real: torch.Tensor | None = None, documents: torch.Tensor | None = None, trunks: torch.Tensor | None = None
) -> torch.Tensor | None:
    """Which token each of T follows, and the one after them: (B, T + 1), from 1 up; 0 is what came before them all.

    Args:
        real: (B, T), False where a token is padding: that is followed by none.
        documents, trunks: as in `document_bias`. A document's first token follows the last of the document that it
            branches off from, or none; nothing may then come before.
    """
    if documents is not None:
        before = _last_before(documents, documents)
        if trunks is not None:
            before = before.maximum(_last_before(documents, trunks))
        return F.pad(before, (0, 1), value=documents.shape[1])
    if real is None:
        return None
    last = torch.where(real, torch.arange(1, real.shape[1] + 1, device=real.device), 0).cummax(1).values
    return torch.cat((torch.zeros_like(last[:, :1]), last), 1)


def _last_before(documents: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(B, T): the last token before each that is of the document that it wants, from 1 up; 0 where there is none."""
    length = documents.shape[1]
    at = torch.arange(length, device=documents.device)
    line = (documents * length + at).sort(1).values  # document by document, each in its order
    none = torch.iinfo(line.dtype).min
    found = F.pad(line, (1, 0), value=none).gather(1, torch.searchsorted(line, wanted * length + at))
    return torch.where(found // length == wanted, found % length + 1, 0)


class Attention(nn.Module):
    """Queries from x; keys and values from x, or from a memory (cross-attention).

    Args:
        d_model: width C of x and of the output.
        n_heads: query heads H.
        n_kv_heads: key-value heads G; None means as many as query heads.
        d_memory: width of the memory that keys and values come from; None means x itself.
        token_shift: see `shift_tokens`.
        use_flash: False forbids the fused kernel.

    Raises:
        UserError: the heads do not divide the width, the key-value heads do not divide the heads, or a single one is to
            be shifted by halves.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        d_memory: int | None = None,
        token_shift: bool = False,
        use_flash: bool = True,
    ) -> None:
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if d_model % n_heads or n_heads % n_kv_heads:
            raise UserError(
                f"d_model {d_model}, n_heads {n_heads} and n_kv_heads {n_kv_heads} do not divide evenly",
                fix="n_heads must divide d_model, and n_kv_heads must divide n_heads.",
            )
        if token_shift and n_kv_heads < 2:
            raise UserError("is 1, and token_shift is on", field="n_kv_heads", fix="Set it to 2 or more.")
        self.head_dim = d_model // n_heads
        self.token_shift = token_shift
        self.use_flash = use_flash
        source = d_model if d_memory is None else d_memory
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(source, n_kv_heads * self.head_dim, bias=False)
        self.value = nn.Linear(source, n_kv_heads * self.head_dim, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self,
        x: torch.Tensor,
        *,
        causal: bool = False,
        turn: Rotation | None = None,
        bias: torch.Tensor | None = None,
        previous: torch.Tensor | None = None,
        cache: LayerCache | None = None,
        memory: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Args:
            x: (B, T, C).
            causal: a token sees only itself and those before it.
            turn: rotary positions of the T tokens.
            bias: added to the scores, (B or 1, 1, T or 1, S).
            previous: with token_shift, see `shift_tokens`.
            cache: the T tokens follow those in the cache, and are added to it. In cross-attention: keeps the memory's
                keys and values, which are computed the first time only.
            memory: (B, S, d_memory), in cross-attention.

        Returns:
            (B, T, C)
        """
        q = self._heads(self.query(x))
        if memory is not None and cache is not None and cache.length:
            k, v = cache.all()
        else:
            source = x if memory is None else memory
            k, v = self._heads(self.key(source)), self._heads(self.value(source))
            if turn is not None:
                q, k = rotate(q, turn), rotate(k, turn)
            if self.token_shift:
                k, v = shift_tokens(k, v, previous, cache)
            if cache is not None:
                k, v = cache.append(k, v)
        mixed = attend(q, k, v, causal=causal, bias=bias, use_flash=self.use_flash)  # (B, H, T, D)
        return self.output(mixed.transpose(1, 2).flatten(2))

    @torch.no_grad()
    def weights(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """For pictures of it: how much each of the T tokens looks at each, (B, H, T, T), without positions."""
        q, k = self._heads(self.query(x)), self._heads(self.key(x))
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        scores = q @ k.transpose(2, 3) * self.head_dim**-0.5
        return (scores if bias is None else scores + bias).float().softmax(-1)

    def _heads(self, y: torch.Tensor) -> torch.Tensor:
        """(B, T, H D) -> (B, H, T, D)"""
        return y.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
