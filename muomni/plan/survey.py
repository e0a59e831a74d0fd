"""What data is there: the tokenizer, and how many tokens or samples each stage has. Each file is read once.

Importing this is light; NumPy and SentencePiece come with the first file that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from muomni.data.sources import SOURCES
from muomni.errors import UserError

if TYPE_CHECKING:
    from muomni.data.tokenizer import Tokenizer

REFERENCE_BYTES = 64 << 20
"""Of larger manifests the texts are not tokenized: their tokens are shown for reference only."""


@dataclass(frozen=True)
class Counted:
    """How much data a stage has.

    Attributes:
        source: the file that was counted; None where the number was assumed without one.
        examples: tokens or samples.
        interval: where they were estimated, the 95 % interval.
        reference_tokens: tokens of captions, transcripts or words; no step is computed from them.
    """

    source: Path | None
    examples: int
    interval: tuple[int, int] | None = None
    reference_tokens: int | None = None


@dataclass(frozen=True)
class Vocabulary:
    """The Thinker's tokenizer: its file, how many pieces were asked for, how many it has and why, and whether it was
    trained just now.
    """

    path: Path
    asked: int
    pieces: int
    reason: str
    trained_on: Path | None = None
    notes: tuple[str, ...] = ()


class Survey:
    """Counts files, each once.

    Args:
        data: the data's folder.
        cache: where counts are kept ("auto": beside the data).
        scratch: where a tokenizer is trained, and the texts of manifests go meanwhile; None: where they belong.
        assumed: tokens of text to take instead of counting them.
        estimate: estimate the tokens of text.
        progress: show progress on standard error.
    """

    def __init__(
        self,
        data: Path,
        cache: Path | str = "auto",
        scratch: Path | None = None,
        assumed: int | None = None,
        estimate: bool = False,
        progress: bool = True,
    ) -> None:
        self.data = data
        self.cache = cache
        self.scratch = scratch
        self.assumed = assumed
        self.estimate = estimate
        self.progress = progress
        self.tokenizer: Tokenizer | None = None
        self._known: dict[Path, Counted] = {}

    def vocabulary(self, path: Path, asked: int, texts: Sequence[Path]) -> Vocabulary:
        """The tokenizer at `path`; where there is none, one of `asked` pieces (or fewer) is trained on the first text.

        Raises:
            UserError: the file is no tokenizer of ours, or there is too little text for one.
        """
        from muomni.data.tokenizer import Tokenizer, train_tokenizer

        if path.exists():
            self.tokenizer = Tokenizer.load(path)
            pieces = self.tokenizer.vocab_size
            note = f"{path} is older than {texts[0]}: remove it to have one trained on that text"
            older = path.stat().st_mtime < texts[0].stat().st_mtime
            reason = f"{path} has {pieces:,} pieces"
            return Vocabulary(path, asked, pieces, reason, notes=(note,) if older else ())
        text = texts[0]
        target = path if self.scratch is None else self.scratch / "tokenizer.model"
        trained = train_tokenizer(text, target, asked, temp_dir=self.scratch)
        self.tokenizer = trained.tokenizer
        pieces = trained.vocab_size
        reason = f"{text} is too small for {asked:,} pieces" if pieces < asked else f"{path} has {pieces:,} pieces"
        return Vocabulary(path, asked, pieces, reason, trained_on=text)

    def count(self, stage: str, selected: Iterable[str]) -> Counted:
        """How much data `stage` has; columns that any of the `selected` stages needs of the same file are checked too.

        Raises:
            UserError: the file is unreadable, malformed, or holds nothing to train on.
        """
        source = SOURCES[stage].first(self.data)
        if SOURCES[stage].unit == "tokens" and self.assumed is not None:
            return Counted(source, self.assumed)
        assert source is not None, "the caller looks first"
        if source not in self._known:
            self._known[source] = (
                self._tokens(source) if SOURCES[stage].unit == "tokens" else self._samples(source, selected)
            )
        return self._known[source]

    def _tokens(self, source: Path) -> Counted:
        from muomni.data.counting import count_tokens
        from muomni.data.estimate import estimate_tokens

        assert self.tokenizer is not None, "the caller gets the vocabulary first"
        if self.estimate:
            found = estimate_tokens(source, self.tokenizer)
            return Counted(source, found.tokens, None if found.exact else (found.low, found.high))
        return Counted(
            source, count_tokens(source, self.tokenizer, cache_dir=self.cache, progress=self.progress).tokens
        )

    def _samples(self, source: Path, selected: Iterable[str]) -> Counted:
        from muomni.data.counting import count_samples

        needed = [SOURCES[stage].columns for stage in selected if SOURCES[stage].first(self.data) == source]
        columns = tuple(dict.fromkeys(column for group in needed for column in group))
        rows = count_samples(source, columns, cache_dir=self.cache, progress=self.progress)
        return Counted(source, rows.samples, reference_tokens=self._reference(source, columns))

    def _reference(self, source: Path, columns: Sequence[str]) -> int | None:
        """Tokens of a manifest's texts, where a tokenizer is at hand and they cost little."""
        from muomni.data.counting import count_tokens
        from muomni.data.manifests import text_columns

        texts = text_columns(source)
        if self.tokenizer is None or not set(texts) <= set(columns) or source.stat().st_size > REFERENCE_BYTES:
            return None
        try:
            count = count_tokens(source, self.tokenizer, columns=texts, cache_dir=self.cache, progress=self.progress)
        except UserError:  # rows without a word are samples all the same
            return None
        return count.pieces
