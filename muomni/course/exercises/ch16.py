"""Chapter 16, SwiGLU: a fair width, the layer from its matrices, neurons that never open."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

import torch
from torch.nn import functional as F

from muomni.course.checks import exercise


def _fair_width(gelu_width: int, multiple: int) -> int:
    return -(-2 * gelu_width // (3 * multiple)) * multiple


@exercise(
    "16.1",
    expects=FunctionType,
    right=_fair_width,
    wrong=[
        (lambda gelu_width, multiple: 2 * gelu_width // 3, "multiple of"),
        (lambda gelu_width, multiple: 2 * gelu_width // (3 * multiple) * multiple, "round up"),
        (lambda gelu_width, multiple: round(2 * gelu_width / 3 / multiple) * multiple, "round up"),
        (lambda gelu_width, multiple: (2 * gelu_width // 3 // multiple + 1) * multiple, "already"),
        (lambda gelu_width, multiple: -(-3 * gelu_width // (2 * multiple)) * multiple, "narrower"),
        (lambda gelu_width, multiple: -(-2 * gelu_width // (3 * multiple)), "how many multiples"),
        (lambda gelu_width, multiple: 2 * gelu_width / 3, "whole number"),
    ],
    because="Rounding up makes the layer a little larger than fair, by less than one multiple.",
)
def fair_width(answer: Callable[[int, int], object]) -> str | None:
    for gelu_width, multiple in ((576, 8), (1000, 16), (16_384, 256), (100, 64), (384, 256)):
        found, expected = answer(gelu_width, multiple), _fair_width(gelu_width, multiple)
        gives = f"fair_width({gelu_width}, {multiple}) gives {found}"
        if found == expected:
            continue
        if not isinstance(found, int):
            return f"{gives}: a width is a whole number."
        if found == expected // multiple:
            return f"{gives}: that is how many multiples it has; the width is that many times {multiple}."
        if found > gelu_width:
            return f"{gives}: a third matrix needs room, so the gated layer is narrower, two thirds."
        if found % multiple:
            return f"{gives}, which is no multiple of {multiple}."
        if found == expected + multiple:
            return f"{gives}: two thirds is a multiple already there, and nothing has to be added."
        if found == expected - multiple:
            return f"{gives}, less than two thirds of {gelu_width}: round up."
        return f"{gives}, expected is {expected}."
    return None


Matrices = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], object]


@exercise(
    "16.2",
    expects=FunctionType,
    right=lambda x, gate, up, down: (F.silu(x @ gate.T) * (x @ up.T)) @ down.T,
    wrong=[
        (lambda x, gate, up, down: (F.silu(x @ up.T) * (x @ gate.T)) @ down.T, "swapped"),
        (lambda x, gate, up, down: (torch.sigmoid(x @ gate.T) * (x @ up.T)) @ down.T, "sigmoid"),
        (lambda x, gate, up, down: (F.gelu(x @ gate.T) * (x @ up.T)) @ down.T, "GELU"),
        (lambda x, gate, up, down: ((x @ gate.T) * (x @ up.T)) @ down.T, "without"),
        (lambda x, gate, up, down: F.silu((x @ gate.T) * (x @ up.T)) @ down.T, "product"),
        (lambda x, gate, up, down: F.silu(x @ gate.T) @ down.T, "missing"),
        (lambda x, gate, up, down: (F.silu(x @ gate.T) + (x @ up.T)) @ down.T, "added"),
        (lambda x, gate, up, down: F.silu(x @ gate.T) * (x @ up.T), "shape"),
        (lambda x, gate, up, down: (F.silu(x @ gate.T) * (x @ up.T)) @ down.T + x, "residual"),
        (lambda x, gate, up, down: 2 * (F.silu(x @ gate.T) * (x @ up.T)) @ down.T, "differ"),
        (lambda x, gate, up, down: x.tolist(), "tensor"),
    ],
    because="It is what muomni.nn.feed_forward.SwiGLU computes.",
)
def swiglu_by_hand(answer: Matrices) -> str | None:
    draw = torch.Generator().manual_seed(16)
    x, gate, up, down = (torch.randn(shape, generator=draw) for shape in ((5, 4), (7, 4), (7, 4), (4, 7)))
    found = answer(x, gate, up, down)
    g, u = x @ gate.T, x @ up.T
    expected = (F.silu(g) * u) @ down.T
    if not isinstance(found, torch.Tensor):
        return f"It gives a {type(found).__name__}: return a tensor."
    if found.shape != expected.shape:
        return f"For x of (5, 4) the shape is {tuple(found.shape)}, expected is (5, 4). Is `down` applied?"
    if torch.allclose(found, expected, atol=1e-4):
        return None
    for inner, words in (
        (F.silu(u) * g, "Gate and up are swapped: SiLU belongs to the gate."),
        (torch.sigmoid(g) * u, "That is a gate with a sigmoid (GLU); SiLU is the number times its sigmoid."),
        (F.gelu(g) * u, "That is a gate with GELU (GEGLU); take SiLU."),
        (g * u, "That is a product without any SiLU."),
        (F.silu(g * u), "SiLU is taken of the product; it belongs to the gate alone."),
        (F.silu(g), "`up` is missing: the open gate has nothing to let through."),
        (F.silu(u), "`gate` is missing: that is a layer with two matrices."),
        (F.silu(g) + u, "Gate and up are added; multiply them."),
    ):
        if torch.allclose(found, inner @ down.T, atol=1e-4):
            return words
    if torch.allclose(found, expected + x, atol=1e-4):
        return "x is added: the residual connection is the block's affair, not the layer's."
    return f"The numbers differ by up to {(found - expected).abs().max():.3g} from down(silu(gate(x)) · up(x))."


@exercise(
    "16.3",
    expects=FunctionType,
    right=lambda gates: int((~(gates > 0).any(dim=0)).sum()),
    wrong=[
        (lambda gates: int((~(gates > 0).any(dim=1)).sum()), "tokens"),
        (lambda gates: int((gates <= 0).sum()), "single gates"),
        (lambda gates: int((gates > 0).any(dim=0).sum()), "opposite"),
        (lambda gates: int((gates <= 0).any(dim=0).sum()), "some token"),
        (lambda gates: int((gates.mean(0) <= 0).sum()), "mean"),
        (lambda gates: float((gates <= 0).all(dim=0).float().mean()), "share"),
        (lambda gates: int((gates < 0).all(dim=0).sum()), "exactly 0"),
        (lambda gates: 3, "expected"),
        (lambda gates: (gates <= 0).all(dim=0), "number"),
    ],
    because="Such a neuron adds next to nothing to any of these tokens; to others it may.",
)
def shut_for_all(answer: Callable[[torch.Tensor], object]) -> str | None:
    gates = torch.tensor(
        [
            [-1.0, 2.0, -3.0, -0.5, 0.0, -1.0, -2.0],
            [-2.0, 1.0, 0.5, -1.5, -1.0, -3.0, -1.0],
            [-3.0, 4.0, -2.0, -0.5, -2.0, -1.0, -4.0],
            [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0],
            [-2.0, 0.2, -0.3, -0.1, -0.4, -0.6, -0.7],
        ]
    )
    found = answer(gates.clone())
    if isinstance(found, torch.Tensor):
        if found.numel() != 1:
            return f"It gives a tensor of shape {tuple(found.shape)}: return one number."
        found = found.item()
    if found == 5:
        return None if answer(gates[:, 1:3].clone()) == 0 else "Of two neurons that both open once, 0 is expected."
    open_ones = gates > 0
    known: dict[object, str] = {
        int((~open_ones.any(1)).sum()): "That counts tokens for which no neuron is open; ask over the tokens, dim=0.",
        int((~open_ones).sum()): "That counts single gates; count neurons, one for each column.",
        int(open_ones.any(0).sum()): "That is the opposite: the neurons that are open at least once.",
        int((~open_ones).any(0).sum()): "That counts neurons that are shut for some token; shut for all is asked.",
        int((gates.mean(0) <= 0).sum()): "A mean of at most 0 may hide an open gate; look at every token.",
        int((gates < 0).all(0).sum()): "A gate of exactly 0 is not above 0: it is not open.",
    }
    if isinstance(found, float) and 0 < found < 1:
        return f"It gives {found:.2g}: that is a share; the number of neurons is asked."
    return known.get(found, f"For a table of 5 tokens and 7 neurons it gives {found}, expected is 5.")
