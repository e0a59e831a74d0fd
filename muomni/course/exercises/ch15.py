"""Chapter 15, grouped-query attention: whose keys a head reads, the bytes of a cache, pooling heads."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

import torch

from muomni.course.checks import exercise


def _kv_head(head: int, n_heads: int, n_kv_heads: int) -> int:
    return head // (n_heads // n_kv_heads)


@exercise(
    "15.1",
    expects=FunctionType,
    right=_kv_head,
    wrong=[
        (lambda head, n_heads, n_kv_heads: head % n_kv_heads, "neighbours"),
        (lambda head, n_heads, n_kv_heads: head // n_kv_heads, "queries in a group"),
        (lambda head, n_heads, n_kv_heads: head / (n_heads // n_kv_heads), "whole number"),
        (lambda head, n_heads, n_kv_heads: head + n_kv_heads, "has only"),
        (lambda head, n_heads, n_kv_heads: 0, "expected"),
    ],
    because="A group has n_heads / n_kv_heads neighbouring queries, so whole groups are counted.",
)
def whose_keys(answer: Callable[[int, int, int], object]) -> str | None:
    for n_heads, n_kv_heads in ((8, 2), (8, 4), (12, 3), (8, 8), (8, 1)):
        for head in range(n_heads):
            found, expected = answer(head, n_heads, n_kv_heads), _kv_head(head, n_heads, n_kv_heads)
            if isinstance(found, float):
                return f"kv_head({head}, {n_heads}, {n_kv_heads}) gives {found:g}: return a whole number, with //."
            if found != expected:
                return _other_head(found, expected, head, n_heads, n_kv_heads)
    return None


def _other_head(found: object, expected: int, head: int, n_heads: int, n_kv_heads: int) -> str:
    gives = f"kv_head({head}, {n_heads}, {n_kv_heads}) gives {found}"
    if found == head % n_kv_heads and found != 0:
        return f"{gives}: that is the order of `repeat`, 0 1 0 1; neighbours share, 0 0 1 1."
    if found == head // n_kv_heads and found != 0:
        return f"{gives}: divide by the number of queries in a group, not by the number of groups."
    if isinstance(found, int) and found >= n_kv_heads:
        return f"{gives}, but the layer has only {n_kv_heads} key-value heads, 0 to {n_kv_heads - 1}."
    return f"{gives}, expected is {expected}."


_CACHE = 2 * 24 * 4 * 128 * 1000 * 2


@exercise(
    "15.2",
    expects=int,
    right=_CACHE,
    wrong=[
        (_CACHE // 4, "two bytes"),
        (_CACHE // 2, "and a value"),
        (_CACHE * 4, "query heads"),
        (_CACHE // 24, "layer"),
        (_CACHE * 2, "four bytes"),
        (_CACHE // 1000, "token"),
        (12, "multiply"),
    ],
    because="2 x 24 layers x 4 heads x 128 channels x 1,000 tokens x 2 bytes: 47 MiB.",
)
def cache_for_many(answer: int) -> str | None:
    known = {
        _CACHE // 4: "Two factors of 2 are missing: a key and a value, and two bytes for each number.",
        _CACHE // 2: "Half of it is missing: a key and a value are kept, and a 16-bit number has two bytes.",
        _CACHE * 4: "That is the cache of 16 heads, which are the query heads; queries are not kept.",
        _CACHE // 24: "That is the cache of one layer; every layer keeps its own.",
        _CACHE * 2: "16-bit numbers have two bytes, not four bytes.",
        _CACHE // 1000: "That is for one token.",
    }
    return None if answer == _CACHE else known.get(answer, "Count the numbers kept for one token, then multiply.")


def _pool(weight: torch.Tensor, head_dim: int, groups: int) -> torch.Tensor:
    return weight.view(groups, -1, head_dim, weight.shape[1]).mean(1).reshape(groups * head_dim, -1)


def _pool_strided(weight: torch.Tensor, head_dim: int, groups: int) -> torch.Tensor:
    return weight.view(-1, groups, head_dim, weight.shape[1]).mean(0).reshape(groups * head_dim, -1)


def _pool_sum(weight: torch.Tensor, head_dim: int, groups: int) -> torch.Tensor:
    return _pool(weight, head_dim, groups) * (weight.shape[0] // head_dim // groups)


def _pool_rows(weight: torch.Tensor, head_dim: int, groups: int) -> torch.Tensor:
    return weight.view(groups * head_dim, -1, weight.shape[1]).mean(1)


def _pool_first(weight: torch.Tensor, head_dim: int, groups: int) -> torch.Tensor:
    return weight.view(groups, -1, head_dim, weight.shape[1])[:, 0].reshape(groups * head_dim, -1)


@exercise(
    "15.3",
    expects=FunctionType,
    right=_pool,
    wrong=[
        (_pool_strided, "neighbours"),
        (_pool_sum, "mean"),
        (_pool_rows, "rows of one head"),
        (_pool_first, "first head"),
        (lambda weight, head_dim, groups: weight.view(groups, -1, head_dim, weight.shape[1]).mean(1), "shape"),
        (lambda weight, head_dim, groups: weight[: groups * head_dim], "mean"),
        (lambda weight, head_dim, groups: weight.tolist(), "tensor"),
    ],
    because="Channel c of a pooled head is the mean of channel c of the heads in its group.",
)
def pooled_heads(answer: Callable[[torch.Tensor, int, int], object]) -> str | None:
    for heads, head_dim, groups, width in ((8, 4, 2, 3), (4, 6, 4, 5), (6, 2, 1, 7)):
        weight = torch.arange(heads * head_dim * width, dtype=torch.float32).square().view(-1, width)
        found, expected = answer(weight.clone(), head_dim, groups), _pool(weight, head_dim, groups)
        case = f"For {heads} heads of {head_dim} channels and {groups} groups"
        if not isinstance(found, torch.Tensor):
            return f"{case} it gives a {type(found).__name__}: return a tensor."
        if found.shape != expected.shape:
            return f"{case} its shape is {tuple(found.shape)}, expected is {tuple(expected.shape)}."
        if torch.allclose(found, expected):
            continue
        for mistake, words in (
            (_pool_strided, "heads that stand apart are pooled; a group is made of neighbours."),
            (_pool_sum, "the heads of a group are added; take their mean."),
            (
                _pool_rows,
                "rows of one head are mixed; give the channels of a head an axis of their own.",
            ),
            (_pool_first, "the first head of each group is kept; take the mean of all."),
        ):
            if torch.allclose(found, mistake(weight, head_dim, groups)):
                return f"{case} {words}"
        return f"{case} the numbers differ: row 0 should be the mean of channel 0 of the heads in the first group."
    return None
