"""The KV cache: keys and values of the tokens read so far, so that each is computed once.

Room for `max_len` tokens is made when the first arrive; later ones are written in place behind them. B, G, D: batch,
key-value heads, channels of one head.
"""

from __future__ import annotations

import torch

from muomni.errors import UserError


class LayerCache:
    """Keys and values of one layer."""

    def __init__(self, max_len: int) -> None:
        self.max_len = max_len
        self.length = 0
        self.keys: torch.Tensor | None = None  # (B, G, max_len, D)
        self.values: torch.Tensor | None = None
        self.before: torch.Tensor | None = None  # (B, G, 1, D): of the last token, what the next one takes over

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write keys and values (B, G, T, D) of T new tokens, and return all so far (B, G, length, D)."""
        if self.keys is None or self.values is None:
            batch, heads, _, width = keys.shape
            self.keys = keys.new_empty(batch, heads, self.max_len, width)
            self.values = values.new_empty(batch, heads, self.max_len, width)
        new = keys.shape[2]
        self.keys.narrow(2, self.length, new).copy_(keys)
        self.values.narrow(2, self.length, new).copy_(values)
        self.length += new
        return self.all()

    def all(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (B, G, length, D) of all tokens so far; there must be some."""
        assert self.keys is not None and self.values is not None
        return self.keys.narrow(2, 0, self.length), self.values.narrow(2, 0, self.length)


class KVCache:
    """The cache of a whole decoder.

    Args:
        n_layers: blocks of the decoder.
        max_len: the most tokens that it can hold, padding included.
    """

    def __init__(self, n_layers: int, max_len: int) -> None:
        self.max_len = max_len
        self.layers = [LayerCache(max_len) for _ in range(n_layers)]
        self.shift = 0  # what positions are ahead of the count of tokens: below 0 where a picture's tokens share one
        self.real: torch.Tensor | None = None  # (B, length), False where a token is padding; None: no padding

    @property
    def length(self) -> int:
        """Tokens held, padding included."""
        return self.layers[0].length

    def make_room(self, new: int) -> None:
        """Check that `new` more tokens fit.

        Raises:
            UserError: they do not.
        """
        if self.length + new > self.max_len:
            raise UserError(
                f"the cache holds {self.length} tokens and {new} more do not fit: its limit is {self.max_len}",
                fix="Make a larger cache (up to ctx_len tokens), or shorten the text.",
            )

    def note_padding(self, mask: torch.Tensor | None, batch: int, new: int) -> torch.Tensor | None:
        """Remember which of `new` tokens are real, mask (B, new), and return that of all tokens, the new included."""
        if mask is None and self.real is None:
            return None
        device = mask.device if mask is not None else self.real.device  # type: ignore[union-attr]
        real = torch.ones(batch, new, dtype=torch.bool, device=device) if mask is None else mask.bool()
        before = torch.ones(batch, self.length, dtype=torch.bool, device=device) if self.real is None else self.real
        self.real = torch.cat((before, real), 1)
        return self.real
