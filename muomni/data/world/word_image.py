"""Images of words to read: any text, in one of many faces, turned, noisy, on any ground.

What is written: words of the world, two of them below each other, numbers, and above all made-up words that can be
spoken (syllables in a row), so that reading is learned letter by letter and not by heart. A made-up word is of one
split only.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from muomni.data.world.dice import Dice
from muomni.data.world.lettering import letters
from muomni.data.world.lexicon import COLORS, SHAPES, SIZES, SPOKEN
from muomni.data.world.splits import TEST, TRAIN, split_of

KNOWN_WORDS = (*COLORS, *SHAPES, *SIZES, *SPOKEN)
SINGLE = "bcdfghjklmnprstvwxyz"
ONSETS = ("", *SINGLE, "bl", "br", "ch", "cl", "dr", "fl", "gr", "pl", "pr", "qu", "sh", "sl", "sp", "st", "th", "tr")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "oa", "oo", "ou")
CODAS = ("", "", "b", "d", "f", "g", "l", "m", "n", "nd", "ng", "p", "r", "rk", "s", "st", "x", "z")
LONGEST = 9
TURN = 10.0
OVERSAMPLING = 2


def text_to_read(dice: Dice, split: str) -> str:
    """Something to write: for training and validation of every kind, for the test of new words a new made-up one."""
    kind = "made up" if split == TEST else dice.weighted((("made up", 6), ("known", 3), ("two", 2), ("number", 1)))
    if kind == "known":
        word = dice.pick(KNOWN_WORDS)
    elif kind == "two":
        return f"{dice.pick(COLORS)} {dice.pick(SHAPES)}"
    elif kind == "number":
        word = str(dice.below(10 ** (1 + dice.below(4))))
    else:
        word = made_up_word(dice)
        while split_of(word) != split:
            word = made_up_word(dice)
    style = dice.below(10)
    return word.capitalize() if style == 0 else word.upper() if style == 1 else word


def made_up_word(dice: Dice) -> str:
    """Two or three syllables, at most nine letters, not a word of the world."""
    while True:
        n_syllables = 2 + dice.below(2)
        word = "".join(dice.pick(ONSETS) + dice.pick(VOWELS) + dice.pick(CODAS) for _ in range(n_syllables))
        if len(word) <= LONGEST and word not in KNOWN_WORDS:
            return word


def draw_text(text: str, face: str, side: int, dice: Dice) -> Image.Image:
    """`text` as an RGB image of `side` x `side` pixels; two words stand below each other."""
    full = side * OVERSAMPLING
    lines = text.split()
    width, height = round(dice.uniform(0.7, 0.9) * full), round(dice.uniform(0.22, 0.4) * full)
    ink = Image.new("L", (full, full))
    masks = [letters(line, face, width, height) for line in lines]
    gap = full // 16
    y = (full - sum(mask.height for mask in masks) - gap * (len(masks) - 1)) // 2
    for mask in masks:
        ink.paste(mask, ((full - mask.width) // 2, y))
        y += mask.height + gap
    shift = (dice.uniform(-0.05, 0.05) * full, dice.uniform(-0.12, 0.12) * full)
    ink = ink.rotate(dice.uniform(-TURN, TURN), Image.Resampling.BILINEAR, translate=(int(shift[0]), int(shift[1])))
    return _on_ground(np.asarray(ink.reduce(OVERSAMPLING), dtype=np.float32) / 255, dice)


def _on_ground(ink: np.ndarray, dice: Dice) -> Image.Image:
    """Ink `(side, side)`, 0 to 1, on a ground of another brightness, with a slope of light and noise."""
    side = len(ink)
    dark = np.array([dice.uniform(0, 110) for _ in range(3)])
    light = np.array([dice.uniform(165, 255) for _ in range(3)])
    ground, color = (light, dark) if dice.below(10) < 7 else (dark, light)
    across, down = (np.linspace(-0.5, 0.5, side) * dice.uniform(-40, 40) for _ in range(2))
    noise = np.random.default_rng(dice.below(1 << 32)).normal(0, dice.uniform(0, 12), (side, side, 1))
    image = ground + (color - ground) * ink[:, :, None] + (across[None, :] + down[:, None])[:, :, None] + noise
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def split_of_text(text: str) -> str:
    """The split of a text to read: made-up words have one, everything else belongs to training."""
    word = text.lower()
    return TRAIN if " " in word or word.isdigit() or word in KNOWN_WORDS else split_of(word)
