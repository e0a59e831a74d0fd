"""The numbers of update-configs over the tiny world and over production files of every kind, against brute force.

Brute force reads whole files with the standard library and asks SentencePiece line by line.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import sentencepiece

from muomni.data.sources import SOURCES
from muomni.data.world import make_world
from muomni.plan.outcome import Report, Request
from muomni.plan.update import update_configs
from tests.small_project import ROOT


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder / "data", scale=0.01, workers=1, progress=False)
    return folder


@pytest.fixture
def project(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(world / "data", tmp_path / "data")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def brute_force(path: Path, tokenizer: Path) -> int:
    """Tokens of a text (a terminator for each line that is not blank), or rows of a manifest."""
    if path.suffix == ".json":
        return len(json.loads(path.read_text(encoding="utf-8-sig")))
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            return sum(1 for row in csv.DictReader(file) if row)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    return sum(len(pieces.encode(line)) + 1 for line in lines if line.strip())


def check_counts(report: Report) -> None:
    assert len(report.outcomes) == 7
    for outcome in report.outcomes:
        source = SOURCES[outcome.stage].first(Path("data"))
        assert source is not None and outcome.plan is not None
        assert outcome.counted is not None and outcome.counted.source == source
        assert outcome.plan.examples == brute_force(source, Path("data/text/tokenizer_nano.model")), outcome.stage


@pytest.mark.usefixtures("project")
def test_the_tiny_world_is_counted_as_by_brute_force() -> None:
    check_counts(update_configs(Request(profile="nano"), progress=False))


@pytest.mark.usefixtures("project")
def test_production_files_of_every_kind_are_counted_as_by_brute_force() -> None:
    """With what real files have: quotes, newlines in fields, blank lines, CRLF, a byte order mark, one long line."""
    lines = Path("data/text/tiny_corpus.txt").read_text(encoding="utf-8").splitlines()[:400]
    text = "\ufeff" + "\r\n".join([*lines[:200], "", "   ", *lines[200:], "no line end"])
    Path("data/text/production_corpus.txt").write_bytes(text.encode())
    texts = ['he said "go", and went', "two\nlines", "three, of, them", "ünïcode ☃", " plain "]
    for name, columns in (("audio/production_asr.csv", ("wav", "text")), ("audio/production_tts.csv", ("text", "wav"))):
        with Path("data", name).open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, lineterminator="\r\n" if "asr" in name else "\n")
            writer.writerow(columns)
            writer.writerows([texts[i % 5], f"{i}.wav"][:: -1 if "asr" in name else 1] for i in range(217))
            file.write("\n\n")
    with Path("data/ocr/production_ocr.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("image", "text"), *((f"{i}.png", "w") for i in range(123))])
    rows = [{"image": f"{i}.jpg", "captions": [texts[i % 5], "[{]"]} for i in range(301)]
    Path("data/images/production_annotations.json").write_text(json.dumps(rows), encoding="utf-8")
    check_counts(update_configs(Request(profile="nano"), progress=False))
