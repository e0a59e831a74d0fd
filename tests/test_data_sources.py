"""Which files a stage is planned by: the production file where one exists, and never a file of another stage."""

from pathlib import Path

import pytest

from muomni.config import STAGES
from muomni.data.sources import SOURCES

EXPECTED = {
    "thinker": (["text/production_corpus.txt", "text/tiny_corpus.txt"], "tokens"),
    "omni_sft": (["text/production_corpus.txt", "text/tiny_corpus.txt"], "tokens"),
    "vision": (["images/production_annotations.json", "images/annotations.json"], "samples"),
    "audio_enc": (["audio/production_asr.csv", "audio/asr.csv"], "samples"),
    "talker": (["audio/production_tts.csv", "audio/tts.csv"], "samples"),
    "vocoder": (
        ["audio/production_tts.csv", "audio/production_asr.csv", "audio/tts.csv", "audio/asr.csv"],
        "samples",
    ),
    "ocr": (["ocr/production_ocr.csv", "ocr/ocr_train.csv"], "samples"),
}


def test_every_stage_has_sources() -> None:
    assert set(SOURCES) == set(STAGES) == set(EXPECTED)


@pytest.mark.parametrize("stage", EXPECTED)
def test_the_first_that_exists_is_used(stage: str, tmp_path: Path) -> None:
    files, unit = EXPECTED[stage]
    sources = SOURCES[stage]
    assert sources.unit == unit
    assert sources.paths(tmp_path) == tuple(tmp_path / file for file in files)
    assert sources.first(tmp_path) is None
    for file in reversed(files):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
        assert sources.first(tmp_path) == tmp_path / file


@pytest.mark.parametrize("stage", EXPECTED)
def test_intermediate_files_are_never_used(stage: str, tmp_path: Path) -> None:
    for file in EXPECTED[stage][0]:
        for name in (f".{Path(file).name}.tmp", f"{Path(file).name}.part", f"raw_{Path(file).name}"):
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).with_name(name).touch()
    assert SOURCES[stage].first(tmp_path) is None
