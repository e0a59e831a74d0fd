"""Stage E: the omni model on new scenes, unseen pairs of color and shape, new sentences spoken, and words in pictures.

| rung | scores |
|---|---|
| new scenes | `vqa`: questions in text about a picture, answered word for word; `caption_exact`: its caption is true |
| unseen pairs | `vqa_new_pairs` |
| spoken questions | `spoken_vqa`: new sentences spoken, about new scenes |
| answered in speech | `spoken_vqa_spoken_answer`: the same, and the Talker's answer as our own listener hears it |
| new sentences | `transcribe_wer` |
| words in pictures | `read_word`: the word written in a new scene |

"What do you see?" has several right answers, as a big star left of a ring is a ring right of a big star: any that is
true of the scene's record is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from muomni.data.chat import CAPTION, TRANSCRIBE
from muomni.data.examples import Example
from muomni.data.world.captions import read_caption, short_caption
from muomni.data.world.facts import Facts
from muomni.data.world.grammar import DESCRIBE, question_kinds
from muomni.data.world.lexicon import INVERSE, WORLD
from muomni.data.world.scene import Scene, observe
from muomni.errors import UserError
from muomni.evaluate.edits import normal, word_error_rate
from muomni.evaluate.material import Material
from muomni.evaluate.pictures import record_of
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score, mean_score
from muomni.evaluate.truth import is_true
from muomni.infer.chat import TrainedOmni
from muomni.infer.load import load_listener, load_omni, load_talker, newest, shipped

N_ASKED, N_CAPTIONS, N_SPOKEN, N_SAID, N_AGAIN = 500, 200, 400, 300, 100
READING = ("what does it say?", "what is the word?", "what word is written?", "read the word.")


def right_answers(question: str, answer: str, record: Scene) -> set[str]:
    """Every right answer to a question about a scene: the one that is written, and of descriptions all true ones."""
    if question not in DESCRIBE:
        return {answer}
    facts = observe(record)
    answers = {answer, short_caption(facts) + "."}
    if facts.kind in ("pair", "groups"):
        turned = Facts(
            facts.kind, facts.things[::-1], INVERSE[facts.relation] if facts.relation else None, word=facts.word
        )
        answers.add(short_caption(turned) + ".")
    return answers


def _asked(trained: TrainedOmni, material: Material, split: str) -> Score:
    rows = material.rows(f"images/{split}.json", "image")
    asked = [(row, each) for row in rows for each in row.values.get("questions", ())]
    if not asked:
        raise UserError("holds no questions", file=material.data / f"images/{split}.json")
    few = material.spread(asked, N_ASKED)
    right = [
        float(trained.ask(q["question"], image=row.path) in right_answers(q["question"], q["answer"], record_of(row)))
        for row, q in few
    ]
    return mean_score(right, split, material.seed, _commonest([q["answer"] for _, q in few]), ceiling=1.0)


def _commonest(answers: Sequence[str]) -> float:
    """The share of the commonest answer: what is got by giving it always."""
    return Counter(answers).most_common(1)[0][1] / len(answers)


def new_scenes(trained: TrainedOmni, material: Material) -> dict[str, Score]:
    rows = material.spread(material.rows("images/test.json", "image"), N_CAPTIONS)
    true = [float(_caption_is_true(trained.ask(CAPTION, image=row.path), record_of(row))) for row in rows]
    captions = mean_score(true, "test", material.seed, floor=0.0, ceiling=1.0)
    return {"vqa": _asked(trained, material, "test"), "caption_exact": captions}


def _caption_is_true(caption: str, record: Scene) -> bool:
    return any(is_true(facts, record) for facts, _ in read_caption(caption, WORLD))


def unseen_pairs(trained: TrainedOmni, material: Material) -> dict[str, Score]:
    return {"vqa_new_pairs": _asked(trained, material, "test_new_pairs")}


def asked_aloud(material: Material, limit: int) -> list[tuple[Example, Example, str]]:
    """(a new scene, a new sentence that asks something about it, the answer), a few of each scene."""
    spoken: dict[str, list[Example]] = {}
    for clip in material.rows("audio/asr_test.csv", "wav"):
        spoken.setdefault(clip.text, []).append(clip)
    pairs = list[tuple[Example, Example, str]]()
    for row in material.rows("images/test.json", "image"):
        found = spoken_answers(record_of(row), spoken)
        pairs += [(row, clip, answer) for clip, answer in found[:2]]
    if not pairs:
        raise UserError("asks nothing that a test picture answers", file=material.data / "audio/asr_test.csv")
    return material.spread(pairs, limit)


def spoken_questions(trained: TrainedOmni, material: Material) -> dict[str, Score]:
    """New sentences that ask something, each about a few new scenes whose records answer it."""
    few = asked_aloud(material, N_SPOKEN)
    right = [
        float(trained.ask(image=row.path, audio=clip.path) in right_answers(clip.text, answer, record_of(row)))
        for row, clip, answer in few
    ]
    floor = _commonest([answer for _, _, answer in few])
    return {"spoken_vqa": mean_score(right, "test", material.seed, floor, ceiling=1.0)}


def answered_in_speech(trained: TrainedOmni, material: Material) -> dict[str, Score]:
    """The answers to spoken questions, said by the Talker and heard by the listener that comes with the package."""
    few = asked_aloud(material, N_AGAIN)
    talker = load_talker(shipped("talker") if trained.folder == shipped("omni_sft") else newest("talker"))
    answers = [trained.ask(image=row.path, audio=clip.path) for row, clip, _ in few]
    sounds = [talker.say(answer) if answer.strip() else torch.zeros(1) for answer in answers]
    heard = load_listener(shipped("audio_enc")).transcribe(sounds)
    right = [
        float(normal(words) in {normal(each) for each in right_answers(clip.text, answer, record_of(row))})
        for words, (row, clip, answer) in zip(heard, few, strict=True)
    ]
    floor = _commonest([answer for _, _, answer in few])
    return {"spoken_vqa_spoken_answer": mean_score(right, "test", material.seed, floor, ceiling=1.0)}


def spoken_answers(record: Scene, spoken: dict[str, list[Example]]) -> list[tuple[Example, str]]:
    """Spoken questions that a scene answers, of different kinds first, with their answers."""
    found = []
    dice = record.dice("spoken test")
    for branches in question_kinds(observe(record)).values():
        asked = [
            (clip, item.answer + ".")
            for branch in branches
            for item in branch.items
            for template in branch.templates
            for clip in spoken.get(template.format(**item.slots), ())
        ]
        if asked:
            found.append(dice.pick(asked))
    order = sorted(range(len(found)), key=lambda _: dice.uniform(0, 1))
    return [found[i] for i in order]


def new_sentences(trained: TrainedOmni, material: Material) -> dict[str, Score]:
    clips = material.spread(material.rows("audio/asr_test.csv", "wav"), N_SAID)
    said = [trained.ask(TRANSCRIBE, audio=clip.path) for clip in clips]
    return {"transcribe_wer": word_error_rate([clip.text for clip in clips], said, "test", material.seed)}


def words(trained: TrainedOmni, material: Material) -> dict[str, Score]:
    rows = [row for row in material.rows("images/test.json", "image") if record_of(row).word is not None]
    few = material.spread(rows, N_CAPTIONS)
    right = [
        float(trained.ask(READING[n % len(READING)], image=row.path) == _written(row)) for n, row in enumerate(few)
    ]
    return {"read_word": mean_score(right, "test", material.seed, floor=1 / len(WORLD.words), ceiling=1.0)}


def _written(row: Example) -> str:
    word = record_of(row).word
    return f"{word.text}." if word else ""


LADDER = Ladder(
    load_omni,
    ("images/test.json", "images/test_new_pairs.json", "audio/asr_test.csv"),
    (
        Rung("new scenes", ("vqa", "caption_exact"), "images", new_scenes, ("vqa",)),
        Rung("unseen pairs", ("vqa_new_pairs",), "images", unseen_pairs, ("vqa_new_pairs",)),
        Rung("spoken questions", ("spoken_vqa",), "audio", spoken_questions, ("spoken_vqa",)),
        Rung("answered in speech", ("spoken_vqa_spoken_answer",), "audio", answered_in_speech, ()),
        Rung("new sentences", ("transcribe_wer",), "audio", new_sentences, ("transcribe_wer",)),
        Rung("words in pictures", ("read_word",), "images", words, ("read_word",)),
    ),
)
