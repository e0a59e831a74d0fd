"""Rotary positions: turns, not stretches, and only distances matter."""

from __future__ import annotations

import pytest
import torch

from muomni.nn.rotary import Rotary, Rotation, rotate, rotation


def test_position_zero_turns_nothing() -> None:
    x = torch.randn(1, 2, 1, 8)
    torch.testing.assert_close(rotate(x, rotation(torch.zeros(1), 8, 10000.0)), x)


def test_the_first_pair_of_channels_turns_by_one_radian_a_position() -> None:
    x = torch.zeros(1, 1, 1, 8)
    x[..., 0] = 1.0  # its partner is channel 4
    y = rotate(x, rotation(torch.tensor([3.0]), 8, 10000.0)).flatten()
    assert y[0].item() == pytest.approx(torch.tensor(3.0).cos().item(), abs=1e-6)
    assert y[4].item() == pytest.approx(torch.tensor(3.0).sin().item(), abs=1e-6)


def test_lengths_are_kept() -> None:
    x = torch.randn(2, 3, 10, 16)
    y = rotate(x, rotation(torch.arange(10), 16, 10000.0))
    torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))


def test_products_depend_only_on_the_distance() -> None:
    q, k = torch.ones(1, 1, 1, 16), torch.ones(1, 1, 1, 16)

    def product(query_at: float, key_at: float) -> torch.Tensor:
        turned = (rotate(x, rotation(torch.tensor([p]), 16, 10000.0)) for x, p in ((q, query_at), (k, key_at)))
        a, b = turned
        return (a * b).sum()

    torch.testing.assert_close(product(7, 3), product(104, 100), rtol=1e-4, atol=1e-4)  # angles of 100 rad in fp32
    assert (product(7, 3) - product(7, 6)).abs() > 0.1


def test_the_table_holds_what_is_computed_for_given_positions() -> None:
    rotary = Rotary(8, 20, theta=500.0)
    table, given = rotary.stretch(5, 4), rotary.at(torch.tensor([[5, 6, 7, 8]]))
    for a, b in zip(table, given, strict=True):
        torch.testing.assert_close(a, b[0, 0], rtol=0, atol=0)


def test_positions_may_be_fractions() -> None:
    rotary = Rotary(8, 20)
    half = rotary.at(torch.tensor([[2.5]]))
    assert isinstance(half, Rotation)
    torch.testing.assert_close(half.cos[..., 0].flatten(), torch.tensor([2.5]).cos())


def test_the_gradient_of_a_turn_is_the_one_that_autograd_finds() -> None:
    x = torch.randn(2, 3, 10, 16, dtype=torch.float64, requires_grad=True)
    turn = rotation(torch.arange(10), 16, 10000.0).to(torch.float64)
    assert torch.autograd.gradcheck(lambda x: rotate(x, turn), x)
