"""Stage B: an audio encoder on new sentences, new speakers, another synthesizer, and people.

| rung | scores |
|---|---|
| new sentences | `wer_new_sentences`, in voices known from training |
| new speakers | `wer_new_speakers`, pseudo-speakers who never speak in training |
| another engine | `wer_other_engine`, another synthesizer |
| real words | `accuracy_real_words` (the likeliest of the taught words), `accuracy_real_digits` (of the ten digits), |
| | `free_real_words` (transcribed, any text allowed) |
| real sentences | `wer_real_sentences` |
"""

from __future__ import annotations

from muomni.data.world.lexicon import NUMBERS, SPOKEN
from muomni.errors import UserError
from muomni.evaluate.edits import normal, word_error_rate
from muomni.evaluate.material import SPEECH, Material, Recording, Unavailable
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score, mean_score
from muomni.evaluate.speech import word_log_probs
from muomni.infer.listen import TrainedListener
from muomni.infer.load import load_listener

OTHER_ENGINE = "audio_other_engine/asr_test.csv"
WORD_SETS, DIGIT_SET = ("speech_commands", "fsdd"), "fsdd"
SENTENCE_SETS = ("ljspeech", "librivox")
REAL = f"reality/{SPEECH}"


def _sentences(trained: TrainedListener, material: Material, table: str, split: str) -> Score:
    examples = material.spread(material.rows(table, "wav"))
    said = trained.transcribe([each.path for each in examples])
    return word_error_rate([each.text for each in examples], said, split, material.seed)


def new_sentences(trained: TrainedListener, material: Material) -> dict[str, Score]:
    return {"wer_new_sentences": _sentences(trained, material, "audio/asr_test.csv", "test")}


def new_speakers(trained: TrainedListener, material: Material) -> dict[str, Score]:
    table = "audio/asr_test_new_speakers.csv"
    return {"wer_new_speakers": _sentences(trained, material, table, "test_new_speakers")}


def other_engine(trained: TrainedListener, material: Material) -> dict[str, Score]:
    if not (material.data / OTHER_ENGINE).exists():
        raise Unavailable(
            f"{material.data / OTHER_ENGINE} is not made: pip install 'muomni[engines]', then "
            "`muomni data make --only audio_other_engine`"
        )
    return {"wer_other_engine": _sentences(trained, material, OTHER_ENGINE, "other_engine")}


def real_words(trained: TrainedListener, material: Material) -> dict[str, Score]:
    """Recordings of words that the world teaches; others are left out."""
    taught = [each for each in material.recordings(*WORD_SETS) if normal(each.text) in SPOKEN]
    if not taught:
        raise Unavailable("none of the real recordings says a word that the world teaches")
    recordings = material.spread(taught)
    found = {"accuracy_real_words": _chosen(trained, recordings, SPOKEN, material.seed)}
    digits = [each for each in recordings if each.set == DIGIT_SET]
    if digits:
        found["accuracy_real_digits"] = _chosen(trained, digits, NUMBERS, material.seed)
    said = trained.transcribe([each.path for each in recordings])
    right = [float(normal(a) == normal(b.text)) for a, b in zip(said, recordings, strict=True)]
    split = f"real: {', '.join(WORD_SETS)}"
    found["free_real_words"] = mean_score(right, split, material.seed, floor=1 / len(SPOKEN), ceiling=1.0)
    return found


def _chosen(trained: TrainedListener, recordings: list[Recording], words: tuple[str, ...], seed: int) -> Score:
    """How often the likeliest of the words is the one that is said."""
    likeliest = word_log_probs(trained, [each.path for each in recordings], words).argmax(1).tolist()
    right = [float(words[i] == normal(each.text)) for i, each in zip(likeliest, recordings, strict=True)]
    split = "real: " + ", ".join(dict.fromkeys(each.set for each in recordings))
    return mean_score(right, split, seed, floor=1 / len(words), ceiling=1.0)


def real_sentences(trained: TrainedListener, material: Material) -> dict[str, Score]:
    recordings = material.spread(material.recordings(*SENTENCE_SETS))
    if len(recordings) < 2:
        raise UserError("has too few real sentences to score", field=SPEECH)
    said = trained.transcribe([each.path for each in recordings])
    split = f"real: {', '.join(SENTENCE_SETS)}"
    right = [each.text for each in recordings]
    return {"wer_real_sentences": word_error_rate(right, said, split, material.seed)}


LADDER = Ladder(
    load_listener,
    ("audio/asr_test.csv", "audio/asr_test_new_speakers.csv"),
    (
        Rung("new sentences", ("wer_new_sentences",), "audio", new_sentences, ("wer_new_sentences",)),
        Rung("new speakers", ("wer_new_speakers",), "audio", new_speakers, ("wer_new_speakers",)),
        Rung("another engine", ("wer_other_engine",), "audio_other_engine", other_engine, ("wer_other_engine",)),
        Rung(
            "real words",
            ("accuracy_real_words", "accuracy_real_digits", "free_real_words"),
            REAL,
            real_words,
            ("accuracy_real_words", "accuracy_real_digits"),
            "trained on synthetic speech alone",
        ),
        Rung(
            "real sentences",
            ("wer_real_sentences",),
            REAL,
            real_sentences,
            ("wer_real_sentences",),
            "expected to fail: most of these words were never taught",
        ),
    ),
)
