"""Looking: pictures and captions in the space where they meet; which caption fits a picture best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from muomni.data.pictures import read_picture
from muomni.data.tokenizer import Tokenizer
from muomni.models.vision_encoder import VisionModel
from muomni.nn.padding import padded, real_places

BATCH = 128


def caption_batch(captions: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Captions' pieces as one tensor (B, L), and which of them are real (B, L)."""
    lengths = torch.tensor([len(each) for each in captions])
    ids = padded(captions, 0)
    return ids, real_places(lengths, ids.shape[1])


@dataclass(frozen=True)
class TrainedLooker:
    """A vision encoder with the tokenizer of its captions, and where both came from."""

    model: VisionModel
    tokenizer: Tokenizer
    folder: Path

    def pixels(self, pictures: Sequence[str | Path | torch.Tensor]) -> torch.Tensor:
        """Files, or pixels (3, side, side) of 0 to 255, as one batch (B, 3, side, side).

        Raises:
            UserError: a file cannot be read.
        """
        side = self.model.config.img_size
        return torch.stack([p if isinstance(p, torch.Tensor) else read_picture(p, side) for p in pictures])

    def caption_ids(self, captions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Captions' pieces (B, L), cut to text_len, and which of them are real (B, L)."""
        rows = [ids[: self.model.config.text_len] for ids in self.tokenizer.encode_batch(list(captions))]
        return caption_batch(rows)

    @torch.inference_mode()
    def embed_pictures(self, pictures: Sequence[str | Path | torch.Tensor]) -> torch.Tensor:
        """Unit vectors (B, E) of pictures."""
        parts = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
        return torch.cat([self.model.embed_pictures(self.pixels(part)) for part in parts])

    @torch.inference_mode()
    def embed_texts(self, captions: Sequence[str]) -> torch.Tensor:
        """Unit vectors (B, E) of captions."""
        parts = (captions[start : start + BATCH] for start in range(0, len(captions), BATCH))
        return torch.cat([self.model.embed_texts(*self.caption_ids(part)) for part in parts])

    def choose(self, picture: str | Path | torch.Tensor, captions: Sequence[str]) -> list[tuple[str, float]]:
        """Captions with their probabilities of being a picture's, the likeliest first."""
        likeness = self.embed_pictures([picture]) @ self.embed_texts(captions).T
        chances = (self.model.scale.detach() * likeness).softmax(-1)[0].tolist()
        return sorted(zip(captions, chances, strict=True), key=lambda pair: -pair[1])
