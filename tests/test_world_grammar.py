"""Documents of the tiny world: a second reader, sharing nothing with the grammar, agrees with every one of them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from muomni.data.world.captions import CAPTIONS, WORDS, read_caption
from muomni.data.world.check import check_document
from muomni.data.world.grammar import Document, document, document_at, question_kinds
from muomni.data.world.lexicon import COLORS, HELD_OUT, SHAPES, SIZES, SPOKEN, WORLD
from muomni.data.world.scene import Scene, scene

N = 10_000


@pytest.fixture(scope="module")
def written() -> list[tuple[Scene, Document]]:
    records = [scene(11, index, "held_out" if index % 5 == 0 else "seen") for index in range(N)]
    return [(record, document(record)) for record in records]


def test_an_independent_reader_agrees_with_every_caption_and_answer(written: list[tuple[Scene, Document]]) -> None:
    wrong = [(drawn.text, found) for record, drawn in written if (found := check_document(drawn.text, record))]
    assert wrong == []


def test_the_independent_reader_objects_to_every_altered_answer(written: list[tuple[Scene, Document]]) -> None:
    others: dict[str, list[str]] = {}
    for _, drawn in written:
        for turn in drawn.turns:
            others.setdefault(turn.kind, []).append(turn.answer)
    tried = 0
    for i, (record, drawn) in enumerate(written[:3000]):
        for k, turn in enumerate(drawn.turns):
            wrong = others[turn.kind][(7 * i + k) % len(others[turn.kind])]
            if wrong != turn.answer:
                altered = replace(drawn, turns=(*drawn.turns[:k], turn._replace(answer=wrong), *drawn.turns[k + 1 :]))
                assert check_document(altered.text, record), altered.text
                tried += 1
    assert tried > 3000


def test_the_independent_reader_objects_to_another_scenes_caption(written: list[tuple[Scene, Document]]) -> None:
    for (record, drawn), (_, other) in pairwise(written[:2000]):
        same = {replace(t, size=None) for t in drawn.facts.things} == {
            replace(t, size=None) for t in other.facts.things
        }
        if not same:
            assert check_document(other.caption, record), (drawn.caption, other.caption)
    record = next(
        record for record, _ in written if record.kind == "pair" and record.objects[0].x < record.objects[1].x - 0.2
    )
    turned = replace(record, objects=tuple(replace(thing, x=1 - thing.x) for thing in record.objects))
    assert check_document(document(record).caption, turned) or document(record).facts.relation in ("near", "far")


def test_every_template_kind_of_question_and_word_is_used(written: list[tuple[Scene, Document]]) -> None:
    texts = " ".join(drawn.text for _, drawn in written)
    kinds = Counter(turn.kind for _, drawn in written for turn in drawn.turns)
    assert set(WORLD.questions) <= set(kinds)
    assert {"greet", "say", "opposite", "number", "animal"} <= set(kinds)  # small talk without a scene
    assert set(re.findall(r"[a-z]+", texts)) >= {*COLORS, *SHAPES, *SIZES, *SPOKEN}
    for templates in (*CAPTIONS.values(), WORDS):
        for template in filter(None, templates):
            pattern = re.sub(r"\\\{[A-Z]\\\}", "[a-z ]+", re.escape(template))
            assert re.search(pattern, texts), template
    assert all(len(templates) >= 4 for kind, templates in CAPTIONS.items() if kind != "talk")


def test_a_document_is_one_lower_case_line_of_speakable_sentences(written: list[tuple[Scene, Document]]) -> None:
    for _, drawn in written[:2000]:
        assert re.fullmatch(r"[a-z .,:?]*", re.sub(r"[QA]:", "", drawn.text)), drawn.text
        assert " ".join(drawn.sentences).split() == re.sub(r"[QA]: ", "", drawn.text).split()
        assert all(re.fullmatch(r"[a-z ,:]+[.?]", sentence) for sentence in drawn.sentences)
        assert len(drawn.text.split()) <= 120


def test_training_documents_never_name_a_held_out_pair_and_the_others_always_do() -> None:
    named = re.compile("|".join(f"{color} {shape}" for color, shape in HELD_OUT))
    for index in range(3000):
        assert not named.search(document_at(1, index).text)
        assert named.search(document_at(1, index, "held_out").caption)


def test_no_question_of_a_scene_can_be_meant_in_two_ways(written: list[tuple[Scene, Document]]) -> None:
    for _, drawn in written[:500]:
        asked = [
            template.format(**item.slots)
            for branches in question_kinds(drawn.facts).values()
            for branch in branches
            for template in branch.templates
            for item in branch.items
        ]
        assert len(asked) == len(set(asked))
        assert len(question_kinds(drawn.facts)) >= WORLD.max_turns


def test_no_kind_of_question_comes_twice(written: list[tuple[Scene, Document]]) -> None:
    assert all(len({turn.kind for turn in drawn.turns}) == len(drawn.turns) for _, drawn in written)


def test_a_caption_is_read_back_as_exactly_the_facts_that_it_told(written: list[tuple[Scene, Document]]) -> None:
    for _, drawn in written:
        assert [facts for facts, _ in read_caption(drawn.caption, WORLD)] == [drawn.facts]


def test_views_of_one_record_are_reproducible_and_differ() -> None:
    records = [scene(2, index) for index in range(100)]
    assert [document(record).text for record in records] == [document_at(2, index).text for index in range(100)]
    others = [document(record, view="spoken").text for record in records]
    assert others == [document(record, view="spoken").text for record in records]
    assert sum(document(record).text == other for record, other in zip(records, others, strict=True)) < 5
    assert not any(check_document(other, record) for record, other in zip(records, others, strict=True))
