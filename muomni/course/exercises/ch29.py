"""Judges of chapter 29: the loss of choosing blindly, recall, its ceiling, a matrix made orthogonal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

import torch

from muomni.course.checks import exercise


@exercise(
    "29.1",
    expects=FunctionType,
    right=lambda batch_size: math.log(batch_size),
    wrong=[
        (lambda batch_size: 1 / batch_size, "probability"),
        (lambda batch_size: -math.log(batch_size), "sign"),
        (lambda batch_size: math.log2(batch_size), "bits"),
        (lambda batch_size: 2 * math.log(batch_size), "averaged"),
        (lambda batch_size: batch_size * math.log(batch_size), "mean over the batch"),
        (lambda batch_size: math.log(max(1, batch_size - 1)), "own caption"),
        (lambda batch_size: 1 - 1 / batch_size, "share"),
        (lambda batch_size: 3.0, "it should be"),
    ],
    because="each of n captions gets 1/n, and -ln(1/n) is ln(n).",
)
def blind_loss(answer: Callable[[int], float]) -> str | None:
    for n in (128, 2, 10):
        found, wanted = float(answer(n)), math.log(n)
        if math.isclose(found, wanted, rel_tol=1e-6):
            continue
        known = {
            1 / n: "that is the probability of the right one; the loss is minus its logarithm.",
            -wanted: "the sign is missing: the logarithm of a probability is negative, the loss is minus that.",
            math.log2(n): "this is in bits; nats take the natural logarithm.",
            2 * wanted: "pictures and captions both pay this, and the two are averaged, not added.",
            n * wanted: "take the mean over the batch, not the sum.",
            math.log(n - 1): "the right one is one of them: count the own caption, too.",
            1 - 1 / n: "that is the share of wrong choices; the loss is a logarithm.",
        }
        for value, mistake in known.items():
            if math.isclose(found, value, rel_tol=1e-6):
                return f"For {n} captions yours is {found:.4f}: {mistake}"
        return f"For {n} captions it should be {wanted:.4f}; yours is {found:.4f}."
    return None


Table = Sequence[Sequence[float]]
Recall = Callable[[Table, int], float]


def _recall(likeness: Table, k: int) -> float:
    nearer = [sum(other > row[i] for other in row) for i, row in enumerate(likeness)]
    return sum(n < k for n in nearer) / len(likeness)


def _by_caption(likeness: Table, k: int) -> float:
    return _recall([list(column) for column in zip(*likeness, strict=True)], k)


def _first_only(likeness: Table, k: int) -> float:
    return _recall(likeness, 1)


def _one_too_many(likeness: Table, k: int) -> float:
    return _recall(likeness, k + 1)


def _farthest(likeness: Table, k: int) -> float:
    return _recall([[-value for value in row] for row in likeness], k)


def _number(likeness: Table, k: int) -> float:
    return _recall(likeness, k) * len(likeness)


def _missed(likeness: Table, k: int) -> float:
    return 1 - _recall(likeness, k)


def _by_k(likeness: Table, k: int) -> float:
    return _recall(likeness, k) / k


WRONG_RECALL: dict[Recall, str] = {
    _by_caption: "that is the other direction: captions that look for their pictures. Pictures stand in rows.",
    _first_only: "k is not used: the own caption may be any of the k nearest.",
    _one_too_many: "one too many: with k nearer ones before it, the own caption is number k + 1.",
    _farthest: "these are the farthest; a larger likeness is nearer.",
    _number: "that is how many pictures; asked is their share.",
    _missed: "that is the share that is missed.",
    _by_k: "do not divide by k: being among the k nearest counts in full.",
}


@exercise(
    "29.2",
    expects=FunctionType,
    right=_recall,
    wrong=[
        (_by_caption, "other direction"),
        (_first_only, "k is not used"),
        (_one_too_many, "one too many"),
        (_farthest, "farthest"),
        (_number, "share"),
        (_missed, "missed"),
        (_by_k, "divide by k"),
        (lambda likeness, k: 0.3, "it should be"),
    ],
    because="muomni.evaluate.pictures counts like this, and draws lots where likenesses are equal.",
)
def recall(answer: Recall) -> str | None:
    table = [
        [0.9, 0.8, 0.1, 0.2, 0.3],
        [0.7, 0.6, 0.5, 0.1, 0.0],
        [0.2, 0.9, 0.3, 0.8, 0.1],
        [0.4, 0.1, 0.2, 0.7, 0.6],
        [0.5, 0.75, 0.6, 0.65, 0.2],
    ]
    ranks = (1, 2, 3)
    found = [float(answer([list(row) for row in table], k)) for k in ranks]
    wanted = [_recall(table, k) for k in ranks]
    if _close(found, wanted):
        return None
    for made, mistake in WRONG_RECALL.items():
        if _close(found, [made(table, k) for k in ranks]):
            return mistake[0].upper() + mistake[1:]
    k = next(
        k for k, one, other in zip(ranks, found, wanted, strict=True) if not math.isclose(one, other, abs_tol=1e-6)
    )
    return f"For a table of {len(table)} and k = {k} it should be {wanted[k - 1]:.2f}; yours is {found[k - 1]:.2f}."


def _close(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(found, wanted, strict=True))


Ceiling = Callable[[Sequence[int]], float]


def _of_mean(n_true: Sequence[int]) -> float:
    return len(n_true) / sum(n_true)


def _only_unique(n_true: Sequence[int]) -> float:
    return sum(n == 1 for n in n_true) / len(n_true)


def _any_true(n_true: Sequence[int]) -> float:
    return 1.0


def _added(n_true: Sequence[int]) -> float:
    return sum(1 / n for n in n_true)


def _chance(n_true: Sequence[int]) -> float:
    return sum(n / len(n_true) for n in n_true) / len(n_true)


@exercise(
    "29.3",
    expects=FunctionType,
    right=lambda n_true: sum(1 / n for n in n_true) / len(n_true),
    wrong=[
        (_of_mean, "average of the chances"),
        (_only_unique, "guess"),
        (_any_true, "own caption"),
        (_added, "mean over"),
        (_chance, "blindly"),
        (lambda n_true: 0.1, "it should be"),
    ],
    because="recall at k has min(1, k / n) in place of 1 / n.",
)
def ceiling(answer: Ceiling) -> str | None:
    for n_true in ([1, 1, 2, 5], [1, 3], [2, 2, 2]):
        found, wanted = float(answer(list(n_true))), sum(1 / n for n in n_true) / len(n_true)
        if math.isclose(found, wanted, abs_tol=1e-6):
            continue
        where = f"for {n_true} it should be {wanted:.4f}; yours is {found:.4f}"
        known = {
            _of_mean: "that is 1 above the average number; asked is the average of the chances.",
            _only_unique: "a picture with several true captions is not lost: a guess is right now and then.",
            _any_true: "R@1 asks for the own caption, and nobody can tell it from another that is true as well.",
            _added: "take the mean over pictures, not the sum.",
            _chance: "that is what choosing blindly finds that is true.",
        }
        for made, mistake in known.items():
            if math.isclose(found, made(n_true), abs_tol=1e-6):
                return f"{where}: {mistake}"
        return f"{where}."
    return None


Made = Callable[[torch.Tensor], torch.Tensor]


def _factors(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    return u, s, vt


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    u, _, vt = _factors(matrix)
    return u @ vt


def _unchanged(matrix: torch.Tensor) -> torch.Tensor:
    u, s, vt = _factors(matrix)
    return u @ s.diag() @ vt


def _scaled(matrix: torch.Tensor) -> torch.Tensor:
    return matrix / matrix.norm()


def _largest_one(matrix: torch.Tensor) -> torch.Tensor:
    return matrix / torch.linalg.matrix_norm(matrix, 2)


def _signs(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.sign()


def _inverse(matrix: torch.Tensor) -> torch.Tensor:
    u, s, vt = _factors(matrix)
    return u @ (1 / s).diag() @ vt


def _not_turned(matrix: torch.Tensor) -> torch.Tensor:
    """V taken for its transpose."""
    u, _, vt = _factors(matrix)
    return u @ vt.T


WRONG_MADE: dict[Made, str] = {
    _unchanged: "That is the matrix itself: leave the strengths S out.",
    _scaled: "A matrix divided by a number keeps its strong and weak directions; make each of them 1.",
    _largest_one: "Now the strongest direction is 1, and the others are as weak beside it as before.",
    _signs: "The signs of the single numbers do not make the directions equally strong.",
    _inverse: "Dividing once leaves out S; yours divides by it again.",
    _not_turned: "svd returns the transpose of V already; do not turn it again.",
}


@exercise(
    "29.4",
    expects=FunctionType,
    right=_orthogonal,
    wrong=[
        (_unchanged, "the matrix itself"),
        (_scaled, "divided by a number"),
        (_largest_one, "as weak"),
        (_signs, "signs"),
        (_inverse, "again"),
        (_not_turned, "transpose"),
        (lambda matrix: _factors(matrix)[0], "same directions"),
        (lambda matrix: torch.eye(3), "shape"),
        (lambda matrix: torch.eye(*matrix.shape), "same directions"),
        (lambda matrix: 2 * _orthogonal(matrix), "strengths"),
    ],
    because="muomni.train.muon comes near it with products alone, which are faster than a decomposition.",
)
def made_orthogonal(answer: Made) -> str | None:
    dice = torch.Generator().manual_seed(0)
    for rows, columns in ((4, 4), (3, 5), (5, 3)):
        matrix = torch.randn(rows, columns, generator=dice)
        try:
            found = torch.as_tensor(answer(matrix.clone())).float()
        except RuntimeError:
            if rows == columns:
                raise
            return f"It works for square matrices, but stops at one of {rows} x {columns}: is a transpose in the way?"
        if tuple(found.shape) != (rows, columns):
            return f"The shape should stay {rows} x {columns}; yours is {' x '.join(map(str, found.shape))}."
        if torch.allclose(found, _orthogonal(matrix), atol=1e-4):
            continue
        for made, mistake in WRONG_MADE.items():
            square_only = made is _not_turned
            if (rows == columns or not square_only) and torch.allclose(found, made(matrix), atol=1e-4):
                return mistake
        values = torch.linalg.svdvals(found)
        if torch.allclose(values, torch.ones(len(values)), atol=1e-4):
            return "All directions have strength 1, but they are not the same directions as those of the matrix."
        return f"The strengths should all be 1; yours go from {values.min():.3f} to {values.max():.3f}."
    return None
