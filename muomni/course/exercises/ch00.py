"""Chapter 00, start here: finding a stage, reading an error, answering like the model."""

from __future__ import annotations

from functools import cache
from itertools import count

from muomni.config import STAGES
from muomni.course.checks import exercise
from muomni.data.world import Document, document_at


@cache
def asked() -> Document:
    """The document whose last answer exercise 00.3 hides: the first that ends with a question about its caption."""
    drawn = (document_at(0, index) for index in count())
    return next(each for each in drawn if each.caption and each.turns[-1].kind == "count")


@exercise(
    "00.1",
    expects=str,
    right="ocr",
    wrong=[
        ("vision", "whole pictures"),
        ("thinker", "text that is text already"),
        ("OCR_nano", "small letters"),
        ("reader", "thinker, audio_enc"),
        ("talker", "speaks"),
    ],
    because="Stage G reads: a picture of a word goes in, its characters come out.",
)
def who_reads(answer: str) -> str | None:
    if answer == "ocr":
        return None
    if answer.lower().startswith("ocr"):
        return "That is the right stage; write its name in small letters, without a profile or an ending."
    others = {
        "thinker": "The Thinker reads text that is text already; a picture of a word is something else.",
        "vision": "The vision encoder matches whole pictures with captions; it does not spell.",
        "audio_enc": "The audio encoder hears words.",
        "talker": "The Talker speaks words.",
        "vocoder": "The vocoder makes sound from a mel spectrogram.",
        "omni_sft": "The omni stage trains conversations; there is a stage that does nothing but read.",
    }
    return others.get(answer, f"{answer!r} is not one of the stages: {', '.join(STAGES)}.")


@exercise(
    "00.2",
    expects=dict,
    right={"file": "thinker_mine.json", "line": 3, "field": "n_layer", "write": "n_layers"},
    wrong=[
        ({"file": "thinker_mine.json", "line": 2, "field": "n_layer", "write": "n_layers"}, "line"),
        ({"file": "thinker_mine", "line": 3, "field": "n_layer", "write": "n_layers"}, "file"),
        ({"file": "thinker_mine.json", "line": 3, "field": "n_layers", "write": "n_layer"}, "field"),
        ({"file": "thinker_mine.json", "line": 3, "field": "n_layer", "write": "n_heads"}, "write"),
        ({"file": "thinker_mine.json"}, "line"),
    ],
    because="File, line, field, what is wrong, what to do: every message has that order.",
)
def message_read(answer: dict[str, str | int]) -> str | None:
    expected = {
        "file": ("thinker_mine.json", "The file is what stands before the first colon, its ending included."),
        "line": (3, "The line is the whole number after the file's name."),
        "field": ("n_layer", "The field is the name as it stands in the file, after the line."),
        "write": ("n_layers", "The message asks a question at its end; that is what to write."),
    }
    for key, (value, hint) in expected.items():
        if answer.get(key) != value:
            return f"{key} is {answer.get(key)!r} in your answer. {hint}"
    return None


@exercise(
    "00.3",
    expects=str,
    right=asked().turns[-1].answer,
    wrong=[
        (asked().turns[-1].question, "question"),
        ("nineteen.", "caption"),
        ("", "caption"),
        (asked().turns[-1].answer + " two of them.", "no more than"),
    ],
    because="It is the only right answer that the grammar allows, and the one that the model learns to give.",
)
def answered(answer: str) -> str | None:
    turn = asked().turns[-1]
    said, expected = answer.strip().lower(), turn.answer.strip().lower()
    if said.removesuffix(".") == expected.removesuffix("."):
        return None
    if said and said in turn.question.lower():
        return "That is the question, or a part of it; the answer is what follows A:."
    if said.startswith(expected.removesuffix(".")):
        return "It begins right; the world's answers say no more than what is asked."
    return "Look at the caption, which tells everything that the questions ask about."
