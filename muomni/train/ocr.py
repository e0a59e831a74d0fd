"""Stage G: pictures of words, and the decoder learns to write the next character, given the right ones before.

Batch: pixels (B, 3, H, W); inputs (B, T), a text's characters behind the beginning; targets (B, T), the same and the
end, -100 behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from muomni.config import OCRConfig
from muomni.data.examples import Examples, Reader
from muomni.infer.read import read_greedily
from muomni.models.ocr import END, N_SPECIAL, OCR, UNKNOWN
from muomni.nn.loss import IGNORED
from muomni.nn.padding import padded
from muomni.train.media import Kept, PictureReader, both_splits, dice, leave_out, tensor_bytes, vary_pictures
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

VARIED = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0])
"""How much of `max_warp` each variation takes: turn, scale (2), shift (2), contrast, brightness."""


class Batch(NamedTuple):
    pixels: torch.Tensor  # (B, 3, H, W)
    inputs: torch.Tensor  # (B, T)
    targets: torch.Tensor  # (B, T)


class Words:
    """Pictures of words and their texts.

    Args:
        media: the pictures, as bytes.
        model: knows the characters' numbers.
        varies: whether pictures are varied at random.
    """

    def __init__(self, media: Kept[torch.Tensor], characters: dict[str, int], config: OCRConfig, varies: bool) -> None:
        self.media, self.characters, self.config = media, characters, config
        self.varies = varies and config.max_warp > 0
        self.lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.media)

    def __getitem__(self, place: Place) -> tuple[torch.Tensor, list[int], np.ndarray]:
        _, example, pixels = self.media.read(place.index)
        amounts = dice(self.config.seed, place).uniform(-1, 1, len(VARIED)) if self.varies else np.zeros(len(VARIED))
        return pixels, [self.characters[each] for each in example.text], amounts * VARIED * self.config.max_warp

    def collate(self, examples: Sequence[tuple[torch.Tensor, list[int], np.ndarray]]) -> Batch:
        pictures, texts, amounts = zip(*examples, strict=True)
        pixels = torch.stack(pictures)
        if self.varies:
            pixels = vary_pictures(pixels, np.stack(amounts))
        inputs = padded([[END, *text] for text in texts], END)
        return Batch(pixels, inputs, padded([[*text, END] for text in texts], IGNORED))


def words(config: OCRConfig) -> tuple[Words, Words, list[str], list[str]]:
    """The training and the validation set of a config's manifest, its characters, and what was left out.

    Raises:
        UserError: too many rows are broken or too long.
    """
    examples = Examples.open(config.train_csv, "image", config.image_root)
    texts = [example.text for example in examples]
    short = np.array([len(text) < config.text_len for text in texts])
    notes = [leave_out(short, f"have {config.text_len} characters (text_len) or more", config.train_csv)]
    notes += [str(examples.skipped)] if examples.skipped.rows else []
    characters = sorted({each for text, fits in zip(texts, short, strict=True) if fits for each in text})
    numbers = {each: number for number, each in enumerate(characters, start=N_SPECIAL)}
    reader = Reader(examples, PictureReader(config.img_size))
    train, validation = (
        Words(Kept(reader, rows[short[rows]], tensor_bytes), numbers, config, varies)
        for rows, varies in zip(both_splits(examples, config.val_split), (True, False), strict=True)
    )
    return train, validation, characters, [note for note in notes if note]


class OCRObjective(Objective):
    """Cross-entropy of the next character, in nats; held out, also the share of texts read without a mistake.

    Args:
        config: the reader's settings.
        characters: what it can write; None trains without samples.
        shown: a few pictures of words, read at every validation.
    """

    model: OCR

    def __init__(self, config: OCRConfig, characters: Sequence[str] | None = None, shown: Batch | None = None) -> None:
        super().__init__(OCR(config), config, (Turn("reader", config.lr),))
        if characters is not None:
            self.model.set_characters(characters)
        self.shown = shown

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        inputs = batch.inputs
        if self.training and self.model.config.hidden_characters:
            hidden = torch.rand(inputs.shape, device=inputs.device) < self.model.config.hidden_characters
            inputs = inputs.masked_fill(hidden & (inputs != END), UNKNOWN)
        loss = self.model.loss(batch.pixels, inputs, batch.targets)
        if self.training or self.shown is None:
            return Loss(loss)
        read = read_greedily(self.model, batch.pixels)
        exact = sum(a == b for a, b in zip(read, self.texts(batch), strict=True))
        return Loss(loss, {"exact": exact / len(read)})

    def texts(self, batch: Batch) -> list[str]:
        """What is written in the batch's pictures."""
        rows = batch.targets.tolist()
        return [self.model.decode_text(row[: row.index(END)]) for row in rows]

    def weight(self, batch: Batch) -> float:
        return float((batch.targets != IGNORED).sum())

    def units(self, batch: Batch) -> int:
        return len(batch.pixels)

    def sample(self, seed: int) -> Sample | None:
        """What it reads in a few held-out pictures, beside what is written there."""
        if self.shown is None:
            return None
        read, written = read_greedily(self.model, self.shown.pixels), self.texts(self.shown)
        lines = [f"written: {right:<12} read: {text}" for right, text in zip(written, read, strict=True)]
        return Sample("word", "\n".join(lines), self.shown.pixels.permute(1, 2, 0, 3).flatten(2).to(torch.uint8))
