"""Reading words in pictures: whole texts right, wrong letters, and which of a few texts a picture shows.

pixels (B, 3, H, W) ─ encoder → memory ─ decoder, given a text's letters → log p of each next one, summed
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from muomni.evaluate.edits import error_rate, in_wrong_order
from muomni.evaluate.score import Score, mean_score
from muomni.models.ocr import END, OCR

BATCH = 64


def exact_match(right: Sequence[str], found: Sequence[str], split: str, seed: int) -> Score:
    """How often the text found is the right one, letter for letter. Its floor: the right texts in the wrong order."""
    wrong = in_wrong_order(right, seed)
    floor = float(np.mean([a == b for a, b in zip(right, wrong, strict=True)]))
    return mean_score([float(a == b) for a, b in zip(right, found, strict=True)], split, seed, floor, ceiling=1.0)


def character_error_rate(right: Sequence[str], found: Sequence[str], split: str, seed: int) -> Score:
    """Wrong, missing and added letters to all letters (CER)."""
    return error_rate(right, found, "characters", split, seed)


@torch.inference_mode()
def text_log_probs(model: OCR, pixels: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
    """What a reader makes of each of some texts in pictures (B, 3, H, W): log-probabilities (B, texts) in nats.

    The end of a text counts: a reader that would write on gives a shorter text little.
    """
    rows = list[torch.Tensor]()
    for start in range(0, len(pixels), BATCH):
        memory = model.look(pixels[start : start + BATCH])
        columns = []
        for text in texts:
            ids = torch.tensor([END, *model.encode_text(text), END]).expand(len(memory), -1)
            log_probs = model(ids[:, :-1], memory).float().log_softmax(-1)
            columns.append(log_probs.gather(-1, ids[:, 1:, None]).sum((1, 2)))
        rows.append(torch.stack(columns, 1))
    return torch.cat(rows)
