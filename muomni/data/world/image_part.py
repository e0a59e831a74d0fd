"""The pictures of the tiny world and what can be said of them: `annotations.json`, two tests, and `images/`.

A row is a picture with three captions, the questions that can be answered from it, its split, and the record it came
from. Training rows come first and validation rows, a tenth of all, last. Two splits never share the facts of a scene;
`test_new_pairs.json` shows exactly one color-shape pair in every picture that training never shows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.data.world.build import Made, write_medium
from muomni.data.world.grammar import document
from muomni.data.world.lexicon import WORLD
from muomni.data.world.scene import Scene, observe, scene
from muomni.data.world.splits import NEW_PAIRS, TEST, TRAIN, VALIDATION, scaled, split_of
from muomni.data.world.text_part import grammar_fingerprint

VERSION = 1
N_PICTURES = {TRAIN: 18_000, VALIDATION: 2_000, TEST: 1_000, NEW_PAIRS: 1_000}
"""Pictures at scale 1."""
FILES = {"annotations.json": (TRAIN, VALIDATION), "test.json": (TEST,), "test_new_pairs.json": (NEW_PAIRS,)}
VIEWS = ("text", "text 2", "text 3")
SHARD = 250


@dataclass(frozen=True)
class ImagePart:
    """Pictures of `side` x `side` pixels; `scale` 1 is 20,000 to train and validate with and 1,000 of each test."""

    seed: int = 0
    scale: float = 1.0
    side: int = 64
    name = "images"

    def settings(self) -> dict[str, Any]:
        settings = {"version": VERSION, "seed": self.seed, "scale": self.scale, "side": self.side}
        return settings | {"grammar": grammar_fingerprint()}

    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        return {name: version(name) for name in ("pillow", "matplotlib")}

    def shards(self) -> list[Sequence[Any]]:
        left = scaled(N_PICTURES, self.scale, 10)
        items: dict[str, list[tuple[str, str, int]]] = {split: [] for split in left}
        for pairs, splits in (("seen", (TRAIN, VALIDATION, TEST)), ("held_out", (NEW_PAIRS,))):
            index = 0
            while any(len(items[split]) < left[split] for split in splits):
                record = scene(self.seed, index, pairs)
                split = split_of(repr(observe(record))) if pairs == "seen" else NEW_PAIRS
                if record.kind != "talk" and len(items[split]) < left[split]:
                    items[split].append((split, pairs, index))
                index += 1
        row = [item for split in left for item in items[split]]
        return [row[at : at + SHARD] for at in range(0, len(row), SHARD)]

    def make(self, shard: Sequence[tuple[str, str, int]], folder: Path) -> Made:
        from muomni.data.world.picture import draw

        (folder / "images").mkdir(parents=True, exist_ok=True)
        rows, media = [], []
        for split, pairs, index in shard:
            record = scene(self.seed, index, pairs)
            content = io.BytesIO()
            draw(record, self.side).save(content, "PNG", compress_level=4)
            path = f"images/{pairs}-{index:06}.png"
            media.append(write_medium(folder, path, content.getvalue()))
            rows.append({"image": path} | told_of(record) | {"split": split, "scene": [self.seed, index, pairs]})
        return Made(rows, media)

    def tables(self, rows: list[Any]) -> tuple[dict[str, str], dict[str, Any]]:
        splits = {split: [row for row in rows if row["split"] == split] for split in N_PICTURES}
        tables = {}
        for name, parts in FILES.items():
            lines = [json.dumps(row) for split in parts for row in splits[split]]
            tables[name] = "[\n" + ",\n".join(lines) + "\n]\n"
        says = {
            "held_out": {
                "pairs": [list(pair) for pair in WORLD.held_out],
                "scenes": "the facts of a scene (what is there, its color and size, where, what is written) are of one "
                "split only, by their hash",
            },
            "splits": {split: {"rows": len(members)} for split, members in splits.items()},
        }
        return tables, says


def told_of(record: Scene) -> dict[str, Any]:
    """Captions of a scene (each another one) and questions that its picture answers, with their answers."""
    captions, questions = dict[str, None](), dict[str, str]()
    for view in VIEWS:
        written = document(record, view=view)
        captions[written.caption] = None
        sizes_told = all(thing.size for thing in written.facts.things)
        turn = written.turns[0]
        if turn.kind != "describe" or sizes_told:  # without sizes, "what do you see?" has two right answers
            questions[turn.question] = turn.answer
    return {"captions": list(captions), "questions": [{"question": q, "answer": a} for q, a in questions.items()]}
