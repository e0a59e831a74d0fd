"""Chapter 09, tokenization: frames for a word, the best pair to merge, what becomes of unseen characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from types import FunctionType

from muomni.course.checks import exercise


@exercise(
    "09.1",
    expects=int,
    right=9,
    wrong=[(7, "follows itself"), (8, "both"), (14, "every letter"), (15, "every letter"), (5, "each letter")],
    because="Seven letters, and a blank between the two l and between the two o.",
)
def frames_for_a_word(answer: int) -> str | None:
    if answer == 9:
        return None
    if answer == 7:
        return "Seven letters need seven frames, if no letter follows itself; here one does."
    if answer == 8:
        return "Look again: both l and o come twice in a row."
    if answer > 9:
        return "A blank is needed between equal letters only, not after every letter."
    return "There is a frame for each letter, the repeated ones too."


def _best_pair(words: dict[str, int]) -> tuple[str, str]:
    pairs = Counter[tuple[str, str]]()
    for word, count in words.items():
        for a, b in pairwise(word):
            pairs[a, b] += count
    return pairs.most_common(1)[0][0]


@exercise(
    "09.2",
    expects=FunctionType,
    right=_best_pair,
    wrong=[
        (lambda words: Counter(p for w in words for p in pairwise(w)).most_common(1)[0][0], "count"),
        (lambda words: "".join(_best_pair(words)), "tuple"),
        (lambda words: (_best_pair(words)[1], _best_pair(words)[0]), "order"),
        (lambda words: ("a", "b"), "expected"),
    ],
    because="Pairs are weighed by how often their word comes: what matters is the text, not the list of its words.",
)
def best_pair_found(answer: Callable[[dict[str, int]], object]) -> str | None:
    cases = ({"red": 5, "reed": 1, "bird": 2}, {"on": 1, "no": 7, "zoo": 2}, {"abab": 1, "cd": 9, "abb": 2})
    for words in cases:
        found, expected = answer(dict(words)), _best_pair(words)
        if found == expected:
            continue
        if isinstance(found, str):
            return f"For {words} it gives {found!r}: return the pair as a tuple of two characters."
        unweighted = Counter(pair for word in words for pair in pairwise(word))
        if unweighted.get(found, 0) == max(unweighted.values()):  # type: ignore[call-overload]
            return f"For {words} it gives {found}: add each word's count to its pairs, not 1."
        if found == expected[::-1]:
            return f"For {words} it gives {found}: mind the order, the first character comes first."
        return f"For {words} it gives {found}, expected is {expected}."
    return None


@exercise(
    "09.3",
    expects=str,
    right="bytes",
    wrong=[("unknown", "256"), ("dropped", "loses nothing"), ("letters", "one of")],
    because="Every byte is in the vocabulary, so every text can be written: three bytes for each of these characters.",
)
def fate_of_the_unseen(answer: str) -> str | None:
    known = {
        "unknown": "The vocabulary holds 256 bytes so that the unknown token is never needed.",
        "dropped": "This tokenizer loses nothing: decode what you encoded and compare.",
    }
    return None if answer == "bytes" else known.get(answer, 'Answer with one of "unknown", "bytes" and "dropped".')
