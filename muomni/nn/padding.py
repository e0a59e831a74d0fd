"""Rows of different lengths as one tensor: filled up behind, and which of it is real."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def padded(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    """Rows of numbers as one tensor (B, longest), filled up behind."""
    table = torch.full((len(rows), max(1, *map(len, rows))), fill)
    for row, numbers in zip(table, rows, strict=True):
        row[: len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return table


def real_places(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """(B, longest), True at the first `lengths` (B,) places of each row."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]
