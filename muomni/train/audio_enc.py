"""Stage B: the audio encoder learns to say what it hears, by CTC over the Thinker's pieces.

Batch: log-mels (B, n_mels, T) and their lengths (B,); pieces (B, L) and their numbers (B,).

Against learning the training voices by heart, three variations of every example: its spectrum stretched in frequency
(another vocal tract: Jaitly & Hinton 2013) and in time (another pace: Ko et al. 2015), and SpecAugment (Park et al.
2019): stretches of time and bands of frequency hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jiwer
import numpy as np
import torch
from torch.nn import functional as F

from muomni.config import AudioEncConfig
from muomni.data.ctc import fits
from muomni.data.examples import Examples, Reader
from muomni.data.limits import limit_lengths
from muomni.data.mel import MelStatistics, n_frames
from muomni.data.sound import sound_info
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.infer.listen import greedy, stack_mels
from muomni.models.audio_encoder import AudioEncoder
from muomni.nn.padding import padded
from muomni.train.media import Kept, MelReader, both_splits, dice, leave_out, mel_statistics, tensor_bytes
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

WIDEST_TIME, WIDEST_BANDS = 0.1, 24
"""SpecAugment hides at most this share of the time at once, and so many of 128 bands."""


class Batch(NamedTuple):
    mels: torch.Tensor  # (B, n_mels, T)
    n_frames: torch.Tensor  # (B,)
    pieces: torch.Tensor  # (B, L)
    n_pieces: torch.Tensor  # (B,)


class Utterances:
    """Speech and its pieces as training examples.

    Args:
        media: the mels, kept as half-precision numbers.
        targets: the pieces of every place.
        lengths: seconds of every place; batches are made of examples about equally long.
        vary: by how much examples are varied; None leaves them as they are.
    """

    def __init__(
        self,
        media: Kept[torch.Tensor],
        targets: list[list[int]],
        lengths: np.ndarray,
        config: AudioEncConfig,
        vary: MelStatistics | None,
    ) -> None:
        self.media, self.targets, self.config, self.vary = media, targets, config, vary
        self.lengths: np.ndarray | None = lengths

    def __len__(self) -> int:
        return len(self.media)

    def __getitem__(self, place: Place) -> tuple[torch.Tensor, list[int]]:
        at, _, mel = self.media.read(place.index)
        mel = mel.float()
        if self.vary is not None:
            mel = varied(mel, dice(self.config.seed, place), self.config, self.vary.mean, self.targets[at])
        return mel, self.targets[at]

    def collate(self, examples: Sequence[tuple[torch.Tensor, list[int]]]) -> Batch:
        mels, pieces = zip(*examples, strict=True)
        return Batch(*stack_mels(mels), padded(pieces, 0), torch.tensor([len(each) for each in pieces]))


def varied(
    mel: torch.Tensor, chance: np.random.Generator, config: AudioEncConfig, fill: float, target: Sequence[int]
) -> torch.Tensor:
    """A log-mel (n_mels, T) stretched at random and with parts hidden under `fill`; its target still fits."""
    n_mels, length = mel.shape
    if config.max_warp:
        across, along = 1 + config.max_warp * chance.uniform(-1, 1, 2)
        shape = (max(1, round(n_mels * across)), max(1, round(length * along)))
        if fits(target, shape[1] // config.downsample):
            mel = F.interpolate(mel[None, None], shape, mode="bilinear", align_corners=False)[0, 0]
            above = n_mels - shape[0]
            mel = mel[:n_mels] if above <= 0 else torch.cat((mel, mel[-1:].expand(above, -1)))
    mel, length = mel.clone(), mel.shape[1]
    for _ in range(config.time_masks):
        width = int(chance.integers(0, max(1, int(WIDEST_TIME * length)) + 1))
        start = int(chance.integers(0, length - width + 1))
        mel[:, start : start + width] = fill
    for _ in range(config.frequency_masks):
        width = int(chance.integers(0, WIDEST_BANDS * n_mels // 128 + 1))
        start = int(chance.integers(0, n_mels - width + 1))
        mel[start : start + width] = fill
    return mel


def utterances(config: AudioEncConfig, tokenizer: Tokenizer) -> tuple[Utterances, Utterances, MelStatistics, list[str]]:
    """The training and the validation set of a config's manifest, the mels' statistics, and what was left out.

    Raises:
        UserError: too many rows are broken, too long, or have more pieces than CTC can say in their frames.
    """
    examples = Examples.open(config.train_csv, "wav", measure=lambda path: sound_info(path).seconds)
    notes = [str(examples.skipped)] if examples.skipped.rows else []
    reader = Reader(examples, MelReader(config))
    targets = [tokenizer.encode(example.text) for example in examples]
    short = examples.lengths <= config.max_audio_seconds
    if not short.all():
        if not short.any():
            shortest = float(examples.lengths.min())
            raise UserError(
                f"is {config.max_audio_seconds:g}, but the shortest clip of {config.train_csv} has {shortest:.1f} s",
                field="max_audio_seconds",
            )
        share = 100 * float(short.mean())
        notes.append(f"{config.train_csv}: {limit_lengths(examples.lengths.tolist(), share)}")
    rate, hop, factor = config.sample_rate, config.hop_length, config.downsample
    fitting = np.array(
        [
            bool(target) and fits(target, n_frames(int(seconds * rate), hop) // factor)
            for target, seconds in zip(targets, examples.lengths, strict=True)
        ]
    )
    notes.append(leave_out(fitting | ~short, "have more pieces than CTC can say in their frames", config.train_csv))
    usable = fitting & short
    parts = [rows[usable[rows]] for rows in both_splits(examples, config.val_split)]
    train_media = Kept(reader, parts[0], tensor_bytes)
    statistics = mel_statistics(train_media)
    train = Utterances(train_media, [targets[i] for i in parts[0]], examples.lengths[parts[0]], config, vary=statistics)
    validation = Utterances(
        Kept(reader, parts[1], tensor_bytes),
        [targets[i] for i in parts[1]],
        examples.lengths[parts[1]],
        config,
        vary=None,
    )
    return train, validation, statistics, [note for note in notes if note]


class AudioEncObjective(Objective):
    """CTC's cost in nats a piece; held out, also the share of wrong words.

    Args:
        config: the audio encoder's settings.
        tokenizer: turns pieces into text; None trains without samples and without word error rates.
        statistics: of the training set's mels.
        shown: an example or two, transcribed at every validation.
    """

    model: AudioEncoder

    def __init__(
        self,
        config: AudioEncConfig,
        tokenizer: Tokenizer | None = None,
        statistics: MelStatistics | None = None,
        shown: Batch | None = None,
    ) -> None:
        super().__init__(AudioEncoder(config), config, (Turn("audio encoder", config.lr),))
        if statistics is not None:
            self.model.set_statistics(statistics)
        self.tokenizer, self.shown = tokenizer, shown

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        logits, n_states = self.model(batch.mels, batch.n_frames)
        loss = self.model.loss(logits, n_states, batch.pieces, batch.n_pieces)
        if self.training or self.tokenizer is None:
            return Loss(loss)
        heard, said = self.heard_and_said(logits, n_states, batch)
        return Loss(loss, {"wer": jiwer.wer(said, heard)})

    def heard_and_said(self, logits: torch.Tensor, n_states: torch.Tensor, batch: Batch) -> tuple[list[str], list[str]]:
        """The texts that logits say, and those of the batch."""
        assert self.tokenizer is not None
        heard = [self.tokenizer.decode(each).strip() for each in greedy(logits, n_states, self.model.blank)]
        rows = zip(batch.pieces.tolist(), batch.n_pieces.tolist(), strict=True)
        return heard, [self.tokenizer.decode(row[:n]).strip() for row, n in rows]

    def weight(self, batch: Batch) -> float:
        return float(batch.n_pieces.sum())

    def units(self, batch: Batch) -> int:
        return len(batch.mels)

    @torch.no_grad()
    def sample(self, seed: int) -> Sample | None:
        """What it hears in a few held-out clips, beside what was said."""
        if self.shown is None or self.tokenizer is None:
            return None
        logits, n_states = self.model(self.shown.mels, self.shown.n_frames)
        heard, said = self.heard_and_said(logits, n_states, self.shown)
        lines = [f"said:  {right}\nheard: {text}" for right, text in zip(said, heard, strict=True)]
        return Sample("speech", "\n\n".join(lines))
