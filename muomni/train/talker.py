"""Stage D, second half: the Talker learns to say a text's tokens in the codec's codes.

Batch: what is to be spoken at each frame (a `Script`), the right codes (B, T, K), and how many frames are real (B,).
The Thinker and the codec are trained already and stay as they are: their states and codes are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from muomni.config import TalkerConfig
from muomni.data.alignment import read_times, token_starts
from muomni.data.examples import Example, Examples, Reader
from muomni.data.sound import sound_info
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.infer.align import word_times
from muomni.infer.listen import TrainedListener, stack_mels
from muomni.infer.load import load_listener, trained_or_shipped
from muomni.infer.speak import GREEDY, at_frames, states_of, tokens_of
from muomni.models.codec import Codec
from muomni.models.talker import Script, Talker
from muomni.models.thinker import Thinker
from muomni.train.codec import mel_picture
from muomni.train.media import Kept, MelReader, both_splits, leave_out, tensor_bytes
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

AT_ONCE = 32
"""Sounds that are encoded together."""


class Batch(NamedTuple):
    script: Script
    codes: torch.Tensor  # (B, T, K)
    n_frames: torch.Tensor  # (B,)


@dataclass(frozen=True)
class Spoken:
    """One utterance: tokens (L,), the frame each begins at (L,), the Thinker's states (L, H), codes (T, K), a voice."""

    tokens: torch.Tensor
    starts: torch.Tensor
    states: torch.Tensor
    codes: torch.Tensor
    voice: int


class Utterances:
    """Texts and how they were spoken, as training examples."""

    def __init__(self, spoken: Sequence[Spoken]) -> None:
        self.spoken = spoken
        self.lengths: np.ndarray | None = np.array([len(each.codes) for each in spoken], dtype=np.float32)

    def __len__(self) -> int:
        return len(self.spoken)

    def __getitem__(self, place: Place) -> Spoken:
        return self.spoken[place.index]

    def collate(self, examples: Sequence[Spoken]) -> Batch:
        n_frames = torch.tensor([len(each.codes) for each in examples])
        parts = [at_frames(each.tokens, each.states.float(), each.starts, len(each.codes)) for each in examples]
        tokens, states, elapsed, codes = (
            torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
            for rows in (*zip(*parts, strict=True), [each.codes for each in examples])
        )
        voice = torch.tensor([each.voice for each in examples])
        return Batch(Script(tokens, states, elapsed, voice), codes, n_frames)


class Speech:
    """The sounds of a config's manifest that both halves of the stage train on, and what is known of each row.

    Args:
        config: the stage's settings.

    Raises:
        UserError: too many rows are broken or too long, or there are more speakers than voices.
    """

    def __init__(self, config: TalkerConfig) -> None:
        self.config = config
        examples = Examples.open(config.tts_csv, "wav", measure=lambda path: sound_info(path).seconds)
        self.notes = [str(examples.skipped)] if examples.skipped.rows else []
        short = examples.lengths <= config.max_audio_seconds
        left_out = leave_out(short, f"are longer than {config.max_audio_seconds:g} s", config.tts_csv)
        self.notes += [left_out] if left_out else []
        reader = Reader(examples, MelReader(config))
        self.splits = [rows[short[rows]] for rows in both_splits(examples, config.val_split)]
        self.media = [Kept(reader, rows, tensor_bytes) for rows in self.splits]
        self.examples = examples
        several = config.n_speakers > 1
        names = sorted({str(example.values.get("speaker", "")) for example in examples}) if several else []
        if len(names) > config.n_speakers:
            raise UserError(
                f"is {config.n_speakers}, but {config.tts_csv} has {len(names)} speakers",
                field="n_speakers",
                fix=f"Set it to {len(names)}, or to 1 to learn one voice from all.",
            )
        self.voices = {name: number for number, name in enumerate(names)}

    def utterances(self, codec: Codec, thinker: Thinker, tokenizer: Tokenizer) -> list[Utterances]:
        """Training and validation set: every sound in codes, every text with the frames of its tokens.

        Raises:
            UserError: too many rows have no times of their words.
        """
        unfit = np.zeros(len(self.examples), dtype=bool)
        found = []
        for media in self.media:
            spoken = list[Spoken]()
            for start in range(0, len(media), AT_ONCE):
                some = [media.read(index) for index in range(start, min(start + AT_ONCE, len(media)))]
                codes = encode(codec, [mel.float() for _, _, mel in some])
                for (at, example, _), own in zip(some, codes, strict=True):
                    try:
                        spoken.append(self._one(example, own, codec, thinker, tokenizer))
                    except UserError as error:
                        unfit[media.rows[at]] = True
                        why = error.problem
            found.append(Utterances(spoken))
        if unfit.any():
            self.notes.append(leave_out(~unfit, f"cannot be aligned ({why})", self.config.tts_csv))
        return found

    @cached_property
    def aligner(self) -> TrainedListener:
        """Times the words of recordings whose table does not."""
        return load_listener(trained_or_shipped(self.config.aligner, "audio_enc"))

    def _one(
        self, example: Example, codes: torch.Tensor, codec: Codec, thinker: Thinker, tokenizer: Tokenizer
    ) -> Spoken:
        tokens, written = tokens_of(tokenizer, example.text), example.values.get("words")
        times = read_times(str(written)) if written else word_times(self.aligner, example.path, example.text)
        pieces = [tokenizer.piece(token) for token in tokens]
        starts = token_starts(pieces, times, codec.seconds_per_frame, len(codes))
        return Spoken(
            torch.tensor(tokens),
            torch.from_numpy(starts),
            states_of(thinker, tokens).half(),
            codes,
            self.voices.get(str(example.values.get("speaker", "")), 0),
        )


@torch.inference_mode()
def encode(codec: Codec, mels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The codes (T, K) of log-mels (n_mels, T)."""
    batch, n_frames = stack_mels(mels)
    codes = codec.encode(batch.transpose(1, 2), n_frames)
    factor = codec.config.downsample
    return [own[: -(-n // factor)].clone() for own, n in zip(codes, n_frames.tolist(), strict=True)]


class TalkerObjective(Objective):
    """Cross-entropy of the codes and of the advance in nats; held out, also how often book 0 is guessed right.

    Args:
        config: the stage's settings.
        codec: trained; a part of the model, which stays as it is.
        thinker: whose states the Talker is told.
        shown: an utterance or two, spoken at every validation.
    """

    model: Talker

    def __init__(
        self,
        config: TalkerConfig,
        codec: Codec | None = None,
        thinker: Thinker | None = None,
        shown: Batch | None = None,
    ) -> None:
        super().__init__(Talker(config), config, (Turn("talker", config.lr),))
        if codec is not None:
            self.model.codec.load_state_dict(codec.state_dict())
        if thinker is not None:
            self.model.set_thinker(thinker)
        self.model.codec.requires_grad_(False)
        self.shown = shown

    def train(self, mode: bool = True) -> TalkerObjective:
        super().train(mode)
        self.model.codec.eval()
        return self

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        loss, right = self.model.loss(*batch)
        return Loss(loss, {"first_book_right": float(right)})

    def weight(self, batch: Batch) -> float:
        return float(batch.n_frames.sum())

    def units(self, batch: Batch) -> int:
        return len(batch.codes)

    @torch.no_grad()
    def sample(self, seed: int) -> Sample | None:
        """A held-out text: the mel of what was said above what the Talker says at the same times."""
        if self.shown is None:
            return None
        n = int(self.shown.n_frames[0])
        script = Script(*(part[:1] if part.dim() == 1 else part[:1, :n] for part in self.shown.script))
        said = self.model.follow(script, GREEDY)
        mels = [self.model.codec.decode(codes)[0].cpu() for codes in (self.shown.codes[:1, :n], said)]
        wrong = float((said[..., 0] != self.shown.codes[:1, :n, 0]).float().mean())
        text = f"{n} frames; {1 - wrong:.0%} of book 0 as it was spoken\nleft: spoken, right: the Talker"
        return Sample("speech", text, mel_picture(torch.cat(mels)))
