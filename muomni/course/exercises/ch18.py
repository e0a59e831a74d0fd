"""Chapter 18, normalization: RMSNorm forward and backward, a deep stream's size, the largest square of fp16."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType

import torch

from muomni.course.checks import exercise

Tensor = torch.Tensor


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def _layer_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return _rms_norm(x - x.mean(-1, keepdim=True), weight, eps)


def _of_all(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / (x.square().mean() + eps).sqrt()


def _summed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / (x.square().sum(-1, keepdim=True) + eps).sqrt()


def _no_root(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / (x.square().mean(-1, keepdim=True) + eps)


def _eps_outside(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / (x.square().mean(-1, keepdim=True).sqrt() + eps)


def _no_eps(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / x.square().mean(-1, keepdim=True).sqrt()


def _no_weight(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return _rms_norm(x, torch.ones_like(weight), eps)


_FORWARD_MISTAKES: tuple[tuple[Callable[[Tensor, Tensor, float], Tensor], str], ...] = (
    (_layer_norm, "That is LayerNorm: RMSNorm does not subtract the mean."),
    (_of_all, "Your mean runs over all vectors at once: each is normed by itself, over its last dimension."),
    (_summed, "You divide by the root of the sum of squares: it is the root of their mean."),
    (_no_root, "You divide by the mean square: the root is missing."),
    (_eps_outside, "eps stands outside of the root: add it to the mean square, before the root."),
    (_no_eps, "eps is missing: add it to the mean square, before the root."),
    (_no_weight, "The weight is missing: each channel is multiplied by its own."),
)


@exercise(
    "18.1",
    expects=FunctionType,
    right=_rms_norm,
    wrong=[
        (_layer_norm, "LayerNorm"),
        (_of_all, "all vectors"),
        (_summed, "sum of squares"),
        (_no_root, "root is missing"),
        (_eps_outside, "outside"),
        (_no_eps, "eps is missing"),
        (_no_weight, "weight"),
        (lambda x, weight, eps: _rms_norm(x, weight, eps)[0], "shape"),
        (lambda x, weight, eps: 2 * _rms_norm(x, weight, eps), "first numbers"),
        (lambda x, weight, eps: 1.0, "tensor"),
    ],
    because="Every vector now has a root mean square of 1, before the weight.",
)
def rms_norm(answer: Callable[[Tensor, Tensor, float], object]) -> str | None:
    x = torch.linspace(-1, 2, 24).reshape(2, 3, 4).sin() * torch.tensor([[[0.02], [0.5], [3.0]]])
    weight, eps = torch.tensor([0.5, 1.5, 1.0, -0.7]), 0.01
    found, expected = answer(x.clone(), weight.clone(), eps), _rms_norm(x, weight, eps)
    if not isinstance(found, Tensor):
        return f"Return a tensor of x's shape; yours is a {type(found).__name__}."
    if found.shape != x.shape:
        return f"For x of shape {tuple(x.shape)} the result has the same shape; yours is {tuple(found.shape)}."
    if torch.allclose(found, expected, rtol=1e-4, atol=1e-6):
        return None
    for mistake, words in _FORWARD_MISTAKES:
        if torch.allclose(found, mistake(x, weight, eps), rtol=1e-4, atol=1e-6):
            return words
    return f"The first numbers should be {_some(expected)}; yours are {_some(found)}."


def _some(x: Tensor) -> list[float]:
    return [round(value, 4) for value in x.flatten()[:3].tolist()]


@exercise(
    "18.2",
    expects=float,
    right=7.0,
    wrong=[
        (49, "mean square"),
        (5, "two branches"),
        (math.sqrt(48), "begins"),
        (2.0**24, "normed"),
        (25, "squares"),
    ],
    because="1 + 48 mean squares of 1, and the root of 49.",
)
def deep_stream(answer: float) -> str | None:
    if math.isclose(answer, 7, rel_tol=1e-3):
        return None
    if math.isclose(answer, 49, rel_tol=1e-3):
        return "That is the mean square, or sizes added up; the RMS is its root."
    if math.isclose(answer, 5, rel_tol=1e-3):
        return "Each block has two branches: 48 of them add something."
    if math.isclose(answer, math.sqrt(48), rel_tol=1e-3):
        return "Count what the stream begins with, too."
    if math.isclose(answer, 2.0**24, rel_tol=1e-3):
        return "That is growth without norms; here every branch reads a normed copy and adds the same amount."
    return "Add up the mean squares of all that is in the stream, and take the root."


@exercise(
    "18.3",
    expects=int,
    right=255,
    wrong=[(65_504, "square"), (256, "65,536"), (254, "one more"), (11, "larger"), (300, "infinite")],
    because="255 squared is 65,025; 256 squared is 65,536, and fp16 ends at 65,504.",
)
def largest_square(answer: int) -> str | None:
    if answer == 255:
        return None
    if answer == 65_504:
        return "That is the largest number of fp16; asked is the largest whose square is not above it."
    if answer == 256:
        return "256 squared is 65,536, and fp16 ends at 65,504."
    if answer == 254:
        return "There is one more."
    return "Its square is infinite in fp16." if answer > 255 else "Its square fits, but larger ones do, too."


def _backward(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    r = (x.square().mean(-1, keepdim=True) + eps).rsqrt()
    return r * weight * g - x * r**3 * (g * weight * x).mean(-1, keepdim=True)


def _scale(x: Tensor, eps: float) -> Tensor:
    return (x.square().mean(-1, keepdim=True) + eps).rsqrt()


def _first_term(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    return _scale(x, eps) * weight * g


def _plus(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    return 2 * _first_term(x, weight, eps, g) - _backward(x, weight, eps, g)


def _weightless(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    return _backward(x, torch.ones_like(weight), eps, g)


def _weight_once(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    r = _scale(x, eps)
    return r * weight * g - x * r**3 * (g * x).mean(-1, keepdim=True)


def _one_r(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    r = _scale(x, eps)
    return r * weight * g - x * r * (g * weight * x).mean(-1, keepdim=True)


def _sum(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    r = _scale(x, eps)
    return r * weight * g - x * r**3 * (g * weight * x).sum(-1, keepdim=True)


def _mean_of_all(x: Tensor, weight: Tensor, eps: float, g: Tensor) -> Tensor:
    r = _scale(x, eps)
    return r * weight * g - x * r**3 * (g * weight * x).mean()


_BACKWARD_MISTAKES: tuple[tuple[Callable[[Tensor, Tensor, float, Tensor], Tensor], str], ...] = (
    (_first_term, "That takes r for a constant, but x changes r: the second term is missing."),
    (_plus, "Mind the sign: the second term is subtracted, it removes the part along x."),
    (_weightless, "The weight is missing: it stands in both terms."),
    (_weight_once, "The weight is missing in the second term."),
    (_one_r, "r stands in the second term to the third power: the slope of 1 / sqrt(m) is -1/2 of its cube."),
    (_sum, "The second term holds the mean over the channels, not their sum."),
    (_mean_of_all, "The mean runs over each row's own channels, not over all rows."),
)


@exercise(
    "18.4",
    expects=FunctionType,
    right=_backward,
    wrong=[
        (_first_term, "second term is missing"),
        (_plus, "sign"),
        (_weightless, "both terms"),
        (_weight_once, "in the second term"),
        (_one_r, "third power"),
        (_sum, "not their sum"),
        (_mean_of_all, "own channels"),
        (lambda x, weight, eps, g: g, "autograd"),
        (lambda x, weight, eps, g: _backward(x, weight, eps, g).sum(0), "shape"),
        (lambda x, weight, eps, g: 0.0, "tensor"),
    ],
    because="It is what autograd finds for the formula, with x and one number a row to keep.",
)
def backward(answer: Callable[[Tensor, Tensor, float, Tensor], object]) -> str | None:
    generator = torch.Generator().manual_seed(0)
    x, g = (torch.randn(3, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    weight, eps = torch.linspace(0.5, 2, 5, dtype=torch.float64), 0.1
    leaf = x.clone().requires_grad_()
    with torch.enable_grad():
        expected = torch.autograd.grad(_rms_norm(leaf, weight, eps), leaf, g)[0]
    found = answer(x.clone(), weight.clone(), eps, g.clone())
    if not isinstance(found, Tensor):
        return f"Return a tensor of x's shape; yours is a {type(found).__name__}."
    if found.shape != x.shape:
        return f"A gradient has the shape of what it belongs to, {tuple(x.shape)}; yours has {tuple(found.shape)}."
    if torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-6):
        return None
    for mistake, words in _BACKWARD_MISTAKES:
        if torch.allclose(found.double(), mistake(x, weight, eps, g), rtol=1e-4, atol=1e-6):
            return words
    return f"Its first numbers should be {_some(expected)}, as autograd finds them; yours are {_some(found)}."
