"""Which split a text or a scene belongs to: decided by a hash of what it says, so that no split repeats another.

Documents are drawn one after another, and a hash of the text sends each to training, validation or test. So no text of
one split occurs in another, while no model can tell from a text where it belongs: within a split the draws are still
independent. (Given the split, p(text) is divided by the split's share of the probability, a constant that no model can
know: -log p remains the floor.)
"""

from __future__ import annotations

import hashlib
import re

from muomni.data.world.lexicon import COLORS, NUMBERS, SHAPES, SIZES, SPOKEN

TRAIN, VALIDATION, TEST, NEW_PAIRS = "train", "validation", "test", "test_new_pairs"
SHARES = {TRAIN: 18, VALIDATION: 2, TEST: 1}
NAMED = frozenset((*COLORS, *SHAPES, *SIZES, *NUMBERS, *SPOKEN))
SHORT = 3
"""Sentences of fewer words ("blue.", "the ring.") are too few to be kept from training."""


def scaled(numbers: dict[str, int], scale: float, least: int) -> dict[str, int]:
    """How many of each split there are at a scale, at least `least`."""
    return {split: max(least, round(n * scale)) for split, n in numbers.items()}


def split_of(text: str) -> str:
    """The split that a text belongs to (train, validation or test), by its hash alone."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"split").digest()
    drawn = int.from_bytes(digest, "little") * sum(SHARES.values()) >> 64
    for split, share in SHARES.items():
        if drawn < share:
            return split
        drawn -= share
    raise AssertionError("shares cover every draw")


def split_of_sentence(sentence: str) -> str:
    """The split of something said.

    What is very short, or names nothing of the world ("describe the picture."), belongs to training, where every voice
    may say it: there are few of these, they come again and again, and a word of theirs may occur nowhere else.
    """
    return split_of(sentence) if len(sentence.split()) >= SHORT and names_something(sentence) else TRAIN


def names_something(sentence: str) -> bool:
    """Whether a color, a shape, a size, a number or a word of the world is in it, one or several."""
    words = re.findall("[a-z]+", sentence.lower())
    return any(word in NAMED or word.removesuffix("s") in NAMED or word.removesuffix("es") in NAMED for word in words)
