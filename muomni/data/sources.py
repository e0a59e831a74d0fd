"""Where each stage's examples come from: the production file where one exists, else the tiny world's.

| stage | source (first that exists) | unit |
|---|---|---|
| thinker, omni_sft | `text/production_corpus.txt`, `text/tiny_corpus.txt` | tokens |
| vision | `images/production_annotations.json`, `images/annotations.json` | samples |
| audio_enc | `audio/production_asr.csv`, `audio/asr.csv` | samples |
| talker | `audio/production_tts.csv`, `audio/tts.csv` | samples |
| vocoder | `audio/production_tts.csv`, `audio/production_asr.csv`, `audio/tts.csv`, `audio/asr.csv` | samples |
| ocr | `ocr/production_ocr.csv`, `ocr/ocr_train.csv` | samples |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from muomni.data.manifests import ANNOTATION_KEYS, ASR_COLUMNS, OCR_COLUMNS, TEXT_COLUMNS, TTS_COLUMNS

TOKENS: Literal["tokens"] = "tokens"
SAMPLES: Literal["samples"] = "samples"


@dataclass(frozen=True)
class Sources:
    """What a stage is planned by.

    Attributes:
        files: candidates below the data folder, in the order they are looked for.
        unit: what is counted in the first that exists.
        columns: what its rows must have.
    """

    files: tuple[str, ...]
    unit: Literal["tokens", "samples"]
    columns: tuple[str, ...]

    def paths(self, data: str | Path) -> tuple[Path, ...]:
        """The candidates in the data folder `data`."""
        return tuple(Path(data) / file for file in self.files)

    def first(self, data: str | Path) -> Path | None:
        """The first candidate that exists in the data folder `data`, or None."""
        return next((path for path in self.paths(data) if path.exists()), None)


_TEXT = Sources(("text/production_corpus.txt", "text/tiny_corpus.txt"), TOKENS, TEXT_COLUMNS)

SOURCES: dict[str, Sources] = {
    "thinker": _TEXT,
    "audio_enc": Sources(("audio/production_asr.csv", "audio/asr.csv"), SAMPLES, ASR_COLUMNS),
    "vision": Sources(("images/production_annotations.json", "images/annotations.json"), SAMPLES, ANNOTATION_KEYS),
    "talker": Sources(("audio/production_tts.csv", "audio/tts.csv"), SAMPLES, TTS_COLUMNS),
    "omni_sft": _TEXT,
    "vocoder": Sources(
        ("audio/production_tts.csv", "audio/production_asr.csv", "audio/tts.csv", "audio/asr.csv"), SAMPLES, ("wav",)
    ),
    "ocr": Sources(("ocr/production_ocr.csv", "ocr/ocr_train.csv"), SAMPLES, OCR_COLUMNS),
}
"""By stage. Counting only these files, never intermediate ones."""
