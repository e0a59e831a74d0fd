"""Counting: exact, in bounded memory, resumed after a kill, kept; what does not belong to the file is not believed."""

import errno
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bad_files
import pytest
from benchmarks.kill_counting import corpus, killed_counting

from muomni.data import counting, fingerprint, sealed
from muomni.data.counting import Count, count_samples, count_tokens
from muomni.data.line_index import LineIndex
from muomni.data.manifests import ANNOTATION_KEYS, ASR_COLUMNS, OCR_COLUMNS, is_blank, read_lines
from muomni.data.tokenizer import Tokenizer, train_tokenizer
from muomni.errors import UserError

TIMES = 8


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("words") / "words.txt", 100_000, longest=6)


@pytest.fixture(scope="module")
def tokenizer(words: Path) -> Tokenizer:
    return train_tokenizer(words, words.parent / "t.model", 600).tokenizer


@pytest.fixture(scope="module")
def expected(words: Path, tokenizer: Tokenizer) -> int:
    """The tokens of `text`."""
    return TIMES * by_hand(words, tokenizer)


@pytest.fixture
def text(words: Path, tmp_path: Path) -> Path:
    """A corpus in a data folder: some thirty thousand lines, blank ones among them."""
    path = tmp_path / "data" / "text" / "tiny_corpus.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(words.read_bytes() * TIMES)
    old(path)
    return path


def old(path: Path, seconds: float = 60) -> None:
    """Make a file look written a while ago, as files mostly are."""
    then = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(then, then))


def counted(path: Path, tokenizer: Tokenizer, **options: Any) -> Count:
    return count_tokens(path, tokenizer, progress=False, **options)


def by_hand(path: Path, tokenizer: Tokenizer) -> int:
    return sum(len(tokenizer.encode(line)) + 1 for line in read_lines(path) if not is_blank(line))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamps are trusted at once: the tests do not want to wait for the clock's next tick."""
    monkeypatch.setattr(fingerprint, "TICK_NS", -(10**12))


class Interrupted(Exception):
    pass


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that counts until some line and is then torn out of it."""
    original = counting._batches

    def run(path: Path, tokenizer: Tokenizer | None, line: int, **options: Any) -> None:
        def until(*arguments: Any, **named: Any) -> Iterator[Any]:
            for batch in original(*arguments, **named):
                if batch.end.line >= line:
                    raise Interrupted
                yield batch

        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            patch.setattr(counting, "_batches", until)
            if tokenizer is None:
                count_samples(path, progress=False, **options)
            else:
                counted(path, tokenizer, **options)

    yield run


# What is counted.


def test_a_count_is_every_lines_tokens_and_its_terminator(text: Path, tokenizer: Tokenizer) -> None:
    lines = list(read_lines(text))
    count = counted(text, tokenizer)
    filled = [line for line in lines if not is_blank(line)]
    assert count == Count(
        lines=len(lines),
        documents=len(filled),
        pieces=by_hand(text, tokenizer) - len(filled),
        characters=sum(map(len, filled)),
        bytes=text.stat().st_size,
    )
    assert count.tokens == count.pieces + count.documents
    assert len(filled) < len(lines)


@pytest.mark.parametrize(
    ("data", "lines", "documents", "characters"),
    [
        (b"a b\n\n \t\nc", 4, 2, 4),
        (b"\xef\xbb\xbfa b\r\n\r\nc\r\n", 3, 2, 4),
        ("é\u3000\n\u3000\n▁\n".encode(), 3, 2, 3),
        (b"a\rb\r\n", 1, 1, 3),
    ],
)
def test_endings_marks_and_blank_lines_are_no_tokens(
    tmp_path: Path, tokenizer: Tokenizer, data: bytes, lines: int, documents: int, characters: int
) -> None:
    (tmp_path / "t.txt").write_bytes(data)
    count = counted(tmp_path / "t.txt", tokenizer)
    assert (count.lines, count.documents, count.characters) == (lines, documents, characters)
    assert count.tokens == by_hand(tmp_path / "t.txt", tokenizer)


def test_the_texts_of_manifests_are_counted(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = ["a red star", "a b\nc", "", "the end"]
    (tmp_path / "t.csv").write_text('wav,text\n1,a red star\n2,"a b\nc"\n3,\n4,the end\n')
    (tmp_path / "t.json").write_text(
        json.dumps([{"image": "1", "captions": texts[:2]}, {"image": "2", "captions": texts[2:]}])
    )
    tokens = sum(len(tokenizer.encode(text)) + 1 for text in texts if text)
    table, annotations = (counted(tmp_path / name, tokenizer) for name in ("t.csv", "t.json"))
    assert (table.tokens, table.samples, table.documents) == (tokens, 4, 3)
    assert (annotations.tokens, annotations.samples, annotations.documents) == (tokens, 2, 3)


def test_samples_are_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('\ufeffwav,text\r\na,"1\n\n2"\r\n\r\nb,2\r\n')
    (tmp_path / "t.json").write_text('[{"image": "a", "caption": "b"},\n{"image": "c", "captions": ["d", "e"]}]')
    (tmp_path / "t.jsonl").write_text('{"image": "a", "caption": "b"}\n\n{"image": "c", "captions": ["d", "e"]}')
    assert count_samples(tmp_path / "t.csv", ASR_COLUMNS, progress=False).samples == 2
    assert count_samples(tmp_path / "t.json", ANNOTATION_KEYS, progress=False).samples == 2
    assert count_samples(tmp_path / "t.jsonl", ANNOTATION_KEYS, progress=False).samples == 2


@pytest.mark.parametrize("rows", ["a,b\n" * 3, 'a,"x, y"\n' * 3, '"a","x\ny"\n\n' * 3])
def test_samples_come_from_the_line_index_when_one_is_there(tmp_path: Path, settled: None, rows: str) -> None:
    path = tmp_path / "asr.csv"
    path.write_text("wav,text\n" + rows)
    LineIndex.open(path)
    count = count_samples(path, ASR_COLUMNS, progress=False)
    assert (count.samples, count.indexed) == (3, True)
    with pytest.raises(UserError, match="image: the column is missing"):
        count_samples(path, OCR_COLUMNS, progress=False)
    path.write_text("wav,text\n" + rows + "c,d\n")
    assert (count_samples(path, ASR_COLUMNS, progress=False).samples) == 4


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="nothing here tells the most memory a process had")
def test_memory_does_not_grow_with_the_file(words: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "t.model")
    program = """if True:
        import sys
        from muomni.data.counting import count_tokens
        from muomni.data.tokenizer import Tokenizer
        count_tokens(sys.argv[1], Tokenizer.load(sys.argv[2]), cache_dir=None, progress=False)
        print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))"""
    peaks = []
    for times in (20, 200):
        (tmp_path / "t.txt").write_bytes(words.read_bytes() * times)
        command = [sys.executable, "-c", program, str(tmp_path / "t.txt"), str(tmp_path / "t.model")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] < 1.1 * peaks[0]  # for eighteen megabytes more
    assert peaks[1] < 80_000  # kilobytes, Python's own and SentencePiece's included


# What is kept.


def test_a_second_count_answers_from_the_cache(
    text: Path, tokenizer: Tokenizer, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = counted(text, tokenizer)
    monkeypatch.setattr(counting, "read_blocks", None)
    monkeypatch.setattr("muomni.data.count_memory.fingerprint", None)
    began = time.perf_counter()
    second = counted(text, tokenizer)
    assert time.perf_counter() - began < 0.2
    assert second.cached
    assert second.tokens == first.tokens
    assert [path.suffix for path in (text.parents[1] / ".cache").iterdir()] == [".count"]


def test_a_touched_or_copied_back_file_is_recognised_by_its_content(
    text: Path, tokenizer: Tokenizer, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = counted(text, tokenizer)
    data = text.read_bytes()
    text.unlink()
    text.write_bytes(data)
    assert counted(text, tokenizer) == Count(**{**vars(first), "cached": True})
    monkeypatch.setattr("muomni.data.count_memory.fingerprint", None)
    assert counted(text, tokenizer).cached  # the new stamp was noted


@pytest.mark.parametrize("at", [0, 0.5, 0.999])
def test_an_edit_that_keeps_size_and_time_is_noticed(
    text: Path, tokenizer: Tokenizer, settled: None, at: float
) -> None:
    counted(text, tokenizer)
    before = text.stat()
    data = bytearray(text.read_bytes())
    place = int(at * len(data))
    data[place : place + 5] = b"zq zq" if data[place : place + 5] != b"zq zq" else b"qz qz"
    time.sleep(0.01)  # one tick of the file system's clock
    text.write_bytes(data)
    os.utime(text, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert text.stat().st_size == before.st_size
    count = counted(text, tokenizer)
    assert not count.cached
    assert count.tokens == by_hand(text, tokenizer)


def test_a_file_just_written_is_not_trusted_to_its_stamp(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "t.txt"
    for word in ("red", "cat", "dog", "zzz", "abc"):  # within one tick of a coarse clock, perhaps
        path.write_text(f"{word}\n" * 10)
        assert counted(path, tokenizer).tokens == by_hand(path, tokenizer)


def test_another_tokenizer_counts_anew(text: Path, words: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    other = train_tokenizer(words, tmp_path / "other.model", 400).tokenizer
    assert counted(text, other).tokens > counted(text, tokenizer).tokens
    assert counted(text, other).cached
    assert counted(text, tokenizer).cached
    assert counted(text, other).tokens == by_hand(text, other)


def planted(text: Path, change: dict[str, Any], seal: bool) -> None:
    """Edit the kept count; with `seal`, as someone would who knows how it is sealed."""
    (kept,) = (text.parents[1] / ".cache").glob("*.count")
    record = json.loads(kept.read_text())
    record |= change
    if seal:
        del record[sealed.SEAL]
        kept.write_text(sealed.sealed(record))
    else:
        kept.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "seal"),
    [
        ({"totals": [999_999_999] * 4}, False),
        ({"totals": [999_999_999] * 4}, True),
        ({"totals": [3, 3, 3, 3], "content": "0" * 64, "stamp": [0, 0, 0, 0]}, True),
        ({"totals": [3, 3, 3]}, True),
        ({"totals": None}, True),
        ({"totals": ["3", "3", "3", "3"]}, True),
        ({"totals": [-1, 3, 3, 3]}, True),
        ({"totals": [True, 3, 3, 3], "format": 0}, True),
        ({"size": 3}, True),
        ({"work": "tokens"}, True),
    ],
)
def test_a_planted_count_is_not_believed(
    text: Path, tokenizer: Tokenizer, settled: None, change: dict[str, Any], seal: bool
) -> None:
    expected = counted(text, tokenizer).tokens
    planted(text, change, seal)
    count = counted(text, tokenizer)
    assert (count.tokens, count.cached) == (expected, False)
    assert counted(text, tokenizer).cached


def test_a_count_of_another_file_of_the_same_name_and_size_is_not_believed(
    text: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    counted(text, tokenizer, cache_dir=cache)
    other = tmp_path / "other" / "text" / text.name
    other.parent.mkdir(parents=True)
    other.write_bytes(text.read_bytes().replace(b"a", b" "))
    count = counted(other, tokenizer, cache_dir=cache)
    assert not count.cached
    assert count.tokens == by_hand(other, tokenizer)


@pytest.mark.parametrize("damage", [b"", b"\0" * 500, b"{", b"\xff\xfe", b"[]\n", b"null\n", b"[" * 100_000])
def test_damaged_caches_and_checkpoints_are_ignored(
    text: Path, tokenizer: Tokenizer, expected: int, interrupt: Any, damage: bytes
) -> None:
    interrupt(text, tokenizer, 25_000)
    (journal,) = (text.parents[1] / ".cache").glob("*.progress")
    journal.write_bytes(damage)
    count = counted(text, tokenizer)
    assert (count.tokens, count.resumed_at) == (expected, 0)
    (kept,) = (text.parents[1] / ".cache").glob("*.count")
    kept.write_bytes(damage)
    count = counted(text, tokenizer)
    assert (count.tokens, count.cached) == (expected, False)


def test_nothing_is_written_where_no_cache_is_wanted(text: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    counted(text, tokenizer, cache_dir=None)
    assert sorted(tmp_path.rglob("*")) == before
    counted(text, tokenizer)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert counted(text, tokenizer, cache_dir=None).cached
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stamps


# Going on.


@pytest.mark.parametrize("line", [100, 10_001, 26_000])
def test_an_interrupted_count_goes_on_and_ends_the_same(
    text: Path, tokenizer: Tokenizer, expected: int, interrupt: Any, line: int
) -> None:
    interrupt(text, tokenizer, line)
    count = counted(text, tokenizer)
    assert count.tokens == expected
    assert line - count.resumed_at <= 2 * counting.CHECKPOINT_LINES  # the batch torn was at most ten thousand more
    assert (count.resumed_at > 0) == (line > 20_000)
    assert not list((text.parents[1] / ".cache").glob("*.progress"))


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl"])
@pytest.mark.parametrize("what", ["tokens", "samples"])
def test_manifests_go_on_too(tmp_path: Path, tokenizer: Tokenizer, interrupt: Any, name: str, what: str) -> None:
    path = tmp_path / name
    rows = [{"image": f"{n}.png", "text": f'wörd, "{n}"', "caption": f"wörd\n{n}"} for n in range(35_000)]
    if name == "t.csv":
        lines = [f'{row["image"]},"wörd, ""{n}"""' for n, row in enumerate(rows)]
        path.write_text("\n".join(["image,text", *lines]), encoding="utf-8")
    elif name == "t.json":
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    else:
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    lines_a_row = {"t.csv": 1, "t.json": 5, "t.jsonl": 1}[name]
    chosen = tokenizer if what == "tokens" else None
    expected = counted(path, tokenizer, cache_dir=None)
    interrupt(path, chosen, 30_000 * lines_a_row, cache_dir=tmp_path)
    done = (
        counted(path, tokenizer, cache_dir=tmp_path)
        if what == "tokens"
        else count_samples(path, progress=False, cache_dir=tmp_path)
    )
    assert done.resumed_at >= 10_000
    assert done.samples == 35_000
    if what == "tokens":
        assert done.tokens == expected.tokens


@pytest.mark.parametrize("edit", ["before", "behind", "longer", "shorter"])
def test_a_checkpoint_of_a_file_that_changed_does_no_harm(
    text: Path, tokenizer: Tokenizer, interrupt: Any, edit: str
) -> None:
    interrupt(text, tokenizer, 28_000)
    before = text.stat()
    data = bytearray(text.read_bytes())
    if edit == "before":
        data[1000:1010] = b"zzzz zzzz\n"
    elif edit == "behind":
        data[-1010:-1000] = b"zzzz zzzz\n"
    text.write_bytes(data + b"one more\n" if edit == "longer" else data[:-100] if edit == "shorter" else data)
    os.utime(text, ns=(before.st_atime_ns, before.st_mtime_ns))
    count = counted(text, tokenizer)
    assert count.tokens == by_hand(text, tokenizer)
    assert (count.resumed_at > 0) == (edit == "behind")  # what was counted is unchanged there


def test_a_checkpoint_of_another_tokenizer_is_not_used(
    text: Path, words: Path, tokenizer: Tokenizer, tmp_path: Path, interrupt: Any
) -> None:
    other = train_tokenizer(words, tmp_path / "other.model", 400).tokenizer
    interrupt(text, other, 28_000)
    assert counted(text, tokenizer).resumed_at == 0


def test_a_torn_last_checkpoint_leaves_the_one_before(
    text: Path, tokenizer: Tokenizer, expected: int, interrupt: Any
) -> None:
    interrupt(text, tokenizer, 30_000)
    (journal,) = (text.parents[1] / ".cache").glob("*.progress")
    lines = journal.read_bytes().rstrip(b"\n").split(b"\n")
    assert len(lines) > 2
    journal.write_bytes(b"\n".join(lines)[:-40])
    count = counted(text, tokenizer)
    assert 0 < count.resumed_at < 20_000
    assert count.tokens == expected


def test_killed_at_random_moments_the_count_ends_the_same(tmp_path: Path) -> None:
    path = corpus(tmp_path / "corpus.txt", 1_500_000)
    trained = train_tokenizer(path, tmp_path / "t.model", 500)
    outcome = killed_counting(path, trained.path, tmp_path / "cache", 5, random.Random(1), pause=0.02)
    assert outcome.total == count_tokens(path, trained.tokenizer, cache_dir=None, progress=False).tokens
    assert max(outcome.redone) <= counting.CHECKPOINT_LINES
    assert len(outcome.killed_at) == 5


def test_a_file_that_changes_while_it_is_counted_is_an_error(
    text: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = counting._batches

    def meddling(*arguments: Any, **named: Any) -> Iterator[Any]:
        yield from original(*arguments, **named)
        with text.open("a") as file:
            file.write("one more line\n")

    monkeypatch.setattr(counting, "_batches", meddling)
    with pytest.raises(UserError, match="changed while it was counted"):
        counted(text, tokenizer)
    monkeypatch.undo()
    assert counted(text, tokenizer).tokens == by_hand(text, tokenizer)


# What goes wrong.


@bad_files.each(bad_files.TEXT)
def test_no_tokens_are_counted_of_a_bad_file(tmp_path: Path, tokenizer: Tokenizer, make: bad_files.Maker) -> None:
    with pytest.raises(UserError):
        counted(make(tmp_path / "bad.txt"), tokenizer)


@bad_files.each(bad_files.CSV)
def test_no_samples_are_counted_of_a_bad_csv_file(tmp_path: Path, make: bad_files.Maker) -> None:
    with pytest.raises(UserError):
        count_samples(make(tmp_path / "bad.csv"), OCR_COLUMNS, progress=False)


@bad_files.each(bad_files.JSON)
def test_no_samples_are_counted_of_a_bad_json_file(tmp_path: Path, make: bad_files.Maker) -> None:
    with pytest.raises(UserError):
        count_samples(make(tmp_path / "bad.json"), ANNOTATION_KEYS, progress=False)


def test_a_full_disk_stops_no_count(
    text: Path, tokenizer: Tokenizer, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("tempfile.mkstemp", "pathlib.Path.mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(name, full)
            assert counted(text, tokenizer).tokens == expected
    if Path("/dev/full").exists():
        full_device = lambda path, mode: open("/dev/full", mode)  # noqa: E731, SIM115
        monkeypatch.setattr(sealed, "open", full_device, raising=False)
        assert counted(text, tokenizer).tokens == expected


def test_a_cache_folder_that_is_a_file_stops_no_count(text: Path, tokenizer: Tokenizer, expected: int) -> None:
    (text.parents[1] / ".cache").write_text("in the way")
    assert counted(text, tokenizer).tokens == expected
