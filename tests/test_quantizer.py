"""Residual quantization: what is chosen, what learns, and what becomes of entries that nothing chooses."""

from __future__ import annotations

import pytest
import torch

from muomni.nn.quantizer import RESTART, ResidualQuantizer, bitrate, usage


def quantizer(n_codebooks: int = 3, size: int = 16, width: int = 4) -> ResidualQuantizer:
    torch.manual_seed(0)
    return ResidualQuantizer(n_codebooks, size, width, commitment=0.25)


def test_codes_are_the_nearest_entries_of_what_the_books_before_left() -> None:
    model, latents = quantizer(), torch.randn(2, 5, 4)
    codes = model.encode(latents)
    rest = latents
    for k, book in enumerate(model.codebooks):
        distances = (rest[:, :, None] - book).square().sum(-1)
        assert torch.equal(codes[..., k], distances.argmin(-1))
        rest = rest - book[codes[..., k]]
    torch.testing.assert_close(model.decode(codes), latents - rest)
    assert torch.equal(model.eval()(latents).codes, codes)


def test_the_gradient_passes_straight_through_and_reaches_the_codebooks() -> None:
    model, latents = quantizer(), torch.randn(2, 5, 4, requires_grad=True)
    found = model(latents)
    found.latents.sum().backward()
    torch.testing.assert_close(latents.grad, torch.ones_like(latents))
    assert model.codebooks.grad is None
    model(latents).loss.backward()
    assert model.codebooks.grad is not None and all(book.abs().sum() > 0 for book in model.codebooks.grad)


def test_training_the_quantizer_alone_lowers_its_error() -> None:
    model, latents = quantizer(size=32), torch.randn(1, 400, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    def error() -> float:
        return float((model.decode(model.encode(latents)) - latents).square().mean())

    before = error()
    for _ in range(2 * RESTART):
        optimizer.zero_grad()
        model(latents).loss.backward()
        optimizer.step()
    assert error() < 0.5 * before


def test_dead_entries_are_put_where_the_batch_is() -> None:
    model, latents = quantizer(n_codebooks=1), torch.randn(1, 50, 4)
    with torch.no_grad():
        model.codebooks[0, 8:] = 1000.0
    for _ in range(RESTART):
        model(latents)
    entries = model.codebooks[0, 8:]
    assert entries.abs().max() < 10
    assert all((latents[0] - entry).abs().sum(-1).min() == 0 for entry in entries)


def test_padding_is_neither_counted_nor_judged() -> None:
    model, latents = quantizer(), torch.randn(1, 6, 4)
    real = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(model(latents, real).loss, quantizer()(latents[:, :4]).loss)
    assert int(model.choices.sum()) == 3 * 4


def test_usage_and_bit_rate() -> None:
    found = usage(torch.tensor([[0, 3], [1, 3], [2, 3], [3, 3]]), 4)
    assert [each.used for each in found] == [1.0, 0.25]
    assert [each.bits for each in found] == pytest.approx([2.0, 0.0], abs=1e-5)
    assert bitrate(4, 256, 12.5) == 400
