"""What a line and a row are, for all readers: endings, blanks, byte order marks; errors that name the line."""

import csv
import io
import json
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import bad_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muomni.data import json_list, text_lines
from muomni.data.manifests import ANNOTATION_KEYS, OCR_COLUMNS, Position, read_lines, read_rows, texts_of
from muomni.data.text_lines import read_blocks
from muomni.errors import UserError

LINE = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=12)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# Lines.


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\xef\xbb\xbf", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"\n", [""]),
        (b"\n\na\n", ["", "", "a"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\nc\r", ["a\rb", "c\r"]),
        (b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"]),
    ],
)
def test_a_line_ends_at_its_newline_only(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    assert list(read_lines(written(tmp_path, "t.txt", data))) == lines


@given(lines=st.lists(LINE), ending=st.sampled_from(["\n", "\r\n"]), closed=st.booleans(), size=st.integers(1, 9))
def test_blocks_of_any_size_hold_all_lines_and_where_they_are(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ending: str, closed: bool, size: int
) -> None:
    text = ending.join(lines) + (ending if closed else "")
    expected = text.replace("\r\n", "\n").split("\n")
    if expected[-1] == "":
        expected.pop()
    path = written(tmp_path_factory.mktemp("blocks"), "t.txt", text)
    blocks = list(read_blocks(path, block_bytes=size))
    assert [line for block in blocks for line in block.lines()] == expected
    at = Position()
    for block in blocks:
        assert block.start == at
        at = block.end
        assert [line for rest in read_blocks(path, at) for line in rest.lines()] == expected[at.line :]
        assert list(block.endings())[-1][1] == at
    assert at == Position(len(text.encode()), len(expected))


def test_blocks_hold_at_most_ten_thousand_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "t.txt", "\n" * 25_001 + "é\n" * 12_000 + "end")
    blocks = list(read_blocks(path))
    assert max(len(block.lines()) for block in blocks) == text_lines.BLOCK_LINES
    assert [line for block in blocks for line in block.lines()] == [""] * 25_001 + ["é"] * 12_000 + ["end"]
    assert blocks[-1].end == Position(path.stat().st_size, 37_002)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"one\ntwo\nthr\xff\n", ":3: is not UTF-8 (byte 0xff)"),
        (b"\xef\xbb\xbfone\n\xc3\n", ":2: is not UTF-8 (byte 0xc3)"),
        (b"one\ntw\0o\n", ":2: holds a NUL"),
        (b"one\n" + b"x" * (16 << 20) + b"yz\nmore\n", ":2: is a line of more than 16 MiB"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    path = written(tmp_path, "t.txt", data)
    with pytest.raises(UserError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_line_of_any_length_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # a gigabyte of NULs that takes no disk space
    tracemalloc.start()
    with pytest.raises(UserError, match="line of more than 16 MiB"):
        list(read_lines(path))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_the_longest_line_allowed_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "t.txt", b"x" * text_lines.MAX_LINE_BYTES + b"\nend")
    assert [len(line) for line in read_lines(path)] == [text_lines.MAX_LINE_BYTES, 3]


# CSV.


def test_csv_rows_have_columns_lines_and_no_blanks(tmp_path: Path) -> None:
    text = '\ufeff image , text,font\r\na.png,"red, ""big""\r\nand round",x\r\n\r\nb.png,,y'
    rows = list(read_rows(written(tmp_path, "t.csv", text), OCR_COLUMNS))
    assert [row.values for row in rows] == [
        {"image": "a.png", "text": 'red, "big"\r\nand round', "font": "x"},
        {"image": "b.png", "text": "", "font": "y"},
    ]
    assert [row.line for row in rows] == [2, 5]


FIELD = st.text(st.sampled_from(list('abé ,"\n;')), max_size=6)


@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1), ending=st.sampled_from(["\n", "\r\n"]))
def test_csv_reads_what_the_csv_module_writes_from_any_row_on(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], ending: str
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=ending).writerows([("image", "text"), *rows])
    path = written(tmp_path_factory.mktemp("csv"), "t.csv", buffer.getvalue())
    read = list(read_rows(path, OCR_COLUMNS))
    assert [tuple(row.values.values()) for row in read] == rows
    for number, row in enumerate(read):
        assert list(read_rows(path, OCR_COLUMNS, row.end)) == read[number + 1 :]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("imgae,text\n", "1: image: the column is missing; the header has imgae,text. Did you mean 'imgae'?"),
        ("Image,text\n", "1: image: the column is missing; the header has Image,text. Did you mean 'Image'?"),
        ("image,text\na,b\nc\n", "3: has 1 field, the header has 2 (image,text)"),
        ('image,text\n"a\nb",c\nd,e,f\n', "4: has 3 fields, the header has 2"),
        ('image,text\na,b\nc,"d\ne,f\n', "3: is no CSV record (unexpected end of data)"),
    ],
)
def test_a_bad_row_or_column_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, "t.csv", text)
    with pytest.raises(UserError) as caught:
        list(read_rows(path, OCR_COLUMNS))
    assert str(caught.value).startswith(f"{path}:{said}")


# JSON.

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=3), VALUE, max_size=4), max_size=6)


@given(objects=OBJECTS, indent=st.none() | st.integers(0, 3), ascii_only=st.booleans(), window=st.integers(1, 40))
def test_a_json_list_is_read_as_json_reads_it_whatever_the_window(
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[dict[str, Any]],
    indent: int | None,
    ascii_only: bool,
    window: int,
) -> None:
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only)
    path = written(tmp_path_factory.mktemp("json"), "t.json", text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_list, "WINDOW", window)
        found = list(json_list.read_objects(path))
        assert [one.value for one in found] == objects
        for number, one in enumerate(found):
            assert list(json_list.read_objects(path, one.end)) == found[number + 1 :]


def test_annotations_have_captions_whatever_they_are_called(tmp_path: Path) -> None:
    text = (
        '\ufeff[\n{"image": "a.png", "caption": "red"},\n\n{"image": "b.png", "captions": ["b", "c"], "size": 3}\n]\n'
    )
    rows = list(read_rows(written(tmp_path, "t.json", text), ANNOTATION_KEYS))
    assert [(row.line, row.values["image"], row.values["captions"]) for row in rows] == [
        (2, "a.png", ["red"]),
        (4, "b.png", ["b", "c"]),
    ]
    assert rows[1].values["size"] == 3
    assert texts_of(rows[1], ("captions",)) == ["b", "c"]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
def test_json_lines_are_read_too(tmp_path: Path, name: str) -> None:
    text = '\ufeff{"image": "a.png", "caption": "red"}\r\n\n{"image": "b.png", "caption": "blau"}'
    path = written(tmp_path, name, text)
    rows = list(read_rows(path, ANNOTATION_KEYS))
    assert [(row.line, row.values["captions"]) for row in rows] == [(1, ["red"]), (3, ["blau"])]
    assert list(read_rows(path, ANNOTATION_KEYS, rows[0].end)) == rows[1:]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"image": "a"},\n {"image": "b", "captoin": "c"}]', ":1: captions: is missing; the object has image"),
        ('[{"image": "a", "caption": "b"},\n{"image": "b", "captoin": "c"}]', ":2: captions: is missing; the object"),
        ('[\n{"image": 3, "caption": "b"}]', ":2: image: is 3, not a string"),
        ('[\n{"image": "a", "caption": "b"},\n\n{"image": "a", "capt', ":4: is no JSON list (the object that begins"),
        ('[\n{"image": "a", "caption": "b"}\n\n{"image"', ":4: is no JSON list ('{' stands between two objects)"),
        ('[\n{"image": "a",\n "caption" "b", "more": "' + "x" * 20 + '"}]', ":3: is no JSON list (Expecting ':'"),
        ('{"image": "a", "caption": "b"}\n{"image"\n', ":2: is no JSON (Expecting ':' delimiter)"),
    ],
)
def test_the_line_of_a_json_error_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, "t.json", text)
    with pytest.raises(UserError) as caught:
        list(read_rows(path, ANNOTATION_KEYS))
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_list_on_one_line_streams_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with path.open("w") as file:
        file.write("[")
        for number in range(20_000):
            file.write(f'{{"image": "{number}.png", "caption": "{"word " * 20}"}}, ')
        file.write('{"image": "last.png", "caption": "end"}]')
    tracemalloc.start()
    count = sum(1 for _ in read_rows(path, ANNOTATION_KEYS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_001
    assert peak < path.stat().st_size / 2


# Bad files.


@bad_files.each(bad_files.TEXT)
def test_bad_text_ends_in_a_user_error_or_in_lines(tmp_path: Path, make: bad_files.Maker) -> None:
    try:
        assert all(isinstance(line, str) for line in read_lines(make(tmp_path / "bad.txt")))
    except UserError as error:
        assert "\n" not in str(error)


@bad_files.each(bad_files.CSV)
def test_a_bad_csv_file_ends_in_a_user_error_or_in_no_rows(tmp_path: Path, make: bad_files.Maker) -> None:
    try:
        assert list(read_rows(make(tmp_path / "bad.csv"), OCR_COLUMNS)) == []
    except UserError as error:
        assert "\n" not in str(error)


@bad_files.each(bad_files.JSON)
def test_a_bad_json_file_ends_in_a_user_error_or_in_no_rows(tmp_path: Path, make: bad_files.Maker) -> None:
    try:
        assert list(read_rows(make(tmp_path / "bad.json"), ANNOTATION_KEYS)) == []
    except UserError as error:
        assert "\n" not in str(error)


@given(data=st.binary(max_size=60), name=st.sampled_from(["t.txt", "t.csv", "t.json", "t.jsonl"]))
def test_no_bytes_make_a_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = written(tmp_path_factory.mktemp("bytes"), name, data)
    with suppress(UserError):
        list(read_rows(path, ()))


@given(cut=st.integers(0, 200), flip=st.integers(0, 199), bit=st.integers(0, 7))
def test_no_damage_makes_a_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    for name, good in {
        "t.csv": b'image,text\r\na.png,"red, ""and"" round"\r\n' + "b.png,blå\n".encode() * 9,
        "t.json": b'[{"image": "a.png", "caption": "red \\u00e9"},\n' * 1 + b'{"image": "b", "captions": ["c", "d"]}]',
        "t.jsonl": b'{"image": "a.png", "caption": "red \\u00e9"}\n' * 4,
    }.items():
        data = bytearray(good[:cut])
        if flip < len(data):
            data[flip] ^= 1 << bit
        path = written(folder, name, bytes(data))
        with suppress(UserError):
            list(read_rows(path, ()))
