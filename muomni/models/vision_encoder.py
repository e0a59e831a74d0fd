"""The vision encoder: a ViT (Dosovitskiy et al. 2021), and its contrastive training against captions. Stage C.

    pixels (B, 3, H, W) ─ stem + position (B, N, C) ─ n_layers blocks ─ RMSNorm → patch tokens (B, N, C)

As in CLIP (Radford et al. 2021), a picture and its caption meet in one space: the mean of the patch tokens and the mean
of the caption's states, each through a matrix and scaled to length 1. There is no class token: the mean of the patches
*is* the picture, so the patches' own shares add up to its likeness to a caption (`VisionModel.relevance`); what stands
where is another question, for a token knows of more than its own patch.

So that it is answered too, every patch also names the pieces of the caption that it shows (`VisionModel.word_loss`),
and nobody says which patch shows which: a picture has a word where one of its patches has it (multiple-instance
learning, Dietterich et al. 1997; for captions, Fang et al. 2015). Stage E reads pictures by these words. So that a word
stands where its thing is, patches look at their neighbors only, and where little is to be seen little is named.
B, N, C, E, V: batch, patches, width, width of the shared space, pieces of the vocabulary.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import VisionConfig
from muomni.models.thinker import Thinker
from muomni.nn.attention import padding_bias, window_bias
from muomni.nn.block import Block, initialise
from muomni.nn.norm import RMSNorm, product_dtype
from muomni.nn.rotary import rotation

THETA = 10000.0
RARE = -3.0
"""First bias of the words' head: most words are in few pictures (as in RetinaNet, Lin et al. 2017)."""
LARGEST_SCALE = 100.0
"""Similarities are multiplied by at most this much: 1 / temperature, bounded as in CLIP."""


class ViTSettings(Protocol):
    """What a ViT is built from."""

    @property
    def img_size(self) -> int: ...
    @property
    def patch(self) -> int: ...
    @property
    def dropout(self) -> float: ...
    @property
    def use_flash(self) -> bool: ...


def contrast(pixels: torch.Tensor, patch: int) -> torch.Tensor:
    """How much there is to see in each patch of pictures (B, 3, H, W): (B, N), 1 where it is most.

    The standard deviation of a patch's pixels, as a share of the picture's largest; a millionth at least.
    """
    side = pixels.shape[-1] // patch
    tiles = pixels.unflatten(3, (side, patch)).unflatten(2, (side, patch)).transpose(3, 4).flatten(4).float()
    around = tiles - tiles.mean(4, keepdim=True)  # (B, 3, rows, columns, patch²); four times as fast as `var`
    shows = (around.square().sum(4) / (patch**2 - 1)).mean(1).sqrt().flatten(1)
    return (shows / shows.amax(1, keepdim=True).clamp(min=1)).clamp(min=1e-6)


class Stem(nn.Module):
    """Pixels to one vector a patch by two convolutions instead of one matrix (Xiao et al. 2021).

    The first sees quarters of a patch, the second a patch and its surroundings: edges and corners are found at once,
    which a matrix over whole patches and the blocks behind it learn several times more slowly. An odd patch is seen as
    a whole by the first.

    Args:
        patch: side of a patch in pixels.
        width: channels C of the output.
    """

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        side, stride = (patch // 2, 2) if patch % 2 == 0 else (patch, 1)
        self.first = nn.Conv2d(3, width // 2, side, side)
        self.second = nn.Conv2d(width // 2, width, 3, stride, padding=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W), bytes or floats of 0 to 255, to (B, N, C), the patches row by row."""
        x = (pixels.float() / 127.5 - 1).to(memory_format=torch.channels_last)  # a fifth faster on a CPU
        x = self.second(F.gelu(self.first(x)))  # (B, C, rows, columns)
        return x.flatten(2).transpose(1, 2)


class ViT(nn.Module):
    """Pictures to patch tokens.

    Args:
        settings: img_size and patch (pixels), dropout, use_flash.
        d_model, n_layers, n_heads, d_ff: width C, blocks, heads, inner width.
        n_words: pieces that a head names in patches; 0: no head.
        window: in each block a patch looks at those up to so many rows and columns away; 0: at all.
    """

    near: torch.Tensor | None

    def __init__(
        self,
        settings: ViTSettings,
        d_model: int,
        n_layers: int,
        n_heads: int,
        d_ff: int,
        n_words: int = 0,
        window: int = 0,
    ) -> None:
        super().__init__()
        self.img_size, self.patch = settings.img_size, settings.patch
        self.grid = settings.img_size // settings.patch
        self.stem = Stem(settings.patch, d_model)
        self.positions = nn.Parameter(torch.randn(self.grid**2, d_model) * d_model**-0.5)
        self.blocks = nn.ModuleList(
            Block(d_model, n_heads, d_ff, use_swiglu=False, dropout=settings.dropout, use_flash=settings.use_flash)
            for _ in range(n_layers)
        )
        self.norm = RMSNorm(d_model)
        self.head = nn.Linear(d_model, n_words) if n_words else None
        self.dropout = nn.Dropout(settings.dropout)
        self.register_buffer("near", window_bias(self.grid, window) if window else None, persistent=False)

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels to the tokens (B, N, C) that the first block reads."""
        return self.dropout(self.stem(pixels) + self.positions)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W), 0 to 255, to patch tokens (B, N, C)."""
        x = self.embed(pixels)
        near = None if self.near is None else self.near.to(product_dtype(x))
        for block in self.blocks:
            x = block(x, bias=near)
        return self.norm(x)

    def named(self, pixels: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """Scores of the vocabulary's pieces in each of the patch tokens (B, N, C) of pixels: (B, N, V).

        The sigmoid of a score is how sure the patch is to show the piece. The logarithm of the patch's `contrast` is
        added to it: what shows little names little.
        """
        assert self.head is not None
        return self.head(patches).float() + contrast(pixels, self.patch).log()[..., None]

    @torch.no_grad()
    def attention_maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """How much each patch looks at each other one: (B, layers, H, N, N), every row summing to 1."""
        x, maps = self.embed(pixels), []
        for block in self.blocks:
            assert isinstance(block, Block)
            maps.append(block.attention.weights(block.attention_norm(x), self.near))
            x = block(x, bias=self.near)
        return torch.stack(maps, 1)


class TextTower(nn.Module):
    """Captions to states: embeddings and blocks that see the whole caption, rotary positions."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.head_dim = config.text_d_model // config.text_heads
        self.embedding = nn.Embedding(config.vocab_size, config.text_d_model)
        self.blocks = nn.ModuleList(
            Block(
                config.text_d_model,
                config.text_heads,
                config.text_d_ff,
                use_swiglu=False,
                dropout=config.dropout,
                use_flash=config.use_flash,
            )
            for _ in range(config.text_layers)
        )
        self.norm = RMSNorm(config.text_d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Pieces (B, L), real (B, L) True where there is one, to states (B, L, text_d_model)."""
        x = self.dropout(self.embedding(ids))
        dtype = product_dtype(x)
        turn = rotation(torch.arange(ids.shape[1], device=ids.device), self.head_dim, THETA).to(dtype)
        bias = padding_bias(real).to(dtype)
        for block in self.blocks:
            x = block(x, turn=turn, bias=bias)
        return self.norm(x)


class FrozenThinker(nn.Module):
    """A trained Thinker that reads captions and learns nothing from them; its weights are not this model's."""

    def __init__(self, thinker: Thinker) -> None:
        super().__init__()
        self._held = [thinker.eval().requires_grad_(False)]  # in a list: neither parameters nor state of this module

    @torch.no_grad()
    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """As `TextTower`."""
        thinker = self._held[0] = self._held[0].to(ids.device)
        return thinker.hidden(ids, mask=real).last


class VisionModel(nn.Module):
    """A picture's encoder and a caption's, and the space where they meet.

    Args:
        config: the architecture's fields of `VisionConfig`.
        thinker: reads the captions where `config.text_tower` is "thinker".
    """

    def __init__(self, config: VisionConfig, thinker: Thinker | None = None) -> None:
        super().__init__()
        self.config = config
        self.vision = ViT(
            config,
            config.d_model,
            config.n_layers,
            config.n_heads,
            config.d_ff,
            n_words=config.vocab_size,
            window=config.attention_window,
        )
        self.text: nn.Module
        self.text = TextTower(config) if thinker is None else FrozenThinker(thinker)
        self.vision_projection = nn.Linear(config.d_model, config.embed_dim, bias=False)
        self.text_projection = nn.Linear(config.text_d_model, config.embed_dim, bias=False)
        self.log_scale = nn.Parameter(
            torch.tensor(-math.log(config.temperature)), requires_grad=config.learn_temperature
        )
        initialise(self)
        assert self.vision.head is not None
        nn.init.constant_(self.vision.head.bias, RARE)

    @property
    def scale(self) -> torch.Tensor:
        """What similarities are multiplied by: 1 / temperature."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def embed_pictures(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W), 0 to 255, to unit vectors (B, E)."""
        return self.whole(self.vision(pixels))

    def whole(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens (B, N, C) to their pictures' unit vectors (B, E)."""
        return F.normalize(self.vision_projection(tokens.mean(1)).float(), dim=-1)

    def embed_texts(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Captions' pieces (B, L), real (B, L), to unit vectors (B, E)."""
        states = self.text(ids, real)
        share = real.to(states.dtype) / real.sum(1, keepdim=True).clamp(min=1)
        return F.normalize(self.text_projection((states * share[..., None]).sum(1)).float(), dim=-1)

    def loss(self, pixels: torch.Tensor, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """InfoNCE, and the words' loss by its weight. In nats."""
        tokens = self.vision(pixels)
        loss = self.contrast(self.whole(tokens), ids, real)
        weight = self.config.word_weight
        return loss + weight * self.word_loss(pixels, tokens, ids, real) if weight else loss

    def word_loss(
        self, pixels: torch.Tensor, tokens: torch.Tensor, ids: torch.Tensor, real: torch.Tensor
    ) -> torch.Tensor:
        """Nats a picture to say, of every piece that stands in a caption of the batch, whether it stands in its own.

        A picture's score of a piece is that of its patches: the logarithm of the mean of their exponentials, which a
        single patch can lift. The mean is weighted by how much each patch shows, and patches see what is near: else
        names are written wherever a picture is empty (as in the registers of Darcet et al. 2024), not where things are.

        Args:
            pixels: (B, 3, H, W).
            tokens: their patch tokens (B, N, C).
            ids: captions' pieces (B, L); real (B, L).
        """
        asked, column = ids.unique(return_inverse=True)
        stands = torch.zeros(len(ids), len(asked), device=ids.device)
        stands.scatter_reduce_(1, column, real.float(), "amax")
        assert self.vision.head is not None
        shows = contrast(pixels, self.config.patch)  # (B, N)
        named = F.linear(tokens, self.vision.head.weight[asked], self.vision.head.bias[asked]).float()  # (B, N, asked)
        score = (named + shows.log()[..., None]).logsumexp(1) - shows.sum(1, keepdim=True).log()
        return F.binary_cross_entropy_with_logits(score, stands, reduction="sum") / len(ids)

    def contrast(self, pictures: torch.Tensor, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """InfoNCE in nats: which of the batch's captions belongs to each picture (B, E), and the other way round.

        A caption that stands in the batch twice is right for both of its pictures: the other one is left out.
        """
        texts = self.embed_texts(ids, real)
        scores = self.scale * pictures @ texts.T  # (B, B)
        read = torch.where(real, ids, -1)
        twins = (read[:, None] == read[None]).all(-1) & ~torch.eye(len(ids), dtype=torch.bool, device=ids.device)
        scores = scores.masked_fill(twins, float("-inf"))
        right = torch.arange(len(ids), device=ids.device)
        return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2

    @torch.no_grad()
    def relevance(self, pixels: torch.Tensor, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """What each patch adds to the likeness of a picture and its caption: (B, grid, grid), summing to it."""
        tokens = self.vision_projection(self.vision(pixels))  # (B, N, E)
        length = tokens.mean(1).norm(dim=-1)[:, None] * tokens.shape[1]
        parts = (tokens @ self.embed_texts(ids, real)[..., None]).squeeze(-1) / length
        return parts.unflatten(1, (self.vision.grid, self.vision.grid))
