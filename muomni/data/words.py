"""How many tokens a text has, without encoding every line of it: words come again and again.

In byte-pair encoding without pieces across spaces, the tokens of a line are those of its words, so each distinct word
is encoded once and then looked up. A word is cut before its space ("a red  box" → "a", " red", " ", " box"); the first
word of a line has no space before it and is another key. Exact, not an estimate.

On a few cores this is faster than encoding the lines, the more so the longer the text; where few words come again
(numbers, text without spaces) or cores are many it can be slower. Both ways give the same number, so now and then both
are timed, and the faster is used. Tokenizers whose words are not independent always encode the lines.
"""

from __future__ import annotations

import math
import time

from muomni.data.tokenizer import NEWLINE, Tokenizer

KNOWN_WORDS = 1 << 18
LONGEST_WORD = 64
MOSTLY_NEW = 0.6
LITTLE = 1 << 14
"""Characters of a text so short that most of its words are new whatever they are."""

WARM_UP = 8
CYCLE = 128
"""Calls after which both ways are timed again: first some by words, so that words are known, then one by lines."""


class PieceCounter:
    """Counts the pieces that a tokenizer makes of texts; it remembers words from call to call, up to a bound."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._can_by_words = tokenizer.words_are_independent()
        self._known: dict[str, int] = {}
        self._turn = 0
        self._pace_by_words = self._pace_by_lines = 0.0  # seconds per character when last timed

    def pieces(self, texts: list[str]) -> int:
        """How many pieces all of `texts` have together: `sum(len(ids) for ids in tokenizer.encode_batch(texts))`."""
        joined = NEWLINE.join(texts)
        if not self._can_by_words or joined.count(NEWLINE) >= len(texts):  # the last: a newline inside a text
            return self._by_lines(texts)
        turn, self._turn = self._turn, (self._turn + 1) % CYCLE
        began = time.perf_counter()
        if turn < WARM_UP or (turn > WARM_UP and self._pace_by_words < self._pace_by_lines):
            count = self._by_words(joined)
            if count is not None:
                self._pace_by_words = (time.perf_counter() - began) / max(1, len(joined))
                return count
            self._turn, self._pace_by_words = WARM_UP + 1, math.inf  # by lines until the next cycle
        count = self._by_lines(texts)
        if turn == WARM_UP:
            self._pace_by_lines = (time.perf_counter() - began) / max(1, len(joined))
        return count

    def _by_lines(self, texts: list[str]) -> int:
        return sum(map(len, self.tokenizer.encode_batch(texts)))

    def _by_words(self, joined: str) -> int | None:
        """The pieces of lines joined by newlines; None if most of their words are new, so that it does not pay."""
        words = (NEWLINE + joined).replace(NEWLINE, " " + NEWLINE).split(" ")
        del words[0]  # what stands before the first newline's space: nothing
        new = list(set(words).difference(self._known))
        if len(joined) > LITTLE and sum(map(len, new)) > MOSTLY_NEW * len(joined):
            return None
        encoded = self.tokenizer.encode_batch([word[1:] if word[:1] == NEWLINE else " " + word for word in new])
        self._known.update(zip(new, map(len, encoded), strict=True))
        count = sum(map(self._known.__getitem__, words))
        for word in new:  # long ones hardly come again
            if len(word) > LONGEST_WORD:
                del self._known[word]
        if len(self._known) > KNOWN_WORDS:
            self._known.clear()
        return count
