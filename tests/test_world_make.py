"""The text files: the same bytes every time, nothing written twice, honest splits."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from muomni.data.world import document_at, text_part
from muomni.data.world.audio_part import N_SHORT, AudioPart
from muomni.data.world.entropy import log_prob
from muomni.data.world.make import make_text
from muomni.data.world.splits import SHORT, names_something, split_of, split_of_sentence
from muomni.errors import UserError

SCALE = 0.02


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_text(folder, scale=SCALE, progress=False)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "text").iterdir()}


def lines(folder: Path, split: str) -> list[str]:
    where = json.loads((folder / "text/manifest.json").read_text())["splits"][split]
    return (folder / "text" / where["file"]).read_text().splitlines()[where["first_line"] - 1 : where["last_line"]]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made: Path, tmp_path: Path) -> None:
    make_text(tmp_path / "again", scale=SCALE, progress=False)
    assert contents(tmp_path / "again") == contents(made)
    make_text(tmp_path / "other", seed=1, scale=SCALE, progress=False)
    assert contents(tmp_path / "other")["test.txt"] != contents(made)["test.txt"]


def test_a_smaller_scale_is_the_beginning_of_a_larger_one(made: Path, tmp_path: Path) -> None:
    make_text(tmp_path, scale=SCALE / 4, progress=False)
    for split in ("train", "validation", "test", "test_new_pairs"):
        small = lines(tmp_path, split)
        assert lines(made, split)[: len(small)] == small


def test_nothing_is_written_when_nothing_changed_and_damage_is_repaired(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_text(tmp_path, scale=SCALE, progress=False)
    before = contents(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "text").iterdir()}
    with monkeypatch.context() as forbidden:
        forbidden.setattr(text_part, "document_at", None)  # would fail if anything were drawn again
        assert make_text(tmp_path, scale=SCALE, progress=False) == manifest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "text").iterdir()} == stamps
    (tmp_path / "text/test.txt").write_text("torn")
    make_text(tmp_path, scale=SCALE, progress=False)
    assert contents(tmp_path) == before
    (tmp_path / "text/manifest.json").write_text("{")
    make_text(tmp_path, scale=SCALE, progress=False)
    assert contents(tmp_path) == before == contents(made)


def test_a_changed_grammar_makes_the_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make_text(tmp_path, scale=SCALE / 10, progress=False)
    monkeypatch.setattr(text_part, "grammar_fingerprint", lambda: "changed")
    assert make_text(tmp_path, scale=SCALE / 10, progress=False)["grammar"] == "changed" != old["grammar"]


def test_the_manifest_says_what_is_there(made: Path) -> None:
    manifest = json.loads((made / "text/manifest.json").read_text())
    for name, claims in manifest["files"].items():
        content = (made / "text" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == claims["sha256"]
        assert (len(content), content.count(b"\n")) == (claims["bytes"], claims["lines"])
    assert set(manifest["files"]) == {"tiny_corpus.txt", "test.txt", "test_new_pairs.txt"}
    assert ["purple", "star"] in manifest["held_out"]["pairs"]
    for split, where in manifest["splits"].items():
        pairs = "held_out" if split == "test_new_pairs" else "seen"
        nats = [-log_prob(line, pairs=pairs) for line in lines(made, split)]
        assert where["nats_per_document"] == pytest.approx(math.fsum(nats) / len(nats), abs=1e-6)


def test_splits_share_no_text_and_validation_is_the_last_tenth(made: Path) -> None:
    splits = {split: lines(made, split) for split in ("train", "validation", "test", "test_new_pairs")}
    for (a, first), (b, second) in combinations(splits.items(), 2):
        assert not set(first) & set(second), (a, b)
    for split in ("train", "validation", "test"):
        assert all(split_of(line) == split for line in splits[split])
    corpus = (made / "text/tiny_corpus.txt").read_text().splitlines()
    assert corpus == splits["train"] + splits["validation"]
    assert len(splits["validation"]) * 10 == len(corpus) == round(100_000 * SCALE)
    assert all(
        log_prob(line) == -math.inf and log_prob(line, pairs="held_out") > -60 for line in splits["test_new_pairs"]
    )


def test_splitting_by_hash_does_not_bend_the_distribution() -> None:
    drawn = [document_at(5, index) for index in range(3200)]
    means = {}
    for split in ("train", "validation", "test"):
        nats = [-d.log_p for d in drawn if split_of(d.text) == split]
        mean = sum(nats) / len(nats)
        means[split] = mean, math.sqrt(sum((x - mean) ** 2 for x in nats)) / len(nats)
    for a, b in (("train", "validation"), ("train", "test")):
        error = math.hypot(means[a][1], means[b][1])
        assert abs(means[a][0] - means[b][0]) < 4 * error  # four standard errors of a difference of means


def test_documents_hardly_ever_repeat(made: Path) -> None:
    manifest = json.loads((made / "text/manifest.json").read_text())
    assert all(
        where["repeated"] <= 0.01 * (where["last_line"] - where["first_line"] + 1)
        for where in manifest["splits"].values()
    )


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf, "big"])
def test_a_bad_scale_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UserError, match="scale: .* is not a positive number"):
        make_text(tmp_path, scale=scale, progress=False)


def test_a_bad_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed: -1 is not a whole number"):
        make_text(tmp_path, seed=-1, progress=False)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        make_text(tmp_path, scale=SCALE / 10, progress=False)


def test_the_world_needs_neither_torch_nor_numpy_to_be_written() -> None:
    program = (
        "import sys, muomni.data.world as world; world.document_at(0, 0);"
        "print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("describe the picture.", False),
        ("count the shapes.", False),
        ("what do you see?", False),
        ("count the crosses.", True),
        ("is anything orange?", True),
        ("the word tree is written there.", True),
        ("how many big ones are there?", True),
    ],
)
def test_only_what_names_something_of_the_world_can_be_held_out(sentence: str, names: bool) -> None:
    """A word of a fixed phrase may occur nowhere else: were the phrase held out, the word would never be heard."""
    assert names_something(sentence) == names
    assert names or split_of_sentence(sentence) == "train"


def test_the_default_voice_says_short_sentences_again_and_long_ones_once() -> None:
    said = [text for shard in AudioPart(scale=0.5).shards() for voice, split, _, text in shard if voice == "default"]
    times = Counter(said)
    short = {text for text in times if len(text.split()) < SHORT}
    assert all(times[text] == 1 for text in times.keys() - short)
    assert sum(times[text] for text in short) == N_SHORT / 2 + len(short) and max(times[text] for text in short) > 3
