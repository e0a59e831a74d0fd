"""Scores of speech: right and wrong transcripts, and which of a few words the frames say."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from muomni.data.world import SPOKEN, document_at
from muomni.evaluate import audio_enc
from muomni.evaluate.edits import count_edits, in_wrong_order, normal, word_error_rate
from muomni.evaluate.material import Material, Recording
from muomni.evaluate.speech import word_log_probs

SAID = [document_at(0, index).sentences[0] for index in range(200)]
PIECES = "abc."


def test_texts_are_compared_as_they_are_heard() -> None:
    assert normal("Look, A big   red-ish Circle!") == "look a big red ish circle"
    assert word_error_rate(["Is it blue?", "No."], ["is it blue", "NO"], "test", 0).value == 0.0


def test_the_right_transcripts_score_the_ceiling_and_nothing_scores_one() -> None:
    right = word_error_rate(SAID, SAID, "test", 0)
    assert right.value == right.high == right.ceiling == 0.0
    assert word_error_rate(SAID, [""] * len(SAID), "test", 0).value == 1.0


def test_shuffled_transcripts_score_about_the_floor() -> None:
    shuffled = word_error_rate(SAID, in_wrong_order(SAID, 5), "test", 0)
    assert shuffled.value == pytest.approx(1.0, abs=0.15)
    assert shuffled.floor is not None and 0.8 < shuffled.floor <= 1.0


def test_errors_are_replaced_missing_and_added_words_over_all_words() -> None:
    edits, sizes = count_edits(["a b c", "a"], ["a x c d", ""], "words")
    assert edits.tolist() == [2, 1] and sizes.tolist() == [3, 1]
    assert word_error_rate(["a b c", "a"], ["a x c d", ""], "test", 0).value == 3 / 4
    edits, sizes = count_edits(["star"], ["stars!"], "characters")
    assert (edits[0], sizes[0]) == (2, 4)


@pytest.mark.parametrize("n", [2, 3, 50])
def test_the_wrong_order_leaves_nothing_at_its_place(n: int) -> None:
    items = [str(i) for i in range(n)]
    moved = in_wrong_order(items, 1)
    assert sorted(moved) == sorted(items) and all(a != b for a, b in zip(items, moved, strict=True))


def listener(log_probs: torch.Tensor) -> Any:
    """Hears these frames (N, T, 5), whatever the sound; its pieces are the letters a, b, c and the full stop."""
    frames = iter(log_probs)

    def hear(sounds: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.stack([next(frames) for _ in sounds])
        return rows, torch.full((len(rows),), rows.shape[1])

    tokenizer = SimpleNamespace(encode=lambda text: [PIECES.index(letter) for letter in text])
    return SimpleNamespace(hear=hear, tokenizer=tokenizer, model=SimpleNamespace(blank=len(PIECES)))


def summed_over_alignments(log_probs: torch.Tensor, word: str) -> float:
    """Every way to name the frames, one by one."""
    wanted = [PIECES.index(letter) for letter in word + "."]
    total = 0.0
    for path in itertools.product(range(len(PIECES) + 1), repeat=len(log_probs)):
        said = [now for now, _ in itertools.groupby(path) if now != len(PIECES)]
        if said == wanted:
            total += math.exp(sum(float(frame[symbol]) for frame, symbol in zip(log_probs, path, strict=True)))
    return math.log(total) if total else -math.inf


def test_a_words_probability_is_the_sum_over_its_alignments() -> None:
    log_probs = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    words = ("a", "ab", "bb", "abca")
    found = word_log_probs(listener(log_probs), [torch.zeros(1)] * 3, words)
    assert found.shape == (3, 4)
    for row, frames in zip(found.tolist(), log_probs, strict=True):
        expected = [summed_over_alignments(frames, word) for word in words]
        assert row[:3] == pytest.approx(expected[:3], abs=1e-4) and row[3] == expected[3] == -math.inf


def real(words: list[str], which: str = "fsdd") -> list[Recording]:
    return [Recording(Path(f"{which}-{n}.flac"), which, "someone", word) for n, word in enumerate(words)]


@pytest.mark.parametrize(("right", "value"), [(True, 1.0), (False, 0.0)])
def test_real_words_are_chosen_among_those_taught(monkeypatch: pytest.MonkeyPatch, right: bool, value: float) -> None:
    recordings = [*real(["seven", "two", "six"]), *real(["Yes", "dog", "marvin"], "speech_commands")]
    taught = [each for each in recordings if each.text != "marvin"]
    monkeypatch.setattr(Material, "recordings", lambda self, *sets: recordings)

    def log_probs(_: Any, sounds: list[Path], words: tuple[str, ...]) -> torch.Tensor:
        texts = {each.path: normal(each.text) for each in taught}
        scores = torch.zeros(len(sounds), len(words))
        for row, path in zip(scores, sounds, strict=True):
            row[(words.index(texts[path]) + (not right)) % len(words)] = 1.0
        return scores

    monkeypatch.setattr(audio_enc, "word_log_probs", log_probs)
    said = [each.text + "." if right else "marvin" for each in taught]
    model: Any = SimpleNamespace(transcribe=lambda paths: said)
    found = audio_enc.real_words(model, Material(Path("data")))
    assert set(found) == set(audio_enc.LADDER.rungs[3].metrics)
    assert {score.value for score in found.values()} == {value}
    words, digits = found["accuracy_real_words"], found["accuracy_real_digits"]
    assert (words.n, words.floor, digits.n, digits.floor) == (5, 1 / len(SPOKEN), 3, 0.1)
    assert words.split == "real: fsdd, speech_commands"


def test_chance_at_choosing_is_the_floor() -> None:
    """A listener that hears noise chooses the right one of 25 words as often as their number says."""
    chosen = np.random.default_rng(0).integers(len(SPOKEN), size=4000)
    right = chosen == np.arange(4000) % len(SPOKEN)
    assert right.mean() == pytest.approx(1 / len(SPOKEN), abs=0.012)
