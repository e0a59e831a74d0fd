"""`muomni data import`: each layout found and said, what is skipped counted, nothing outside the folder taken."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from small_sets import picture, sound

from muomni.cli import main
from muomni.data.examples import Examples
from muomni.data.manifests import read_rows
from muomni.data.production import KINDS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lay(files: dict[str, bytes | str]) -> None:
    for name, data in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def take(capsys: pytest.CaptureFixture[str], kind: str, path: str = "own", *more: str) -> dict[str, Any]:
    assert main(["data", "import", path, "--as", kind, "--json", *more]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refuse(capsys: pytest.CaptureFixture[str], kind: str, path: str = "own", *more: str, code: int = 1) -> str:
    before = sorted(str(p) for p in Path("data").rglob("*") if p.is_file())
    assert main(["data", "import", path, "--as", kind, *more]) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and len(err.splitlines()) == 1
    assert sorted(str(p) for p in Path("data").rglob("*") if p.is_file()) == before
    assert not list(Path("data").rglob(".*importing*")) if Path("data").exists() else True
    return err


def rows_of(kind: str) -> list[dict[str, Any]]:
    """The manifest's rows by the one reader, after a look that every file is there."""
    where = KINDS[kind]
    rows = [row.values for row in read_rows(where.path("data"), where.columns)]
    if kind != "text":
        assert all((where.path("data").parent / row[where.media]).is_file() for row in rows)
    return rows


# Speech.


def test_sounds_with_a_text_of_the_same_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/a.wav": sound(), "own/a.txt": "Hello,\nthere.", "own/deep/b.flac": sound(kind="FLAC")})
    lay({"own/deep/b.txt": "\ufeffbye", "own/.hidden/c.wav": sound(), "own/.hidden/c.txt": "no"})
    for kind in ("asr", "tts"):
        found = take(capsys, kind)
        assert found["rows"] == 2 and "of the same name" in found["layout"] and found["skipped"] == {}
        assert rows_of(kind) == [
            {"text": "Hello, there.", "wav": "own/a.wav"},
            {"text": "bye", "wav": "own/deep/b.flac"},
        ]
    assert Path("data/audio/own/a.wav").read_bytes() == Path("own/a.wav").read_bytes()


@pytest.mark.parametrize("folder", ["wavs/", ""])
def test_lj_speech_tables(here: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    lay({"own/metadata.csv": 'one|Dr. "A"|Doctor "A"\ntwo|plain\nthree|gone\n'})
    lay({f"own/{folder}one.wav": sound(), f"own/{folder}two.wav": sound()})
    found = take(capsys, "tts")
    assert "LJ Speech" in found["layout"]
    assert found["skipped"] == {"file missing or empty": {"count": 1, "first": ["metadata.csv:3"]}}
    assert [row["text"] for row in rows_of("tts")] == ['Doctor "A"', "plain"]


def test_common_voice_tables(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "client_id\tpath\tsentence\tup_votes\n"
    lay({"own/validated.tsv": head + 'x1\ta.ogg\tShe said "go.\t2\n\tb.ogg\tRight, then.\t3\n', "own/test.tsv": head})
    lay({"own/clips/a.ogg": sound(kind="OGG"), "own/clips/b.ogg": sound(kind="OGG")})
    assert "validated.tsv" in take(capsys, "asr")["layout"]
    assert rows_of("asr") == [
        {"wav": "own/clips/a.ogg", "text": 'She said "go.', "speaker": "x1"},
        {"wav": "own/clips/b.ogg", "text": "Right, then.", "speaker": ""},
    ]
    assert take(capsys, "asr", "own/validated.tsv")["rows"] == 2
    assert "would have no row" in refuse(capsys, "asr", "own/test.tsv")


def test_a_table_of_our_own_form(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/list.csv": 'WAV,Speaker,Text\na.wav,ann,"one, two"\n', "own/a.wav": sound()})
    take(capsys, "asr")
    assert rows_of("asr") == [{"wav": "own/a.wav", "text": "one, two", "speaker": "ann"}]


# Pictures.


@pytest.mark.parametrize("name", ["captions.csv", "captions.txt"])
def test_several_captions_of_a_picture(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    lay({f"own/{name}": 'image,caption\na.jpg,A dog .\nb.png,"A cat, sitting ."\na.jpg,Still a dog .\n'})
    lay({"own/Images/a.jpg": picture(), "own/Images/b.png": picture(kind="PNG")})
    assert take(capsys, "image")["rows"] == 2
    assert rows_of("image") == [
        {"image": "own/Images/a.jpg", "captions": ["A dog .", "Still a dog ."]},
        {"image": "own/Images/b.png", "captions": ["A cat, sitting ."]},
    ]


def test_flickr8k_tokens_and_pairs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/Flickr8k.token.txt": "a.jpg#0\tOne .\na.jpg#1\tTwo .\n", "own/a.jpg": picture()})
    assert take(capsys, "image")["rows"] == 1 and rows_of("image")[0]["captions"] == ["One .", "Two ."]
    lay({"two/a.jpg": picture(), "two/a.txt": "A grey square."})
    assert take(capsys, "image", "two")["rows"] == 1
    assert rows_of("image") == [{"image": "two/a.jpg", "captions": ["A grey square."]}]


@pytest.mark.parametrize(
    "files",
    [
        {"own/labels.csv": 'image,text\n1.png,Hi\n2.png,"a, b"\n'},
        {"own/labels.txt": "1.png\tHi\n2.png\ta, b\n"},
        {"own/1.gt.txt": "Hi", "own/2.txt": "a, b"},
        {"own/list.tsv": "file_name\tlabel\n1.png\tHi\n2.png\ta, b\n"},
    ],
)
def test_words(here: Path, capsys: pytest.CaptureFixture[str], files: dict[str, bytes | str]) -> None:
    lay({**files, "own/1.png": picture(kind="PNG"), "own/2.png": picture(kind="PNG")})
    take(capsys, "ocr")
    assert rows_of("ocr") == [{"image": "own/1.png", "text": "Hi"}, {"image": "own/2.png", "text": "a, b"}]


# Texts.


@pytest.mark.parametrize(
    ("text", "how", "documents"),
    [
        ("one\ntwo\n", "line", ["one", "two"]),
        ("one\nmore\n\n\n  two \n", "paragraph", ["one more", "two"]),
        ("one\n\nmore\n<|endoftext|>\ntwo<|endoftext|>three", "mark", ["one more", "two", "three"]),
        ("\ufeffone\r\ntwo\r\n", "line", ["one", "two"]),
        ("one\t\x0btwo\x07\n", "line", ["one two"]),
    ],
)
def test_one_text(here: Path, capsys: pytest.CaptureFixture[str], text: str, how: str, documents: list[str]) -> None:
    lay({"book.txt": text})
    assert how in take(capsys, "text", "book.txt")["layout"]
    assert [row["text"] for row in rows_of("text")] == documents


def test_a_folder_of_texts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/b.txt": "b", "own/a/a.txt": "a\n\nA", "own/bad.txt": b"\xff\xfe\x00x", "own/x.pdf": b"%PDF"})
    found = take(capsys, "text")
    assert [row["text"] for row in rows_of("text")] == ["b", "a", "A"]
    assert {reason: one["count"] for reason, one in found["skipped"].items()} == {
        "no .txt file": 1,
        "not UTF-8 text": 1,
    }
    assert "3 .txt files, a document per line or paragraph" in found["layout"]


# What is skipped, what ends it.


def test_what_is_skipped_is_counted_and_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/good.wav": sound(), "own/good.txt": "good", "own/empty.wav": b"", "own/empty.txt": "x"})
    lay({"own/broken.wav": b"RIFFnonsense", "own/broken.txt": "x", "own/none.wav": sound(), "own/silent.wav": sound()})
    lay({"own/silent.txt": " \n", "own/lonely.txt": "x", "own/odd.wav": sound(), "own/odd.txt": b"\xff\xfe"})
    lay({f"own/n{n}.wav": sound() for n in range(7)})
    assert main(["data", "import", "own", "--as", "asr"]) == 0
    out = capsys.readouterr().out
    assert "found: files with a .txt of the same name" in out and "production_asr.csv: 1 rows" in out
    assert "skipped 8: no .txt of the same name (n0.wav, n1.wav, n2.wav, n3.wav, n4.wav, ...)" in out
    for line in (
        "skipped 1: file missing or empty (empty.wav)",
        "skipped 1: is no sound that can be read (Format not recognised) (broken.wav)",
        "skipped 1: no text (silent.wav)",
        "skipped 1: text is not UTF-8 (odd.txt)",
        "skipped 1: a .txt without its file (lonely.txt)",
    ):
        assert line in out
    assert sorted(path.name for path in Path("data/audio/own").iterdir()) == [".muomni.json", "good.wav"]
    record = json.loads(Path("data/audio/production_asr.source.json").read_text())
    assert record["from"] == "own" and record["rows"] == 1


def test_a_picture_that_is_none_is_skipped(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/labels.csv": "image,text\n1.png,Hi\n2.png,Ho\n2.png,again\n", "own/1.png": b"no", "own/2.png": picture()})
    found = take(capsys, "ocr")
    assert found["rows"] == 1
    assert set(found["skipped"]) == {"is no image that can be read (cannot identify image file)", "named twice"}


@pytest.mark.parametrize(
    ("kind", "files", "said"),
    [
        ("asr", {"own/readme.md": "x"}, "looked for: metadata.csv with id|text and wavs/; a table with the header"),
        ("asr", {"own/a.wav": b"x"}, "sound files with a .txt of the same name"),
        ("image", {"own/a.txt": "x"}, "image,caption"),
        ("ocr", {"own/a.csv": "picture,what\n1,2\n"}, "name<TAB>text"),
        ("text", {"own/a.md": "x"}, "looked for: .txt files"),
        ("asr", {"own/a.csv": "wav,text\n", "own/b.csv": "wav,text\n"}, "several tables (a.csv, b.csv)"),
        ("asr", {"own/a.csv": "wav,text\nx.wav,a,b\n"}, "a.csv:2: has 3 fields, the header has 2"),
        ("asr", {"own/a.csv": 'wav,text\n"x.wav,a\n'}, "is no record of a table"),
        ("asr", {"own/a.csv": b"wav,text\nx.wav,\xff\n"}, "is not UTF-8"),
        (
            "asr",
            {"own/a.csv": "wav,text\nx.wav,a\n"},
            "would have no row at all: 1 x file missing or empty (as a.csv:2)",
        ),
    ],
)
def test_what_cannot_be_imported_is_one_clear_line(
    here: Path, capsys: pytest.CaptureFixture[str], kind: str, files: dict[str, bytes | str], said: str
) -> None:
    lay(files)
    assert said in refuse(capsys, kind)


def test_a_folder_that_is_not_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "own: does not exist" in refuse(capsys, "asr")
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
        assert "not a plain file" in refuse(capsys, "text", "pipe")
    lay({"x.txt": b"\x00\xff"})
    assert "is not UTF-8 text" in refuse(capsys, "text", "x.txt")


@pytest.mark.parametrize("name", ["../secret.wav", "a/../../secret.wav", "{here}/secret.wav"])
@pytest.mark.parametrize("table", ["wav,text\n{name},x\n", "path\tsentence\n{name}\tx\n", "{name}|x\n"])
def test_a_table_that_leads_out_of_the_folder_ends_it(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, table: str
) -> None:
    name = name.format(here=here)
    ending = ".tsv" if "\t" in table else ".csv"
    lay({"secret.wav": sound(), f"own/list{ending}": table.format(name=name)})
    err = refuse(capsys, "asr")
    assert "leads out of the folder" in err and f"own/list{ending}:{1 if '|' in table else 2}" in err
    assert not Path("data").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_out_of_the_folder_end_it_and_links_inside_are_followed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay({"secret.wav": sound(), "secret.txt": "secret", "own/b.txt": "b", "own/list/labels.csv": "wav,text\nc.wav,c\n"})
    Path("own/b.wav").symlink_to(here / "secret.wav")
    assert "leads out of the folder" in refuse(capsys, "asr")
    Path("own/list/c.wav").symlink_to("../../secret.wav")
    assert "leads out of the folder" in refuse(capsys, "asr", "own/list")
    Path("own/b.wav").unlink()
    Path("own/list/c.wav").unlink()
    Path("own/d.txt").symlink_to(here / "secret.txt")
    assert "leads out of the folder" in refuse(capsys, "text")
    Path("own/d.txt").unlink()
    Path("outside").mkdir()
    lay({"outside/e.wav": sound(), "own/list/labels.csv": "wav,text\naway/e.wav,e\n"})
    Path("own/list/away").symlink_to(here / "outside")
    assert "leads out of the folder" in refuse(capsys, "asr", "own/list")
    lay({"good/real.wav": sound(), "good/a.txt": "a"})
    Path("good/a.wav").symlink_to("real.wav")
    assert take(capsys, "asr", "good")["rows"] == 1
    assert rows_of("asr")[0]["wav"] == "good/real.wav"


# Where files go.


def test_the_copy_works_without_the_original(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"my words!/a.wav": sound(), "my words!/a.txt": "a"})
    take(capsys, "asr", "my words!")
    Path("my words!/a.wav").unlink()
    assert rows_of("asr") == [{"wav": "my-words/a.wav", "text": "a"}]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_instead_of_copies(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/a.wav": sound(), "own/a.txt": "a"})
    take(capsys, "asr", "own", "--link")
    assert Path("data/audio/own/a.wav").samefile("own/a.wav") and rows_of("asr")
    assert len(Examples.open("data/audio/production_asr.csv", "wav")) == len(rows_of("asr"))
    take(capsys, "asr", "own", "--copy")
    assert not Path("data/audio/own/a.wav").samefile("own/a.wav") and Path("own/a.wav").is_file()
    assert refuse(capsys, "asr", "own", "--copy", "--link", code=2)


def test_again_with_more_replaces_our_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"own/a.wav": sound(), "own/a.txt": "a"})
    take(capsys, "asr")
    lay({"own/b.wav": sound(), "own/b.txt": "b"})
    Path("own/a.wav").unlink()
    assert take(capsys, "asr")["rows"] == 1 and rows_of("asr") == [{"wav": "own/b.wav", "text": "b"}]
    assert not Path("data/audio/own/a.wav").exists()


def test_a_manifest_or_a_folder_of_ones_own_is_never_overwritten(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay({"own/a.wav": sound(), "own/a.txt": "a", "data/audio/production_asr.csv": "wav,text\nx,y\n"})
    assert "--replace" in refuse(capsys, "asr")
    lay({"data/audio/own/mine.txt": "mine"})
    assert "was not made by this command" in refuse(capsys, "asr", "own", "--replace")
    lay({"data/audio/own/.muomni.json": '{"set": "own"}'})
    assert "is a downloaded set" in refuse(capsys, "asr", "own", "--replace")
    lay({"data/audio/own/.muomni.json": '{"import": "own"}'})
    assert take(capsys, "asr", "own", "--replace")["rows"] == 1


def test_files_that_lie_there_already_stay_where_they_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay({"data/audio/mine/a.wav": sound(), "data/audio/mine/a.txt": "a"})
    take(capsys, "asr", "data/audio/mine")
    assert rows_of("asr") == [{"wav": "mine/a.wav", "text": "a"}]
    assert sorted(path.name for path in Path("data/audio/mine").iterdir()) == ["a.txt", "a.wav"]
    lay({"b.wav": sound(), "b.txt": "b"})
    assert "holds the data folder itself" in refuse(capsys, "asr", ".")


def test_a_full_disk_is_found_before_the_first_copy(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10

    lay({"own/a.wav": sound(), "own/a.txt": "a"})
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert "GB free" in refuse(capsys, "asr")


def test_names_with_commas_quotes_and_letters_of_all_kinds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ['a, b "c"', "ä é 語", "=1+1"]
    for name in names:
        lay({f"own/{name}.wav": sound(), f"own/{name}.txt": f'{name}\n"x"'})
    take(capsys, "asr")
    assert {row["wav"] for row in rows_of("asr")} == {f"own/{name}.wav" for name in names}
    with open("data/audio/production_asr.csv", newline="", encoding="utf-8") as file:
        assert {row["text"] for row in csv.DictReader(file)} == {f'{name} "x"' for name in names}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "PATH"),
        (["own"], "--as"),
        (["own", "--as", "video"], "invalid choice: 'video'"),
    ],
)
def test_a_command_typed_wrongly_is_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert main(["data", "import", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and len(err.splitlines()) == 1


def test_what_was_imported_is_what_the_planner_counts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(30):
        lay({f"own/{n}.wav": sound(), f"own/{n}.txt": f"text {n}"})
    take(capsys, "asr")
    assert main(["count", "data/audio/production_asr.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 30
