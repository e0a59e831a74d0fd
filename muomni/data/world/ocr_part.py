"""The words to read of the tiny world: `ocr_train.csv`, two tests, and `images/`.

| table | rows |
|---|---|
| `ocr_train.csv` | known faces; the last tenth of the rows validates |
| `ocr_test_new_words.csv` | made-up words that training never shows, in known faces |
| `ocr_test_new_fonts.csv` | texts as in training, in faces of families that training never shows |
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.data.world.audio_part import table_text
from muomni.data.world.build import Made, write_medium
from muomni.data.world.dice import Dice
from muomni.data.world.splits import TEST, TRAIN, VALIDATION, scaled

VERSION = 1
NEW_WORDS, NEW_FONTS = "test_new_words", "test_new_fonts"
N_IMAGES = {TRAIN: 13_500, VALIDATION: 1_500, NEW_WORDS: 600, NEW_FONTS: 600}
"""Images at scale 1."""
FILES = {
    "ocr_train.csv": (TRAIN, VALIDATION),
    "ocr_test_new_words.csv": (NEW_WORDS,),
    "ocr_test_new_fonts.csv": (NEW_FONTS,),
}
COLUMNS = ("image", "text", "split", "font")
SHARD = 250


@dataclass(frozen=True)
class OcrPart:
    """Images of `side` x `side` pixels; `scale` 1 is 15,000 to train and validate with and 600 of each test."""

    seed: int = 0
    scale: float = 1.0
    side: int = 64
    name = "ocr"

    def settings(self) -> dict[str, Any]:
        return {"version": VERSION, "seed": self.seed, "scale": self.scale, "side": self.side}

    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        return {name: version(name) for name in ("pillow", "matplotlib", "numpy")}

    def shards(self) -> list[Sequence[Any]]:
        numbers = scaled(N_IMAGES, self.scale, 10)
        items = [(split, i) for split, n in numbers.items() for i in range(n)]
        return [items[at : at + SHARD] for at in range(0, len(items), SHARD)]

    def make(self, shard: Sequence[tuple[str, int]], folder: Path) -> Made:
        from muomni.data.world.lettering import SEEN_FONTS, UNSEEN_FONTS
        from muomni.data.world.word_image import draw_text, text_to_read

        (folder / "images").mkdir(parents=True, exist_ok=True)
        rows, media = [], []
        for split, number in shard:
            dice = Dice("ocr", self.seed, split, number)
            text = text_to_read(dice, {NEW_WORDS: TEST, NEW_FONTS: TRAIN}.get(split, split))
            face = dice.pick(UNSEEN_FONTS if split == NEW_FONTS else SEEN_FONTS)
            content = io.BytesIO()
            draw_text(text, face, self.side, dice).save(content, "PNG", compress_level=1)
            path = f"images/{split}-{number:05}.png"
            media.append(write_medium(folder, path, content.getvalue()))
            rows.append({"image": path, "text": text, "split": split, "font": face})
        return Made(rows, media)

    def tables(self, rows: list[Any]) -> tuple[dict[str, str], dict[str, Any]]:
        splits = {split: [row for row in rows if row["split"] == split] for split in N_IMAGES}
        tables = {
            name: table_text(COLUMNS, [row for split in parts for row in splits[split]])
            for name, parts in FILES.items()
        }
        says = {
            "held_out": {
                "fonts": sorted({row["font"] for row in splits[NEW_FONTS]}),
                "words": "a made-up word is of one split only, by its hash",
            },
            "splits": {split: {"rows": len(members)} for split, members in splits.items()},
        }
        return tables, says
