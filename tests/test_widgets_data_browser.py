"""The data browser without a browser: every kind of manifest, its messages, its text twin, and broken files."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from muomni.data.catalogue import MOST_ROWS, Catalogue
from muomni.data.tokenizer import train_tokenizer
from muomni.data.world import make_world
from muomni.errors import UserError
from muomni.widgets import DataBrowser
from muomni.widgets.data_row import Picture, Sound
from muomni.widgets.svg import histogram

RATE = 16_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "data"
    make_world(folder, scale=0.005, parts=("text", "images", "audio", "ocr"), workers=1, progress=False)
    train_tokenizer(folder / "text/tiny_corpus.txt", folder / "text/tokenizer_nano.model", 400)
    return folder


def says(browser: DataBrowser, kind: str, **content: Any) -> None:
    browser._handle_custom_msg({"kind": kind, "ticket": "t", **content}, [])
    assert browser.failures == []


def html(browser: DataBrowser) -> str:
    json.dumps(browser.shown, allow_nan=False)
    return browser.row_html + "".join(browser.shown["html"].values())


def numbers_in(browser: DataBrowser) -> dict[str, str]:
    return dict(re.findall(r'data-number="([^"]+)" data-value="([^"]*)"', html(browser)))


def wait_until(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        return list(json.loads(path.read_text()))
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# What it shows.


def test_speech_is_seen_heard_cut_into_tokens_and_held_against_its_frames(data: Path) -> None:
    browser, rows = DataBrowser(data / "audio/asr.csv"), rows_of(data / "audio/asr.csv")
    row = browser.row
    assert row is not None and isinstance(row.media, Sound) and row.texts == [rows[0]["text"]]
    assert row.media.seconds == pytest.approx(float(rows[0]["seconds"]), abs=0.001)
    assert row.media.n_mels == 128 and row.media.n_frames == row.media.samples // 256 + 1
    assert "".join(row.pieces or []).replace("▁", " ") == rows[0]["text"]
    hop = browser.settings.hop_length * browser.settings.downsample
    assert row.fit is not None and row.fit.frames == row.media.samples // hop + 1
    assert row.fit.needed >= len(row.pieces or []) and row.fit.fits == (row.fit.needed <= row.fit.frames)
    shown = browser.row_html
    assert '<audio class="mu-sound" controls' in shown and 'src="data:audio/wav;base64,' in shown
    assert re.search(r'<svg [^>]*role="img" aria-label="Log-mel spectrogram, 128 bins[^"]{20,}"', shown)
    assert str(row.fit) in shown and "default" in shown
    assert numbers_in(browser)["rows"] == str(len(rows)) == numbers_in(browser)["passing"]
    assert numbers_in(browser)["split_train"] == str(sum(row["split"] == "train" for row in rows))


def test_pictures_have_all_captions_questions_and_alt_text(data: Path) -> None:
    browser, rows = DataBrowser(data / "images/annotations.json"), rows_of(data / "images/annotations.json")
    browser.go(5)
    row, shown = browser.row, browser.row_html
    assert row is not None and isinstance(row.media, Picture) and (row.media.width, row.media.height) == (64, 64)
    assert row.texts == rows[4]["captions"] and all(f"<li>{text}</li>" in shown for text in rows[4]["captions"])
    assert [list(pair) for pair in row.questions] == [[q["question"], q["answer"]] for q in rows[4]["questions"]]
    assert re.search(r'<img [^>]*src="data:image/png;base64,[^>]* alt="Picture of row 5: [^"]{10,}"', shown)


@pytest.mark.parametrize(
    ("name", "unit", "holds"),
    [
        ("audio/tts.csv", "seconds", "sound of"),
        ("audio/asr_test.csv", "seconds", "sound of"),
        ("ocr/ocr_train.csv", "characters", "picture of 64 x 64"),
        ("images/test_new_pairs.json", "characters", "caption"),
        ("text/tiny_corpus.txt", "characters", "tokens"),
    ],
)
def test_every_kind_of_manifest_opens_and_its_text_twin_says_the_same(
    data: Path, name: str, unit: str, holds: str
) -> None:
    browser = DataBrowser(data / name)
    wait_until(lambda: browser.catalogue.done)
    rows = (data / name).read_text().splitlines() if name.endswith(".txt") else rows_of(data / name)
    assert len(browser) == len(rows) and browser.unit == unit and browser.failures == []
    assert holds in browser.row_html.lower() or holds in browser.text()
    assert browser.row is not None and all(text in browser.text() for text in browser.row.texts)
    assert f"{len(rows):,} rows" in browser.text() and str(browser) == browser.text()
    browser.go(len(rows))
    assert browser.row.number == len(rows) - 1


def test_json_lines_and_captions_of_one_string(data: Path, tmp_path: Path) -> None:
    rows = rows_of(data / "images/annotations.json")[:3]
    lines = [
        json.dumps({"image": str(Path("images") / Path(row["image"]).name), "caption": "one & <two>"}) for row in rows
    ]
    (tmp_path / "images").mkdir()
    for row in rows:
        name = Path(row["image"]).name
        (tmp_path / "images" / name).write_bytes((data / "images/images" / name).read_bytes())
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    browser = DataBrowser(tmp_path / "a.jsonl")
    browser.go(2)
    assert browser.row is not None and browser.row.texts == ["one & <two>"] and browser.row.pieces is None
    assert "one &amp; &lt;two&gt;" in browser.row_html and "<two>" not in browser.row_html


def test_lengths_are_exact_in_every_unit(data: Path) -> None:
    browser, rows = DataBrowser(data / "audio/asr.csv"), rows_of(data / "audio/asr.csv")
    assert browser.catalogue.lengths("characters").tolist() == [len(row["text"]) for row in rows]
    tokenizer = browser.catalogue.tokenizer
    assert tokenizer is not None
    assert browser.catalogue.lengths("tokens").tolist() == [len(tokenizer.encode(row["text"])) for row in rows]
    assert browser.catalogue.lengths("seconds") == pytest.approx([float(row["seconds"]) for row in rows], abs=1e-3)
    says(browser, "unit", value="tokens")
    most = max(browser.catalogue.lengths("tokens"))
    assert f"to {most:.0f} tokens" in browser.shown["html"]["lengths"] and f"to {most:.0f} tokens" in browser.text()
    assert re.search(r'role="img" aria-label="From [^"]+ tokens', browser.shown["html"]["lengths"])


def test_without_a_column_of_seconds_headers_are_sampled(data: Path) -> None:
    rows = rows_of(data / "audio/asr.csv")
    (data / "audio/bare.csv").write_text(
        "".join(f"{line}\n" for line in ["wav,text", *(f"{r['wav']},hm" for r in rows)])
    )
    browser = DataBrowser(data / "audio/bare.csv")
    assert "of 42 rows evenly spread" in browser.text() and len(browser.catalogue.lengths("seconds")) == len(rows) == 42
    (data / "audio/bare.csv").unlink()


def test_histograms_count_everything_once() -> None:
    drawn = histogram([0, 1, 1, 2, 10], "words", "seconds", bins=5)
    assert [int(n) for n in re.findall(r"seconds: (\d+)</title>", drawn)] == [3, 1, 1]
    assert 'aria-label="words"' in drawn and "<svg" in histogram([0, 0], "all zero", "tokens")


# Going through the rows.


def test_messages_go_to_rows_and_filter_them(data: Path) -> None:
    browser, rows = DataBrowser(data / "audio/asr.csv"), rows_of(data / "audio/asr.csv")
    says(browser, "step", value=1)
    assert browser.shown["place"] == 2 and browser.shown["ack"] == "t"
    says(browser, "step", value=-1)
    says(browser, "step", value=-1)
    assert browser.shown["place"] == 1
    says(browser, "row", value=len(rows))
    says(browser, "step", value=1)
    assert browser.shown["place"] == len(rows) and rows[-1]["text"] in browser.text()
    says(browser, "split", value="validation")
    assert len(browser) == sum(row["split"] == "validation" for row in rows) and browser.shown["place"] == 1
    says(browser, "split", value="")
    says(browser, "words", value=" THE ")
    assert [rows[i]["text"] for i in browser.chosen] == [row["text"] for row in rows if "the" in row["text"]]
    says(browser, "words", value="no such text")
    assert len(browser) == 0 and browser.row is None and "No row passes" in browser.row_html
    assert "no row passes the filter" in browser.text()
    says(browser, "step", value=1)
    assert "✕ row: is 1; there are 0" in browser.shown["html"]["status"]
    says(browser, "words", value="")
    assert len(browser) == len(rows) and browser.row is not None


def test_questions_and_answers_are_searched_too(data: Path) -> None:
    rows = rows_of(data / "images/annotations.json")
    answer = rows[3]["questions"][0]["answer"]
    browser = DataBrowser(data / "images/annotations.json")
    assert browser.filter(words=answer) >= 1 and 3 in (browser.chosen if browser.chosen is not None else [])


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        ("row", 0, "row: is 0; there are 42"),
        ("row", 43, "row: is 43; there are 42"),
        ("row", 1.5, "row: is 1.5, not a whole number"),
        ("row", None, "row: is None, not a whole number"),
        ("row", "seven", "not a whole number"),
        ("split", "dev", "is no split of this manifest. There are train, validation."),
        ("unit", "miles", "is not known here. Choose one of seconds, characters, tokens."),
    ],
)
def test_what_cannot_be_done_is_told_in_the_panel_and_changes_nothing(
    data: Path, kind: str, value: Any, problem: str
) -> None:
    browser = DataBrowser(data / "audio/asr.csv")
    before = browser.row_html
    says(browser, kind, value=value)
    assert problem in browser.shown["html"]["status"] and browser.row_html == before
    says(browser, "step", value=1)
    assert browser.shown["html"]["status"] == ""


def test_a_message_nobody_knows_is_a_failure_of_the_program(data: Path) -> None:
    browser = DataBrowser(data / "ocr/ocr_train.csv")
    browser._handle_custom_msg({"kind": "dance", "ticket": "t"}, [])
    assert "unknown message" in browser.failures[0] and "muomni-error" in browser.shown["html"]["status"]


# The check.


def broken_set(data: Path, folder: Path) -> Path:
    """A test manifest with a silent, a doubled, a missing and an unreadable sound, an empty text and a leaked one."""
    sounds = [data / "audio" / row["wav"] for row in rows_of(data / "audio/asr.csv")[:3]]
    (folder / "audio").mkdir(parents=True)
    for name, sound in zip(("a", "b", "c"), sounds, strict=True):
        (folder / "audio" / f"{name}.flac").write_bytes(sound.read_bytes())
    soundfile.write(folder / "audio/silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "audio/short.wav", np.random.default_rng(0).normal(0, 0.1, 2000), RATE)
    (folder / "audio/torn.flac").write_bytes(sounds[0].read_bytes()[:1000])
    (folder / "audio/asr.csv").write_text('wav,text\na.flac,"the red ring is here, and big"\n')
    table = [
        ("silent.wav", "hush"),
        ("b.flac", "what is it?"),
        ("b.flac", "again"),
        ("torn.flac", "torn"),
        ("gone.flac", "gone"),
        ("c.flac", " "),
        ("a.flac", "known"),
        ("short.wav", "a very long sentence of many words in an eighth of a second"),
    ]
    lines = ["wav,text,split", *(f"{name},{text},test" for name, text in table)]
    (folder / "audio/asr_test.csv").write_text("\n".join(lines) + "\n")
    return folder / "audio/asr_test.csv"


def test_a_button_looks_for_every_fault(data: Path, tmp_path: Path) -> None:
    browser = DataBrowser(broken_set(data, tmp_path), tokenizer=data / "text/tokenizer_nano.model")
    assert "Not looked for yet" in browser.shown["html"]["check"] and "not looked for yet" in browser.text()
    says(browser, "press", action="check")
    wait_until(lambda: browser.checked is not None and not browser.shown["checking"])
    assert browser.checked is not None
    assert browser.checked.errors == {
        "row cannot be used": 2,
        "cannot be read": 1,
        "leakage: training has it too": 1,
    }
    assert browser.checked.warnings == {
        "silent": 1,
        "the same file again": 1,
        "the text does not fit its frames (CTC)": 1,
    }
    shown = browser.shown["html"]["check"]
    for kind in (*browser.checked.errors, *browser.checked.warnings):
        assert kind in shown and kind in browser.text()
    assert 'tabindex="0"' in shown and "line 8: a.flac, as in asr.csv line 2" in shown


def test_a_good_set_has_no_faults_and_a_check_can_be_called(data: Path) -> None:
    browser = DataBrowser(data / "ocr/ocr_test_new_words.csv")
    checked = browser.check()
    assert not checked.errors and "no faults" in browser.shown["html"]["check"]
    text = DataBrowser(data / "text/test.txt")
    assert not text.check().errors and text.checked is not None and text.checked.rows == len(text)


def test_a_check_tells_how_far_it_is_and_can_be_stopped(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni.widgets.data_browser.BETWEEN_UPDATES", 0.0)
    monkeypatch.setattr("muomni.data.check._digest", lambda example: time.sleep(0.05) or str(example.line))
    browser = DataBrowser(data / "audio/asr.csv")
    says(browser, "press", action="check")
    wait_until(lambda: "of 42 rows" in browser.shown["html"]["status"])
    says(browser, "step", value=1)
    assert browser.shown["place"] == 2, "it answers meanwhile"
    says(browser, "press", action="stop")
    wait_until(lambda: "The check was stopped" in browser.shown["html"]["status"])
    assert browser.checked is None and not browser.shown["checking"] and browser.failures == []


# What is wrong with files.


def test_rows_that_cannot_be_opened_say_why_and_the_others_are_shown(data: Path, tmp_path: Path) -> None:
    browser = DataBrowser(broken_set(data, tmp_path), tokenizer=data / "text/tokenizer_nano.model")
    problems = {4: "torn.flac: ", 5: "gone.flac: does not exist", 6: "text: empty"}
    for place in range(1, len(browser) + 1):
        browser.go(place)
        shown = browser.row_html
        assert ('role="alert"' in shown) == (place in problems), place
        assert problems.get(place, "") in browser.text()
    assert browser.row is not None and browser.row.fit is not None and not browser.row.fit.fits
    assert "the text does not fit (CTC)" in browser.row_html and browser.failures == []


def test_a_path_out_of_the_folder_is_not_opened(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "secret.wav", np.zeros(RATE), RATE)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.csv").write_text("wav,text\n../secret.wav,hello\n")
    browser = DataBrowser(tmp_path / "set/a.csv")
    assert "leaves the folder" in browser.row_html and "<audio" not in browser.row_html


def test_a_row_that_cannot_be_read_ends_the_list_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "good\n" * 30 + "bad,row\n" + "good\n")
    browser = DataBrowser(tmp_path / "a.csv")
    assert len(browser) in (1, 30) and "has 2 fields" in browser.shown["html"]["status"] and ":32" in browser.text()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.csv", None, "does not exist"),
        ("empty.csv", "", "is empty"),
        ("header.csv", "wav,text\n", "has no rows"),
        ("named.csv", "wav,Text\na.wav,x\n", "text: the column is missing"),
        ("torn.json", '[{"image": "a.png", "captio', "torn.json"),
        ("other.json", '{"a": 1}', "image"),
        ("empty.txt", "\n\n", "has no rows"),
        ("bytes.txt", b"\xff\xfe\x00", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_manifest_is_one_clear_line(
    tmp_path: Path, name: str, content: str | bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=problem):
        DataBrowser(tmp_path / name)


def test_a_folder_a_bad_tokenizer_and_another_stages_config_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        DataBrowser(tmp_path)
    (tmp_path / "bad.model").write_text("no model")
    with pytest.raises(UserError, match="is damaged, or no SentencePiece model"):
        DataBrowser(data / "audio/asr.csv", tokenizer=tmp_path / "bad.model")
    config = Path(__file__).parent.parent / "configs/thinker_nano.json"
    with pytest.raises(UserError, match="is a config of thinker"):
        DataBrowser(data / "audio/asr.csv", config=config)


def test_a_manifest_that_changes_under_the_panel_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    browser = DataBrowser(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("entirely other lines\nnow\nhere\n")
    says(browser, "row", value=2)
    assert "changed since it was opened" in browser.shown["html"]["status"]


# Large ones.


def large(folder: Path, n: int) -> Path:
    path = folder / "large.csv"
    path.write_text("wav,text,split,seconds\n" + "".join(f"w/{i}.wav,row {i},train,1.5\n" for i in range(n)))
    return path


def test_a_large_manifest_is_there_at_once_and_counted_behind(tmp_path: Path) -> None:
    path = large(tmp_path, 100_000)
    began = time.thread_time()
    browser = DataBrowser(path)
    seconds = time.thread_time() - began
    assert browser.row is not None and "gone" not in browser.row_html and browser.row.texts == ["row 0"]
    assert seconds < 1.0, "a quarter of a second of counting, and the row"
    wait_until(lambda: browser.catalogue.done and browser.shown["total"] == 100_000)
    assert numbers_in(browser)["split_train"] == "100000" and browser.failures == []
    browser.go(99_999)
    assert browser.row.texts == ["row 99998"]


def test_code_can_go_to_a_row_that_is_not_counted_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni.widgets.data_browser.AT_ONCE", 0.0)
    browser = DataBrowser(large(tmp_path, 20_000))
    browser.go(20_000)
    assert browser.row is not None and browser.row.texts == ["row 19999"]


def test_rows_beyond_the_most_are_said_to_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni.data.catalogue.MOST_ROWS", 1000)
    catalogue = Catalogue(large(tmp_path, 3000))
    catalogue.finish()
    assert (
        MOST_ROWS == 1_000_000
        and 1000 <= len(catalogue) < 1500
        and "has more than 1,000 rows" in str(catalogue.problem)
    )


def test_a_program_ends_while_rows_are_counted(tmp_path: Path) -> None:
    program = "import sys; from muomni.widgets import DataBrowser; print(len(DataBrowser(sys.argv[1])) > 0)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(large(tmp_path, 200_000))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
