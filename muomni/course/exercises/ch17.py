"""Chapter 17, mixture of experts: working parameters, gates, and a balance loss with and without a gradient."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

import torch

from muomni.course.checks import exercise


@exercise(
    "17.1",
    expects=int,
    right=1_574_912,
    wrong=[
        (6_293_504, "exist"),
        (6_291_456, "exist"),
        (1_572_864, "router"),
        (1_050_624, "three"),
        (788_480, "two experts"),
        (1_573_376, "all 8"),
        (5, "3 x 256 x 1,024"),
    ],
    because="Two experts of 3 x 256 x 1,024 each, and the router's 256 x 8.",
)
def working_parameters(answer: int) -> str | None:
    expert, router = 3 * 256 * 1024, 256 * 8
    known = {
        8 * expert + router: "So many exist; asked is how many work on one token.",
        8 * expert: "So many exist (without the router); asked is how many work on one token.",
        2 * expert: "The router works on every token, too.",
        2 * 2 * 256 * 1024 + router: "That counts two matrices an expert; a SwiGLU has three: gate, up and down.",
        expert + router: "That is one expert; a token visits two experts here.",
        2 * expert + 256 * 2: "The router scores all 8 experts before it chooses two.",
    }
    if answer == 2 * expert + router:
        return None
    return known.get(answer, "An expert has 3 x 256 x 1,024 parameters; count those visited, and the router.")


def _gates(scores: torch.Tensor, k: int) -> torch.Tensor:
    best = scores.softmax(-1).topk(k, -1)
    return torch.zeros_like(scores).scatter(-1, best.indices, best.values / best.values.sum(-1, keepdim=True))


def _not_divided(scores: torch.Tensor, k: int) -> torch.Tensor:
    best = scores.softmax(-1).topk(k, -1)
    return torch.zeros_like(scores).scatter(-1, best.indices, best.values)


def _scores_divided(scores: torch.Tensor, k: int) -> torch.Tensor:
    best = scores.topk(k, -1)
    return torch.zeros_like(scores).scatter(-1, best.indices, best.values / best.values.sum(-1, keepdim=True))


def _even(scores: torch.Tensor, k: int) -> torch.Tensor:
    return torch.zeros_like(scores).scatter(-1, scores.topk(k, -1).indices, 1 / k)


@exercise(
    "17.2",
    expects=FunctionType,
    right=_gates,
    wrong=[
        (lambda scores, k: scores.softmax(-1), "all experts"),
        (_not_divided, "add up to 1"),
        (_scores_divided, "softmax"),
        (_even, "alike"),
        (lambda scores, k: scores.softmax(-1).topk(k, -1).values, "shape"),
        (lambda scores, k: _gates(-scores, k), "likeliest"),
        (lambda scores, k: 1, "tensor"),
    ],
    because="It is also the softmax over the k best scores alone.",
)
def gates(answer: Callable[[torch.Tensor, int], object]) -> str | None:
    scores = torch.tensor([[2.0, 0.5, 1.0, -1.0], [-0.3, 0.4, 0.1, 1.7], [0.2, 3.0, -2.0, 0.9]])
    for k in (2, 1, 3):
        found, expected = answer(scores.clone(), k), _gates(scores, k)
        if not isinstance(found, torch.Tensor):
            return f"Return a tensor of weights (N, E); yours is a {type(found).__name__}."
        if found.shape != expected.shape:
            return (
                f"The weights' shape is {tuple(found.shape)}; it should be that of the scores, {tuple(scores.shape)}."
            )
        if torch.allclose(found, expected, atol=1e-5):
            continue
        used = (found != 0).sum(-1)
        if bool((used > k).any()):
            return (
                f"With k = {k} it gives weight to {int(used.max())} experts: those not chosen get 0, not all experts."
            )
        if not torch.equal(found != 0, expected != 0):
            return f"With k = {k} other experts are chosen than the likeliest ones."
        if torch.allclose(found, _scores_divided(scores, k)):
            return "Those are the scores divided by their sum: take the softmax first, scores may be negative."
        if not torch.allclose(found.sum(-1), torch.ones(3), atol=1e-5):
            return f"With k = {k} a token's weights add up to {found[0].sum():.3f}: divide, so that they add up to 1."
        if torch.allclose(found, _even(scores, k)):
            return "All chosen experts count alike: weigh them by their probabilities."
        return f"With k = {k} the first token's weights should be {[round(w, 3) for w in expected[0].tolist()]}."
    return None


@exercise(
    "17.3",
    expects=str,
    right="nothing",
    wrong=[("same", "gradient"), ("collapse", "no direction"), ("balance", "one of")],
    because="Both factors are counts, and a count has no gradient: the number is right, and nothing follows from it.",
)
def a_loss_without_gradient(answer: str) -> str | None:
    known = {
        "same": "Its value is the same at both ends, but training follows the gradient: which factor has one?",
        "collapse": "It would have to push the router for that; a count gives no direction at all.",
    }
    if answer == "nothing":
        return None
    return known.get(answer, 'Answer with one of "same", "nothing" and "collapse".')


def _balance(probabilities: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    shares = torch.bincount(chosen.flatten(), minlength=probabilities.shape[-1]) / chosen.numel()
    return probabilities.shape[-1] * (shares * probabilities.mean(0)).sum()


def _per_token(probabilities: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return _balance(probabilities, chosen) * chosen.shape[-1]


def _short_count(probabilities: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    shares = torch.bincount(chosen.flatten()) / chosen.numel()
    return probabilities.shape[-1] * (shares * probabilities.mean(0)).sum()


def _counted_twice(probabilities: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    shares = torch.bincount(chosen.flatten(), minlength=probabilities.shape[-1]) / chosen.numel()
    return probabilities.shape[-1] * shares.square().sum()


def _without_count(probabilities: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return probabilities.shape[-1] * probabilities.mean(0).square().sum()


@exercise(
    "17.4",
    expects=FunctionType,
    right=_balance,
    wrong=[
        (_per_token, "N · K"),
        (lambda probabilities, chosen: _balance(probabilities, chosen) / probabilities.shape[-1], "times E"),
        (_counted_twice, "gradient"),
        (_without_count, "counted"),
        (_short_count, "stopped"),
        (lambda probabilities, chosen: _balance(probabilities, chosen) * probabilities.shape[0], "expected"),
        (lambda probabilities, chosen: probabilities.mean(0), "one number"),
    ],
    because="The gradient lowers the probabilities of those experts that get many tokens.",
)
def balance_loss(answer: Callable[[torch.Tensor, torch.Tensor], object]) -> str | None:
    scores = torch.tensor([[2.0, 0.5, 1.0, -1.0], [-0.3, 1.9, 0.1, 0.4], [0.2, 3.0, -2.0, 0.9], [1.1, 0.3, 0.0, -0.5]])
    for k in (2, 1):
        probabilities = scores.softmax(-1).requires_grad_()
        chosen = probabilities.topk(k, -1).indices
        loss, expected = answer(probabilities, chosen), _balance(probabilities, chosen)
        found = torch.as_tensor(loss)
        if found.numel() != 1:
            return f"The loss is one number; yours has {found.numel()}."
        if torch.allclose(found, _counted_twice(probabilities, chosen), rtol=1e-4):
            return (
                "The counted shares stand in it twice, and a count has no gradient: one factor is the mean probability."
            )
        if torch.allclose(found, _without_count(probabilities, chosen), rtol=1e-4):
            return "The mean probabilities stand in it twice: one factor is the share of tokens, counted from `chosen`."
        if torch.allclose(found, expected, rtol=1e-4):
            continue
        if torch.allclose(found * probabilities.shape[-1], expected, rtol=1e-4):
            return "It would be 1/E when all is even: the sum is taken times E."
        if torch.allclose(found, expected * k, rtol=1e-4):
            return f"With k = {k} it is {k} times too large: the shares add up to 1, so divide the counts by N · K."
        return f"With k = {k} it is {float(found.detach()):.4f}, expected is {float(expected.detach()):.4f}."
    return None
