"""Packed text: nothing lost, nothing padded, ends marked, other rows every epoch, held-out text held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from muomni.data.packed import IGNORED, PackedTokens, split_rows, token_stream
from muomni.data.tokenizer import Tokenizer, train_tokenizer
from muomni.errors import UserError

TEXT = "".join(f"line {i} of the text, with {i * i} in it\n{'second line of it' if i % 2 else ''}\n" for i in range(60))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokenizer]:
    folder = tmp_path_factory.mktemp("packed")
    path = folder / "text.txt"
    path.write_text(TEXT)
    train_tokenizer(path, folder / "pieces.model", 320)
    return path, Tokenizer.load(folder / "pieces.model")


@pytest.mark.parametrize("documents", ["lines", "paragraphs"])
def test_the_stream_is_every_line_and_its_terminator(corpus: tuple[Path, Tokenizer], documents: str) -> None:
    path, tokenizer = corpus
    lines = TEXT.split("\n")
    expected: list[int] = []
    for number, line in enumerate(lines):
        if line:
            ends = documents == "lines" or number + 1 == len(lines) or not lines[number + 1]
            expected += [*tokenizer.encode(line), tokenizer.eot_id if ends else tokenizer.newline_id]
    assert token_stream(path, tokenizer, documents=documents, progress=False).tolist() == expected


def test_a_changed_file_gives_another_stream(corpus: tuple[Path, Tokenizer], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("one line\n")
    first = token_stream(path, corpus[1], progress=False).tolist()
    path.write_text("two line\n")
    assert token_stream(path, corpus[1], progress=False).tolist() != first
    assert len(list((tmp_path / ".cache").glob("*.tokens"))) == 1, "the stale one is gone"


def test_rows_hold_every_token_once_and_each_target_follows_its_input() -> None:
    rows = PackedTokens(np.arange(64, dtype=np.uint16), ctx_len=16, seed=0)
    assert len(rows) == 4
    for epoch in range(4):
        seen = []
        for index in range(4):
            inputs, targets = rows.row(index, epoch)
            counted = targets != IGNORED
            assert ((targets - inputs)[counted] == 1).all()
            assert (inputs[~counted] == 63).all(), "only the token after the last is unknown"
            seen += inputs.tolist()
        assert sorted(seen) == list(range(64))


def test_rows_begin_elsewhere_in_each_epoch_reproducibly() -> None:
    starts = [PackedTokens(np.arange(640), 16, seed=5).row(0, epoch)[0][0] for epoch in range(4)]
    assert starts[0] == 0 and len(set(starts)) == 4
    assert starts == [PackedTokens(np.arange(640), 16, seed=5).row(0, epoch)[0][0] for epoch in range(4)]


def test_held_out_tokens_are_never_inputs_or_targets_of_training() -> None:
    train, held_out = split_rows(np.arange(100), training=70, ctx_len=10)
    trained = {int(t) for epoch in range(3) for i in range(len(train)) for part in train.row(i, epoch) for t in part}
    assert trained - {IGNORED} == set(range(70))
    assert len(held_out) == 3 and held_out.row(0)[0][0] == 70


def test_too_little_text_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UserError, match="only 9 tokens for validation"):
        split_rows(np.arange(100), training=91, ctx_len=10)
    with pytest.raises(UserError, match="only 0 tokens for training"):
        split_rows(np.arange(0), training=0, ctx_len=10)


def test_rows_begin_with_a_document_where_one_starts_less_than_half_a_row_before() -> None:
    stream = np.array([5, 5, 0, 5, 5, 5, 5, 0, 5, 5] + 20 * [5] + [0, 5])
    rows = PackedTokens(stream, ctx_len=8, seed=0, starts=np.flatnonzero(stream == 0))
    assert len(rows) == 4, "an epoch is as long as without"
    begins = [rows._begin(index * 8) for index in range(4)]
    assert begins == [0, 7, 16, 24], "before the first document, one near, and two that began too far away"
    inputs, targets = rows.row(1)
    assert inputs.tolist() == stream[7:15].tolist() and targets.tolist() == stream[8:16].tolist()


def test_with_document_starts_short_documents_are_whole_and_none_is_lost() -> None:
    dice = np.random.default_rng(0)
    stream = np.concatenate([[0, *range(start, start + dice.integers(3, 12))] for start in range(100, 6100, 20)])
    train, held_out = split_rows(stream, training=len(stream) * 9 // 10, ctx_len=32, eot_id=0)
    seen: set[int] = set()
    for epoch in range(6):
        for index in range(len(train)):
            inputs, targets = train.row(index, epoch)
            assert inputs[0] == 0
            seen |= set(targets.tolist())
    assert set(train.stream.tolist()) <= seen
    assert held_out.starts is not None and held_out.row(0)[1].max() >= train.stream.max()
