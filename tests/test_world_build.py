"""The whole tiny world as files: deterministic, resumable, honest in its splits, right in what it says."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import combinations, count, islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import soundfile
from PIL import Image

from muomni.data.world import document, make_world, scene
from muomni.data.world.build import MANIFEST, MEDIA, read_media
from muomni.data.world.check import check_document
from muomni.data.world.image_part import VIEWS, told_of
from muomni.data.world.lettering import SEEN_FONTS, UNSEEN_FONTS
from muomni.data.world.lexicon import HELD_OUT, SPOKEN
from muomni.data.world.scene import observe
from muomni.data.world.word_image import KNOWN_WORDS, split_of_text
from muomni.errors import UserError

SCALE = 0.01
PARTS = ("text", "images", "audio", "ocr")
BUILD = "import sys; from muomni.data.world import make_world; make_world(sys.argv[1], scale={}, progress=False)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder, scale=SCALE, workers=1, progress=False)
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Every file below `folder` and its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_workers_make_the_same_bytes_as_one_process(made: Path, tmp_path: Path) -> None:
    make_world(tmp_path, scale=SCALE, workers=2, progress=False)
    assert tree(tmp_path) == tree(made)


def test_what_is_there_is_left_alone_and_what_is_damaged_is_made_again(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    make_world(made, scale=SCALE, progress=False)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    content = tree(made)
    first = made / "audio" / read_media(made / "audio")[0].path
    first.write_bytes(b"torn")
    (made / "images" / "annotations.json").unlink()
    make_world(made, scale=SCALE, workers=1, progress=False)
    assert tree(made) == content


def test_a_smaller_world_takes_away_what_is_no_longer_in_it(tmp_path: Path) -> None:
    make_world(tmp_path, scale=SCALE, parts=("ocr",), workers=1, progress=False)
    (tmp_path / "ocr/images/mine.png").write_bytes(b"a learner's own")
    n_before = len(read_media(tmp_path / "ocr"))
    make_world(tmp_path, scale=SCALE / 2, parts=("ocr",), workers=1, progress=False)
    kept = {medium.path for medium in read_media(tmp_path / "ocr")}
    assert len(kept) < n_before
    there = {f"images/{path.name}" for path in (tmp_path / "ocr/images").iterdir()}
    assert there == kept | {"images/mine.png"}


def test_manifests_list_every_file_with_its_hash(made: Path) -> None:
    for part in PARTS:
        manifest = json.loads((made / part / MANIFEST).read_text(encoding="utf-8"))
        listed = {name: claims["sha256"] for name, claims in manifest["files"].items()}
        listed |= {medium.path: medium.sha256 for medium in read_media(made / part)}
        there = tree(made / part)
        there.pop(MANIFEST)
        assert listed == there
        assert (MEDIA in listed) == (part != "text")


def _kill_at_random(folder: Path, dice: random.Random, longest: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUILD.format(SCALE), str(folder)])
    time.sleep(dice.uniform(0.3, longest))
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_build_killed_again_and_again_ends_with_the_same_bytes(made: Path, tmp_path: Path) -> None:
    """`KILLS` (default 4) sets how often."""
    dice = random.Random(0)
    for _ in range(int(os.environ.get("KILLS", "4"))):
        _kill_at_random(tmp_path, dice, longest=4.0)
    subprocess.run([sys.executable, "-c", BUILD.format(SCALE), str(tmp_path)], check=True, timeout=120)
    assert tree(tmp_path) == tree(made)


def test_every_caption_and_answer_is_right_by_an_independent_reader(made: Path) -> None:
    n_checked = 0
    for name in ("annotations.json", "test.json", "test_new_pairs.json"):
        for row in rows(made / "images" / name):
            record = scene(*row["scene"])
            for caption in row["captions"]:
                assert check_document(caption, record) == []
                n_checked += 1
            assert 1 <= len(row["captions"]) <= 3 and len(set(row["captions"])) == len(row["captions"])
    assert n_checked > 400


@pytest.mark.slow
def test_captions_and_answers_of_many_scenes_are_right_by_an_independent_reader() -> None:
    """`SCENES` (default 2,000) sets how many."""
    records = (record for record in (scene(11, index) for index in count()) if record.kind != "talk")
    for record in islice(records, int(os.environ.get("SCENES", "2000"))):
        assert all(check_document(caption, record) == [] for caption in told_of(record)["captions"])
        assert all(check_document(document(record, view=view).text, record) == [] for view in VIEWS)


def splits_of_images(made: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("annotations.json", "test.json", "test_new_pairs.json"):
        for row in rows(made / "images" / name):
            found.setdefault(row["split"], []).append(row)
    return found


def test_no_two_splits_of_pictures_share_the_facts_of_a_scene(made: Path) -> None:
    facts = {split: {repr(observe(scene(*row["scene"]))) for row in m} for split, m in splits_of_images(made).items()}
    assert set(facts) == {"train", "validation", "test", "test_new_pairs"}
    for a, b in combinations(facts, 2):
        assert not facts[a] & facts[b], (a, b)


def test_held_out_pairs_are_shown_once_in_each_picture_of_their_split_and_never_elsewhere(made: Path) -> None:
    for split, members in splits_of_images(made).items():
        for row in members:
            pairs = {(thing.color, thing.shape) for thing in scene(*row["scene"]).objects}
            assert len(pairs & set(HELD_OUT)) == (split == "test_new_pairs"), row
            told = " ".join(row["captions"])
            named = any(f"{color} {shape}" in told for color, shape in HELD_OUT)
            assert named == (split == "test_new_pairs"), row


def test_training_rows_come_first_and_validation_is_the_last_tenth(made: Path) -> None:
    for name in ("images/annotations.json", "audio/asr.csv", "audio/tts.csv", "ocr/ocr_train.csv"):
        splits = [row["split"] for row in rows(made / name)]
        n_validation = splits.count("validation")
        assert splits == ["train"] * (len(splits) - n_validation) + ["validation"] * n_validation
        assert n_validation == pytest.approx(len(splits) / 10, abs=1)


def test_speech_splits_share_no_sentence_of_three_words_and_no_new_speaker(made: Path) -> None:
    said: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    speakers: dict[str, set[str]] = {"known": set(), "new": set()}
    for name in ("asr.csv", "tts.csv", "asr_test.csv", "tts_test.csv", "asr_test_new_speakers.csv"):
        for row in rows(made / "audio" / name):
            split = "test" if row["split"].startswith("test") else row["split"]
            if len(row["text"].split()) >= 3:
                said[split].add(row["text"])
            speakers["new" if "new_speakers" in name else "known"].add(row["speaker"])
    for a, b in combinations(said, 2):
        assert said[a] and not said[a] & said[b], (a, b)
    assert speakers["new"] and not speakers["new"] & speakers["known"]


def test_training_speech_names_no_held_out_pair(made: Path) -> None:
    for row in rows(made / "audio/asr.csv"):
        assert not any(f"{color} {shape}" in row["text"] for color, shape in HELD_OUT)


def test_known_texts_are_read_in_training_and_new_ones_only_in_the_test(made: Path) -> None:
    train = {row["text"].lower() for row in rows(made / "ocr/ocr_train.csv") if row["split"] == "train"}
    new = {row["text"].lower() for row in rows(made / "ocr/ocr_test_new_words.csv")}
    assert new and not new & train
    assert all(split_of_text(text) == "test" for text in new)
    assert all(split_of_text(row["text"]) == row["split"] for row in rows(made / "ocr/ocr_train.csv") if _made_up(row))
    assert {row["font"] for row in rows(made / "ocr/ocr_test_new_fonts.csv")} <= set(UNSEEN_FONTS)
    for name in ("ocr_train.csv", "ocr_test_new_words.csv"):
        assert {row["font"] for row in rows(made / "ocr" / name)} <= set(SEEN_FONTS)


def _made_up(row: dict[str, str]) -> bool:
    text = row["text"].lower()
    return " " not in text and not text.isdigit() and text not in KNOWN_WORDS


def test_media_are_what_their_rows_say(made: Path) -> None:
    for row in rows(made / "audio/tts.csv"):
        samples, rate = soundfile.read(made / "audio" / row["wav"], dtype="float32")
        assert rate == 16_000 and samples.ndim == 1 and 0.1 < abs(samples).max() < 1
        assert len(samples) / rate == pytest.approx(float(row["seconds"]), abs=0.001)
        times = [tuple(map(float, span.split("-"))) for span in row["words"].split()]
        assert len(times) == len(row["text"].split())
        assert all(0 <= start < end <= float(row["seconds"]) for start, end in times)
        assert all(a[1] <= b[0] + 1e-6 for a, b in pairwise(times))
    for folder, name in (("images", "annotations.json"), ("ocr", "ocr_train.csv")):
        for row in rows(made / folder / name)[:50]:
            with Image.open(made / folder / row["image"]) as image:
                assert image.size == (64, 64) and image.mode == "RGB"


def test_the_words_of_real_recordings_are_said_and_written(made: Path) -> None:
    heard = {row["text"].rstrip(".") for row in rows(made / "audio/asr.csv")} & set(SPOKEN)
    assert len(heard) > 5
    assert {row["text"].lower() for row in rows(made / "ocr/ocr_train.csv")} & set(SPOKEN)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"parts": ("smell",)}, "'smell' is none of text, images, audio, ocr"),
        ({"image_size": 16}, "16 is not a whole number from 32 to 512"),
        ({"workers": 0}, "0 is not a whole number of 1 or more"),
        ({"scale": True}, "True is not a positive number"),
    ],
)
def test_a_bad_argument_is_one_clear_line(tmp_path: Path, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        make_world(tmp_path, progress=False, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "images").write_text("a file where the folder should be")
    yield tmp_path


def test_a_folder_that_cannot_be_made_is_one_clear_line(locked: Path) -> None:
    with pytest.raises(UserError, match="images: cannot be written"):
        make_world(locked, scale=SCALE, parts=("images",), workers=1, progress=False)
