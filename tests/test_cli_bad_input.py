"""Hundreds of damaged configs, texts, tables, annotations and tokenizers through the command line.

Each gives one clear error that names the file, exit code 1, no traceback, and loses nothing; or it is harmless (Windows
line ends, a byte order mark, blank lines) and succeeds.
"""

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from small_project import ROOT, make_project, snapshot

from muomni.cli import main
from muomni.config import STAGES, fields_of

BOM = b"\xef\xbb\xbf"
CONFIGS = {stage: (ROOT / f"configs/{stage}_tiny.json").read_bytes() for stage in STAGES}


class Case(NamedTuple):
    """A file of the project, what it is made to hold (None: a folder), and whether that is harmless."""

    name: str
    content: bytes | None
    harmless: bool = False


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The miniature project after a first run; the working directory."""
    folder = make_project(tmp_path_factory.mktemp("bad"))
    before = Path.cwd()
    os.chdir(folder)
    assert main(["update-configs", "--json"]) == 0
    yield folder
    os.chdir(before)


def check(capsys: pytest.CaptureFixture[str], file: str, case: Case, *command: str) -> None:
    """Put the case's content into `file`, run the command, look at what it did, and put everything back."""
    path = Path(file)
    good = path.read_bytes()
    try:
        path.unlink()
        if case.content is None:
            path.mkdir()
        else:
            path.write_bytes(case.content)
        before = snapshot(Path("configs"))
        code = main(command)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        if case.harmless:
            assert (code, bool(out)) == (0, True), err
        else:
            assert (code, out) == (1, ""), out
            assert path.name in err, err
            assert len(err.splitlines()) == 1 or err.count(path.name) == len(err.splitlines())
            assert max(map(len, err.splitlines())) < 2000
            assert snapshot(Path("configs")) == before
        if case.content is not None and not file.startswith("configs/"):
            assert path.read_bytes() == case.content
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(good)
        for stage, text in restored.items():
            Path(f"configs/{stage}_tiny.json").write_bytes(text)


restored: dict[str, bytes] = {}


@pytest.fixture(scope="module", autouse=True)
def _remember(project: Path) -> None:
    restored.update({stage: Path(f"configs/{stage}_tiny.json").read_bytes() for stage in STAGES})


def cut(text: bytes, count: int, seed: int) -> Iterator[Case]:
    """The text up to a random place, which for JSON and quoted text is never its end."""
    dice = random.Random(seed)
    for place in sorted(dice.sample(range(1, len(text.rstrip()) - 1), count)):
        yield Case(f"cut at {place}", text[:place])


def spoilt(text: bytes, count: int, seed: int, what: bytes, name: str) -> Iterator[Case]:
    dice = random.Random(seed)
    for place in sorted(dice.sample(range(len(text)), count)):
        yield Case(f"{name} at {place}", text[:place] + what + text[place:])


def wrong_values() -> Iterator[tuple[str, Case]]:
    """Every kind of wrong value for settings of every stage, as JSON has them."""
    dice = random.Random(1)
    for stage, kind in STAGES.items():
        raw = json.loads(CONFIGS[stage])
        specs = fields_of(kind)
        for name in dice.sample(sorted(specs), 14):
            kinds: dict[str, list[Any]] = {
                "int": ["5", 1.5, True, None, [], {}, -1 - 10**15, 10**15, float("nan")],
                "float": ["0.1", True, None, [1], {}, -1e9, 1e12, float("inf"), float("nan")],
                "bool": [0, 1, "true", None, []],
                "str": [1, None, True, "", ["a"], "a\0b"],
                "choice": ["other", 1, None],
                "weights": [[], 1, "text", {"text": -1}, {"text": "a"}, {}],
            }
            value = dice.choice(kinds[specs[name].kind])
            text = json.dumps(raw | {name: value}, indent=2).encode()
            yield stage, Case(f"{stage} {name} {json.dumps(value)[:12]}", text)


def config_texts() -> Iterator[Case]:
    text = CONFIGS["thinker"]
    yield from cut(text, 24, 2)
    yield from spoilt(text, 8, 3, b"\0", "NUL")
    yield from spoilt(text, 8, 4, b"\xff", "byte ff")
    yield from (
        Case(name, text.replace(old, new))
        for name, old, new in [
            ("comment", b'"seed": 0,', b'"seed": 0, // why not'),
            ("block comment", b'"seed": 0,', b'/* */ "seed": 0,'),
            ("single quotes", b'"seed"', b"'seed'"),
            ("twice", b'"seed": 0,', b'"seed": 0, "seed": 1,'),
            ("alias too", b'"lr": 0.0003', b'"lr": 0.0003, "learning_rate": 1'),
            ("unknown", b'"seed"', b'"sed"'),
            ("no comma", b'"seed": 0,', b'"seed": 0'),
            ("no colon", b'"seed":', b'"seed"'),
            ("python", b"true", b"True"),
            ("hexadecimal", b'"seed": 0', b'"seed": 0x1'),
            ("NaN note", b'"seed"', b'"_n": NaN, "seed"'),
            ("surrogate", b'"seed"', b'"_n": "\\ud800", "seed"'),
            ("long number", b'"seed": 0', b'"seed": 1' + b"0" * 5000),
            ("heads", b'"n_heads": 4', b'"n_heads": 5'),
            ("groups", b'"n_kv_heads": 2', b'"n_kv_heads": 3'),
            ("other stage", b'"stage": "thinker"', b'"stage": "ocr"'),
            ("no stage", b'"stage": "thinker"', b'"stage": 7'),
            ("1e999", b'"lr": 0.0003', b'"lr": 1e999'),
        ]
    )
    yield from (
        Case(name, content)
        for name, content in [
            ("empty", b""),
            ("space", b" \n"),
            ("list", b"[]"),
            ("number", b"7"),
            ("null", b"null"),
            ("text", b'"thinker"'),
            ("deep", b"[" * 200_000),
            ("deep objects", b'{"a":' * 100_000),
            ("UTF-16", text.decode().encode("utf-16")),
            ("two objects", text + text),
            ("image", b"\x89PNG\r\n\x1a\n" + bytes(200)),
            ("folder", None),
            ("2 MB", b'{"_a": "' + b"a" * (2 << 20) + b'"}'),
        ]
    )
    yield Case("CRLF", text.replace(b"\n", b"\r\n"), harmless=True)
    yield Case("BOM", BOM + text, harmless=True)
    yield Case("no end of line", text.rstrip(), harmless=True)
    yield Case("one line", json.dumps(json.loads(text)).encode(), harmless=True)
    yield Case("a note", text.replace(b'"seed"', b'"_note": {"a": [1, "\xce\xbc"]}, "seed"'), harmless=True)


@pytest.mark.parametrize(("stage", "case"), list(wrong_values()), ids=lambda value: getattr(value, "name", value))
def test_a_wrong_value_in_a_config(project: Path, capsys: pytest.CaptureFixture[str], stage: str, case: Case) -> None:
    check(capsys, f"configs/{stage}_tiny.json", case, "update-configs", "--config", stage)


@pytest.mark.parametrize("case", list(config_texts()), ids=lambda case: case.name)
def test_a_damaged_config(project: Path, capsys: pytest.CaptureFixture[str], case: Case) -> None:
    size = ["--tokens", "100000"]
    if case.name == "other stage":  # as a file it is wrong for its stage's settings too; the plan needs its own unit
        size = ["--samples", "5"]
    check(capsys, "configs/thinker_tiny.json", case, "plan", "configs/thinker_tiny.json", *size)


TABLES = {
    "audio_enc": ("data/audio/asr.csv", b"wav,text"),
    "talker": ("data/audio/tts.csv", b"text,wav"),
    "vocoder": ("data/audio/tts.csv", b"text,wav"),
    "ocr": ("data/ocr/ocr_train.csv", b"image,text"),
}


def tables(stage: str) -> Iterator[Case]:
    header = TABLES[stage][1]
    first, second = header.split(b",")
    rows = b"a.flac,one two\n" * 20
    good = header + b"\n" + rows
    needed = b"wav" if stage == "vocoder" else first
    yield from (
        Case(name, content)
        for name, content in [
            ("empty", b""),
            ("space", b"\n\n"),
            ("header only", header + b"\n"),
            ("no header", rows),
            ("column missing", header.replace(needed, b"other") + b"\n" + rows),
            ("column misspelt", header.replace(needed, needed + b"s") + b"\n" + rows),
            ("upper case", header.upper() + b"\n" + rows),
            ("column twice", header + b"," + needed + b"\n" + b"a,b,c\n" * 5),
            ("semicolons", good.replace(b",", b";")),
            ("tabs", good.replace(b",", b"\t")),
            ("a field too few", good + b"alone\n" + rows),
            ("a field too many", good + b"a,b,c\n" + rows),
            ("open quote", good + b'"a,b\n' + rows),
            ("text behind a quote", good + b'"a"b,c\n'),
            ("NUL", good + b"a\0,b\n" + rows),
            ("NUL in the header", b"\0" + good),
            ("byte ff", good + b"\xff,b\n" + rows),
            ("byte ff first", b"\xff" + good),
            ("UTF-16", good.decode().encode("utf-16")),
            ("latin-1", good + "é,b\n".encode("latin-1")),
            ("JSON", b'[{"a": 1}]'),
            ("binary", bytes(range(256)) * 4),
            ("folder", None),
        ]
    )
    yield from (
        Case(name, content, harmless=True)
        for name, content in [
            ("CRLF", good.replace(b"\n", b"\r\n")),
            ("BOM", BOM + good),
            ("blank lines", good.replace(b"\n", b"\n\n")),
            ("no last line end", good.rstrip()),
            ("another column", header + b",speaker\n" + b"a,b,c\n" * 20),
            ("other order", second + b"," + first + b"\n" + rows),
            ("spaces", header.replace(b",", b" , ") + b"\n" + rows),
            ("quoted", good + b'"a, ""b""\nc",d\n'),
            ("accents", good + "é漢,ü\n".encode()),
        ]
    )


TABLE_CASES = [(stage, case) for stage in TABLES for case in tables(stage)]


@pytest.mark.parametrize(("stage", "case"), TABLE_CASES, ids=lambda value: getattr(value, "name", value))
def test_a_damaged_table(project: Path, capsys: pytest.CaptureFixture[str], stage: str, case: Case) -> None:
    check(capsys, TABLES[stage][0], case, "update-configs", "--config", stage)


def annotations() -> Iterator[Case]:
    good = json.dumps([{"image": f"{n}.png", "captions": [f"picture {n}"]} for n in range(20)]).encode()
    one = b'{"image": "a.png", "caption": "b"}'
    yield from cut(good, 30, 5)
    yield from spoilt(good, 10, 6, b"\0", "NUL")
    yield from spoilt(good, 10, 7, b"\xff", "byte ff")
    yield from (
        Case(name, content)
        for name, content in [
            ("empty", b""),
            ("space", b"  \n"),
            ("empty list", b"[]"),
            ("null", b"null"),
            ("number", b"[1]"),
            ("text", b'["a"]'),
            ("list of lists", b"[[]]"),
            ("nothing in it", b"[{}]"),
            ("no image", b'[{"caption": "a"}]'),
            ("no caption", b'[{"image": "a.png"}]'),
            ("image a number", b'[{"image": 1, "caption": "a"}]'),
            ("image null", b'[{"image": null, "caption": "a"}]'),
            ("caption a number", b'[{"image": "a", "caption": 1}]'),
            ("captions mixed", b'[{"image": "a", "captions": ["a", 1]}]'),
            ("misspelt", b'[{"imag": "a", "caption": "a"}]'),
            ("trailing comma", b"[" + one + b",]"),
            ("no comma", b"[" + one + one + b"]"),
            ("two lists", good + good),
            ("open", b"[" + one),
            ("comment", b"[" + one + b"] // end"),
            ("single quotes", one.replace(b'"', b"'")),
            ("deep", b"[" * 100_000),
            ("deep object", b'[{"image": "a", "caption": "a", "x": ' + b"[" * 100_000),
            ("surrogate", b'[{"image": "a", "caption": "\\ud800"}]'),
            ("CSV", b"image,caption\na,b\n"),
            ("second object broken", b"[" + one + b", {]"),
            ("lines broken", one + b"\n{\n"),
            ("UTF-16", good.decode().encode("utf-16")),
            ("binary", bytes(range(256))),
            ("folder", None),
        ]
    )
    yield from (
        Case(name, content, harmless=True)
        for name, content in [
            ("CRLF", good.replace(b"}, ", b"},\r\n")),
            ("BOM", BOM + good),
            ("JSON lines", one + b"\n\n" + one + b"\n"),
            ("one caption", b"[" + one + b"]"),
            ("more keys", b'[{"id": 1, "image": "a", "captions": ["a", "b"]}]'),
        ]
    )


@pytest.mark.parametrize("case", list(annotations()), ids=lambda case: case.name)
def test_damaged_annotations(project: Path, capsys: pytest.CaptureFixture[str], case: Case) -> None:
    check(capsys, "data/images/annotations.json", case, "update-configs", "--config", "vision")


def corpora() -> Iterator[Case]:
    good = b"the red circle is above the blue square\n" * 50
    yield from spoilt(good, 8, 8, b"\0", "NUL")
    yield from spoilt(good, 8, 9, b"\xff", "byte ff")
    yield from (
        Case(name, content)
        for name, content in [
            ("empty", b""),
            ("blank", b"\n \n\t\n"),
            ("BOM only", BOM),
            ("UTF-16", good.decode().encode("utf-16")),
            ("binary", bytes(range(256)) * 20),
            ("a long line", b"word " * (4 << 20)),
            ("cut character", good + "漢".encode()[:2]),
            ("folder", None),
        ]
    )
    yield from (
        Case(name, content, harmless=True)
        for name, content in [
            ("CRLF", good.replace(b"\n", b"\r\n")),
            ("BOM", BOM + good),
            ("no last line end", good.rstrip()),
            ("blank lines", good.replace(b"\n", b"\n\n")),
            ("any character", "漢 é \u2028 🙂 ▁".encode()),
        ]
    )


@pytest.mark.parametrize("case", list(corpora()), ids=lambda case: case.name)
@pytest.mark.parametrize("how", ["counted", "estimated"])
def test_a_damaged_corpus(project: Path, capsys: pytest.CaptureFixture[str], case: Case, how: str) -> None:
    estimate = ["--estimate"] if how == "estimated" else []
    check(capsys, "data/text/tiny_corpus.txt", case, "update-configs", "--config", "thinker", *estimate)


@pytest.mark.parametrize("case", list(corpora()), ids=lambda case: case.name)
def test_a_damaged_corpus_without_a_tokenizer(project: Path, capsys: pytest.CaptureFixture[str], case: Case) -> None:
    """Training the tokenizer meets the damage first; none is left behind by a text that gives none."""
    model = Path("data/text/tokenizer_tiny.model")
    kept = model.read_bytes()
    model.unlink()
    try:
        check(capsys, "data/text/tiny_corpus.txt", case, "update-configs", "--config", "thinker")
    finally:
        model.write_bytes(kept)
    assert list(Path("data/text").glob(".*")) == []


@pytest.mark.parametrize("text", ["hello\n" * 20, "漢字の文\n" * 20], ids=["Latin", "Japanese"])
def test_a_corpus_without_spaces(project: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    model = Path("data/text/tokenizer_tiny.model")
    kept = model.read_bytes()
    model.unlink()
    case = Case("no spaces", text.encode(), harmless=True)
    try:
        check(capsys, "data/text/tiny_corpus.txt", case, "update-configs", "--config", "thinker")
    finally:
        model.write_bytes(kept)


def test_a_line_of_a_hundred_megabytes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(
        capsys, "data/text/tiny_corpus.txt", Case("100 MB", b"a" * 100_000_000), "update-configs", "--config", "thinker"
    )
    check(
        capsys,
        "data/images/annotations.json",
        Case("100 MB", b'[{"image": "' + b"a" * 100_000_000),
        "update-configs",
        "--config",
        "vision",
    )


def tokenizers(model: bytes) -> Iterator[Case]:
    dice = random.Random(10)
    yield from (
        Case(name, content)
        for name, content in [
            ("empty", b""),
            ("text", b"no model at all"),
            ("zeros", bytes(1000)),
            ("folder", None),
            ("JSON", b"{}"),
        ]
    )
    for place in sorted(dice.sample(range(1, len(model) - 1), 12)):
        yield Case(f"cut at {place}", model[:place])


def test_a_damaged_tokenizer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut model may be whole by chance up to the cut: then it is another vocabulary, which the configs follow."""
    path = Path("data/text/tokenizer_tiny.model")
    for case in tokenizers(path.read_bytes()):
        try:
            check(capsys, str(path), case, "update-configs", "--config", "thinker")
        except AssertionError:
            assert case.name.startswith("cut at")
            check(capsys, str(path), case._replace(harmless=True), "update-configs", "--config", "thinker")


def test_a_file_without_permission(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said by the operating system's own error: for root, permissions do not bite."""
    original = Path.read_bytes

    def refused(self: Path) -> bytes:
        if self.name == "thinker_tiny.json":
            raise PermissionError(13, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert main(["plan", "configs/thinker_tiny.json", "--tokens", "5"]) == 1
    assert capsys.readouterr().err == "configs/thinker_tiny.json: cannot be read (Permission denied)\n"


def test_a_full_disk_while_writing_a_config(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = snapshot(Path("configs"))
    Path("data/ocr/ocr_train.csv").write_text("image,text\n" + "a,b\n" * 5000)
    monkeypatch.setattr(os, "fsync", full)
    assert main(["update-configs", "--config", "ocr"]) == 1
    err = capsys.readouterr().err
    assert "ocr_tiny.json: cannot be written (No space left on device)" in err and "Traceback" not in err
    assert snapshot(Path("configs")) == before


def test_there_are_hundreds_of_cases() -> None:
    cases = [*wrong_values(), *config_texts(), *TABLE_CASES, *annotations(), *corpora()]
    assert len(cases) >= 300
