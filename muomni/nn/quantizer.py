"""Residual vector quantization, RVQ (Zeghidour et al. 2021): a vector as a few numbers, each correcting those before.

    latents (B, T, D) ─ nearest entry of book 0 ─ rest ─ nearest entry of book 1 ─ rest ... → codes (B, T, K)

Choosing the nearest entry has no gradient; the straight-through estimator (van den Oord et al. 2017) hands the gradient
of the quantized vector to the latent as it is. Entries are drawn to the vectors that choose them (codebook loss),
latents are drawn to their entries (commitment loss). An entry that nothing chooses never learns: such dead entries are
put where some rest of the batch is, every `RESTART` batches. B, T, D, K, E: batch, time, width, books, entries.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

RESTART = 50
"""Batches between two looks for dead entries."""


class Quantized(NamedTuple):
    """
    latents: (B, T, D), the sums of the chosen entries; their gradient goes to the latents that came in.
    codes: (B, T, K), the numbers of the chosen entries.
    loss: codebook loss and weighted commitment loss, a mean over books and channels.
    """

    latents: torch.Tensor
    codes: torch.Tensor
    loss: torch.Tensor


class Usage(NamedTuple):
    """How a codebook is used: the share of its entries that occur, and the information of one code in bits."""

    used: float
    bits: float


class ResidualQuantizer(nn.Module):
    """K codebooks of E entries of D channels.

    Args:
        n_codebooks, codebook_size, width: K, E and D.
        commitment: weight of the commitment loss.
    """

    choices: torch.Tensor
    batches: torch.Tensor

    def __init__(self, n_codebooks: int, codebook_size: int, width: int, commitment: float) -> None:
        super().__init__()
        self.commitment = commitment
        self.codebooks = nn.Parameter(torch.randn(n_codebooks, codebook_size, width) * width**-0.5)
        self.register_buffer("choices", torch.zeros(n_codebooks, codebook_size, dtype=torch.int64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, latents: torch.Tensor, real: torch.Tensor | None = None) -> Quantized:
        """Quantize latents (B, T, D); places where `real` (B, T) is False have no part in the loss or the counts."""
        latents = latents.float()
        rest, total = latents, torch.zeros_like(latents)
        codes, rests = list[torch.Tensor](), list[torch.Tensor]()
        loss = latents.new_zeros(())
        for book in self.codebooks:
            rests.append(rest.detach())
            code = nearest(rest.detach(), book.detach())
            chosen = F.embedding(code, book)
            loss = loss + _mean_square(rest.detach() - chosen, real)
            loss = loss + self.commitment * _mean_square(rest - chosen.detach(), real)
            codes.append(code)
            rest = rest - chosen.detach()
            total = total + chosen.detach()
        if self.training:
            self._count_and_restart(codes, rests, real)
        straight = latents + (total - latents).detach()
        return Quantized(straight, torch.stack(codes, -1), loss / len(codes))

    def encode(self, latents: torch.Tensor) -> torch.Tensor:
        """The codes (B, T, K) of latents (B, T, D)."""
        rest, codes = latents.float(), list[torch.Tensor]()
        for book in self.codebooks:
            codes.append(nearest(rest, book))
            rest = rest - F.embedding(codes[-1], book)
        return torch.stack(codes, -1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """The latents (B, T, D) of codes (B, T, K); fewer books than K may be given: a coarser sound."""
        books = self.codebooks[: codes.shape[-1]]
        return torch.stack([F.embedding(codes[..., k], book) for k, book in enumerate(books)]).sum(0)

    @torch.no_grad()
    def _count_and_restart(
        self, codes: list[torch.Tensor], rests: list[torch.Tensor], real: torch.Tensor | None
    ) -> None:
        """Count which entries were chosen; now and then put those that never were where the batch has a rest."""
        size = self.codebooks.shape[1]
        keep = torch.ones_like(codes[0], dtype=torch.bool) if real is None else real
        for book, code in enumerate(codes):
            self.choices[book] += torch.bincount(code[keep], minlength=size)
        self.batches += 1
        if int(self.batches) % RESTART:
            return
        for book, rest in enumerate(rests):
            dead = (self.choices[book] == 0).nonzero().flatten()
            candidates = rest[keep]
            picked = torch.randint(len(candidates), (len(dead),), device=rest.device)
            self.codebooks[book, dead] = candidates[picked]
        self.choices.zero_()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.broadcast(self.codebooks.data, 0)  # every process has its own batch and its own dice


def nearest(vectors: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """The numbers (...) of the entries of `book` (E, D) that are nearest to vectors (..., D)."""
    scores = vectors @ book.t() - 0.5 * book.square().sum(1)  # the vector's own length is the same for all
    return scores.argmax(-1)


def usage(codes: torch.Tensor, codebook_size: int) -> list[Usage]:
    """How each of K codebooks is used in codes (N, K). Few codes cannot use many entries."""
    found = list[Usage]()
    for code in codes.unbind(-1):
        share = torch.bincount(code.flatten(), minlength=codebook_size) / max(1, code.numel())
        bits = -(share * share.clamp(min=1e-12).log2()).sum()
        found.append(Usage(float((share > 0).float().mean()), float(bits)))
    return found


def bitrate(n_codebooks: int, codebook_size: int, frames_per_second: float) -> float:
    """Bits a second that codes take, each entry told by its number."""
    return n_codebooks * float(torch.tensor(float(codebook_size)).log2()) * frames_per_second


def _mean_square(x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    squares = x.square().mean(-1)
    if real is None:
        return squares.mean()
    return (squares * real).sum() / real.sum().clamp(min=1)
