"""Muon: directions made orthogonal, steps of AdamW's length, and the same path as PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from muomni.train.muon import Muon, orthogonal
from muomni.train.optimizer import MUON, make_optimizers


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape) * torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    found = orthogonal(matrices)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.3 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    alike = torch.nn.functional.cosine_similarity(found.flatten(1), (u @ v).flatten(1))
    assert alike.min() > 0.95


def test_matrices_of_one_shape_are_stepped_together_as_they_would_be_alone() -> None:
    torch.manual_seed(0)
    matrices = torch.randn(4, 6, 10)
    torch.testing.assert_close(orthogonal(matrices)[2], orthogonal(matrices[2:3])[0], rtol=1e-4, atol=1e-5)


def test_it_goes_where_pytorch_s_own_goes_but_for_bf16_s_digits() -> None:
    torch.manual_seed(0)
    start = torch.randn(12, 20)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = [
        Muon([ours], lr=0.02, wd=0.1),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for step in range(5):
        gradient = torch.randn(12, 20, generator=torch.Generator().manual_seed(step))
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = gradient.clone()
            optimizer.step()
    moved, difference = (ours - start).norm(), (ours - theirs).norm()
    assert difference < 0.05 * moved


def test_a_step_is_about_as_long_as_adamw_s() -> None:
    p = nn.Parameter(torch.zeros(64, 96))
    p.grad = torch.randn(64, 96) * 1e-6
    Muon([p], lr=1.0, wd=0.0).step()
    assert 0.1 < float(p.square().mean().sqrt()) < 0.4


def test_muon_takes_the_matrices_of_blocks_and_projectors_and_adamw_everything_else() -> None:
    inside = {"blocks": nn.ModuleList([nn.Linear(8, 8)]), "audio_projector": nn.ModuleDict({"up": nn.Linear(8, 4)})}
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 8), "head": nn.Linear(8, 5)} | inside)
    found = make_optimizers(model.named_parameters(), 1e-3, 0.1, kind="muon")
    matrices = {id(p) for group in found[MUON].param_groups for p in group["params"]}
    assert matrices == {id(model["blocks"][0].weight), id(model["audio_projector"]["up"].weight)}
    rest = {id(p) for group in found[""].param_groups for p in group["params"]}
    assert rest == {id(p) for p in model.parameters()} - matrices
    assert list(make_optimizers(model.named_parameters(), 1e-3, 0.1)) == [""]
