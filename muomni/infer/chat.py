"""Chatting: turns of text, pictures, video frames and sound in; text out, piece by piece.

    turns ─ template (`muomni.data.chat`) ─ row of tokens ─ OmniModel.embed ─ KV cache → answer

The context is shared by what is said and the answer. What does not fit is cut, and each cut is told: the oldest turns
first, then a sound beyond what training knew, then the beginning of a text (a question stands at its end).
B, T, C: batch, tokens, width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from muomni.data.chat import END, PER_SECOND, USER, Row
from muomni.data.mel import LogMel
from muomni.data.pictures import read_frames, read_picture
from muomni.data.sound import read_sound
from muomni.data.tokenizer import Tokenizer
from muomni.errors import BAD_USAGE, UserError
from muomni.infer.generate import generate
from muomni.models.omni import OmniModel, Rows

ANSWER = 64
"""Tokens that are kept free for an answer."""
DESCRIBE = "what do you see?"
FRAMES = 8


@dataclass(frozen=True)
class Turn:
    """What is said to the model, and what it answered; None while it has not.

    Args:
        pictures: each (3, side, side), 0 to 255; several are the frames of a video.
        seconds: of the video.
        sound: samples (T,) at the model's rate.
    """

    text: str = ""
    pictures: tuple[torch.Tensor, ...] = ()
    sound: torch.Tensor | None = None
    answer: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Reply:
    """An answer on its way: iterate over it for its pieces. `notes` say what was cut."""

    pieces: Iterator[str]
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[str]:
        return self.pieces

    def whole(self) -> str:
        """The whole answer."""
        return "".join(self.pieces).strip()


@dataclass(frozen=True)
class TrainedOmni:
    """An omni model with its tokenizer, and where both came from."""

    model: OmniModel
    tokenizer: Tokenizer
    folder: Path

    def turn(
        self,
        text: str = "",
        image: str | Path | torch.Tensor | None = None,
        audio: str | Path | torch.Tensor | None = None,
        video: str | Path | None = None,
    ) -> Turn:
        """A turn from files, pixels (3, H, W) or samples (T,) at the model's rate.

        Raises:
            UserError: a file cannot be read, or nothing is said.
        """
        if image is not None and video is not None:
            raise UserError("goes with no video", field="image", fix="Ask about one at a time.", exit_code=BAD_USAGE)
        config, pictures, seconds = self.model.config, list[torch.Tensor](), 0.0
        if image is not None:
            pictures = [image if isinstance(image, torch.Tensor) else read_picture(image, config.img_size)]
        elif video is not None:
            patches = (config.img_size // config.patch) ** 2
            room = (config.ctx_len - ANSWER - len(self.tokenizer.encode(text))) // (patches + 1)
            pictures, seconds = read_frames(video, max(1, min(FRAMES, room)), config.img_size)
        sound = None
        if audio is not None:
            sound = audio if isinstance(audio, torch.Tensor) else read_sound(audio, config.sample_rate)
            if sound.numel() == 0:
                raise UserError("holds no sound at all", field="audio", exit_code=BAD_USAGE)
        if not text.strip() and not pictures and sound is None:
            raise UserError("nothing is said", fix="Give a text, a picture or a sound.", exit_code=BAD_USAGE)
        if not text.strip() and sound is None:
            text = DESCRIBE
        return Turn(text, tuple(pictures), sound, None, seconds)

    def reply(self, turns: Sequence[Turn], max_new_tokens: int = ANSWER, seed: int = 0) -> Reply:
        """The answer to the last of the turns, greedily."""
        rows, notes = self.fitting(turns)
        with torch.inference_mode():
            embedded = self.model.embed(rows)[0]
        tokens = generate(
            self.model.thinker,
            embedded,
            positions=rows.positions[0],
            max_new_tokens=max_new_tokens,
            temperature=0.0,
            eot_id=self.tokenizer.special[END],
            seed=seed,
        )
        return Reply(self._pieces(tokens), tuple(notes))

    def ask(self, text: str = "", **media: str | Path | torch.Tensor | None) -> str:
        """The answer to one turn; arguments as in `turn`."""
        return self.reply([self.turn(text, **media)]).whole()  # type: ignore[arg-type]  # checked by `turn`

    def _pieces(self, tokens: Iterator[int]) -> Iterator[str]:
        """Text as soon as it is certain: the bytes of one character come together."""
        ids, told = list[int](), ""
        for token in tokens:
            ids.append(token)
            text = self.tokenizer.decode(ids).lstrip()
            if not text.endswith("\N{REPLACEMENT CHARACTER}") and len(text) > len(told):
                yield text[len(told) :]
                told = text

    def fitting(self, turns: Sequence[Turn]) -> tuple[Rows, list[str]]:
        """The turns as the model reads them, cut to its context, and a line for every cut.

        Raises:
            UserError: what cannot be cut does not fit.
        """
        turns = list(turns)
        config, notes = self.model.config, list[str]()
        limit, dropped = config.ctx_len - ANSWER, 0
        most = int(config.max_audio_seconds * config.sample_rate)
        for n, turn in enumerate(turns):
            if turn.sound is not None and len(turn.sound) > most:
                seconds = len(turn.sound) / config.sample_rate
                notes.append(f"of the sound's {seconds:.1f} s, the first {config.max_audio_seconds:g} are heard")
                turns[n] = replace(turn, sound=turn.sound[:most])
        row, media = self._row(turns)
        while len(row) > limit and len(turns) > 1:
            turns, dropped = turns[1:], dropped + 1
            row, media = self._row(turns)
        if dropped:
            oldest = "turn is" if dropped == 1 else f"{dropped} turns are"
            notes.append(f"the context has room for {limit} tokens: the oldest {oldest} forgotten")
        last = turns[-1]
        if len(row) > limit and last.text:
            pieces = self.tokenizer.encode(last.text)
            kept = max(0, len(pieces) - (len(row) - limit) - 1)
            notes.append(f"of the text's {len(pieces):,} tokens, the last {kept:,} are read")
            turns[-1] = replace(last, text=self.tokenizer.decode(pieces[len(pieces) - kept :]))
            row, media = self._row(turns)
        while len(row) > limit and len(turns[-1].pictures) > 1:
            turns[-1] = replace(turns[-1], pictures=turns[-1].pictures[:-1])
            row, media = self._row(turns)
        if len(row) > limit:
            raise UserError(
                f"{len(row)} tokens do not fit in a context of {config.ctx_len} beside an answer",
                fix="Give a shorter sound or no picture beside it.",
                exit_code=BAD_USAGE,
            )
        return self._rows(row, media), notes

    def _row(self, turns: Sequence[Turn]) -> tuple[Row, list[torch.Tensor]]:
        row, media = Row(self.tokenizer), list[torch.Tensor]()
        row.begin()
        patches = self.model.vision.grid**2
        for turn in turns:
            row.mark(USER)
            for n, pixels in enumerate(turn.pictures):
                media.append(pixels)
                begin = row.at
                row.picture(None, patches)
                if n + 1 < len(turn.pictures):
                    row.at = max(row.at, begin + turn.seconds / len(turn.pictures) * PER_SECOND)
            if turn.sound is not None:
                states = self._hear(turn.sound)
                media.append(states)
                row.sound(None, len(states), self.model.audio.seconds_per_frame)
            row.text(turn.text)
            if turn.answer is not None:
                row.answer(turn.answer)
        row.ask()
        return row, media

    @torch.inference_mode()
    def _hear(self, samples: torch.Tensor) -> torch.Tensor:
        mel = LogMel(self.model.config)(samples)
        return self.model.hear(mel[None], torch.tensor([mel.shape[1]]))

    @torch.inference_mode()
    def _rows(self, row: Row, media: Sequence[torch.Tensor]) -> Rows:
        both = list(zip(row.media, media, strict=True))
        pictures = [pixels for each, pixels in both if each.kind == "picture"]
        sounds = [states for each, states in both if each.kind == "sound"]
        places = {
            kind: [
                at for each in row.media if each.kind == kind for at in range(each.start, each.start + each.n_tokens)
            ]
            for kind in ("picture", "sound")
        }
        return Rows(
            torch.tensor([row.ids]),
            torch.tensor([row.positions]),
            torch.tensor([row.documents]),
            torch.tensor([row.trunks]),
            torch.stack(pictures) if pictures else torch.zeros(0, 1, 1),
            torch.tensor(places["picture"], dtype=torch.long),
            torch.cat(sounds) if sounds else torch.zeros(0, 1),
            torch.tensor([len(states) for states in sounds]),
            torch.tensor(places["sound"], dtype=torch.long),
        )
