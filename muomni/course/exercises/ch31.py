"""Judges of chapter 31: targets of answers alone, who sees whom, positions in time, words for a patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import alike, exercise

IGNORED = -100
Parts = Sequence[tuple[str, int]]
Table = Sequence[Sequence[float]]


def _targets(ids: Sequence[int], learned: Sequence[bool]) -> list[int]:
    after = zip(ids[1:], learned[1:], strict=True)
    return [token if told else IGNORED for token, told in after] + [IGNORED]


def _same_place(ids: Sequence[int], learned: Sequence[bool]) -> list[int]:
    return [token if told else IGNORED for token, told in zip(ids, learned, strict=True)]


def _by_the_giver(ids: Sequence[int], learned: Sequence[bool]) -> list[int]:
    """Judged where the token that is given belongs to an answer, not the one that is to be foretold."""
    after = zip(ids[1:], learned[:-1], strict=True)
    return [token if told else IGNORED for token, told in after] + [IGNORED]


@exercise(
    "31.1",
    expects=FunctionType,
    right=_targets,
    wrong=[
        (_same_place, "after"),
        (_by_the_giver, "to be foretold"),
        (lambda ids, learned: [*ids[1:], IGNORED], "questions"),
        (lambda ids, learned: _targets(ids, learned)[:-1], "every place"),
        (lambda ids, learned: [IGNORED for _ in ids], "should be"),
    ],
    because="The model's last state before an answer is already judged: it has to begin it.",
)
def targets_of(answer: Callable[[list[int], list[bool]], Sequence[int]]) -> str | None:
    for ids, flags in (([7, 3, 9, 4, 2], "00011"), ([5, 6, 7, 8, 9, 4], "001100"), ([8, 1, 2], "111")):
        learned = [flag == "1" for flag in flags]
        found, wanted = list(answer(list(ids), learned)), _targets(ids, learned)
        if found == wanted:
            continue
        call = f"targets_of({ids}, {learned}) should be {wanted}; yours is {found}"
        if len(found) != len(ids):
            return f"{call}: every place has a target, the last one -100."
        if found == _same_place(ids, learned):
            return f"{call}: the target of a place is the token after it."
        if found == [*ids[1:], IGNORED]:
            return f"{call}: questions are not learned."
        if found == _by_the_giver(ids, learned):
            return f"{call}: what counts is whether the token that is to be foretold is learned."
        return f"{call}."
    return None


def _sees(i: int, j: int, documents: Sequence[int], trunks: Sequence[int]) -> bool:
    return j <= i and documents[j] in (documents[i], trunks[i])


def _mistakes(i: int, j: int, documents: Sequence[int], trunks: Sequence[int]) -> dict[str, bool]:
    """What is answered with each mistake, by what to say about it."""
    return {
        "what comes later is not seen.": documents[j] in (documents[i], trunks[i]),
        "a branch sees its trunk as well.": j <= i and documents[j] == documents[i],
        "two branches of one trunk do not see each other.": j <= i and trunks[j] == trunks[i],
        "a token sees those of its own conversation and of the trunk alone.": j <= i,
    }


@exercise(
    "31.2",
    expects=FunctionType,
    right=_sees,
    wrong=[
        (lambda i, j, documents, trunks: documents[j] in (documents[i], trunks[i]), "later"),
        (lambda i, j, documents, trunks: j <= i and documents[j] == documents[i], "its trunk"),
        (lambda i, j, documents, trunks: j <= i and trunks[j] == trunks[i], "two branches"),
        (lambda i, j, documents, trunks: j <= i, "alone"),
        (lambda i, j, documents, trunks: j < i and documents[j] in (documents[i], trunks[i]), "itself"),
    ],
    because="document_bias does this for all pairs at once.",
)
def sees(answer: Callable[[int, int, list[int], list[int]], bool]) -> str | None:
    documents, trunks = [0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 0, 0, 3, 3]
    pairs = [(i, j) for i in range(len(documents)) for j in range(len(documents))]
    found = {(i, j): bool(answer(i, j, list(documents), list(trunks))) for i, j in pairs}
    wrong = [pair for pair in pairs if found[pair] != _sees(*pair, documents, trunks)]
    if not wrong:
        return None
    i, j = wrong[0]
    call = f"With documents {documents} and trunks {trunks}, sees({i}, {j}, ...) should be {not found[i, j]}"
    if i == j:
        return f"{call}: a token sees itself."
    told = [_mistakes(*pair, documents, trunks) for pair in pairs]
    for words in told[0]:
        if all(each[words] == found[pair] for each, pair in zip(told, pairs, strict=True)):
            return f"{call}: {words}"
    return f"{call}."


def _positions(parts: Parts) -> list[int]:
    positions, at = list[int](), 0
    for kind, n in parts:
        if kind == "text":
            positions += range(at, at + n)
            at += n
        else:
            positions += [at, *[at + 1] * n]
            at += 2
    return positions


def _one_each(parts: Parts) -> list[int]:
    return list(range(len(_positions(parts))))


def _no_mark(parts: Parts) -> list[int]:
    positions, at = list[int](), 0
    for kind, n in parts:
        positions += range(at, at + n) if kind == "text" else [at] * n
        at += n if kind == "text" else 1
    return positions


def _mark_too(parts: Parts) -> list[int]:
    """The mark at the position of the patches."""
    positions, at = list[int](), 0
    for kind, n in parts:
        positions += range(at, at + n) if kind == "text" else [at] * (n + 1)
        at += n if kind == "text" else 1
    return positions


@exercise(
    "31.3",
    expects=FunctionType,
    right=_positions,
    wrong=[
        (_one_each, "share one"),
        (_no_mark, "mark"),
        (_mark_too, "mark has a position of its own"),
        (lambda parts: [0], "should be"),
    ],
    because="muomni.data.chat.Row counts so, and sound in its time besides.",
)
def positions_of(answer: Callable[[list[tuple[str, int]]], Sequence[int]]) -> str | None:
    cases: tuple[Parts, ...] = (
        (("text", 3),),
        (("text", 1), ("picture", 4), ("text", 2)),
        (("picture", 2), ("picture", 1)),
    )
    for parts in cases:
        found, wanted = list(answer(list(parts))), _positions(parts)
        if found == wanted:
            continue
        call = f"positions_of({list(parts)}) should be {wanted}; yours is {found}"
        if found == _one_each(parts):
            return f"{call}: the patches of a picture share one position."
        if found == _mark_too(parts):
            return f"{call}: the mark has a position of its own, before the patches."
        if found == _no_mark(parts):
            return f"{call}: a picture begins with its mark, which is a token too."
        return f"{call}."
    return None


def _mixed(weights: Table, embeddings: Table) -> list[list[float]]:
    return [
        [sum(w * x for w, x in zip(row, column, strict=True)) for column in zip(*embeddings, strict=True)]
        for row in weights
    ]


def _above_the_mean(likely: Table) -> list[list[float]]:
    means = [sum(piece) / len(likely) for piece in zip(*likely, strict=True)]
    return [[p - mean for p, mean in zip(patch, means, strict=True)] for patch in likely]


def _words(likely: Table, embeddings: Table) -> list[list[float]]:
    return _mixed(_above_the_mean(likely), embeddings)


def _all_that_is_likely(likely: Table, embeddings: Table) -> list[list[float]]:
    return _mixed(likely, embeddings)


def _over_pieces(likely: Table, embeddings: Table) -> list[list[float]]:
    """The mean of each patch over its pieces taken away, not that of each piece over the patches."""
    return _mixed([[p - sum(patch) / len(patch) for p in patch] for patch in likely], embeddings)


def _never_less(likely: Table, embeddings: Table) -> list[list[float]]:
    return _mixed([[max(0.0, more) for more in patch] for patch in _above_the_mean(likely)], embeddings)


@exercise(
    "31.4",
    expects=FunctionType,
    right=_words,
    wrong=[
        (_all_that_is_likely, "alike"),
        (_over_pieces, "over the patches"),
        (_never_less, "negative"),
        (lambda likely, embeddings: _words(likely, embeddings)[:1], "each patch"),
        (lambda likely, embeddings: [[0.0 for _ in embeddings[0]] for _ in likely], "should be"),
    ],
    because="OmniModel.words_seen does this for all pictures of a batch at once.",
)
def words_for(answer: Callable[[list[list[float]], list[list[float]]], Table]) -> str | None:
    cases: tuple[tuple[Table, Table], ...] = (
        (((0.75, 0.5), (0.25, 0.5)), ((1.0, 0.0), (0.0, 1.0))),
        (((0.5, 0.25, 0.0), (0.0, 0.25, 0.25), (0.25, 1.0, 0.5)), ((2.0, 1.0), (-1.0, 0.0), (4.0, -2.0))),
    )
    for likely, embeddings in cases:
        given = [list(row) for row in likely], [list(row) for row in embeddings]
        found, wanted = [list(row) for row in answer(*given)], _words(likely, embeddings)
        if _same(found, wanted):
            continue
        call = f"words_for({given[0]}, {given[1]}) should be {wanted}; yours is {found}"
        if len(found) != len(wanted):
            return f"{call}: each patch gives one vector."
        if _same(found, _all_that_is_likely(likely, embeddings)):
            return f"{call}: what all patches show alike is taken away."
        if _same(found, _over_pieces(likely, embeddings)):
            return f"{call}: the mean is of one piece, over the patches."
        if _same(found, _never_less(likely, embeddings)):
            return f"{call}: what a patch shows less than the others counts, too: a weight may be negative."
        return f"{call}."
    return None


def _same(a: Table, b: Table) -> bool:
    return len(a) == len(b) and all(alike(mine, theirs) for mine, theirs in zip(a, b, strict=True))
