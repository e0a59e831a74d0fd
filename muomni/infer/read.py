"""Reading: pictures of words to text, letter by letter, with a KV cache; greedily or with a beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from muomni.data.pictures import read_picture
from muomni.models.ocr import END, OCR
from muomni.nn.cache import KVCache

BATCH = 64


@torch.inference_mode()
def read_greedily(model: OCR, pixels: torch.Tensor) -> list[str]:
    """The texts of pictures (B, 3, H, W): always the likeliest character, at most text_len of them."""
    memory = model.look(pixels)
    cache, memory_cache = caches(model, model.config.text_len)
    now = torch.full((len(pixels), 1), END, device=pixels.device)
    written = list[torch.Tensor]()
    for _ in range(model.config.text_len):
        now = model(now, memory, cache=cache, memory_cache=memory_cache).argmax(-1)
        now[:, 0] = torch.where(written[-1] == END, END, now[:, 0]) if written else now[:, 0]
        written.append(now[:, 0])
        if bool((written[-1] == END).all()):
            break
    rows = torch.stack(written, 1).tolist()
    return [model.decode_text(row[: row.index(END)] if END in row else row) for row in rows]


@torch.inference_mode()
def read_with_beam(model: OCR, pixels: torch.Tensor, width: int = 4) -> str:
    """The likeliest text of one picture (3, H, W) that a beam search finds.

    Each step every kept text is written on in all ways, and the `width` likeliest are kept. Texts are compared by the
    sum of their characters' log-probabilities, the end's included; it ends when no unfinished text can win any more.
    """
    memory = model.look(pixels[None])
    inputs = torch.full((1, 1), END, device=pixels.device)
    sums = torch.zeros(1, device=pixels.device)
    best: list[int] = []
    best_sum = float("-inf")
    for _ in range(model.config.text_len):  # places are learned for so many
        log_probs = model(inputs, memory.expand(len(inputs), -1, -1))[:, -1].float().log_softmax(-1)  # (beams, V)
        totals = sums[:, None] + log_probs
        ending = totals[:, END]
        if float(ending.max()) > best_sum:
            best_sum, best = float(ending.max()), inputs[int(ending.argmax()), 1:].tolist()
        totals[:, END] = float("-inf")
        sums, places = totals.flatten().topk(min(width, totals.numel()))
        if float(sums[0]) <= best_sum:
            break
        rows, characters = places // totals.shape[1], places % totals.shape[1]
        inputs = torch.cat((inputs[rows], characters[:, None]), 1)
    return model.decode_text(best)


def caches(model: OCR, most: int) -> tuple[KVCache, KVCache]:
    """Empty caches for `most` characters, and for the memory."""
    return KVCache(len(model.blocks), most), KVCache(len(model.blocks), model.vision.grid**2)


@dataclass(frozen=True)
class TrainedReader:
    """A reader, and where it came from."""

    model: OCR
    folder: Path

    def read(self, pictures: Sequence[str | Path | torch.Tensor], beam: int = 1) -> list[str]:
        """The text in each picture: files, or pixels (3, side, side) of 0 to 255.

        Args:
            beam: texts kept by the beam search; 1 reads greedily.

        Raises:
            UserError: a file cannot be read.
        """
        texts = list[str]()
        side = self.model.config.img_size
        for start in range(0, len(pictures), BATCH):
            some = pictures[start : start + BATCH]
            pixels = torch.stack([p if isinstance(p, torch.Tensor) else read_picture(p, side) for p in some])
            if beam > 1:
                texts += [read_with_beam(self.model, each, beam) for each in pixels]
            else:
                texts += read_greedily(self.model, pixels)
        return texts
