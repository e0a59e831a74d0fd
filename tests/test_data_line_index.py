"""The line index: every line or row of any file at once, saved and never stale."""

import csv
import io
import os
import pickle
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bad_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muomni.data import fingerprint, line_index
from muomni.data.input_files import index_file
from muomni.data.line_index import BLOCK, LineIndex
from muomni.data.manifests import csv_records
from muomni.data.text_lines import MAX_LINE_BYTES, read_lines
from muomni.errors import UserError


def written(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamps are trusted at once: the tests do not want to wait for the clock's next tick."""
    monkeypatch.setattr(fingerprint, "TICK_NS", -(10**12))


# Lines.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"a\n",
        b"\n",
        b"\n\n",
        b"\n\na",
        b"a\r\nb\r\n",
        b"a\rb\nc\r",
        b"\xef\xbb\xbfa\r\nb",
        b"x" * BLOCK,
        b"x" * (BLOCK - 1) + b"\n",
        b"x" * BLOCK + b"\n",
        b"x" * (BLOCK - 1) + b"\ny",
        b"\n" * (BLOCK + 1),
        (b"x" * (3 * BLOCK) + b"\n") * 3 + b"y" * (3 * BLOCK),
        b"\n" * BLOCK + b"x" * (2 * BLOCK) + b"\n" * 3,
    ],
    ids=range(16),
)
def test_lines_are_those_of_a_reader(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path / "t.txt", data)
    index = LineIndex.build(path)
    assert [index[i] for i in range(len(index))] == list(read_lines(path))
    assert "".join(data[slice(*index.span(i))].decode() for i in range(len(index))) == data.decode()


@given(
    lines=st.lists(st.text(st.sampled_from("abé "), max_size=9).map(lambda line: line * 30), max_size=40),
    ending=st.sampled_from(["\n", "\r\n"]),
    closed=st.booleans(),
    block=st.sampled_from([256, 512, 1024]),
)
def test_lines_are_those_of_a_reader_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ending: str, closed: bool, block: int
) -> None:
    path = written(tmp_path_factory.mktemp("index") / "t.txt", ending.join(lines) + (ending if closed else ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_index, "BLOCK", block)
        patch.setattr(line_index, "BLOCKS_A_READ", 2)
        index = LineIndex.build(path)
        expected = list(read_lines(path))
        order = list(range(len(expected)))
        random.Random(block).shuffle(order)
        assert len(index) == len(expected)
        assert [index[i] for i in order] == [expected[i] for i in order]


def test_a_large_file_is_counted_by_several_threads(tmp_path: Path) -> None:
    lines = [b"word " * (number % 50) for number in range(200_000)]
    path = written(tmp_path / "t.txt", b"\n".join(lines))
    index = LineIndex.build(path)
    assert len(index) == len(lines)
    for number in [0, 1, 777, 123_456, 199_999, -1, -200_000]:
        assert index[number].encode() == lines[number]


def test_lines_outside_are_index_errors(tmp_path: Path) -> None:
    index = LineIndex.build(written(tmp_path / "t.txt", "a\nb\n"))
    assert (index[-1], index[-2]) == ("b", "a")
    for number in (2, -3):
        with pytest.raises(IndexError, match=f"line {number} of 2"):
            index[number]


def test_an_index_can_be_shared_and_sent(tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", "\n".join(f"line {number}" for number in range(50_000)))
    index = LineIndex.open(path, cache_dir=tmp_path)
    assert index[7] == "line 7"
    copy = pickle.loads(pickle.dumps(index))
    assert (len(copy), copy[49_999]) == (50_000, "line 49999")
    numbers = random.Random(0).choices(range(50_000), k=2000)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(index.__getitem__, numbers)) == [f"line {number}" for number in numbers]
    with index:
        pass
    assert index[3] == "line 3"


# Rows.

FIELD = st.text(st.sampled_from(list('abé ,"\n;')), max_size=5)


@given(rows=st.lists(st.tuples(FIELD, FIELD), max_size=8), ending=st.sampled_from(["\n", "\r\n"]), blank=st.booleans())
def test_csv_rows_are_those_of_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], ending: str, blank: bool
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=ending * (1 + blank)).writerows([("image", "text"), *rows])
    path = written(tmp_path_factory.mktemp("rows") / "t.csv", buffer.getvalue())
    index = LineIndex.build(path)
    assert len(index) == 1 + len(rows)
    parsed = [tuple(next(csv.reader(io.StringIO(index[number], newline="")))) for number in range(1, len(index))]
    assert parsed == rows
    assert [index.span(number) for number in range(len(index))] == [
        (begin.offset, end.offset) for begin, end, _ in csv_records(path)
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a,b\nc,d\n", "blocks"),
        ("a,b\r\nc,d", "blocks"),
        ('a,b\n"c",d\n', "rows"),
        ("a,b\n\nc,d\n", "rows"),
        ("\na,b\nc,d\n", "rows"),
        ("a,b\r\n\r\nc,d\r\n", "rows"),
        ("a,b\nc,d\n\n", "rows"),
    ],
)
def test_only_quotes_and_blank_lines_need_the_csv_module(tmp_path: Path, text: str, kind: str) -> None:
    index = LineIndex.build(written(tmp_path / "t.csv", text))
    assert (index.kind, len(index), index[1].replace('"', "")) == (kind, 2, "c,d")


def test_blank_lines_are_seen_across_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t.csv", "a,b\n\nc,d\r\n\r\ne,f\n")
    for size in range(1, 12):
        monkeypatch.setattr(line_index, "PIECE", size)
        assert not line_index._rows_are_lines(path)


# Saved.


def test_an_index_is_saved_and_used_again(tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").mkdir()
    path = written(tmp_path / "text" / "t.txt", "a\nb\n")
    LineIndex.open(path)
    assert index_file(path).parent == tmp_path / ".cache"
    monkeypatch.setattr(LineIndex, "build", None)
    index = LineIndex.open(path)
    assert [index[0], index[1]] == ["a", "b"]


def test_rows_are_saved_too(tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t.csv", 'a,b\n"c\n",d\n')
    LineIndex.open(path)
    monkeypatch.setattr(LineIndex, "build", None)
    assert LineIndex.open(path)[1] == '"c\n",d'


@pytest.mark.parametrize("change", ["edited", "grown", "replaced", "edited, times restored"])
def test_a_changed_file_is_indexed_anew(tmp_path: Path, settled: None, change: str) -> None:
    path = written(tmp_path / "t.txt", "a\nb\nc d\n")
    before = path.stat()
    LineIndex.open(path)
    time.sleep(0.01)  # one tick of the file system's clock
    if change == "replaced":
        written(tmp_path / "new", "ab\nc\nd \n").replace(path)
    else:
        written(path, "ab\nc\nd \n" if change != "grown" else "ab\nc\nd \nmore\n")
    if change != "edited":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    index = LineIndex.open(path)
    assert [index[0], index[1], index[2]] == ["ab", "c", "d "]


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "zeros", "nonsense", "planted"])
def test_a_damaged_index_is_built_anew(tmp_path: Path, settled: None, damage: str) -> None:
    path = written(tmp_path / "t.txt", "line\n" * 100_000)
    LineIndex.open(path)
    saved = index_file(path)
    data = bytearray(saved.read_bytes())
    if damage == "flipped":
        data[-3] ^= 1
    elif damage == "planted":
        data[-8:] = (999_999_999).to_bytes(8, "little")
    saved.write_bytes(
        {"cut": data[:-8], "emptied": b"", "zeros": bytes(900), "nonsense": b"[]\n" * 9}.get(damage, data)
    )
    index = LineIndex.open(path)
    assert (len(index), index[99_999]) == (100_000, "line")


def test_a_file_that_shrinks_or_changes_after_indexing_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", "line\n" * 50_000)
    index = LineIndex.build(path)
    written(path, "line\n" * 5)
    with pytest.raises(UserError, match="changed since it was indexed"):
        index[3]


def test_nothing_is_saved_where_it_is_not_wanted_or_cannot_be(tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", "a\nb\n")
    assert LineIndex.open(path, cache_dir=None)[1] == "b"
    assert list(tmp_path.iterdir()) == [path]
    written(tmp_path / ".cache", "in the way")
    assert LineIndex.open(path)[1] == "b"


# Bad files.


@bad_files.each(bad_files.TEXT | bad_files.CSV)
@pytest.mark.parametrize("name", ["bad.txt", "bad.csv"])
def test_bad_files_end_in_user_errors(tmp_path: Path, make: bad_files.Maker, name: str) -> None:
    try:
        index = LineIndex.open(make(tmp_path / name))
        for number in range(len(index)):
            index[number]
    except UserError as error:
        assert "\n" not in str(error)


def test_a_line_too_long_or_not_utf8_is_named(tmp_path: Path) -> None:
    index = LineIndex.build(written(tmp_path / "t.txt", b"a\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\ncaf\xe9\n"))
    assert index[0] == "a"
    with pytest.raises(UserError, match=r"t.txt:2: is a line of more than 16 MiB"):
        index[1]
    with pytest.raises(UserError, match=r"t.txt:3: is not UTF-8"):
        index[-1]
