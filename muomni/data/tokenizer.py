"""Text to token numbers and back: SentencePiece byte-pair encoding that loses nothing.

    ids     0 <unk>   1 <|endoftext|>   2 <|pad|>   then the control tokens, "\\n", 256 bytes, and the learned pieces

Every text comes back exactly: no normalization, no added space, and what no piece covers is spelt in bytes. Pieces do
not reach across a space or a newline, so the tokens of a text are those of its words, one after the other, and
`encode(a) + [newline_id] + encode(b)` is `encode(a + "\\n" + b)`. Control tokens (`<|user|>` and the like) mark up
conversations; typed text never turns into one.

BPE and not the unigram model, by measurement: on 100 MB of source code BPE trains in seconds where unigram takes
minutes, and its words are independent exactly, where unigram's running float sums tip a few ties. That lets `counting`
encode each distinct word once, which more than makes up for unigram's faster encoder.

Training is deterministic and in bounded memory. Text is read straight from its file; of a large one evenly spread
blocks are used, for the frequent words that set the merges are in any thirty-two megabytes.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from muomni.data.input_files import check_readable, file_status, unreadable
from muomni.data.plain_text import plain_text
from muomni.data.text_lines import BLOCK_BYTES, is_blank, read_blocks
from muomni.errors import UserError
from muomni.files import replacing

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
NEWLINE = "\n"
CONTROL_TOKENS = ("<|user|>", "<|assistant|>", "<|end|>", "<|image|>", "<|audio|>", "<|speech|>")
SPACE_MARK = "▁"
"""How pieces spell a space. Where a text has this very character, it is spelt in bytes, so that it comes back."""

TRAINING_BYTES = 32 << 20
LONGEST_SENTENCE = 1 << 16
CUT = LONGEST_SENTENCE // 8
"""Characters of a piece of a long line: at most 4 bytes each, so that no sentence is dropped for its length."""

PROBE = " \tA  ﬁ\u00e9\r é "


class Tokenizer:
    """A trained tokenizer, read from the model file that `train_tokenizer` writes.

    Attributes:
        unk_id, eot_id, pad_id, newline_id: numbers of the special tokens.
        special: numbers of the control tokens by name, such as `special["<|user|>"]`.
        fingerprint: SHA-256 of the model file, in hexadecimal.
    """

    def __init__(self, model: bytes, name: str | Path = "tokenizer") -> None:
        self._model = model
        self._pieces = _processor(model, name)
        self.fingerprint = hashlib.sha256(model).hexdigest()
        self.vocab_size: int = self._pieces.vocab_size()
        self.unk_id: int = self._pieces.unk_id()
        self.eot_id: int = self._pieces.eos_id()
        self.pad_id: int = self._pieces.pad_id()
        self.newline_id = self._number(NEWLINE, name)
        self.special = MappingProxyType({token: self._number(token, name) for token in CONTROL_TOKENS})
        self._space_mark = [self._number(f"<0x{byte:02X}>", name) for byte in SPACE_MARK.encode()]
        if self.decode(self.encode(PROBE)) != PROBE:
            raise _foreign(name, "it changes text")

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a model file.

        Raises:
            UserError: the file is missing, damaged, or another kind of tokenizer.
        """
        check_readable(path)
        try:
            return cls(Path(path).read_bytes(), path)
        except OSError as error:
            raise unreadable(path, error) from error

    def save(self, path: str | Path) -> None:
        """Write the model file, atomically."""
        with replacing(path) as temporary:
            temporary.write_bytes(self._model)

    def encode(self, text: str) -> list[int]:
        """The token numbers of a text, newlines as `newline_id`; no end-of-text token is added."""
        if SPACE_MARK in text:
            return self._with_space_marks(text)
        try:
            return self._pieces.encode(text)
        except RuntimeError:
            _check_unicode([text])
            raise

    def encode_batch(self, texts: Sequence[str], threads: int | None = None) -> list[list[int]]:
        """The token numbers of each text, by all cores if there is enough to do."""
        texts = list(texts)
        try:
            encoded = self._pieces.encode(texts, num_threads=threads or threads_for(len(texts)))
        except (RuntimeError, TypeError):
            _check_unicode(texts)
            raise
        for number, text in enumerate(texts):
            if SPACE_MARK in text:
                encoded[number] = self._with_space_marks(text)
        return encoded

    def _with_space_marks(self, text: str) -> list[int]:
        first, *others = text.split(SPACE_MARK)
        ids = self.encode(first)
        for part in others:
            ids += self._space_mark + self.encode(part)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token numbers; special tokens other than the newline give nothing."""
        return self._pieces.decode([int(number) for number in ids])

    def piece(self, number: int) -> str:
        """A token as it is spelt in the vocabulary, a space as "▁"."""
        return self._pieces.id_to_piece(number)

    def learned_pieces(self) -> list[str]:
        """The pieces that training found: no special tokens and no bytes."""
        special = {self.unk_id, self.newline_id}
        named = (
            number
            for number in range(self.vocab_size)
            if not (self._pieces.is_control(number) or self._pieces.is_byte(number) or number in special)
        )
        return [self._pieces.id_to_piece(number) for number in named]

    def words_are_independent(self) -> bool:
        """Whether a text's tokens are those of its words, cut before each space: true of every model trained here."""
        across = any(SPACE_MARK in piece[1:] for piece in self.learned_pieces())
        scores = (self._pieces.get_score(number) for number in range(self.vocab_size))
        return not across and all(score == int(score) for score in scores)  # BPE's are ranks, unigram's logarithms

    def __getstate__(self) -> bytes:
        return self._model

    def __setstate__(self, model: bytes) -> None:
        Tokenizer.__init__(self, model)

    def _number(self, piece: str, name: str | Path) -> int:
        number: int = self._pieces.piece_to_id(piece)
        if number == self.unk_id or min(self.unk_id, self.eot_id, self.pad_id) < 0:
            raise _foreign(name, f"it has no {piece!r}")
        return number


def _processor(model: bytes, name: str | Path) -> SentencePieceProcessor:
    from sentencepiece import SentencePieceProcessor

    fix = "Train a new one with `muomni update-configs`."
    if not model:
        raise UserError("is empty, no tokenizer", file=name, fix=fix)
    try:
        pieces = SentencePieceProcessor(model_proto=model)
        for number in range(pieces.vocab_size()):
            pieces.id_to_piece(number)  # damaged ones are no UTF-8
        return pieces
    except (RuntimeError, ValueError):
        raise UserError("is damaged, or no SentencePiece model", file=name, fix=fix) from None


def _foreign(name: str | Path, why: str) -> UserError:
    return UserError(
        f"is a tokenizer made for something else: {why}",
        file=name,
        fix="Train one with `muomni update-configs`.",
    )


def _check_unicode(texts: Sequence[str]) -> None:
    """A `UserError` for a str that has no UTF-8 form, of which the C++ side only says that it is no str."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            problem = "the text holds half of a surrogate pair, which is no character"
            raise UserError(problem, fix="Remove it.") from None


def threads_for(n_texts: int) -> int:
    """Threads that pay for so many texts: starting one costs as much as encoding a few lines."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, n_texts // 64))


@dataclass(frozen=True)
class TrainedTokenizer:
    """A new tokenizer, and how its vocabulary came out.

    Attributes:
        asked: the vocabulary size asked for.
        vocab_size: the one it has: smaller where the text supports no more.
        path: the model file.
        bytes_used: how much of the text was used.
    """

    tokenizer: Tokenizer
    asked: int
    vocab_size: int
    path: Path
    bytes_used: int


def train_tokenizer(
    source: str | Path,
    model_path: str | Path,
    vocab_size: int,
    *,
    temp_dir: str | Path | None = None,
    training_bytes: int = TRAINING_BYTES,
) -> TrainedTokenizer:
    """Train a tokenizer on a text file or on a manifest's texts, and write it to `model_path`, atomically.

    Args:
        source: a text file, or a CSV or JSON manifest.
        vocab_size: pieces asked for; the largest number the text supports is taken if that is less.
        temp_dir: where a manifest's texts go meanwhile: by default `.temp` in the data folder.
        training_bytes: use about so much of a larger text.

    Raises:
        UserError: the source is unreadable or holds no text, or `vocab_size` is too small for its characters.
    """
    source, model_path = Path(source), Path(model_path)
    with plain_text(source, temp_dir) as text:
        sentences = _Sentences(text, source, training_bytes)
        model = _train(sentences, source, vocab_size)
    tokenizer = Tokenizer(model, model_path)
    tokenizer.save(model_path)
    return TrainedTokenizer(tokenizer, vocab_size, tokenizer.vocab_size, model_path, sentences.bytes_used)


def load_or_train_tokenizer(path: str | Path, source: str | Path, vocab_size: int) -> Tokenizer:
    """The tokenizer at `path`; where there is none, one is trained on `source` as `train_tokenizer` does."""
    if Path(path).exists():
        return Tokenizer.load(path)
    return train_tokenizer(source, path, vocab_size).tokenizer


def _train(sentences: _Sentences, source: Path, vocab_size: int) -> bytes:
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            byte_fallback=True,
            unk_id=0,
            eos_id=1,
            pad_id=2,
            bos_id=-1,
            eos_piece=END_OF_TEXT,
            pad_piece=PAD,
            control_symbols=list(CONTROL_TOKENS),
            user_defined_symbols=[NEWLINE],
            required_chars=SPACE_MARK,  # else a text without spaces makes a tokenizer that cannot spell them
            max_sentence_length=LONGEST_SENTENCE,
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, ValueError, OverflowError) as error:
        if sentences.failure is not None:
            raise sentences.failure from None
        raise _explained(str(error), sentences, source, vocab_size) from error
    return model.getvalue()


def _explained(error: str, sentences: _Sentences, source: Path, vocab_size: int) -> UserError:
    if sentences.bytes_used == 0:
        return UserError("holds no text to train a tokenizer on", file=source, fix="Add lines of text.")
    if too_small := re.search(r"smaller than required_chars\. \d+ vs (\d+)", error):
        problem = f"is {vocab_size}, too small for the characters of {source}"
        return UserError(problem, field="vocab_size", fix=f"Set it to {too_small[1]} or more.")
    return UserError(f"no tokenizer can be trained on this ({error.strip()[-200:]})", file=source)


class _Sentences:
    """The lines to train on, long ones in parts, from evenly spread blocks; remembers why it stopped."""

    def __init__(self, text: Path, source: Path, training_bytes: int) -> None:
        self.bytes_used = 0
        self.failure: BaseException | None = None
        self._text = text
        self._source = source
        self._every = max(1, -(-file_status(text).st_size // training_bytes))

    def __iter__(self) -> Iterator[str]:
        try:
            for number, block in enumerate(read_blocks(self._text, block_bytes=BLOCK_BYTES)):
                if number % self._every == 0:
                    for line in block.lines():
                        if not is_blank(line):
                            self.bytes_used += len(line)
                            yield from (line[at : at + CUT] for at in range(0, len(line), CUT))
        except (UserError, KeyboardInterrupt) as failure:  # the C++ side would make a RuntimeError of it
            self.failure = failure
            raise
