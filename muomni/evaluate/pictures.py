"""Pictures and captions in one space: does a picture find its caption, and is what it finds true of it?

    pictures (N, E), captions (N, E) → likeness (N, N) → Recall@k: the share whose own partner is among the k nearest

The measure of CLIP (Radford et al. 2021). A caption may be true of several of the N scenes, so that nobody could do
better than to guess among them: the ceiling of Recall@k is the mean of min(1, k / number that are true). N scenes, C
classes, E width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from muomni.data.examples import Example
from muomni.data.world.lexicon import WORLD, with_article
from muomni.data.world.scene import Scene, scene
from muomni.errors import UserError
from muomni.evaluate.score import Score, mean_score
from muomni.evaluate.truth import truths
from muomni.infer.look import TrainedLooker

N_SCENES = 500
RECALLS = (1, 5, 10)
PAIRS = tuple((color, shape) for color in WORLD.colors for shape in WORLD.shapes)
CLASSES = tuple(f"there is {with_article(f'{color} {shape}')}." for color, shape in PAIRS)
"""A caption for every pair of color and shape: what a picture with one thing is told from."""


class Shown(NamedTuple):
    """A picture, one caption of it, and the record that both come from."""

    path: Path
    caption: str
    scene: Scene


def record_of(example: Example) -> Scene:
    """The scene record that a row of the world's pictures names.

    Raises:
        UserError: it names none.
    """
    try:
        seed, index, pairs = example.values["scene"]
        return scene(int(seed), int(index), str(pairs))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"the picture in line {example.line} names no scene record",
            field="scene",
            fix="Only pictures that `muomni data make` made can be scored.",
        ) from None


def distinct(examples: Sequence[Example], n: int = N_SCENES) -> list[Shown]:
    """Up to `n` scenes with distinct captions: of each the first caption whose text was not taken before."""
    taken, shown = set[str](), list[Shown]()
    for example in examples:
        caption = next((text for text in example.texts if text not in taken), None)
        if caption is not None and len(shown) < n:
            taken.add(caption)
            shown.append(Shown(example.path, caption, record_of(example)))
    return shown


def within(likeness: np.ndarray, k: int) -> np.ndarray:
    """(N,), of each row of `likeness` (N, N) the chance that its own column is among the k nearest.

    0 or 1, but where others are exactly as near: then one of them is drawn.
    """
    own = likeness.diagonal()[:, None]
    nearer, equal = (likeness > own).sum(1), (likeness == own).sum(1)
    return np.clip((k - nearer) / equal, 0.0, 1.0)


def retrieval(looker: TrainedLooker, shown: Sequence[Shown], split: str, seed: int) -> dict[str, Score]:
    """Recall of captions by pictures (`r_at_1`, ...), of pictures by captions (`r_at_1_by_caption`, ...), and
    `r_at_1_true`: how often the nearest caption is true of the picture, its own or another."""
    pictures = looker.embed_pictures([each.path for each in shown])
    texts = looker.embed_texts([each.caption for each in shown])
    true = truths([each.caption for each in shown], [each.scene for each in shown])
    return recalls((pictures @ texts.T).double().cpu().numpy(), true, split, seed)


def recalls(likeness: np.ndarray, true: np.ndarray, split: str, seed: int) -> dict[str, Score]:
    """As `retrieval`, from likeness (N, N) of pictures and captions and `true` (N, N)."""
    found, n = dict[str, Score](), len(likeness)
    for suffix, table, right in (("", likeness, true), ("_by_caption", likeness.T, true.T)):
        for k in RECALLS:
            ceiling = float(np.minimum(1, k / right.sum(1)).mean())
            floor = min(1.0, k / n)
            found[f"r_at_{k}{suffix}"] = mean_score(within(table, k), split, seed, floor, ceiling)
    best = likeness == likeness.max(1, keepdims=True)
    right_share = (best & true).sum(1) / best.sum(1)
    found["r_at_1_true"] = mean_score(right_share, split, seed, floor=float(true.mean()), ceiling=1.0)
    return found


def zero_shot(
    looker: TrainedLooker,
    pictures: Sequence[Path | torch.Tensor],
    pairs: Sequence[tuple[str, str]],
    split: str,
    seed: int,
) -> Score:
    """How often the nearest of the 64 `CLASSES` names the color and shape of the one thing in a picture."""
    likeness = looker.embed_pictures(list(pictures)) @ looker.embed_texts(CLASSES).T  # (N, C)
    chosen = [PAIRS[i] for i in likeness.argmax(1).tolist()]
    right = [float(a == b) for a, b in zip(chosen, pairs, strict=True)]
    return mean_score(right, split, seed, floor=1 / len(CLASSES), ceiling=1.0)
