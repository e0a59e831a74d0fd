"""Stage D, first half: the codec learns to put speech into codes and to take it out again.

Batch: log-mels (B, T, n_mels) of short stretches, and how many frames of each are real (B,). A stretch begins anywhere,
at another place in every epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from muomni.config import TalkerConfig
from muomni.data.mel import MelStatistics
from muomni.infer.listen import stack_mels
from muomni.models.codec import Codec
from muomni.nn.quantizer import usage
from muomni.train.media import Kept, dice
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

CODES = 12
"""Code frames of a stretch, at most: about a second."""


class Batch(NamedTuple):
    mels: torch.Tensor  # (B, T, n_mels)
    n_frames: torch.Tensor  # (B,)


class Stretches:
    """Short stretches of speech as training examples.

    Args:
        media: the log-mels (n_mels, T).
        varies: whether they begin at random; else at the beginning.
    """

    def __init__(self, media: Kept[torch.Tensor], config: TalkerConfig, varies: bool) -> None:
        self.media, self.config, self.varies = media, config, varies
        self.lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.media)

    def __getitem__(self, place: Place) -> torch.Tensor:
        mel = self.media.read(place.index)[2].float()
        length = CODES * self.config.downsample
        latest = max(0, mel.shape[1] - length + self.config.downsample - 1)  # the last code may stand for an end
        start = int(dice(self.config.seed, place).integers(latest + 1)) if self.varies else 0
        return mel[:, start : start + length]

    def collate(self, examples: Sequence[torch.Tensor]) -> Batch:
        mels, n_frames = stack_mels(examples)
        return Batch(mels.transpose(1, 2), n_frames)


class CodecObjective(Objective):
    """The L1 error of the rebuilt mel in deviations of the set, and what keeps latents and codes together.

    Args:
        config: the codec's settings; `max_steps` and `save_dir` are those of its own run.
        statistics: of the training set's mels.
        shown: some held-out stretches, rebuilt at every validation.
    """

    model: Codec

    def __init__(
        self, config: TalkerConfig, statistics: MelStatistics | None = None, shown: Batch | None = None
    ) -> None:
        super().__init__(Codec(config), config, (Turn("codec", config.lr),))
        if statistics is not None:
            self.model.set_statistics(statistics)
        self.shown = shown

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        loss = self.model.loss(*batch)
        return Loss(loss.total, {"l1": float(loss.l1.detach())})

    def weight(self, batch: Batch) -> float:
        return float(batch.n_frames.sum())

    def units(self, batch: Batch) -> int:
        return len(batch.mels)

    @torch.no_grad()
    def sample(self, seed: int) -> Sample | None:
        """How the codebooks are used, and a mel above what comes back through the codes."""
        if self.shown is None:
            return None
        codes = self.model.encode(*self.shown)
        used = usage(codes.flatten(0, 1).cpu(), self.model.config.codebook_size)
        few = [f"book {n}: {each.used:.0%} of its entries, {each.bits:.1f} bits a code" for n, each in enumerate(used)]
        lines = [f"{len(self.shown.mels)} stretches of speech", *few]
        both = torch.cat((self.shown.mels[0], self.model.decode(codes[:1])[0]), 1)
        return Sample("codec", "\n".join(lines), mel_picture(both.cpu()))


def mel_picture(mel: torch.Tensor) -> torch.Tensor:
    """A log-mel (T, n_mels) as a picture, bytes (3, n_mels, 3 T): time to the right, low tones below."""
    low, high = mel.min(), mel.max()
    light = (255 * (mel - low) / (high - low).clamp(min=1e-6)).T.flip(0).repeat_interleave(3, 1)
    return light.round().to(torch.uint8)[None].expand(3, -1, -1)
