"""A second opinion: reads a document as a stranger would and says where it contradicts itself or its scene record.

Nothing here knows the grammar's templates, its way of answering or its geometry. The reader looks for phrases such as
"three small red circles", for words such as "left" or "above" between them, and for the words of a question; it works
every answer out anew, and compares the caption with the positions of the record's objects. It exists so that an error
in the grammar cannot hide: over thousands of scenes it must agree with every sentence, and it must object to altered
ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from muomni.data.world.lexicon import COLORS, SHAPES, SIZES
from muomni.data.world.scene import Object, Scene

NUMBER = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ANTONYMS = ["up down", "left right", "on off", "stop go", "yes no"]
SAID = {
    "left of": "left", "right of": "right", "above": "above", "over": "above", "below": "below", "under": "below",
    "near": "near", "close to": "near", "far": "far", "inside": "inside", "around": "around",
}  # fmt: skip
SHORT = {"left": "left of", "right": "right of", "far": "far from"}
TURNED = {"left": "right", "above": "below", "inside": "around", "near": "near", "far": "far"}
TURNED |= {value: key for key, value in TURNED.items()}
POLITE = {
    "hello.": "hello", "good morning.": "good morning", "how are you?": "i am fine", "thank you.": "you are welcome",
    "goodbye.": "goodbye",
}  # fmt: skip
NOUN = re.compile(
    rf"\b(?:(?P<count>an?|the|{'|'.join(NUMBER)}) )?(?:(?P<size>{'|'.join(SIZES)}) )?"
    rf"(?:(?P<color>{'|'.join(COLORS)}) )?(?P<shape>{'|'.join(SHAPES)}|shape)(?:e?s)?\b"
)
RELATION = re.compile(rf"\b({'|'.join(SAID)})\b")
PLACE = re.compile(
    r"(?:at the|on the|in the) (top left|top right|bottom left|bottom right|top|bottom|left|right|middle)(?! of)\b"
)


@dataclass
class Claims:
    """What a caption says: things as (count, size, color, shape), and what follows the introduction of them."""

    things: list[tuple[int, str | None, str, str]] = field(default_factory=list)
    relation: str | None = None  # of the first to the second
    place: str | None = None
    line: str | None = None  # "row" or "column"; things in their order from the left or the top
    word: str | None = None
    word_color: str | None = None

    def name(self, i: int) -> str:
        count, _, color, shape = self.things[i]
        noun = shape if count == 1 else _many(shape)
        alone = [thing[3] for thing in self.things].count(shape) == 1
        return f"the {noun}" if alone else f"the {color} {noun}"

    def matching(self, noun: re.Match[str]) -> list[int]:
        """The things that a noun phrase fits."""
        found = []
        for i, (_, size, color, shape) in enumerate(self.things):
            fits = noun["shape"] in (shape, "shape") and noun["color"] in (color, None) and noun["size"] in (size, None)
            found += [i] if fits else []
        return found


def check_document(text: str, scene: Scene | None = None) -> list[str]:
    """Every disagreement between a document's caption, its answers and (where given) its scene record."""
    caption, *turns = re.split(r" ?Q: ", text)
    claims = read(caption)
    wrong = [] if scene is None else _against(claims, scene)
    before = ""
    for turn in turns:
        question, _, said = turn.partition(" A: ")
        expected = _describes(claims, said) if _is_description(question) else answer(question, claims, before)
        if expected is None:
            wrong.append(f"nobody can answer {question!r} from {caption!r}")
        elif said != expected + ".":
            wrong.append(f"{question!r} is answered {said!r}, right is {expected!r}")
        before = question
    return wrong


def read(caption: str) -> Claims:
    """The claims of a caption, sentence by sentence."""
    claims = Claims()
    if word := re.search(r"\b(?:says?|the word is|the word) (\w+)", caption):
        claims.word = word[1]
        in_color = re.search(rf"\bin ({'|'.join(COLORS)})\b|^({'|'.join(COLORS)}) letters", caption)
        claims.word_color = (in_color[1] or in_color[2]) if in_color else None
    nouns = [noun for noun in NOUN.finditer(caption) if noun["shape"] != "shape"]
    for noun in nouns:
        if noun["count"] != "the":
            count = NUMBER.index(noun["count"]) if noun["count"] in NUMBER else 1
            claims.things.append((count, noun["size"], noun["color"], noun["shape"]))
    if way := re.search(
        r"\b(left to right|right to left|top to bottom|bottom to top)\b|in a (row|column)\b(?! from)", caption
    ):
        claims.line = "row" if way[0] in ("left to right", "right to left", "in a row") else "column"
        if way[0] in ("right to left", "bottom to top"):
            claims.things.reverse()
    elif said := RELATION.search(caption):
        claims.relation = SAID[said[1]]
        if re.search(
            rf"{said[1]}(?: from)? it\b", caption
        ):  # the second thing is introduced by its place beside the first
            claims.relation = TURNED[claims.relation]
    elif place := PLACE.search(caption):
        claims.place = place[0]
    return claims


def answer(question: str, claims: Claims, before: str = "") -> str | None:
    """The answer to a question, from the claims and (for "it") the question before; None where there is none."""
    if question in POLITE:
        return POLITE[question]
    q = question.rstrip("?.").removeprefix("tell me, ").removeprefix("and ")
    if re.search(r"\b(the|what|it) (word|say)\b", q) and "repeat" not in q:
        return _about_word(q, claims)
    if (talk := _small_talk(q)) is not None:
        return talk
    nouns = list(NOUN.finditer(q))
    shown = [claims.matching(noun) for noun in nouns]
    named = [
        found[0]
        for noun, found in zip(nouns, shown, strict=True)
        if noun["count"] == "the" and noun["shape"] != "shape" and len(found) == 1
    ]
    said = RELATION.search(q)
    if q.startswith(("how many", "count")) or q.startswith("how many", 8):
        return NUMBER[sum(claims.things[i][0] for i in shown[0])]
    if more := re.search(r"\b(more|fewer)\b", q):
        a, b = (sum(claims.things[i][0] for i in found) for found in shown)
        return _yes(a > b if more[1] == "more" else a < b)
    if "same color" in q:
        return _yes(len({claims.things[i][2] for i in named}) == 1) if len(named) == 2 else None
    if compared := re.search(r"\b(bigger|smaller)\b", q):
        sizes = [SIZES.index(str(claims.things[i][1])) * (1 if compared[1] == "bigger" else -1) for i in named]
        if " or " in q:
            return nouns[sizes.index(max(sizes))][0] if sizes[0] != sizes[1] else None
        return _yes(sizes[0] > sizes[1])
    if q.startswith("where") or "where" in q.split()[:3]:
        return _where(named[0], claims) if named else None
    if said and len(named) == 2:
        return _yes(_relation(claims, *named) == SAID[said[1]])
    if (said and len(named) == 1) or PLACE.search(q):
        return _which(q, SAID[said[1]] if said else None, named, claims)
    if (attribute := re.search(r"\b(color|size|how big|shape)\b", q)) and not any(
        color in q.split() for color in COLORS
    ):
        if not named:
            return _follow(attribute[1], claims, before)
        thing = claims.things[named[0]]
        return thing[2] if attribute[1] == "color" else thing[1]
    if (attribute := re.search(r"\b(size|how big)\b", q)) and named:
        return claims.things[named[0]][1]
    if nouns and nouns[-1]["shape"] != "shape":
        return _yes(bool(shown[-1]))
    if color := re.search(rf"\b({'|'.join(COLORS)})\b", q):
        found = [i for i, thing in enumerate(claims.things) if thing[2] == color[1]]
        if re.search(r"\b(anything|something)\b", q):
            return _yes(bool(found))
        return _noun(claims.things[found[0]]) if len(found) == 1 else None
    return None


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _many(shape: str) -> str:
    return shape + "es" if shape == "cross" else shape + "s"


def _noun(thing: tuple[int, str | None, str, str]) -> str:
    return f"a {thing[3]}" if thing[0] == 1 else _many(thing[3])


def _small_talk(q: str) -> str | None:
    if say := re.search(r"\b(?:say|repeat after me,) (\w+)$", q):
        return say[1]
    if other := re.search(r"\bopposite of (\w+)", q):
        return next((a if b == other[1] else b for a, b in map(str.split, ANTONYMS) if other[1] in (a, b)), None)
    if beside := re.search(r"\b(after|before) (\w+)$", q):
        return NUMBER[NUMBER.index(beside[2]) + (1 if beside[1] == "after" else -1)]
    if animal := re.search(r"\ban? (\w+) (?:is )?an animal$", q):
        return _yes(animal[1] in ("cat", "dog", "bird"))
    return None


def _about_word(q: str, claims: Claims) -> str | None:
    if claims.word is None:
        return None
    if "color" in q:
        return claims.word_color
    if sort := re.search(r"\ban? (number|animal)$", q):
        return _yes(claims.word in (NUMBER if sort[1] == "number" else ("cat", "dog", "bird")))
    if guess := re.search(r"\b(?:does it say|^is the word) (\w+)$", q):
        return _yes(claims.word == guess[1])
    return claims.word


def _relation(claims: Claims, i: int, j: int) -> str | None:
    if claims.relation:
        return claims.relation if i < j else TURNED[claims.relation]
    if claims.line:
        before = "left" if claims.line == "row" else "above"
        return before if i < j else TURNED[before]
    return None


def _where(i: int, claims: Claims) -> str | None:
    if claims.place:
        return claims.place
    if claims.line:
        return {"row": ("on the left", "in the middle", "on the right")}.get(
            claims.line, ("at the top", "in the middle", "at the bottom")
        )[i]
    relation = _relation(claims, i, 1 - i)
    return f"{SHORT.get(relation, relation)} {claims.name(1 - i)}" if relation else None


def _which(q: str, relation: str | None, named: list[int], claims: Claims) -> str | None:
    others = range(len(claims.things))
    if relation:
        found = [i for i in others if i != named[0] and _relation(claims, i, named[0]) == relation]
    else:
        place = PLACE.search(q)
        found = [i for i in others if place and _where(i, claims) == place[0]]
    return f"the {claims.things[found[0]][2]} {claims.things[found[0]][3]}" if len(found) == 1 else None


def _follow(kind: str, claims: Claims, before: str) -> str | None:
    """What "it" is: the one thing that the question before was about."""
    nouns = [noun for noun in NOUN.finditer(before) if noun["shape"] != "shape"]
    colors = [color for color in COLORS if color in re.findall(r"\w+", before)]
    if nouns:
        found = claims.matching(nouns[0]) if len(nouns) == 1 else []
    else:
        found = [i for i, thing in enumerate(claims.things) if thing[2] in colors]
    if len(found) != 1:
        return None
    thing = claims.things[found[0]]
    return {"color": thing[2], "shape": _noun(thing)}.get(kind, thing[1])


def _is_description(question: str) -> bool:
    return question in ("what do you see?", "tell me what you see.") or "picture" in question


def _describes(claims: Claims, said: str) -> str:
    """What was said, if it claims what the caption claims (a word written beside things apart); else why not."""
    again = read(said.rstrip("."))
    if claims.things:
        again.word, again.word_color = claims.word, claims.word_color
    return said.removesuffix(".") if again == claims else f"something that claims {claims}"


def _against(claims: Claims, scene: Scene) -> list[str]:
    """Where a caption contradicts the objects and positions of its record."""
    wrong, groups = [], list[list[Object]]()
    for thing in scene.objects:
        if groups and (groups[-1][0].color, groups[-1][0].shape) == (thing.color, thing.shape):
            groups[-1].append(thing)
        else:
            groups.append([thing])
    seen = [(len(group), group[0].size, group[0].color, group[0].shape) for group in groups]
    told = [
        (n, size or there[1], color, shape) for (n, size, color, shape), there in zip(claims.things, seen, strict=False)
    ]
    if told != seen or len(claims.things) != len(seen):
        return [f"the caption tells of {claims.things}, the record holds {seen}"]
    if claims.word != (scene.word.text if scene.word else None):
        wrong.append(f"the caption reads {claims.word!r}, the record has {scene.word}")
    if claims.word_color and scene.word and claims.word_color != scene.word.color:
        wrong.append(f"the word is {scene.word.color}, not {claims.word_color}")
    first = [group[0] for group in groups]
    if claims.relation and _seen_relation(*first[:2]) != claims.relation:
        wrong.append(f"{first[0]} is not {claims.relation} {first[1]}")
    if claims.line:
        step = "left" if claims.line == "row" else "above"
        if [_seen_relation(a, b) for a, b in pairwise(first)] != [step, step]:
            wrong.append(f"the objects do not stand in a {claims.line}: {first}")
    if claims.place:
        row = ("at the top", "", "at the bottom")[min(2, int(3 * first[0].y))]
        column = ("left", "", "right")[min(2, int(3 * first[0].x))]
        place = f"{row} {column}".strip() if row else f"on the {column}" if column else "in the middle"
        if place != claims.place:
            wrong.append(f"{first[0]} is not {claims.place}")
    return wrong


def _seen_relation(a: Object, b: Object) -> str:
    right, down = b.x - a.x, b.y - a.y
    if right == down == 0:
        return "inside" if SIZES.index(a.size) < SIZES.index(b.size) else "around"
    if abs(down) < 0.1:
        return "left" if right > 0 else "right"
    if abs(right) < 0.1:
        return "above" if down > 0 else "below"
    return "near" if (right**2 + down**2) ** 0.5 < 0.6 else "far"
