"""`muomni data check`: silent about good data, and every planted fault is named with its line."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from muomni.cli import main
from muomni.data.check import Checked, Ears, check_data
from muomni.data.tokenizer import train_tokenizer
from muomni.data.world import make_world
from muomni.data.world.make import left_out
from muomni.errors import UserError

RATE = 16_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder, scale=0.004, workers=1, progress=False)
    return folder


@pytest.fixture
def data(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "data"))


def problems(data: Path, name: str) -> Checked:
    return next(each for each in check_data(data, progress=False) if each.file.name == name)


def test_the_tiny_world_has_no_errors(world: Path) -> None:
    found = check_data(world, progress=False)
    assert len(found) == 14 + ("audio_other_engine" not in left_out())
    assert all(not each.errors and each.usable == each.rows > 0 for each in found)


def change_rows(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the rows of a table or list in place."""
    if path.suffix == ".json":
        rows = json.loads(path.read_text())
        change(rows)
        path.write_text(json.dumps(rows))
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_missing_and_broken_files_and_empty_texts(data: Path) -> None:
    rows = list(csv.DictReader((data / "audio/asr.csv").open()))
    (data / "audio" / rows[1]["wav"]).unlink()
    whole = (data / "audio" / rows[2]["wav"]).read_bytes()
    (data / "audio" / rows[2]["wav"]).write_bytes(whole[: len(whole) // 2])
    change_rows(data / "audio/asr.csv", lambda rows: rows[4].update(text=" "))
    found = problems(data, "asr.csv")
    assert found.errors["row cannot be used"] == 2
    assert any(line.startswith("row in line 3") for line in found.listed["row cannot be used"])
    assert found.errors["not the file that media.txt lists"] == 1
    assert any(kind.startswith("cannot be read") for kind in found.errors)
    assert found.usable == found.rows - 3


def test_a_changed_picture_is_not_the_one_that_was_made(data: Path) -> None:
    rows = json.loads((data / "images/annotations.json").read_text())
    shutil.copy(data / "images" / rows[0]["image"], data / "images" / rows[1]["image"])
    found = problems(data, "annotations.json")
    assert found.errors == {"not the file that media.txt lists": 1}
    assert found.warnings == {"the same file again": 1}


def test_a_silent_clip_and_the_same_clip_twice(data: Path) -> None:
    soundfile.write(data / "audio/wav/silent.flac", np.zeros(RATE), RATE)
    change_rows(data / "audio/tts.csv", lambda rows: rows[3].update(wav="wav/silent.flac"))
    change_rows(data / "audio/tts.csv", lambda rows: rows[5].update(wav=rows[6]["wav"]))
    found = problems(data, "tts.csv")
    assert not found.errors
    assert found.warnings == {"silent": 1, "the same file again": 1}
    assert "line 5" in found.listed["silent"][0]


@pytest.mark.parametrize(
    ("train", "test", "column"),
    [
        ("images/annotations.json", "images/test.json", "image"),
        ("audio/asr.csv", "audio/asr_test_new_speakers.csv", "wav"),
        ("ocr/ocr_train.csv", "ocr/ocr_test_new_fonts.csv", "image"),
    ],
)
def test_a_test_file_that_training_has_is_leakage(data: Path, train: str, test: str, column: str) -> None:
    table = data / train
    rows = json.loads(table.read_text()) if table.suffix == ".json" else list(csv.DictReader(table.open()))
    change_rows(data / test, lambda tested: tested[0].update({column: rows[0][column]}))
    assert problems(data, Path(test).name).errors == {"leakage: training has it too": 1}


def test_a_sentence_word_or_document_of_training_in_a_test_is_leakage(data: Path) -> None:
    said = next(r["text"] for r in csv.DictReader((data / "audio/asr.csv").open()) if len(r["text"].split()) > 4)
    change_rows(data / "audio/tts_test.csv", lambda rows: rows[0].update(text=said))
    read = next(csv.DictReader((data / "ocr/ocr_train.csv").open()))["text"]
    change_rows(data / "ocr/ocr_test_new_words.csv", lambda rows: rows[0].update(text=read))
    line = (data / "text/tiny_corpus.txt").read_text().splitlines()[0]
    with (data / "text/test.txt").open("a") as file:
        file.write(line + "\n")
    for name in ("tts_test.csv", "ocr_test_new_words.csv", "test.txt"):
        assert problems(data, name).errors == {"leakage: training has it too": 1}, name


def test_a_path_out_of_the_folder_and_a_torn_manifest_are_errors(data: Path) -> None:
    change_rows(data / "audio/asr_test.csv", lambda rows: rows[0].update(wav="../../secret.wav"))
    assert "leaves the folder" in problems(data, "asr_test.csv").listed["cannot be read"][0]
    torn = (data / "images/test.json").read_text()[:-40]
    (data / "images/test.json").write_text(torn)
    assert problems(data, "test.json").errors == {"cannot be read": 1}


def test_texts_that_do_not_fit_their_frames_are_counted(data: Path, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(data / "text/tiny_corpus.txt", tmp_path / "pieces.model", 512).tokenizer
    rows = list(csv.DictReader((data / "audio/asr_test.csv").open()))
    samples, _ = soundfile.read(data / "audio" / rows[0]["wav"])
    soundfile.write(data / "audio/wav/short.flac", samples[3200:8000], RATE)
    long = "the small red circle is to the left of the big blue square and above it"
    change_rows(data / "audio/asr_test.csv", lambda rows: rows[0].update(wav="wav/short.flac", text=long))
    found = next(
        each
        for each in check_data(data, Ears(tokenizer, RATE, 1280), progress=False)
        if each.file.name == "asr_test.csv"
    )
    listed = found.listed["the text does not fit its frames (CTC)"]
    assert any("wav/short.flac" in line for line in listed)
    assert len(listed) < found.rows / 2 and not found.errors


def test_the_command_says_it_and_its_exit_code_too(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "--data", str(data)]) == 0
    assert "No errors." in capsys.readouterr().out
    (data / "ocr/images/train-00000.png").unlink()
    assert main(["data", "check", "--data", str(data)]) == 1
    out = capsys.readouterr().out
    assert "row in line 2: train-00000.png: does not exist" in out
    assert main(["data", "check", "--data", str(data), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert sum(sum(each["errors"].values()) for each in found) == 1


def test_a_folder_without_data_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no data"):
        check_data(tmp_path, progress=False)
