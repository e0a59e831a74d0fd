"""Stage C: pictures and captions learn to find each other (InfoNCE).

Batch: pixels (B, 3, H, W) bytes; one caption's pieces (B, L) for each, and which of them are real (B, L). Each epoch
another of a picture's captions is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from muomni.config import VisionConfig
from muomni.data.examples import Examples, Reader
from muomni.data.tokenizer import Tokenizer
from muomni.infer.look import caption_batch
from muomni.models.thinker import Thinker
from muomni.models.vision_encoder import VisionModel
from muomni.train.media import Kept, PictureReader, both_splits, dice, tensor_bytes, vary_pictures
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

VARIED = np.array([0.5, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
"""How much of `max_warp` each variation of a picture takes: turn, scale (2), shift (2); light and color stay."""


class Batch(NamedTuple):
    pixels: torch.Tensor  # (B, 3, H, W)
    ids: torch.Tensor  # (B, L)
    real: torch.Tensor  # (B, L)


class Captioned:
    """Pictures, each with one of its captions.

    Args:
        media: the pictures, as bytes.
        varies: whether epochs read different captions of a picture and vary it a little; else always the first, as
            it is.
    """

    def __init__(
        self, media: Kept[torch.Tensor], tokenizer: Tokenizer, config: VisionConfig, varies: bool = True
    ) -> None:
        self.media, self.tokenizer, self.config, self.varies = media, tokenizer, config, varies
        self.lengths = caption_lengths(media, tokenizer)

    def __len__(self) -> int:
        return len(self.media)

    def __getitem__(self, place: Place) -> tuple[torch.Tensor, list[int], np.ndarray]:
        _, example, pixels = self.media.read(place.index)
        chance = dice(self.config.seed, place)
        number = int(chance.integers(len(example.texts))) if self.varies else 0
        amounts = chance.uniform(-1, 1, len(VARIED)) * VARIED * self.config.max_warp
        return pixels, self.tokenizer.encode(example.texts[number])[: self.config.text_len], amounts

    def collate(self, examples: Sequence[tuple[torch.Tensor, list[int], np.ndarray]]) -> Batch:
        pictures, ids, amounts = zip(*examples, strict=True)
        pixels = torch.stack(pictures)
        if self.varies and self.config.max_warp:
            pixels = vary_pictures(pixels, np.stack(amounts))
        return Batch(pixels, *caption_batch(ids))


def caption_lengths(media: Kept[torch.Tensor], tokenizer: Tokenizer) -> np.ndarray:
    """The mean length of each picture's captions, in pieces.

    Batches of pictures whose captions are about equally long show scenes of one kind: the others' captions are harder
    to tell from the right one, and little is padding.
    """
    texts = [media.reader.examples[int(row)].texts for row in media.rows]
    pieces = tokenizer.encode_batch([text for some in texts for text in some])
    each = iter(map(len, pieces))
    return np.array([np.mean([next(each) for _ in some]) for some in texts], dtype=np.float32)


def captioned(config: VisionConfig, tokenizer: Tokenizer) -> tuple[Captioned, Captioned, list[str]]:
    """The training and the validation set of a config's manifest, and what was left out.

    Raises:
        UserError: too many rows are broken.
    """
    examples = Examples.open(config.train_manifest, "image", config.image_root)
    reader = Reader(examples, PictureReader(config.img_size))
    train, validation = (
        Captioned(Kept(reader, rows, tensor_bytes), tokenizer, config, varies)
        for rows, varies in zip(both_splits(examples, config.val_split), (True, False), strict=True)
    )
    return train, validation, [str(examples.skipped)] if examples.skipped.rows else []


class VisionObjective(Objective):
    """InfoNCE in nats; held out, also how often the right caption is the nearest of the batch's.

    Args:
        config: the vision encoder's settings.
        tokenizer: turns pieces into text; None trains without samples.
        shown: a few pictures and captions, matched at every validation.
        thinker: reads the captions where the config says so.
    """

    model: VisionModel

    def __init__(
        self,
        config: VisionConfig,
        tokenizer: Tokenizer | None = None,
        shown: Batch | None = None,
        thinker: Thinker | None = None,
    ) -> None:
        super().__init__(VisionModel(config, thinker), config, (Turn("vision encoder", config.lr),))
        self.tokenizer, self.shown = tokenizer, shown

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        loss = self.model.loss(*batch)
        if self.training:
            return Loss(loss)
        return Loss(loss, {"r_at_1": float((self.nearest(batch) == torch.arange(len(batch.ids))).float().mean())})

    @torch.no_grad()
    def nearest(self, batch: Batch) -> torch.Tensor:
        """(B,), the number of the batch's caption that each picture is nearest to."""
        pictures, texts = self.model.embed_pictures(batch.pixels), self.model.embed_texts(batch.ids, batch.real)
        return (pictures @ texts.T).argmax(1).cpu()

    def weight(self, batch: Batch) -> float:
        return float(len(batch.pixels))

    def units(self, batch: Batch) -> int:
        return len(batch.pixels)

    @torch.no_grad()
    def sample(self, seed: int) -> Sample | None:
        """For a few held-out pictures the nearest of the batch's captions, and which patches speak for it."""
        if self.shown is None or self.tokenizer is None:
            return None
        found = self.nearest(self.shown).tolist()
        captions = [
            self.tokenizer.decode(ids[real].tolist()).strip()
            for ids, real in zip(self.shown.ids, self.shown.real, strict=True)
        ]
        few = range(min(3, len(found)))
        lines = [
            f"{'right' if captions[found[i]] == captions[i] else 'wrong'}: {captions[found[i]]}"
            + ("" if captions[found[i]] == captions[i] else f"\n  (it is: {captions[i]})")
            for i in few
        ]
        maps = self.model.relevance(*(part[: len(few)] for part in self.shown))
        return Sample("caption", "\n".join(lines), seen(self.shown.pixels[: len(few)], maps))


def seen(pixels: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Pictures above what each patch adds: pixels (B, 3, H, W), maps (B, grid, grid) to bytes (3, 2 H, B W)."""
    side = pixels.shape[-1]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    light = ((maps - low) / (high - low).clamp(min=1e-9))[:, None]
    light = torch.nn.functional.interpolate(light, (side, side), mode="bilinear", align_corners=False)
    both = torch.cat((pixels.float(), pixels.float() * (0.15 + 0.85 * light)), 2)
    return both.permute(1, 2, 0, 3).flatten(2).round().to(torch.uint8)
