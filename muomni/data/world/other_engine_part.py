"""Speech of another synthesizer: a test of whether a listener has learnt speech, or one synthesizer.

| table | rows |
|---|---|
| `asr_test.csv` | new sentences, as `audio/asr_test.csv` has them, in the two voices of `other_engine` by turns |

The sentences are of the test split by their hash, so training never says them. The part is made where the synthesizer
is installed (the extra `engines`), and nothing else depends on it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from muomni.data.world.audio_part import FILES, table_text
from muomni.data.world.build import Made, write_medium
from muomni.data.world.dice import Dice
from muomni.data.world.grammar import document_at
from muomni.data.world.splits import TEST, scaled, split_of_sentence
from muomni.data.world.text_part import grammar_fingerprint

PART_VERSION = 1
N_SENTENCES = {TEST: 200}
"""At scale 1."""
FIRST_DOCUMENT = 90_000_000
"""Documents from here on: far from those that the other speech is taken from."""
TABLE = "asr_test.csv"
SHARD = 50


@dataclass(frozen=True)
class OtherEnginePart:
    """Sentences in two voices of another synthesizer; `scale` 1 is 200."""

    seed: int = 0
    scale: float = 1.0
    name = "audio_other_engine"

    def settings(self) -> dict[str, Any]:
        from muomni.data.world.other_engine import PACKAGE, SAMPLE_RATE, VERSION

        settings = {"version": PART_VERSION, "seed": self.seed, "scale": self.scale, "sample_rate": SAMPLE_RATE}
        return settings | {"engine": f"{PACKAGE} {VERSION}", "grammar": grammar_fingerprint()}

    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        import soundfile

        names = ("py-nanotts", "numpy")
        return {name: version(name) for name in names} | {"libsndfile": soundfile.__libsndfile_version__}

    def shards(self) -> list[Sequence[Any]]:
        """(number, voice, sentence), every sentence once."""
        from muomni.data.world.other_engine import VOICES

        wanted, seen, items = scaled(N_SENTENCES, self.scale, 4)[TEST], set[str](), list[tuple[int, str, str]]()
        for index in count(FIRST_DOCUMENT):
            if len(items) == wanted:
                break
            sentence = Dice("said", self.seed, index).pick(document_at(self.seed, index).sentences)
            if split_of_sentence(sentence) == TEST and sentence not in seen:
                seen.add(sentence)
                items.append((len(items), VOICES[len(items) % len(VOICES)], sentence))
        return [items[at : at + SHARD] for at in range(0, len(items), SHARD)]

    def make(self, shard: Sequence[tuple[int, str, str]], folder: Path) -> Made:
        import soundfile

        from muomni.data.world.other_engine import SAMPLE_RATE, say_all

        (folder / "wav").mkdir(parents=True, exist_ok=True)
        rows, media = [], []
        spoken = say_all([(text, voice) for _, voice, text in shard])
        for (number, voice, text), samples in zip(shard, spoken, strict=True):
            content = io.BytesIO()
            soundfile.write(content, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            path = f"wav/{TEST}-{number:05}.flac"
            media.append(write_medium(folder, path, content.getvalue()))
            row = {"wav": path, "text": text, "split": TEST, "speaker": f"pico-{voice.lower()}"}
            rows.append(row | {"seconds": f"{len(samples) / SAMPLE_RATE:.3f}"})
        return Made(rows, media)

    def tables(self, rows: list[Any]) -> tuple[dict[str, str], dict[str, Any]]:
        says = {
            "held_out": {
                "engine": "no training data is made by this synthesizer",
                "sentences": "a sentence of three words or more that names something is of one split only, by its hash",
                "speakers": sorted({row["speaker"] for row in rows}),
            },
            "splits": {TABLE: {TEST: len(rows)}},
            "hours": round(sum(float(row["seconds"]) for row in rows) / 3600, 3),
        }
        return {TABLE: table_text(FILES[TABLE], rows)}, says
