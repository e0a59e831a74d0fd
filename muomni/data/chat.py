"""A conversation as a row of tokens: the chat template, and where in time each token stands.

    <|user|> <|image|> 64 patches <|audio|> frames … what is asked <|assistant|> the answer <|end|> <|user|> …

Only answers, with their <|end|>, are learned. Pictures come first, then sound, then text; any of them may be missing.

Positions are in one dimension, in words. Text goes on by one a token. A picture is seen at one moment: all its patches
share one position (which patch is where, the vision encoder has written into it). Sound goes on by its time, four
positions a second, about the rate at which pieces are spoken; so a sentence is as long heard as it is read. Frames of
a video stand at their times. This is TMRoPE's (Qwen2.5-Omni, 2025) first axis, and keeps positions among those that
stage A has trained.

Conversations about one picture branch off from it: the row holds the picture once, every branch sees it and itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from muomni.data.tokenizer import Tokenizer

USER, ASSISTANT, END, IMAGE, AUDIO = "<|user|>", "<|assistant|>", "<|end|>", "<|image|>", "<|audio|>"
CAPTION, TRANSCRIBE, READ = "write a caption.", "write what is said.", "read the word."
"""What is asked of a picture or a sound, where the data itself asks nothing."""
PER_SECOND = 4.0
"""Positions that a second of sound or of video takes."""


@dataclass(frozen=True)
class Media:
    """A picture or sound that stands in a row: what it is (`key`), its first place, and how many tokens it takes."""

    kind: str
    key: object
    start: int
    n_tokens: int


@dataclass
class Row:
    """A row that is being written. All lists but `media` have one entry a token.

    Attributes:
        judged: whether the token belongs to an answer.
        answers: the number of the answer that it belongs to, -1 outside.
    """

    tokenizer: Tokenizer
    ids: list[int] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    trunks: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    at: float = 0.0
    document: int = -1
    trunk: int = -1
    n_documents: int = 0
    n_answers: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def begin(self) -> None:
        """A new conversation, which sees nothing before it."""
        self.document = self.trunk = self.n_documents
        self.n_documents += 1
        self.at = 0.0

    def branch(self, trunk: int, at: float) -> None:
        """A conversation that goes on from `trunk` at position `at`."""
        self.document, self.trunk, self.at = self.n_documents, trunk, at
        self.n_documents += 1

    def mark(self, name: str) -> None:
        """One control token."""
        self._add([self.tokenizer.special[name]])

    def text(self, text: str) -> None:
        """What is said in words."""
        self._add(self.tokenizer.encode(" " + text.strip()) if text.strip() else [])

    def picture(self, key: object, n_patches: int) -> None:
        """A picture: its mark, then its patches, all at one position."""
        self.mark(IMAGE)
        self.media.append(Media("picture", key, len(self), n_patches))
        self._add([self.tokenizer.pad_id] * n_patches, step=0.0)
        self.at += 1.0

    def sound(self, key: object, n_frames: int, seconds_per_frame: float) -> None:
        """A sound: its mark, then its frames, as time goes."""
        self.mark(AUDIO)
        self.media.append(Media("sound", key, len(self), n_frames))
        begin, step = self.at, seconds_per_frame * PER_SECOND
        self._add([self.tokenizer.pad_id] * n_frames, step=step)
        self.at = begin + float(-(-n_frames * step // 1))

    def answer(self, text: str) -> None:
        """The model's turn, which is learned."""
        self.ask()
        self._add([*self.tokenizer.encode(" " + text), self.tokenizer.special[END]], answer=self.n_answers)
        self.n_answers += 1

    def ask(self) -> None:
        """The model's turn begins: what follows is for it to write."""
        self.mark(ASSISTANT)

    @property
    def size(self) -> tuple[int, int, int]:
        """How many tokens, media and answers there are."""
        return len(self), len(self.media), self.n_answers

    def cut(self, size: tuple[int, int, int]) -> None:
        """Forget all that came after the row was of this size."""
        length, media, self.n_answers = size
        for each in (self.ids, self.positions, self.documents, self.trunks, self.answers):
            del each[length:]
        del self.media[media:]

    def _add(self, ids: list[int], step: float = 1.0, answer: int = -1) -> None:
        n = len(ids)
        self.ids += ids
        self.positions += [self.at + i * step for i in range(n)]
        self.documents += [self.document] * n
        self.trunks += [self.trunk] * n
        self.answers += [answer] * n
        self.at += n * step
