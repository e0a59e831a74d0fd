"""The reader: a ViT that sees a word, and a decoder that writes it letter by letter. Stage G.

    pixels (B, 3, H, W) ─ rectified (B, 3, H/2, 2W) ─ ViT → memory (B, N, M)
    characters so far (B, T) ─ embedding + place ─ blocks that also look at the memory ─ RMSNorm → (B, T, C)
    ─ embeddingᵀ → logits (B, T, V)

    memory, column by column ─ linear → CTC over the patches (B, N, V), in training only

The encoder sees a line of text level and as large as it gets (`muomni.models.rectify`), in a picture four times as wide
as high: as many patches as a square one has, and twice as many of them side by side.

The encoder-decoder form of the first transformer (Vaswani et al. 2017), as in TrOCR (Li et al. 2021). Which characters
there are is learned from the data and kept with the weights. Character 0 begins and ends a text; 1 stands for one
that training never saw. Places are learned, not rotary: which letter is next says where to look, and that must be
known absolutely.

A decoder alone learns for long what words look likely, without looking: where to look is of no use before the encoder
knows letters, and it learns none before it is looked at. A second loss ends that: CTC on the memory, the hybrid of
Watanabe et al. 2017 (there for speech), which asks for the letters in order and for nothing about where.
B, N, T, V: batch, patches, characters, vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import OCRConfig
from muomni.errors import UserError
from muomni.models.rectify import dark_on_light, level_line
from muomni.models.vision_encoder import ViT
from muomni.nn.block import Block, initialise
from muomni.nn.cache import KVCache
from muomni.nn.loss import IGNORED
from muomni.nn.norm import RMSNorm

END, UNKNOWN = 0, 1
N_SPECIAL = 2


class OCR(nn.Module):
    """Pictures of words to text.

    Args:
        config: the architecture's fields of `OCRConfig`.
    """

    codepoints: torch.Tensor

    def __init__(self, config: OCRConfig) -> None:
        super().__init__()
        self.config = config
        width = config.decoder_d_model
        self.register_buffer("codepoints", torch.zeros(config.n_characters, dtype=torch.int32))
        self.vision = ViT(config, config.vision_d_model, config.vision_layers, config.vision_heads, config.vision_d_ff)
        grid = self.vision.grid
        self.rows, self.columns = (grid // 2, grid * 2) if grid % 2 == 0 else (grid, grid)
        self.embedding = nn.Embedding(config.n_characters, width)
        self.places = nn.Parameter(torch.randn(config.text_len, width))
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.decoder_heads,
                config.decoder_d_ff,
                causal=True,
                use_swiglu=False,
                dropout=config.dropout,
                d_memory=config.vision_d_model,
                use_flash=config.use_flash,
            )
            for _ in range(config.decoder_layers)
        )
        self.norm = RMSNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        if config.ctc_weight > 0:
            self.ctc_head = nn.Linear(config.vision_d_model, config.n_characters)
        initialise(self)

    def set_characters(self, characters: Sequence[str]) -> None:
        """Decide which characters can be written; at most n_characters - 2.

        Raises:
            UserError: there are more.
        """
        room = self.config.n_characters - N_SPECIAL
        if len(characters) > room:
            raise UserError(
                f"is {self.config.n_characters}, but the texts have {len(characters)} different characters",
                field="n_characters",
                fix=f"Set it to at least {len(characters) + N_SPECIAL}.",
            )
        self.codepoints.zero_()
        self.codepoints[N_SPECIAL : N_SPECIAL + len(characters)] = torch.tensor([ord(each) for each in characters])

    @property
    def characters(self) -> dict[str, int]:
        """The number of every character that can be written."""
        found = enumerate(self.codepoints.tolist())
        return {chr(point): number for number, point in found if number >= N_SPECIAL and point}

    def encode_text(self, text: str) -> list[int]:
        """The numbers of a text's characters, without an end."""
        known = self.characters
        return [known.get(each, UNKNOWN) for each in text]

    def decode_text(self, numbers: Sequence[int]) -> str:
        """The text of numbers; a replacement character for one that is unknown."""
        points = self.codepoints.tolist()
        return "".join(chr(points[n]) if n >= N_SPECIAL and points[n] else "\ufffd" for n in numbers)

    def look(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W), 0 to 255, to the memory (B, N, M) that the decoder looks at."""
        return self.vision(self.rectified(pixels))

    def rectified(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the encoder sees of pixels (B, 3, H, W): its `rows` and `columns` of patches, (B, 3, H', W')."""
        patch = self.config.patch
        line = level_line(dark_on_light(pixels), self.rows * patch, self.columns * patch)
        return line.expand(-1, 3, -1, -1)

    def forward(
        self,
        inputs: torch.Tensor,
        memory: torch.Tensor,
        *,
        cache: KVCache | None = None,
        memory_cache: KVCache | None = None,
    ) -> torch.Tensor:
        """Logits (B, T, V) of the character after each input.

        Args:
            inputs: (B, T), characters; the first of all is END.
            memory: (B, N, M), see `look`.
            cache: the inputs follow what is in it, and are added to it.
            memory_cache: keeps the memory's keys and values, which are the same at every step.
        """
        start = 0 if cache is None else cache.length
        x = self.dropout(self.embedding(inputs) + self.places[start : start + inputs.shape[1]])
        for number, block in enumerate(self.blocks):
            x = block(
                x,
                memory=memory,
                cache=None if cache is None else cache.layers[number],
                memory_cache=None if memory_cache is None else memory_cache.layers[number],
            )
        return F.linear(self.norm(x), self.embedding.weight)

    def loss(self, pixels: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy in nats of `targets` (B, T), -100 where there is none, given the right text before; in
        training with `ctc_weight` times the CTC loss."""
        memory = self.look(pixels)
        logits = self(inputs, memory)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)
        if self.training and self.config.ctc_weight > 0:
            loss = loss + self.config.ctc_weight * self.ctc_loss(memory, targets)
        return loss

    def ctc_loss(self, memory: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """CTC loss in nats a letter of the memory (B, N, M), with END as its blank.

        The patches are read column by column, from the left; a text of several words may be written below each other,
        which is another order: such texts are left out.
        """
        columns = memory.unflatten(1, (self.rows, self.columns)).transpose(1, 2).flatten(1, 2)
        n_letters = (targets > END).sum(1)
        space = self.characters.get(" ", UNKNOWN)
        one_word = (n_letters > 0) & (targets != space).all(1)
        if not one_word.any():
            return self.ctc_head(memory).sum() * 0
        return F.ctc_loss(
            self.ctc_head(columns[one_word]).float().log_softmax(-1).transpose(0, 1),
            targets[one_word].clamp(min=END),
            torch.full_like(n_letters[one_word], columns.shape[1]),
            n_letters[one_word],
            zero_infinity=True,
        )
