"""The speech of the tiny world: what is said of scenes, in the default voice and in many pseudo-speakers.

| table | rows |
|---|---|
| `asr.csv` | sound and text: the default voice and the training speakers; the last tenth of the rows validates |
| `tts.csv` | text and sound of the default voice alone, with the times of every word |
| `asr_test.csv` | new sentences, in voices known from training |
| `asr_test_new_speakers.csv` | new sentences, by pseudo-speakers who never speak in training |
| `tts_test.csv` | new sentences in the default voice |

A sentence is of one split only, by its hash; those of one or two words ("blue.", "the ring."), those that name nothing
("describe the picture.") and the single words of the Speech Commands are said in training by everyone. `words` holds a
start and an end in seconds for every word.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from muomni.data.world.build import Made, write_medium
from muomni.data.world.dice import Dice
from muomni.data.world.grammar import document_at
from muomni.data.world.lexicon import SPOKEN, WORLD
from muomni.data.world.splits import SHORT, TEST, TRAIN, VALIDATION, scaled, split_of_sentence
from muomni.data.world.text_part import grammar_fingerprint

VERSION = 3
NEW_SPEAKERS = "test_new_speakers"
N_DEFAULT = {TRAIN: 3_240, VALIDATION: 360, TEST: 300}
N_SPEAKERS = {TRAIN: 3_960, VALIDATION: 440, TEST: 200, NEW_SPEAKERS: 300}
"""Utterances at scale 1: in the default voice, and by pseudo-speakers."""
N_SHORT = 360
"""Utterances of the default voice, at scale 1, that say a short sentence again, such as most answers are."""
N_TEST_DEFAULT = 100
"""Of the default voice's test sentences, so many also test the listener."""
TRAIN_SPEAKERS, TEST_SPEAKERS = range(40), range(1000, 1012)
WORD_SHARE = 10
"""One utterance of a training speaker in so many is a single word."""
FILES = {
    "asr.csv": ("wav", "text", "split", "speaker", "seconds"),
    "tts.csv": ("text", "wav", "split", "speaker", "seconds", "words"),
    "asr_test.csv": ("wav", "text", "split", "speaker", "seconds"),
    "asr_test_new_speakers.csv": ("wav", "text", "split", "speaker", "seconds"),
    "tts_test.csv": ("text", "wav", "split", "speaker", "seconds", "words"),
}
SHARD = 60


@dataclass(frozen=True)
class AudioPart:
    """Speech; `scale` 1 is 8,360 utterances to train and validate a listener with, 3,960 of them for a speaker."""

    seed: int = 0
    scale: float = 1.0
    name = "audio"

    def settings(self) -> dict[str, Any]:
        from muomni.data.world.voice import MODEL_SHA256, SAMPLE_RATE

        settings = {"version": VERSION, "seed": self.seed, "scale": self.scale, "sample_rate": SAMPLE_RATE}
        return settings | {"voice": MODEL_SHA256, "grammar": grammar_fingerprint()}

    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        import soundfile

        names = ("hibari-tts", "onnxruntime", "numpy", "scipy")
        return {name: version(name) for name in names} | {"libsndfile": soundfile.__libsndfile_version__}

    def shards(self) -> list[Sequence[Any]]:
        items = [("default", split, i, text) for split, i, text in self._default_voice()]
        items += self._speakers()
        return [items[at : at + SHARD] for at in range(0, len(items), SHARD)]

    def _sentences(self, first: int) -> Iterator[tuple[str, str]]:
        """(split, sentence), one of every document from number `first` on."""
        for index in count(first):
            sentences = document_at(self.seed, index).sentences
            chosen = Dice("said", self.seed, index).pick(sentences)
            yield split_of_sentence(chosen), chosen

    def _default_voice(self) -> list[tuple[str, int, str]]:
        """Every sentence once; then short ones again, each time said anew: they are few, and lost among the others."""
        left, seen, items = scaled(N_DEFAULT, self.scale, 2), set[str](), list[tuple[str, int, str]]()
        for split, sentence in self._sentences(0):
            if not any(left.values()):
                break
            if left[split] and sentence not in seen:
                seen.add(sentence)
                left[split] -= 1
                items.append((split, len(items), sentence))
        short = sorted(sentence for sentence in seen if len(sentence.split()) < SHORT)
        for i in range(round(N_SHORT * self.scale) if short else 0):
            items.append((TRAIN, len(items), Dice("short", self.seed, i).pick(short)))
        return items

    def _speakers(self) -> list[tuple[str, str, int, str]]:
        """Speakers take turns; the same sentence may be said by several."""
        items = list[tuple[str, str, int, str]]()
        for block, (split, n) in enumerate(scaled(N_SPEAKERS, self.scale, 2).items(), start=1):
            voices = TEST_SPEAKERS if split == NEW_SPEAKERS else TRAIN_SPEAKERS
            wanted = TEST if split == NEW_SPEAKERS else split
            sentences = (said for of, said in self._sentences(block * 10_000_000) if of == wanted)
            for i in range(n):
                dice = Dice("speakers", self.seed, split, i)
                single = split == TRAIN and dice.below(WORD_SHARE) == 0
                text = dice.pick(SPOKEN) + "." if single else next(sentences)
                items.append((str(voices[i % len(voices)]), split, i, text))
        return items

    def make(self, shard: Sequence[tuple[str, str, int, str]], folder: Path) -> Made:
        import soundfile

        from muomni.data.world.voice import DEFAULT, SAMPLE_RATE, pseudo_speaker, say

        (folder / "wav").mkdir(parents=True, exist_ok=True)
        rows, media = [], []
        for voice, split, number, text in shard:
            speaker = DEFAULT if voice == "default" else pseudo_speaker(int(voice))
            spoken = say(text, speaker, seed=number)
            content = io.BytesIO()
            soundfile.write(content, spoken.samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            path = f"wav/{'default' if voice == 'default' else 'speakers'}-{split}-{number:05}.flac"
            media.append(write_medium(folder, path, content.getvalue()))
            words = " ".join(f"{word.start:.2f}-{word.end:.2f}" for word in spoken.words)
            row = {"wav": path, "text": text, "split": split, "speaker": speaker.name}
            rows.append(row | {"seconds": f"{spoken.seconds:.3f}", "words": words})
        return Made(rows, media)

    def tables(self, rows: list[Any]) -> tuple[dict[str, str], dict[str, Any]]:
        default = {split: [row for row in rows if _is(row, split, True)] for split in N_DEFAULT}
        others = {split: [row for row in rows if _is(row, split, False)] for split in N_SPEAKERS}
        n_test = max(2, round(N_TEST_DEFAULT * self.scale))
        of = {
            "asr.csv": default[TRAIN] + others[TRAIN] + default[VALIDATION] + others[VALIDATION],
            "tts.csv": default[TRAIN] + default[VALIDATION],
            "asr_test.csv": default[TEST][:n_test] + others[TEST],
            "asr_test_new_speakers.csv": others[NEW_SPEAKERS],
            "tts_test.csv": default[TEST],
        }
        says = {
            "held_out": {
                "pairs": [list(pair) for pair in WORLD.held_out],
                "sentences": "a sentence of three words or more that names something is of one split only, by its hash",
                "speakers": sorted({row["speaker"] for row in others[NEW_SPEAKERS]}),
            },
            "splits": {
                name: {
                    split: sum(row["split"] == split for row in table)
                    for split in dict.fromkeys(row["split"] for row in table)
                }
                for name, table in of.items()
            },
            "hours": round(sum(float(row["seconds"]) for row in rows) / 3600, 2),
        }
        return {name: table_text(FILES[name], table) for name, table in of.items()}, says


def table_text(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """A CSV table of these columns of the rows, header first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _is(row: dict[str, Any], split: str, default: bool) -> bool:
    return row["split"] == split and (row["speaker"] == "default") == default
