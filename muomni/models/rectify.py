"""A picture of a word as every reader would like it: dark on light, level, and as large as it gets.

    pixels (B, 3, H, W) ─ dark_on_light → grey (B, 1, H, W) ─ level_line → the part with the ink (B, 1, H', W')

Nothing here is learned. What color the ink is, how it is lit, how the line leans and where it stands says nothing about
which letters they are, so the model is spared learning it; and a line of text is wide and low, so that a wide and low
picture of it shows its letters larger than a square one with as many pixels. Text rectification is the field's name for
it; where pictures are bent as well it is learned, with a spatial transformer (Jaderberg et al. 2015; Shi et al. 2016).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

DARKEST, LIGHTEST = -3.5, 1.5
"""In standard deviations of brightness: what becomes 0, and what becomes 255."""
FAINT = 0.4
"""Ink is what is darker than this share of the darkest place."""
STRAY = 0.002
"""This share of the ink may stand outside on each side: specks of noise."""
MARGIN = 0.08
"""Ground on each side of the ink, in halves of the picture."""
STEEPEST = 0.25
"""Lines lean by at most this much height for their length."""
FEW = 0.01
"""Keeps a single letter, which has hardly any length, from leaning."""
BINS = 128


def dark_on_light(pixels: torch.Tensor) -> torch.Tensor:
    """Every picture (B, 3, H, W) in grey (B, 1, H, W), evenly lit and of equal contrast, dark ink on a light ground.

    Ink covers less than its ground, so it is on the longer side of the distribution of brightness (its third moment).
    What colors a word is written in, and on what, is then the same to the reader. Values are 0 to 255.
    """
    z = pixels.float().mean(1)
    z = z - z.mean((1, 2), keepdim=True)
    across, down = _places(z)
    for along in (across, down):  # light that grows to one side
        z = z - along * (z * along).mean((1, 2), keepdim=True) / along.square().mean().clamp(min=1e-6)
    z = z / z.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-3)
    z = torch.where(z.pow(3).mean((1, 2), keepdim=True) > 0, -z, z)
    return ((z.clamp(DARKEST, LIGHTEST) - DARKEST) * (255 / (LIGHTEST - DARKEST)))[:, None]


def level_line(grey: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The part of each picture (B, 1, H, W) of `dark_on_light` that its ink fills, levelled: (B, 1, height, width).

    How much the line leans is the slope of a straight line through the ink (least squares). The part is at least as
    wide as it is high, so that single letters are not spread over the whole width.
    """
    ground = 255 * -DARKEST / (LIGHTEST - DARKEST)  # the mean brightness
    smooth = F.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)[:, 0] - ground  # (B, H, W)
    ink = (FAINT * smooth.amin((1, 2), keepdim=True) - smooth).clamp(min=0) + 1e-6  # a blank picture is ink all over
    ink = ink / ink.sum((1, 2), keepdim=True)
    across, down = (each.expand_as(ink) for each in _places(ink))
    middle = (ink * across).sum((1, 2))
    from_middle = across - middle[:, None, None]
    slope = (ink * from_middle * down).sum((1, 2)) / ((ink * from_middle.square()).sum((1, 2)) + FEW)
    slope = slope.clamp(-STEEPEST, STEEPEST)
    left, right = _edges(ink, across)
    top, bottom = _edges(ink, down - slope[:, None, None] * from_middle)
    half_height = (bottom - top) / 2
    half_width = torch.maximum((right - left) / 2, half_height)
    x, y = (left + right) / 2, (top + bottom) / 2
    along_x = torch.stack((half_width, torch.zeros_like(x), x), 1)
    along_y = torch.stack((slope * half_width, half_height, y + slope * (x - middle)), 1)
    grid = F.affine_grid(torch.stack((along_x, along_y), 1), [len(grey), 1, height, width], align_corners=False)
    return F.grid_sample(grey, grid, padding_mode="border", align_corners=False)


def _places(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How far right (1, W) and how far down (H, 1) each pixel of (B, H, W) is, -1 to 1 between the edges."""
    down, across = (
        (torch.arange(n, device=pictures.device) + 0.5) * 2 / n - 1 for n in pictures.shape[1:]
    )  # as `affine_grid` counts
    return across[None], down[:, None]


def _edges(ink: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the ink (B, H, W) begins and ends along the coordinate `at` (B, H, W), with a margin; twice (B,)."""
    far = 1 + STEEPEST * 2  # as far as a coordinate goes
    bins = ((at / far + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    shares = ink.new_zeros(len(ink), BINS).scatter_add(1, bins.flatten(1), ink.flatten(1)).cumsum(1)
    first, last = (shares < STRAY).sum(1), (shares < 1 - STRAY).sum(1) + 1
    return (first * 2 / BINS - 1) * far - MARGIN, (last * 2 / BINS - 1) * far + MARGIN
