"""Small talk: questions that need no scene. They bring in the spoken words, their opposites, order and manners."""

from __future__ import annotations

from itertools import pairwise

from muomni.data.world.lexicon import ANIMALS, NUMBERS, OPPOSITES, World, with_article
from muomni.data.world.questions import Branch, Item

GREETINGS = {
    "hello.": "hello",
    "good morning.": "good morning",
    "how are you?": "i am fine",
    "thank you.": "you are welcome",
    "goodbye.": "goodbye",
}


def greet(world: World) -> list[Branch]:
    return [Branch(("{x}",), [Item({"x": said}, answer) for said, answer in GREETINGS.items()])]


def say(world: World) -> list[Branch]:
    templates = ("say {x}.", "can you say {x}?", "please say {x}.", "repeat after me, {x}.")
    return [Branch(templates, [Item({"x": word}, word) for word in world.words])]


def opposite(world: World) -> list[Branch]:
    templates = ("what is the opposite of {x}?", "name the opposite of {x}.", "tell me the opposite of {x}.")
    return [Branch(templates, [Item({"x": word}, OPPOSITES[word]) for word in world.words if word in OPPOSITES])]


def number(world: World) -> list[Branch]:
    """The neighbours of a number: "what comes after three?"."""
    pairs = [(a, b) for a, b in pairwise(NUMBERS) if a in world.words and b in world.words]
    items = [Item({"d": "after", "x": a}, b) for a, b in pairs] + [Item({"d": "before", "x": b}, a) for a, b in pairs]
    return [Branch(("what comes {d} {x}?", "which number comes {d} {x}?", "name the number {d} {x}."), items)]


def animal(world: World) -> list[Branch]:
    items = [
        Item({"x": with_article(word)}, "yes" if word in ANIMALS else "no")
        for word in world.words
        if word in (*ANIMALS, "tree", "house")
    ]
    return [Branch(("is {x} an animal?", "tell me, is {x} an animal?", "is it true that {x} is an animal?"), items)]


TALK = {"greet": greet, "say": say, "opposite": opposite, "number": number, "animal": animal}
