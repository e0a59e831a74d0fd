"""Independent ears: PocketSphinx with its own acoustic model and the word sequences of the world's sentences.

It knows nothing but words of the world, so it is a judge for these sentences only. What it makes of noise and of
shuffled speech is tested beside what it makes of speech.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pocketsphinx import Decoder

from muomni.data.world import document, scene

SAMPLE_RATE = 16_000
N_SCENES = 4000
Expected = Literal["sentences", "answers"]
ORDERS = (1, 2, 3)
DISCOUNT: dict[Expected, float] = {"sentences": 0.5, "answers": 0.0005}
"""Taken from every count for sequences that never occurred: of sentences there are always new ones, but an answer is
nearly always one that the world gives."""
ACCENT = {"no": "N AH OW"}
"""How the synthesizer's voice says a word that the recogniser's dictionary has in American English alone: a lone "no"
of its, with the faintest noise, is heard as "nine bird" otherwise."""


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def language_model(sentences: Iterable[list[str]], discount: float) -> str:
    """A trigram model in ARPA's form, with absolute discounting (`discount` from every count)."""
    lines = [["<s>", *words, "</s>"] for words in sentences]
    counts = [
        Counter(gram for line in lines for gram in zip(*(line[k:] for k in range(n)), strict=False)) for n in ORDERS
    ]
    followed = [Counter(gram[:-1] for gram in table) for table in counts[1:]] + [Counter()]
    total = counts[0].total()
    written = ["\\data\\", *(f"ngram {n}={len(table)}" for n, table in zip(ORDERS, counts, strict=True))]
    for n, table, follow in zip(ORDERS, counts, followed, strict=True):
        written += ["", f"\\{n}-grams:"]
        for gram, count in sorted(table.items()):
            p = count / total if n == 1 else (count - discount) / counts[n - 2][gram[:-1]]
            back_off = f" {math.log10(discount * follow[gram] / count):.4f}" if follow[gram] else ""
            written.append(f"{math.log10(p):.4f} {' '.join(gram)}{back_off}")
    return "\n".join([*written, "", "\\end\\", ""])


@lru_cache(maxsize=2)
def _decoder(expected: Expected) -> Decoder:
    documents = [document(scene(99, index)) for index in range(N_SCENES)]
    texts = {
        "sentences": (sentence for each in documents for sentence in each.sentences),
        "answers": (turn.answer for each in documents for turn in each.turns),
    }
    said = [words_of(text) for text in texts[expected]]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "world.arpa"
        model.write_text(language_model(said, DISCOUNT[expected]), encoding="utf-8")
        decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", lm=str(model))
    for word, phones in ACCENT.items():
        decoder.add_word(f"{word}(2)", phones, True)
    return decoder


def transcribe(samples: np.ndarray, expected: Expected = "sentences") -> list[str]:
    """The words heard in sound `(T,)` at 16 kHz; `expected` tells what the listener thinks is likely.

    Each sound is heard by fresh ears: the decoder's running means would let what was heard before decide about a word.
    """
    decoder = _decoder(expected)
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(_pcm(samples), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr.split() if hypothesis else []


@lru_cache(maxsize=1)
def _aligner() -> Decoder:
    return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", lm=None)


def align(samples: np.ndarray, text: str) -> list[tuple[str, float, float]]:
    """(word, start, end) in seconds of a known text: a forced alignment."""
    decoder = _aligner()
    decoder.set_align_text(" ".join(words_of(text)))
    decoder.start_utt()
    decoder.process_raw(_pcm(samples), full_utt=True)
    decoder.end_utt()
    marked = [(segment.word, segment.start_frame / 100, (segment.end_frame + 1) / 100) for segment in decoder.seg()]
    return [(re.sub(r"\(\d+\)", "", word), start, end) for word, start, end in marked if word[0] not in "<("]


def word_errors(said: list[str], heard: list[str]) -> int:
    """The least number of words to put in, take out or change."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


def _pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
