"""Examples of manifests with media: every row is used or counted, no path leaves its root."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from muomni.data.examples import Examples, Reader, path_below
from muomni.data.sound import read_sound, sound_info
from muomni.errors import UserError

RATE = 16_000


def write_sound(path: Path, seconds: float = 0.1, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.sin(np.arange(int(seconds * rate)) / 10), rate)


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Thirty sounds of rising length and their table."""
    for i in range(30):
        write_sound(tmp_path / f"wav/{i}.wav", 0.1 + i / 100)
    return write_table(
        tmp_path / "asr.csv", [{"wav": f"wav/{i}.wav", "text": f'number "{i}",\nsaid'} for i in range(30)]
    )


def seconds(path: Path) -> float:
    return sound_info(path).seconds


def test_every_row_can_be_had_by_its_number(speech: Path) -> None:
    examples = Examples.open(speech, "wav", measure=seconds)
    assert len(examples) == 30
    for i in (0, 7, 29):
        assert examples[i].text == f'number "{i}",\nsaid'
        assert examples[i].path.name == f"{i}.wav"
        assert examples[i].line == 2 + 2 * i
        assert examples.lengths[i] == pytest.approx(0.1 + i / 100, abs=1e-4)
    assert [example.text for example in examples] == [f'number "{i}",\nsaid' for i in range(30)]
    assert str(examples.skipped) == f"all 30 rows of {speech} can be used"


def test_they_can_be_sent_to_another_process(speech: Path) -> None:
    examples = Examples.open(speech, "wav")
    assert examples[3].text
    assert pickle.loads(pickle.dumps(examples))[3] == examples[3]


def test_a_list_of_annotations_on_one_line_or_many_reads_the_same(tmp_path: Path) -> None:
    rows = [{"image": f"{i}.png", "captions": [f"a {i}, [b]", "{c}"], "size": i} for i in range(5)]
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(b"not looked at here")
    texts = {
        "one.json": json.dumps(rows),
        "many.json": json.dumps(rows, indent=3),
        "lines.jsonl": "\n\n".join(json.dumps(row) for row in rows),
        "mark.json": "\ufeff" + json.dumps(rows, ensure_ascii=False),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        examples = Examples.open(tmp_path / name, "image")
        assert [example.texts for example in examples] == [(f"a {i}, [b]", "{c}") for i in range(5)]
        assert [example.values["size"] for example in examples] == list(range(5))


def test_the_split_column_decides_or_else_the_last_tenth(tmp_path: Path, speech: Path) -> None:
    examples = Examples.open(speech, "wav")
    assert examples.rows("train").tolist() == list(range(27)) and examples.rows("validation").tolist() == [27, 28, 29]
    assert len(examples.rows("train", val_split=0.5)) == 15
    with pytest.raises(UserError, match="has no rows for validation"):
        examples.rows("validation", val_split=0.0)
    splits = [{"wav": f"wav/{i}.wav", "text": "x", "split": ("validation", "train")[i % 2]} for i in range(6)]
    own = Examples.open(write_table(tmp_path / "own.csv", splits), "wav")
    assert own.rows("train").tolist() == [1, 3, 5] and own.rows("validation").tolist() == [0, 2, 4]


def test_bad_rows_are_skipped_and_counted_with_their_reason(tmp_path: Path) -> None:
    for i in range(60):
        write_sound(tmp_path / f"{i}.wav")
    (tmp_path / "3.wav").unlink()
    (tmp_path / "40.wav").write_text("this is text")
    rows = [{"wav": f"{i}.wav", "text": "  " if i == 11 else "word"} for i in range(60)]
    examples = Examples.open(write_table(tmp_path / "asr.csv", rows), "wav", measure=seconds)
    assert len(examples) == 57 and examples.skipped.rows == 3
    report = str(examples.skipped)
    assert "row in line 5: 3.wav: does not exist" in report
    assert "row in line 13: text is empty" in report
    assert "row in line 42: 40.wav: is no sound that can be read" in report
    assert [example.path.name for example in examples][3] == "4.wav"


def test_too_many_bad_rows_stop_the_run_with_the_list(tmp_path: Path) -> None:
    for i in range(30):
        write_sound(tmp_path / f"{i}.wav")
    rows = [{"wav": f"{i}.wav" if i % 10 else "gone.wav", "text": "word"} for i in range(30)]
    table = write_table(tmp_path / "asr.csv", rows)
    with pytest.raises(UserError, match="3 of 30 rows cannot be used") as caught:
        Examples.open(table, "wav")
    assert str(caught.value).count("gone.wav: does not exist") == 3
    assert len(Examples.open(table, "wav", max_skipped=0.2)) == 27


def test_no_usable_row_at_all_is_an_error_with_the_first_cause(tmp_path: Path) -> None:
    table = write_table(tmp_path / "asr.csv", [{"wav": "gone.wav", "text": "word"}])
    with pytest.raises(UserError, match="1 of 1 rows cannot be used") as caught:
        Examples.open(table, "wav", max_skipped=1.0)
    assert "gone.wav: does not exist" in str(caught.value)
    (tmp_path / "empty.csv").write_text("wav,text\n")
    with pytest.raises(UserError, match="has no rows"):
        Examples.open(tmp_path / "empty.csv", "wav")


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/hostname", "a/../../secret.wav", "..", "link.wav", "door/x.wav"]
)
def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write_sound(tmp_path / "secret.wav")
    write_sound(tmp_path / "outside/x.wav")
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (root / "door").symlink_to(tmp_path / "outside")
    write_sound(root / "fine.wav")
    table = write_table(root / "asr.csv", [{"wav": "fine.wav", "text": "a"}, {"wav": name, "text": "b"}])
    with pytest.raises(UserError, match=r"asr\.csv:3: wav: .* leaves the folder"):
        Examples.open(table, "wav")


def test_links_and_absolute_paths_within_the_root_are_fine(tmp_path: Path) -> None:
    write_sound(tmp_path / "a/fine.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "a/fine.wav")
    root = tmp_path.resolve()
    for name in ("a/fine.wav", str(root / "a/fine.wav"), "a/../a/fine.wav", "link.wav"):
        assert path_below(root, name).name == "fine.wav"
    with pytest.raises(UserError, match="is no file name"):
        path_below(root, "a\0b")


def test_reading_counts_what_breaks_behind_a_fine_header(tmp_path: Path) -> None:
    for i in range(40):
        write_sound(tmp_path / f"{i}.flac")
    whole = (tmp_path / "5.flac").read_bytes()
    (tmp_path / "5.flac").write_bytes(whole[: len(whole) // 2])
    table = write_table(tmp_path / "asr.csv", [{"wav": f"{i}.flac", "text": "word"} for i in range(40)])
    reader = Reader(Examples.open(table, "wav", measure=seconds), lambda path: read_sound(path, RATE))
    read = [reader[i] for i in range(len(reader))]
    assert [i for i, each in enumerate(read) if each is None] == [5]
    assert reader.skipped.rows == 1 and "line 7" in reader.skipped.reasons[0]
    with pytest.raises(UserError, match="rows cannot be used"):
        for _ in range(3):
            reader[5]


def fail(*arguments: Any) -> float:
    raise UserError("cannot be measured")


def test_a_hopeless_manifest_is_given_up_early(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav")
    table = write_table(tmp_path / "asr.csv", [{"wav": "a.wav", "text": "word"}] * 1000)
    with pytest.raises(UserError, match="20 of 20 rows"):
        Examples.open(table, "wav", measure=fail)
