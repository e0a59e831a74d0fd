"""Stage G: a reader on new words, unseen fonts, and handwritten digits.

| rung | scores |
|---|---|
| new words | `exact_new_words`, `cer` |
| unseen fonts | `exact_new_fonts`, `cer_new_fonts` |
| handwritten digits | `accuracy_handwritten_digits`: the likeliest digit; `exact_handwritten_digits`: any text |
"""

from __future__ import annotations

import torch

from muomni.evaluate.digits import handwritten_digits
from muomni.evaluate.material import Material
from muomni.evaluate.reading import character_error_rate, exact_match, text_log_probs
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score, mean_score
from muomni.infer.load import load_reader
from muomni.infer.read import TrainedReader

DIGITS = tuple("0123456789")
N_DIGITS = 500


def _words(trained: TrainedReader, material: Material, split: str) -> tuple[Score, Score]:
    examples = material.spread(material.rows(f"ocr/ocr_{split}.csv", "image"))
    right = [each.text for each in examples]
    found = trained.read([each.path for each in examples])
    exact = exact_match(right, found, split, material.seed)
    return exact, character_error_rate(right, found, split, material.seed)


def new_words(trained: TrainedReader, material: Material) -> dict[str, Score]:
    exact, cer = _words(trained, material, "test_new_words")
    return {"exact_new_words": exact, "cer": cer}


def new_fonts(trained: TrainedReader, material: Material) -> dict[str, Score]:
    exact, cer = _words(trained, material, "test_new_fonts")
    return {"exact_new_fonts": exact, "cer_new_fonts": cer}


def digits(trained: TrainedReader, material: Material) -> dict[str, Score]:
    pictures, shown = handwritten_digits(trained.model.config.img_size)
    few = material.spread(range(len(shown)), N_DIGITS)
    pixels, right = pictures[torch.tensor(few)], [shown[i] for i in few]
    likeliest = text_log_probs(trained.model, pixels, DIGITS).argmax(1).tolist()
    hits = [float(DIGITS[i] == digit) for i, digit in zip(likeliest, right, strict=True)]
    split, chance = "real: load_digits", 1 / len(DIGITS)
    free = [float(a == b) for a, b in zip(trained.read(list(pixels)), right, strict=True)]
    return {
        "accuracy_handwritten_digits": mean_score(hits, split, material.seed, chance, ceiling=1.0),
        "exact_handwritten_digits": mean_score(free, split, material.seed, chance, ceiling=1.0),
    }


LADDER = Ladder(
    load_reader,
    ("ocr/ocr_test_new_words.csv", "ocr/ocr_test_new_fonts.csv"),
    (
        Rung("new words", ("exact_new_words", "cer"), "ocr", new_words, ("exact_new_words",)),
        Rung("unseen fonts", ("exact_new_fonts", "cer_new_fonts"), "ocr", new_fonts, ("exact_new_fonts",)),
        Rung(
            "handwritten digits",
            ("accuracy_handwritten_digits", "exact_handwritten_digits"),
            "package:scikit-learn",
            digits,
            ("accuracy_handwritten_digits",),
            "trained on printed words alone",
        ),
    ),
)
