"""Estimating tokens: the truth lies inside the interval as often as promised, whatever the lines look like."""

import json
import random
from itertools import accumulate
from pathlib import Path

import bad_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muomni.data import estimate
from muomni.data.counting import count_tokens
from muomni.data.estimate import estimate_tokens
from muomni.data.manifests import is_blank, read_lines
from muomni.data.tokenizer import Tokenizer, train_tokenizer
from muomni.errors import UserError

SEEDS = 60


@pytest.fixture(scope="module")
def words() -> list[str]:
    dice = random.Random(0)
    return ["".join(dice.choices("etaoinshrdlu", k=dice.randint(1, 9))) for _ in range(2000)]


@pytest.fixture(scope="module")
def tokenizer(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "t.txt").write_text("\n".join(" ".join(words[at : at + 9]) for at in range(0, 2000, 3)))
    return train_tokenizer(folder / "t.txt", folder / "t.model", 700).tokenizer


def corpus(path: Path, kind: str, words: list[str], size: int = 300_000) -> Path:
    """Text of a kind that a careless sample gets wrong."""
    dice = random.Random(1)
    often = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
    lines: list[str] = []
    while sum(map(len, lines[-1:])) >= 0 and sum(map(len, lines)) < size:
        for number in range(200):
            length = {"even": 12, "unequal": int(dice.paretovariate(1.1)) + 1}.get(kind, dice.randint(1, 24))
            line = " ".join(dice.choices(words, cum_weights=often, k=min(length, 2000)))
            if kind == "long lines differ" and number % 10 == 0:
                line = "0123456789" * 60  # a token a digit, in lines far longer than the others
            elif kind == "half blank" and number % 2:
                line = ""
            lines.append(line)
    if kind == "two halves":
        lines = lines[: len(lines) // 2] + [f"{dice.random()}" for _ in range(len(lines))]
    ending = "\r\n" if kind == "even" else "\n"
    path.write_bytes(ending.join(lines).encode())
    return path


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller cells, so that a small file has many."""
    monkeypatch.setattr(estimate, "CELL", 256)


@pytest.mark.parametrize("kind", ["even", "unequal", "long lines differ", "half blank", "two halves"])
def test_the_interval_holds_the_truth_as_often_as_promised(
    tmp_path: Path, tokenizer: Tokenizer, words: list[str], small_cells: None, kind: str
) -> None:
    path = corpus(tmp_path / "t.txt", kind, words)
    truth = count_tokens(path, tokenizer, cache_dir=None, progress=False).tokens
    found = [estimate_tokens(path, tokenizer, draws=200, seed=seed, small=0) for seed in range(SEEDS)]
    inside = sum(one.low <= truth <= one.high for one in found)
    assert inside / SEEDS >= 0.85  # promised 0.95: fewer than 51 of 60 has a chance of one in a thousand
    assert sum(one.low <= 0.97 * truth <= one.high for one in found) < SEEDS  # the interval is not simply wide
    middle = sum(one.tokens for one in found) / SEEDS
    spread = sum(one.high - one.low for one in found) / SEEDS / 4
    assert abs(middle - truth) < 4 * spread / SEEDS**0.5  # unbiased: four standard errors


def test_the_mean_over_lines_drawn_without_weights_would_be_wrong(
    tmp_path: Path, tokenizer: Tokenizer, words: list[str]
) -> None:
    """The corpus above is one on which the careless estimate fails, so the test before this one can fail."""
    path = corpus(tmp_path / "t.txt", "long lines differ", words)
    truth = count_tokens(path, tokenizer, cache_dir=None, progress=False).tokens
    lines = path.read_text().split("\n")
    rates = [(len(ids) + 1) / (len(line) + 1) for line, ids in zip(lines, tokenizer.encode_batch(lines), strict=True)]
    careless = sum(rates) / len(rates) * path.stat().st_size
    assert abs(careless - truth) > 0.1 * truth


def test_a_small_file_is_counted(tmp_path: Path, tokenizer: Tokenizer, words: list[str]) -> None:
    path = corpus(tmp_path / "t.txt", "even", words, size=5000)
    found = estimate_tokens(path, tokenizer)
    assert found.exact
    assert found.low == found.tokens == found.high
    assert found.tokens == count_tokens(path, tokenizer, cache_dir=None, progress=False).tokens
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_seed_draws_the_same_lines(
    tmp_path: Path, tokenizer: Tokenizer, words: list[str], small_cells: None
) -> None:
    path = corpus(tmp_path / "t.txt", "even", words)
    first, second, other = (estimate_tokens(path, tokenizer, draws=50, seed=seed, small=0) for seed in (1, 1, 2))
    assert first == second != other
    assert json.dumps(vars(first))


@given(
    parts=st.lists(
        st.sampled_from(["a", "red", " ", "  ", "\n", "\r\n", "é", "日本", "x" * 9]), min_size=1, max_size=60
    ),
    cell=st.integers(4, 12),
)
def test_all_cells_together_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, parts: list[str], cell: int
) -> None:
    data = "".join(parts).encode()
    path = tmp_path_factory.mktemp("cells") / "t.txt"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch, path.open("rb") as file:
        patch.setattr(estimate, "CELL", cell)
        cells = range(-(-len(data) // cell))
        stretches = [estimate._stretch(file, number, len(data), path) for number in cells]
    assert sum(one.size for one in stretches) == len(data)
    texts = "".join(text for one in stretches for text in one.texts)
    filled = [line for line in read_lines(path) if not is_blank(line)]
    assert texts.split() == "".join(filled).split() or texts.replace(" ", "") == "".join(filled).replace(" ", "")
    if all(len(line.encode()) < cell for line in read_lines(path)):  # else a long blank line may pass for a part
        assert texts == "".join(filled)
        assert sum(one.endings for one in stretches) == len(filled)


@pytest.mark.parametrize("line", ["word " * 20_000, "日本語" * 20_000, "x" * 100_000, " " * 60_000 + "x"])
def test_long_lines_are_drawn_in_parts(tmp_path: Path, tokenizer: Tokenizer, line: str) -> None:
    path = tmp_path / "t.txt"
    path.write_text(f"{line}\n" * 10, encoding="utf-8")
    truth = count_tokens(path, tokenizer, cache_dir=None, progress=False).tokens
    found = estimate_tokens(path, tokenizer, small=0, draws=100)
    assert found.tokens == pytest.approx(truth, rel=0.02)  # a cell more or less of the last in a line


BAD = {name: make for name, make in bad_files.TEXT.items() if name != "a line without end"}  # which could be read


@bad_files.each(BAD)
def test_bad_files_end_in_user_errors(tmp_path: Path, tokenizer: Tokenizer, make: bad_files.Maker) -> None:
    with pytest.raises(UserError):
        estimate_tokens(make(tmp_path / "bad.txt"), tokenizer)
    with pytest.raises(UserError):
        estimate_tokens(make(tmp_path / "worse.txt"), tokenizer, small=-1)


def test_blank_files_are_named(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "t.txt").write_text(" \n" * 8000)
    for draws in (4, 3000):
        with pytest.raises(UserError, match="no text"):
            estimate_tokens(tmp_path / "t.txt", tokenizer, draws=draws, small=0)


@pytest.mark.parametrize(
    ("freedom", "point"), [(1, 12.706), (2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (9999, 1.960)]
)
def test_students_t_is_that_of_the_tables(freedom: int, point: float) -> None:
    assert estimate._student(freedom) == pytest.approx(point, rel=0.01)
