"""How much of a text is wrong: the least number of words or letters to replace, leave out and add, by `jiwer`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import jiwer
import numpy as np

from muomni.evaluate.score import Score, ratio_score

Unit = Literal["words", "characters"]


def normal(text: str) -> str:
    """A text as it is heard: small letters, no punctuation, single spaces."""
    return " ".join(re.sub(r"[^\w\s']", " ", text.lower()).split())


def count_edits(right: Sequence[str], found: Sequence[str], unit: Unit) -> tuple[np.ndarray, np.ndarray]:
    """Of each example, the edits from `found` to `right`, and the words or characters of `right`: (N,) each."""
    edits, sizes = np.zeros(len(right)), np.zeros(len(right))
    for i, (wanted, had) in enumerate(zip(right, found, strict=True)):
        counted = jiwer.process_words(wanted, had) if unit == "words" else jiwer.process_characters(wanted, had)
        edits[i] = counted.substitutions + counted.deletions + counted.insertions
        sizes[i] = counted.hits + counted.substitutions + counted.deletions
    return edits, sizes


def error_rate(right: Sequence[str], found: Sequence[str], unit: Unit, split: str, seed: int) -> Score:
    """Edits to all words (WER) or characters (CER) of `right`, summed over examples; may exceed 1.

    Its floor is the rate of saying nothing (1), or of the right texts in the wrong order where that is less: what is
    got by saying likely things without listening.
    """
    edits, sizes = count_edits(right, found, unit)
    shuffled, _ = count_edits(right, in_wrong_order(right, seed), unit)
    return ratio_score(edits, sizes, split, seed, floor=min(1.0, float(shuffled.sum() / sizes.sum())), ceiling=0.0)


def word_error_rate(right: Sequence[str], found: Sequence[str], split: str, seed: int) -> Score:
    """WER of texts as they are heard, see `normal`."""
    return error_rate([normal(text) for text in right], [normal(text) for text in found], "words", split, seed)


def in_wrong_order(items: Sequence[str], seed: int) -> list[str]:
    """The items shuffled so that none is at its own place (where there are two or more)."""
    order = np.random.default_rng(seed).permutation(len(items))
    moved = np.empty(len(items), dtype=np.int64)
    moved[order] = np.roll(order, 1)
    return [items[int(i)] for i in moved]
