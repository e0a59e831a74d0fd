"""Reads a picture of the tiny world back: objects by their color and the connected pixels of it.

Nothing here knows how the pictures are drawn. A color is the nearest of eight reference points; an object is a patch of
one color; its shape follows from how the patch fills its circle, its box and its hull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

REFERENCE = {
    "red": (220, 26, 32), "orange": (250, 120, 12), "yellow": (247, 220, 12), "green": (31, 153, 50),
    "blue": (33, 95, 217), "purple": (110, 50, 158), "pink": (250, 130, 190), "black": (20, 20, 20),
}  # fmt: skip
SMALLEST_PATCH = 0.0003  # of the picture, its edge left out: less is the mixed edge between two colors


@dataclass(frozen=True)
class Seen:
    """One patch: what it looks like, its middle and half its height, all in parts of the picture's side."""

    color: str
    shape: str
    x: float
    y: float
    radius: float


def objects_in(picture: Image.Image, bottom: float) -> list[Seen]:
    """All objects above `bottom` (a part of the side; below it words are written)."""
    pixels = np.asarray(picture, dtype=np.int32)[: int(bottom * picture.height)]
    ink = (np.ptp(pixels, axis=2) > 70) | (pixels.max(2) < 120)
    points = np.array(list(REFERENCE.values()))
    nearest = ((pixels[:, :, None, :] - points) ** 2).sum(-1).argmin(-1)
    patches: list[tuple[str, np.ndarray, np.ndarray]] = []  # color, pixels, pixels with holes filled
    for number, color in enumerate(REFERENCE):
        labels, n = ndimage.label(ink & (nearest == number), structure=np.ones((3, 3)))
        for label in range(1, n + 1):
            mask = labels == label
            if ndimage.binary_erosion(mask).sum() > SMALLEST_PATCH * picture.height**2:
                patches.append((color, mask, ndimage.binary_fill_holes(mask)))
    seen = []
    for color, mask, whole in patches:
        around = [other for other, _, filled in patches if filled is not whole and not (whole & ~filled).any()]
        if color in around:  # the outer thing, seen through the hole of a ring inside it
            continue
        within = [other for other, inner, _ in patches if inner is not mask and not (inner & ~whole).any()]
        hole = (whole & ~ink).sum() > 0.15 * whole.sum()
        shape = "ring" if hole or set(within) & set(around) else _shape(_features(whole))
        rows, columns = np.nonzero(whole)
        y, x = (rows.max() + rows.min() + 1) / 2, (columns.max() + columns.min() + 1) / 2
        side = picture.height
        seen.append(Seen(color, shape, x / side, y / side, (np.ptp(rows) + 1) / 2 / side))
    return seen


def _features(whole: np.ndarray) -> dict[str, float]:
    rows, columns = np.nonzero(whole)
    far = ((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).max()
    spread = np.linalg.eigvalsh(np.cov(rows, columns))
    return {
        "hull": ConvexHull(np.argwhere(whole)).volume / whole.sum(),  # 1 where it is convex
        "reach": np.pi * far / whole.sum(),  # 1 for a disc
        "long": (spread[1] / spread[0]) ** 0.5,
    }


def _shape(f: dict[str, float]) -> str:
    if f["hull"] > 1.38:
        return "star"
    if f["hull"] > 1.12:
        return "cross"
    if f["long"] > 1.34:
        return "diamond"
    if f["long"] > 1.11:
        return "heart"
    if f["reach"] > 1.9:
        return "triangle"
    return "square" if f["reach"] > 1.25 else "circle"


def size_of(radius: float, nested: bool = False) -> str:
    """Small, medium or big; what lies inside another thing is drawn smaller."""
    radius /= 0.78 if nested else 1.0
    return "small" if radius < 0.07 else "medium" if radius < 0.103 else "big"
