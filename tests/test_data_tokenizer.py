"""The tokenizer: nothing is lost, special tokens cannot be typed, training is deterministic and says what it did."""

import errno
import json
import pickle
import random
from pathlib import Path
from typing import Any

import bad_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muomni.data import plain_text
from muomni.data.tokenizer import CONTROL_TOKENS, Tokenizer, train_tokenizer
from muomni.data.words import CYCLE, WARM_UP, PieceCounter
from muomni.errors import UserError

LINES = [
    f"a {size} {colour} {shape} is {place} the {other} one; I count {n}."
    for n, (size, colour) in enumerate([("big", "red"), ("small", "blue"), ("tiny", "grün"), ("large", "ｗhite")])
    for shape in ("circle", "square", "star", "trian-gle", "été")
    for place in ("above", "below", "left of", "in_side")
    for other in ("other", "first", "2nd", "(last)")
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tokenizer(corpus: Path) -> Tokenizer:
    return train_tokenizer(corpus, corpus.parent / "tokenizer.model", 400).tokenizer


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TYPED = st.lists(
    st.sampled_from(
        [*CONTROL_TOKENS, "<|endoftext|>", "<|pad|>", "<unk>", "<s>", "<0x41>", "<0x0A>", "▁", "⁇", " ", "a"]
    )
).map("".join)


# What comes back.


@given(text=TEXT | TYPED)
def test_every_text_comes_back_exactly(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "  two  spaces ",
        "\ttab\r",
        "▁",
        " ▁ ▁▁x",
        "ﬁ Å ｘ e\u0301",
        "\ufeff",
        "日本語",
        "\u2028\x85\x0b",
        "a\0b",
    ],
)
def test_spaces_compatibility_forms_and_marks_come_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(texts=st.lists(TEXT | TYPED, max_size=5))
def test_many_texts_at_once_are_the_same_as_one_by_one(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch(texts * 80, threads=4) == [tokenizer.encode(text) for text in texts] * 80


@given(first=TEXT, second=TEXT)
def test_a_newline_between_texts_is_one_token(tokenizer: Tokenizer, first: str, second: str) -> None:
    joined = [*tokenizer.encode(first), tokenizer.newline_id, *tokenizer.encode(second)]
    assert tokenizer.encode(f"{first}\n{second}") == joined
    assert tokenizer.decode(joined) == f"{first}\n{second}"


def test_half_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    for encode in (tokenizer.encode, lambda text: tokenizer.encode_batch(["fine", text])):
        with pytest.raises(UserError, match="half of a surrogate pair"):
            encode("a\ud800b")


# Special tokens.


def test_special_tokens_stand_where_they_are_promised(tokenizer: Tokenizer) -> None:
    assert (tokenizer.unk_id, tokenizer.eot_id, tokenizer.pad_id) == (0, 1, 2)
    assert list(tokenizer.special) == list(CONTROL_TOKENS)
    assert [*tokenizer.special.values(), tokenizer.newline_id] == list(range(3, 10))
    assert [tokenizer.piece(number) for number in tokenizer.special.values()] == list(CONTROL_TOKENS)


@given(text=TEXT | TYPED)
def test_typed_text_never_turns_into_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    reserved = {tokenizer.unk_id, tokenizer.eot_id, tokenizer.pad_id, *tokenizer.special.values()}
    assert not reserved & set(tokenizer.encode(text))


def test_special_tokens_decode_to_nothing(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.special["<|user|>"], *tokenizer.encode("red"), tokenizer.eot_id, tokenizer.pad_id]
    assert tokenizer.decode(ids) == "red"


# Words.


@given(texts=st.lists(TEXT | TYPED, max_size=6))
def test_counting_by_words_is_counting_by_lines(tokenizer: Tokenizer, texts: list[str]) -> None:
    texts = [text.replace("\n", " ") for text in texts]
    expected = sum(len(tokenizer.encode(text)) for text in texts)
    counter = PieceCounter(tokenizer)
    assert [counter.pieces(texts) for _ in range(2)] == [expected] * 2
    assert tokenizer.words_are_independent()


def test_newlines_inside_a_text_are_counted(tokenizer: Tokenizer) -> None:
    texts = ["a red\nstar", "", "x", "\n\n"]
    assert PieceCounter(tokenizer).pieces(texts) == sum(len(tokenizer.encode(text)) for text in texts)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways of counting that are used, as they are used."""
    used: list[str] = []

    def noting(way: str) -> Any:
        original = getattr(PieceCounter, way)

        def noted(self: PieceCounter, given: Any) -> Any:
            used.append(way)
            return original(self, given)

        return noted

    for way in ("_by_words", "_by_lines"):
        monkeypatch.setattr(PieceCounter, way, noting(way))
    return used


def test_both_ways_of_counting_are_tried_and_agree(tokenizer: Tokenizer, ways: list[str]) -> None:
    counter = PieceCounter(tokenizer)
    expected = sum(len(tokenizer.encode(line)) for line in LINES)
    assert {counter.pieces(LINES) for _ in range(CYCLE)} == {expected}
    assert ways[: WARM_UP + 1] == ["_by_words"] * WARM_UP + ["_by_lines"]
    assert len(ways) == CYCLE


def test_text_of_new_words_is_counted_by_lines(tokenizer: Tokenizer, ways: list[str]) -> None:
    dice = random.Random(0)
    texts = ["".join(dice.choices("abcdefgh", k=40)) for _ in range(1000)]
    counter = PieceCounter(tokenizer)
    expected = sum(len(tokenizer.encode(text)) for text in texts)
    assert [counter.pieces(texts) for _ in range(5)] == [expected] * 5
    assert ways == ["_by_words"] + ["_by_lines"] * 5


def test_more_words_than_are_remembered_are_counted_all_the_same(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muomni.data.words.KNOWN_WORDS", 10)
    monkeypatch.setattr("muomni.data.words.LONGEST_WORD", 4)
    counter = PieceCounter(tokenizer)
    for at in range(0, len(LINES), 5):
        texts = LINES[at : at + 5]
        assert counter.pieces(texts) == sum(len(tokenizer.encode(text)) for text in texts)
        assert len(counter._known) <= 10


def test_unigram_models_are_not_counted_by_words(corpus: Path, tmp_path: Path) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        input=[str(corpus)],
        model_prefix=str(tmp_path / "unigram"),
        model_type="unigram",
        vocab_size=320,
        byte_fallback=True,
        eos_id=1,
        pad_id=2,
        bos_id=-1,
        control_symbols=list(CONTROL_TOKENS),
        user_defined_symbols=["\n"],
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    assert not Tokenizer.load(tmp_path / "unigram.model").words_are_independent()


# Training.


def test_the_same_text_gives_the_same_bytes_wherever_it_lies(
    corpus: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "copy.txt").write_bytes(corpus.read_bytes())
    again = train_tokenizer(tmp_path / "copy.txt", tmp_path / "again.model", 400)
    assert (tmp_path / "again.model").read_bytes() == (corpus.parent / "tokenizer.model").read_bytes()
    assert again.tokenizer.fingerprint == tokenizer.fingerprint


def test_line_endings_and_a_byte_order_mark_make_no_difference(
    corpus: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "dos.txt").write_bytes(b"\xef\xbb\xbf" + corpus.read_bytes().replace(b"\n", b"\r\n\r\n"))
    again = train_tokenizer(tmp_path / "dos.txt", tmp_path / "again.model", 400)
    assert again.tokenizer.fingerprint == tokenizer.fingerprint


def test_too_little_text_gives_the_largest_vocabulary_it_supports(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a red circle\na blue square\n")
    result = train_tokenizer(tmp_path / "t.txt", tmp_path / "t.model", 32_000)
    assert result.asked == 32_000
    assert result.vocab_size == result.tokenizer.vocab_size == Tokenizer.load(result.path).vocab_size
    assert 280 < result.vocab_size < 400  # bytes, specials, letters and the merges of five words
    fewer = train_tokenizer(tmp_path / "t.txt", tmp_path / "t.model", result.vocab_size)
    assert fewer.vocab_size == result.vocab_size


def test_a_vocabulary_too_small_for_the_characters_is_an_error_that_says_the_least(
    corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"^vocab_size: is 100, too small .* Set it to \d+ or more") as caught:
        train_tokenizer(corpus, tmp_path / "t.model", 100)
    least = int(str(caught.value).split("Set it to ")[1].split()[0])
    assert train_tokenizer(corpus, tmp_path / "t.model", least).vocab_size == least


@pytest.mark.parametrize("vocab_size", [0, -5, 1 << 40])
def test_absurd_vocabulary_sizes_are_user_errors_or_trained_smaller(
    corpus: Path, tmp_path: Path, vocab_size: int
) -> None:
    try:
        assert train_tokenizer(corpus, tmp_path / "t.model", vocab_size).vocab_size < 5000
    except UserError:
        assert not (tmp_path / "t.model").exists()


@pytest.mark.parametrize("text", ["one\ntwo\nthree\n", "日本語\n中文\n", "a b\n" + "xyzxyz\n" * 20_000])
def test_text_with_hardly_a_space_makes_a_tokenizer_that_keeps_spaces(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    tokenizer = train_tokenizer(tmp_path / "t.txt", tmp_path / "t.model", 300).tokenizer
    assert len(tokenizer.encode(" ")) == 1
    assert tokenizer.decode(tokenizer.encode(" one  two ")) == " one  two "


def test_one_long_line_is_trained_on(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(" ".join(LINES * 3), encoding="utf-8")
    result = train_tokenizer(tmp_path / "t.txt", tmp_path / "t.model", 400)
    assert result.vocab_size == 400
    assert result.bytes_used == len(" ".join(LINES * 3))


def test_of_a_large_text_evenly_spread_parts_are_used(tmp_path: Path) -> None:
    lines = [f"{'early' if n < 40_000 else 'later'} words {n % 7}" for n in range(80_000)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    result = train_tokenizer(tmp_path / "t.txt", tmp_path / "t.model", 320, training_bytes=600_000)
    assert 300_000 < result.bytes_used < 900_000
    assert len(result.tokenizer.encode("later")) == len(result.tokenizer.encode("early")) == 1


def test_the_text_of_manifests_goes_through_a_temporary_file_that_is_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "audio").mkdir(parents=True)
    (data / "images").mkdir()
    csv = data / "audio" / "asr.csv"
    csv.write_text("wav,text\n" + "".join(f'{n}.wav,"{line}"\n' for n, line in enumerate(LINES)), encoding="utf-8")
    annotations = data / "images" / "annotations.json"
    annotations.write_text(json.dumps([{"image": "a.png", "captions": LINES}]))
    results = [train_tokenizer(path, tmp_path / "t.model", 400) for path in (csv, annotations)]
    (tmp_path / "t.txt").write_text("\n".join(LINES), encoding="utf-8")
    plain = train_tokenizer(tmp_path / "t.txt", tmp_path / "t.model", 400)
    assert {result.tokenizer.fingerprint for result in results} == {plain.tokenizer.fingerprint}
    assert not (data / ".temp").exists()


def test_the_temporary_file_is_removed_on_failure_too(tmp_path: Path) -> None:
    path = tmp_path / "asr.csv"
    path.write_text("wav,text\na.wav,red\nb.wav\n")
    with pytest.raises(UserError, match="asr.csv:3: has 1 field"):
        train_tokenizer(path, tmp_path / "t.model", 400, temp_dir=tmp_path / "temp")
    assert not (tmp_path / "temp").exists()
    assert not (tmp_path / "t.model").exists()


def test_a_full_disk_is_a_user_error_and_leaves_the_old_model(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model = tmp_path / "t.model"
    model.write_bytes(b"old")
    (tmp_path / "asr.csv").write_text("wav,text\na.wav,red\n")
    with monkeypatch.context() as patch:
        patch.setattr(plain_text, "open", full, raising=False)
        with pytest.raises(UserError, match="No space left on device"):
            train_tokenizer(tmp_path / "asr.csv", model, 400)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match="No space left on device"):
            train_tokenizer(corpus, model, 400)
    assert model.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asr.csv", "t.model"]


# Files.


@bad_files.each({name: make for name, make in bad_files.TEXT.items() if name not in ("a line without end",)})
def test_no_tokenizer_is_trained_on_a_bad_file(tmp_path: Path, make: bad_files.Maker) -> None:
    with pytest.raises(UserError):
        train_tokenizer(make(tmp_path / "bad.txt"), tmp_path / "t.model", 400)
    assert not (tmp_path / "t.model").exists()


@bad_files.each(bad_files.MODEL)
def test_a_bad_model_file_is_a_user_error(tmp_path: Path, make: bad_files.Maker) -> None:
    with pytest.raises(UserError):
        Tokenizer.load(make(tmp_path / "bad.model"))


@given(cut=st.integers(0, 3000), at=st.integers(0, 3000), bit=st.integers(0, 7))
def test_a_damaged_model_file_never_ends_otherwise(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, cut: int, at: int, bit: int
) -> None:
    data = bytearray(tokenizer.__getstate__())
    data[at] ^= 1 << bit
    path = tmp_path_factory.mktemp("damaged") / "t.model"
    path.write_bytes(data[:cut] if cut % 2 else data)
    try:
        assert Tokenizer.load(path).encode("a red star")
    except UserError as error:
        assert str(path) in str(error)


def test_a_tokenizer_made_for_something_else_is_refused(corpus: Path, tmp_path: Path) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        input=[str(corpus)], model_prefix=str(tmp_path / "other"), vocab_size=50, minloglevel=2
    )
    with pytest.raises(UserError, match="made for something else"):
        Tokenizer.load(tmp_path / "other.model")


def test_a_tokenizer_survives_saving_and_pickling(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "saved.model")
    for other in (Tokenizer.load(tmp_path / "saved.model"), pickle.loads(pickle.dumps(tokenizer))):
        assert other.fingerprint == tokenizer.fingerprint
        assert other.encode("a red star\n") == tokenizer.encode("a red star\n")
