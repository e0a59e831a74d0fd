"""Judges of chapter 22: what the stem sees, what each patch adds, InfoNCE, twins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

import torch

from muomni.course.checks import exercise


@exercise(
    "22.1",
    expects=int,
    right=24,
    wrong=[
        (16, "three outputs"),
        (8, "first kernel"),
        (3, "outputs of the first"),
        (10, "stride"),
        (40, "own stride"),
        (32, "overlap"),
        (576, "on a side"),
        (23, "pixel itself"),
        (99, "table"),
    ],
    because="1 + 7 · 1 + 2 · 8 = 24: three outputs of the first kernel, eight pixels each, side by side.",
)
def pixels_seen(answer: int) -> str | None:
    known = {
        16: "That is a patch, and how far tokens are apart; the second kernel takes in three outputs of the first.",
        8: "That is what the first kernel sees; the second looks at several of its outputs.",
        3: "The second kernel sees three outputs of the first, and each of these sees several pixels.",
        10: "Behind a stride of 8, one step of the second kernel is eight pixels long.",
        40: "A layer's own stride makes the steps of later layers longer, not its own.",
        32: "Two whole patches would overlap in a half; count outputs of the first kernel instead.",
        576: "That is the area in pixels; asked is how many pixels on a side.",
        23: "These are the pixels that the kernels add; the pixel itself comes on top.",
    }
    return None if answer == 24 else known.get(answer, "Count along as the chapter's table does, from one pixel on.")


Adds = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _adds(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return tokens @ text / (len(tokens) * tokens.mean(0).norm())


def _cosines(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return (tokens / tokens.norm(dim=1, keepdim=True)) @ text


def _cosine_shares(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return _cosines(tokens, text) / len(tokens)


def _products(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return tokens @ text


def _without_length(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return tokens @ text / len(tokens)


def _without_count(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return tokens @ text / tokens.mean(0).norm()


def _shares(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return (tokens @ text).softmax(0)


def _whole(tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return _adds(tokens, text).sum()


WRONG_ADDS: dict[Adds, str] = {
    _cosines: "these are the patches' own cosines: a token is not scaled to length 1, the picture is.",
    _cosine_shares: "each token is scaled to length 1 before the mean; it is the mean that is scaled.",
    _products: "divide by the number of patches, and by the length of their mean.",
    _without_length: "the picture is scaled to length 1: divide by the length of the mean, too.",
    _without_count: "the picture is a mean, not a sum: divide by the number of patches.",
    _shares: "no softmax: a patch may add nothing, or take away.",
}


@exercise(
    "22.2",
    expects=FunctionType,
    right=_adds,
    wrong=[
        (_cosines, "own cosines"),
        (_cosine_shares, "before the mean"),
        (_products, "number of patches"),
        (_without_length, "length of the mean"),
        (_without_count, "not a sum"),
        (_shares, "softmax"),
        (_whole, "one number for each patch"),
        (lambda tokens, text: torch.zeros(len(tokens)), "sum to"),
        (lambda tokens, text: _adds(tokens, text).flip(0), "sum is right"),
    ],
    because="this is VisionModel.relevance, with the patches in a row.",
)
def what_each_patch_adds(answer: Adds) -> str | None:
    dice = torch.Generator().manual_seed(0)
    for n in (4, 9):
        tokens = torch.randn(n, 5, generator=dice)
        text = torch.nn.functional.normalize(torch.randn(5, generator=dice), dim=0)
        found, wanted = torch.as_tensor(answer(tokens, text)).float(), _adds(tokens, text)
        if found.numel() != n:
            return f"For {n} patches it gives {found.numel()} numbers; asked is one number for each patch."
        found = found.flatten()
        if torch.allclose(found, wanted, atol=1e-5):
            continue
        for made, mistake in WRONG_ADDS.items():
            if torch.allclose(found, made(tokens, text), atol=1e-5):
                return mistake[0].upper() + mistake[1:]
        if math.isclose(float(found.sum()), float(wanted.sum()), abs_tol=1e-5):
            return "The sum is right, but not every part: patch number i is token number i times the text."
        return f"The numbers should sum to {float(wanted.sum()):.4f}, the likeness; yours to {float(found.sum()):.4f}."
    return None


Nce = Callable[[torch.Tensor, float], torch.Tensor]


def _nce(table: torch.Tensor, temperature: float) -> torch.Tensor:
    scores = table / temperature
    return -(scores.log_softmax(1).diagonal().mean() + scores.log_softmax(0).diagonal().mean()) / 2


def _rows_only(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return -(table / temperature).log_softmax(1).diagonal().mean()


def _columns_only(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return -(table / temperature).log_softmax(0).diagonal().mean()


def _warm(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return _nce(table, 1.0)


def _multiplied(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return _nce(table, 1 / temperature)


def _summed(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return _nce(table, temperature) * len(table)


def _both_added(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return 2 * _nce(table, temperature)


def _negative(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return -_nce(table, temperature)


def _in_bits(table: torch.Tensor, temperature: float) -> torch.Tensor:
    return _nce(table, temperature) / math.log(2)


def _whole_table(table: torch.Tensor, temperature: float) -> torch.Tensor:
    scores = table / temperature
    return -(scores.log_softmax(1).mean() + scores.log_softmax(0).mean()) / 2


def _no_logarithm(table: torch.Tensor, temperature: float) -> torch.Tensor:
    scores = table / temperature
    return 1 - (scores.softmax(1).diagonal().mean() + scores.softmax(0).diagonal().mean()) / 2


WRONG_NCE: dict[Nce, str] = {
    _rows_only: "only the rows choose: pictures among captions. The columns choose as well.",
    _columns_only: "only the columns choose: captions among pictures. The rows choose as well.",
    _warm: "the temperature is not used.",
    _multiplied: "divide by the temperature; a small one spreads the likenesses out.",
    _summed: "take the mean over the batch, not the sum.",
    _both_added: "rows and columns are averaged, not added.",
    _negative: "the sign is missing: the logarithm of a probability is negative.",
    _in_bits: "this is in bits; nats take the natural logarithm.",
    _whole_table: "only the diagonal holds right answers; yours is the mean over the whole table.",
    _no_logarithm: "the loss is minus the logarithm of the right one's probability, not what it lacks to 1.",
}


@exercise(
    "22.3",
    expects=FunctionType,
    right=_nce,
    wrong=[
        (_rows_only, "only the rows"),
        (_columns_only, "only the columns"),
        (_warm, "not used"),
        (_multiplied, "divide"),
        (_summed, "mean over the batch"),
        (_both_added, "averaged"),
        (_negative, "sign"),
        (_in_bits, "bits"),
        (_whole_table, "diagonal"),
        (_no_logarithm, "logarithm"),
        (lambda table, temperature: torch.tensor(0.5), "it should be"),
    ],
    because="this is VisionModel.contrast for a batch without twins.",
)
def info_nce(answer: Nce) -> str | None:
    table = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.4, 0.5], [-0.1, 0.0, 0.7]])
    for temperature in (0.5, 0.1):
        found, wanted = float(answer(table.clone(), temperature)), float(_nce(table, temperature))
        if math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-6):
            continue
        for made, mistake in WRONG_NCE.items():
            if math.isclose(found, float(made(table, temperature)), rel_tol=1e-4, abs_tol=1e-6):
                return mistake[0].upper() + mistake[1:]
        return f"At temperature {temperature} it should be {wanted:.4f} for a small table; yours is {found:.4f}."
    return None


Twins = Callable[[Sequence[str]], object]


def _twins(captions: Sequence[str]) -> list[list[bool]]:
    return [[i != j and a == b for j, b in enumerate(captions)] for i, a in enumerate(captions)]


def _with_diagonal(captions: Sequence[str]) -> list[list[bool]]:
    return [[a == b for b in captions] for a in captions]


def _upper_half(captions: Sequence[str]) -> list[list[bool]]:
    return [[i < j and a == b for j, b in enumerate(captions)] for i, a in enumerate(captions)]


def _opposite(captions: Sequence[str]) -> list[list[bool]]:
    return [[not value for value in row] for row in _twins(captions)]


def _of_one_length(captions: Sequence[str]) -> list[list[bool]]:
    return [[i != j and len(a) == len(b) for j, b in enumerate(captions)] for i, a in enumerate(captions)]


@exercise(
    "22.4",
    expects=FunctionType,
    right=_twins,
    wrong=[
        (_with_diagonal, "diagonal"),
        (_upper_half, "both ways"),
        (_opposite, "the other way round"),
        (_of_one_length, "word for word"),
        (lambda captions: [caption for caption in captions if list(captions).count(caption) > 1], "rows"),
        (lambda captions: [[False] * len(captions) for _ in captions], "left out"),
    ],
    because="the library compares the pieces of the captions in this way.",
)
def twins(answer: Twins) -> str | None:
    captions = ["a star.", "a ring.", "a star.", "a cat.", "a star.", "a circle."]
    wanted = torch.tensor(_twins(captions))
    found = answer(list(captions))
    found = found if isinstance(found, torch.Tensor) else _table(found)
    if found is None or tuple(found.shape) != tuple(wanted.shape):
        return f"{len(captions)} captions make a table of {len(captions)} rows with {len(captions)} places each."
    found = found.bool()
    if torch.equal(found, wanted):
        return None
    if torch.equal(found, ~wanted):
        return "It is the other way round: True is where a place has to be left out."
    if found.diagonal().any():
        return "The diagonal is the right answer itself; leave it in, so it is False there."
    if torch.equal(found | found.T, wanted):
        return "Twins hold both ways: where i is the twin of j, j is the twin of i."
    if bool((found & ~wanted).any()):
        return "Twins are the same word for word; some of yours differ."
    return "Some twins are not found: each place of two equal captions has to be left out."


def _table(rows: object) -> torch.Tensor | None:
    try:
        return torch.tensor(rows)
    except (TypeError, ValueError, RuntimeError):
        return None
