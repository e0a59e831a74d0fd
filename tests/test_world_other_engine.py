"""The other synthesizer: the same bytes in any order, new sentences, understood by independent ears, and left out
cleanly where it is not installed."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile

from muomni.cli import main
from muomni.data.check import check_data, check_manifest
from muomni.data.world import make_world, other_engine
from muomni.data.world.audio_part import AudioPart
from muomni.data.world.other_engine import VOICES, missing, say_all
from muomni.data.world.other_engine_part import OtherEnginePart
from muomni.data.world.splits import TEST, split_of_sentence
from muomni.errors import UserError

installed = pytest.mark.skipif(missing() is not None, reason=missing() or "")
PART = "audio_other_engine"
SCALE = 0.3
SENTENCE = "a small red circle is to the left of a big blue square."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine")
    make_world(folder, scale=SCALE, parts=(PART,), workers=1, progress=False)
    return folder / PART


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@installed
def test_the_same_texts_give_the_same_samples_in_any_order() -> None:
    texts = [(text, voice) for voice in VOICES for text in (SENTENCE, "what do you see?", "there is a green ring.")]
    forwards, backwards = say_all(texts), say_all(texts[::-1])[::-1]
    alone = [say_all([each])[0] for each in texts]
    for first, second, third in zip(forwards, backwards, alone, strict=True):
        assert np.array_equal(first, second) and np.array_equal(first, third)
    assert not np.array_equal(forwards[0], forwards[3]), "the voices differ"


@installed
def test_sound_has_the_level_and_the_silences_of_the_other_speech() -> None:
    for samples in say_all([(SENTENCE, voice) for voice in VOICES]):
        assert samples.dtype == np.float32 and samples.ndim == 1 and 2.0 < len(samples) / 16_000 < 5.0
        assert np.abs(samples).max() == pytest.approx(0.8, abs=1e-4)
        loud = np.flatnonzero(np.abs(samples) > 0.02 * 0.8)
        assert loud[0] / 16_000 == pytest.approx(0.15, abs=0.001)
        assert (len(samples) - loud[-1]) / 16_000 == pytest.approx(0.20, abs=0.001)


@installed
@pytest.mark.parametrize("text", ["", "...", " "])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="text: has nothing that can be said"):
        say_all([(SENTENCE, VOICES[0]), (text, VOICES[0])])


@installed
def test_an_engine_that_crashes_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.CompletedProcess([], -11, b"", b"")
    monkeypatch.setattr(other_engine.subprocess, "run", lambda *a, **k: killed)
    with pytest.raises(UserError, match=r"py-nanotts ended early \(exit code -11\)"):
        say_all([(SENTENCE, VOICES[0])])


@installed
def test_it_is_built_twice_the_same_by_any_number_of_workers(made: Path, tmp_path: Path) -> None:
    make_world(tmp_path, scale=SCALE, parts=(PART,), workers=2, progress=False)
    assert tree(tmp_path / PART) == tree(made)
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    make_world(made.parent, scale=SCALE, parts=(PART,), progress=False)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


@installed
def test_its_table_and_manifest_say_what_is_there(made: Path) -> None:
    table, manifest = rows(made / "asr_test.csv"), json.loads((made / "manifest.json").read_text())
    assert len(table) == round(200 * SCALE) == manifest["splits"]["asr_test.csv"]["test"]
    assert list(table[0]) == ["wav", "text", "split", "speaker", "seconds"]
    assert {row["speaker"] for row in table} == {"pico-en-gb", "pico-en-us"} == set(manifest["held_out"]["speakers"])
    assert manifest["engine"] == "py-nanotts 0.1.1" and set(manifest["files"]) == {"asr_test.csv", "media.txt"}
    for row in table[:10]:
        info = soundfile.info(made / row["wav"])
        assert (info.samplerate, info.channels) == (16_000, 1)
        assert info.frames / 16_000 == pytest.approx(float(row["seconds"]), abs=0.001)


@installed
def test_no_sentence_of_it_is_said_in_training() -> None:
    """At full size, from the plans of both parts, without making a sound."""
    mine = [text for shard in OtherEnginePart().shards() for _, _, text in shard]
    assert len(mine) == len(set(mine)) == 200 and all(split_of_sentence(text) == TEST for text in mine)
    said: dict[str, set[str]] = {"other": set(mine)}
    for shard in AudioPart().shards():
        for _, split, _, text in shard:
            said.setdefault(split, set()).add(text)
    for a, b in combinations(("other", "train", "validation"), 2):
        shared = {text for text in said[a] & said[b] if len(text.split()) > 2}
        assert not shared, (a, b)


@installed
def test_independent_ears_understand_it(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Measured over the 200 sentences of full size: 6.2 % (en-GB) and 1.1 % (en-US), 3.8 % together."""
    recogniser = pytest.importorskip("tests.recogniser", reason="needs pocketsphinx, of the test extra")
    wrong: dict[str, list[int]] = {}
    for row in rows(made / "asr_test.csv"):
        said = recogniser.words_of(row["text"])
        samples, _ = soundfile.read(made / row["wav"], dtype="float32")
        counts = wrong.setdefault(row["speaker"], [0, 0])
        counts[0] += recogniser.word_errors(said, recogniser.transcribe(samples))
        counts[1] += len(said)
    with capsys.disabled():
        print("\nWER of independent ears:", {name: f"{a / b:.1%}" for name, (a, b) in wrong.items()}, end=" ")
    assert all(a / b <= 0.10 for a, b in wrong.values())


@installed
def test_data_check_holds_it_against_the_training_speech(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / PART)
    first = rows(made / "asr_test.csv")[0]
    (tmp_path / "audio/wav").mkdir(parents=True)
    shutil.copy(made / rows(made / "asr_test.csv")[1]["wav"], tmp_path / "audio/wav/a.flac")
    (tmp_path / "audio/asr.csv").write_text(f'wav,text\nwav/a.flac,"{first["text"]}"\n')
    found = next(each for each in check_data(tmp_path, progress=False) if each.file.parent.name == PART)
    assert found.errors == {"leakage: training has it too": 2} and found.usable == found.rows
    assert check_manifest(tmp_path / PART / "asr_test.csv", watch=lambda examples, _: examples).errors == found.errors


def test_where_it_is_not_installed_the_rest_is_made_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(other_engine, "PACKAGE", "py-nanotts-that-is-not-there")
    assert main(["data", "make", "--out", str(tmp_path), "--scale", "0.0005", "--workers", "1"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(told) == 1 and "pip install 'muomni[engines]'" in told[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio", "images", "ocr", "text"]
    assert main(["data", "make", "--out", str(tmp_path), "--only", PART]) == 2
    assert "audio_other_engine cannot be made" in capsys.readouterr().err
    with pytest.raises(UserError, match="is not installed"):
        say_all([(SENTENCE, VOICES[0])])


def test_another_release_of_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_engine, "version", lambda name: "9.9")
    assert "is 9.9, and only 0.1.1 is known" in (missing() or "")
