"""Listening: CTC's logits to text, greedily or with a beam; sounds to text.

Greedy decoding takes the likeliest symbol of each frame, drops repetitions, then blanks. A beam search (Graves 2012)
adds up all the ways in which frames can say one text: several unlikely alignments may together be the likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from muomni.data.mel import LogMel
from muomni.data.sound import read_sound
from muomni.data.tokenizer import Tokenizer
from muomni.models.audio_encoder import AudioEncoder

BATCH = 32
LIKELY = 12
"""Pieces that a beam tries at a frame: the likeliest ones."""
NEVER = -math.inf
Beams = dict[tuple[int, ...], tuple[float, float]]


def greedy(logits: torch.Tensor, n_states: torch.Tensor, blank: int) -> list[list[int]]:
    """The pieces that logits (B, T, V + 1) say, of which n_states (B,) frames are real."""
    said = []
    for best, n in zip(logits.argmax(-1).tolist(), n_states.tolist(), strict=True):
        frames = best[:n]
        said.append([now for now, before in zip(frames, [blank, *frames], strict=False) if now not in (before, blank)])
    return said


def beam_search(log_probs: torch.Tensor, blank: int, width: int = 8) -> list[int]:
    """The likeliest pieces by prefix beam search.

    For every text kept, two sums of probability: of the alignments that end in blank, and of those that end in its last
    piece. A piece said again after a blank is a new one; without a blank it is the same.

    Args:
        log_probs: (T, V + 1), the frames of one example.
        width: texts kept at each frame.
    """
    beams: Beams = {(): (0.0, NEVER)}
    values, best = log_probs.topk(min(LIKELY, log_probs.shape[1]), -1)
    symbols: list[list[int]] = best.tolist()
    blanks = log_probs[:, blank].tolist()
    for likely, numbers, p_blank in zip(values.tolist(), symbols, blanks, strict=True):
        found: Beams = {}

        def add(text: tuple[int, ...], in_blank: float, in_piece: float, into: Beams = found) -> None:
            old = into.get(text, (NEVER, NEVER))
            into[text] = (log_sum(old[0], in_blank), log_sum(old[1], in_piece))

        for text, (in_blank, in_piece) in beams.items():
            add(text, log_sum(in_blank, in_piece) + p_blank, NEVER)
            for p, piece in zip(likely, numbers, strict=True):
                if piece == blank:
                    continue
                if text and piece == text[-1]:
                    add(text, NEVER, in_piece + p)
                    add((*text, piece), NEVER, in_blank + p)
                else:
                    add((*text, piece), NEVER, log_sum(in_blank, in_piece) + p)
        beams = dict(sorted(found.items(), key=lambda kept: -log_sum(*kept[1]))[:width])
    return list(max(beams.items(), key=lambda kept: log_sum(*kept[1]))[0])


def log_sum(a: float, b: float) -> float:
    """log(exp a + exp b)"""
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))


@dataclass(frozen=True)
class TrainedListener:
    """An audio encoder with the tokenizer whose pieces it says, and where both came from."""

    model: AudioEncoder
    tokenizer: Tokenizer
    folder: Path

    def transcribe(self, sounds: Sequence[str | Path | torch.Tensor], beam: int = 1) -> list[str]:
        """What is said in each sound: files, or samples (T,) at the model's rate.

        Args:
            beam: texts kept by the beam search; 1 decodes greedily.

        Raises:
            UserError: a file cannot be read.
        """
        texts = list[str]()
        for start in range(0, len(sounds), BATCH):
            logits, n_states = self.hear(sounds[start : start + BATCH])
            if beam > 1:
                rows = logits.float().log_softmax(-1)
                said = [
                    beam_search(row[:n], self.model.blank, beam) for row, n in zip(rows, n_states.tolist(), strict=True)
                ]
            else:
                said = greedy(logits, n_states, self.model.blank)
            texts += [self.tokenizer.decode(pieces).strip() for pieces in said]
        return texts

    @torch.inference_mode()
    def hear(self, sounds: Sequence[str | Path | torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, T, V + 1) of sounds, and how many frames of each are real (B,)."""
        config = self.model.config
        log_mel = LogMel(config)
        rate = config.sample_rate
        mels = [log_mel(s if isinstance(s, torch.Tensor) else read_sound(s, rate)) for s in sounds]
        return self.model(*stack_mels(mels))


def stack_mels(mels: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-mels (n_mels, T) of several lengths as one (B, n_mels, longest), 0 behind, and the lengths (B,)."""
    n_frames = torch.tensor([mel.shape[1] for mel in mels])
    batch = mels[0].new_zeros((len(mels), mels[0].shape[0], int(n_frames.max())), dtype=torch.float32)
    for row, mel in zip(batch, mels, strict=True):
        row[:, : mel.shape[1]] = mel
    return batch, n_frames
