"""The picture of a scene: anti-aliased shapes on a light ground, a little different every time.

The scene's unit square takes the upper part of the picture (`FIELD` of its side); a strip below it is kept for a
written word, whether there is one or not, so that sizes mean the same everywhere. What may vary without changing the
facts varies: the ground's tint and slope of light, every object's tint, its size by up to 4 % and its turn by up to
`TURN` degrees, the letters' face. Pale blots and lines, as light as the ground and never as strong as an object, are
there to be ignored. What lies inside another thing is drawn at `NESTED` of its size, so that the outer thing keeps its
form around it.

Everything is drawn twice as large and halved (2 x supersampling).
"""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache

from PIL import Image, ImageDraw

from muomni.data.world.dice import Dice
from muomni.data.world.lettering import PICTURE_FONTS, letters
from muomni.data.world.scene import RADIUS, Object, Scene

FIELD = 0.86
NESTED = 0.78
TURN = 8.0
OVERSAMPLING = 2
Point = tuple[float, float]

HSV: dict[str, tuple[float, float, float]] = {
    "red": (0.995, 0.88, 0.86),
    "orange": (0.075, 0.95, 0.98),
    "yellow": (0.148, 0.95, 0.97),
    "green": (0.36, 0.80, 0.60),
    "blue": (0.61, 0.85, 0.85),
    "purple": (0.765, 0.68, 0.62),
    "pink": (0.915, 0.48, 0.98),
    "black": (0.0, 0.0, 0.08),
}
"""Hue, saturation and value of the middle of each color, all 0 to 1."""


def draw(scene: Scene, side: int = 64, view: str = "picture") -> Image.Image:
    """The scene as an RGB picture of `side` x `side` pixels; other names of `view` draw it again, otherwise."""
    dice = scene.dice(view)
    full = side * OVERSAMPLING
    image = _ground(full, dice)
    pen = ImageDraw.Draw(image)
    _distract(pen, full, dice)
    nested = len(scene.objects) == 2 and len({(o.x, o.y) for o in scene.objects}) == 1
    smallest_last = sorted(scene.objects, key=lambda o: -RADIUS[o.size])
    for i, thing in enumerate(smallest_last):
        _draw_object(image, pen, thing, full, dice, NESTED if nested and i else 1.0)
    if scene.word is not None:
        box = (0.1, 0.3, 0.9, 0.56) if scene.kind == "sign" else (0.1, FIELD, 0.9, 0.99)
        _write(image, scene.word.text, tint(scene.word.color, dice), box, dice)
    return image.reduce(OVERSAMPLING)


def tint(color: str, dice: Dice) -> tuple[int, int, int]:
    """One of the shades that go by the name of `color`."""
    hue, saturation, value = HSV[color]
    hue = (hue + dice.uniform(-0.012, 0.012)) % 1.0
    saturation = min(1.0, saturation * dice.uniform(0.93, 1.05))
    value = min(1.0, value * dice.uniform(0.94, 1.03))
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _ground(full: int, dice: Dice) -> Image.Image:
    """A light tint that darkens a little towards one side."""
    base = [dice.uniform(228, 250) for _ in range(3)]
    slope = _slope(full, 90 * dice.below(4))
    strength = dice.uniform(0.0, 14.0)
    bands = [slope.point([round(level - strength * step / 255) for step in range(256)]) for level in base]
    return Image.merge("RGB", bands)


@lru_cache(maxsize=16)
def _slope(full: int, turn: int) -> Image.Image:
    return Image.linear_gradient("L").resize((full, full)).rotate(turn)


def _distract(pen: ImageDraw.ImageDraw, full: int, dice: Dice) -> None:
    """Up to four pale blots or lines."""
    for _ in range(dice.below(5)):
        gray = round(dice.uniform(208, 226))
        color = (gray, gray, gray)
        x, y, length = (dice.uniform(0.05, 0.95) * full for _ in range(3))
        if dice.below(2):
            angle = dice.uniform(0, math.pi)
            end = (x + 0.25 * length * math.cos(angle), y + 0.25 * length * math.sin(angle))
            pen.line([(x, y), end], fill=color, width=max(1, full // 64))
        else:
            radius = dice.uniform(0.01, 0.025) * full
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)


def _draw_object(
    image: Image.Image, pen: ImageDraw.ImageDraw, thing: Object, full: int, dice: Dice, shrink: float
) -> None:
    radius = RADIUS[thing.size] * shrink * dice.uniform(0.96, 1.04) * FIELD * full
    angle = math.radians(dice.uniform(-TURN, TURN))
    color = tint(thing.color, dice)
    x = (0.5 + (thing.x - 0.5) * FIELD) * full
    y = thing.y * FIELD * full
    if thing.shape in ("circle", "ring"):
        box = [x - radius, y - radius, x + radius, y + radius]
        if thing.shape == "circle":
            pen.ellipse(box, fill=color)
        else:
            pen.ellipse(box, outline=color, width=round(0.4 * radius))
        return
    cos, sin = radius * math.cos(angle), radius * math.sin(angle)
    pen.polygon([(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in outline(thing.shape)], fill=color)


@lru_cache(maxsize=16)
def outline(shape: str) -> tuple[Point, ...]:
    """The corners of a shape that reaches 1 from its middle upwards or downwards; y points down."""
    if shape == "square":
        return ((-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86))
    if shape == "diamond":
        return ((0, -1.05), (0.72, 0), (0, 1.05), (-0.72, 0))
    if shape == "triangle":
        return ((0, -1.0), (1.0, 0.8), (-1.0, 0.8))
    if shape == "cross":
        a, b = 0.36, 1.0
        corner = ((a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b))
        return corner + tuple((-u, -v) for u, v in corner)
    if shape == "star":
        turns = [math.pi * i / 5 - math.pi / 2 for i in range(10)]
        reach = [0.5 if i % 2 else 1.1 for i in range(10)]
        return tuple((r * math.cos(t), r * math.sin(t)) for r, t in zip(reach, turns, strict=True))
    if shape == "heart":
        turns = [2 * math.pi * i / 40 for i in range(40)]
        return tuple(
            (
                math.sin(t) ** 3,
                -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 15 - 0.17,
            )
            for t in turns
        )
    raise ValueError(shape)


def _write(image: Image.Image, text: str, color: tuple[int, int, int], box: tuple[float, ...], dice: Dice) -> None:
    """`text` as large as the box (left, top, right, bottom; parts of the side) takes it, in its middle."""
    left, top, right, bottom = (round(part * image.width) for part in box)
    mask = letters(text, dice.pick(PICTURE_FONTS), right - left, bottom - top)
    at = ((left + right - mask.width) // 2, (top + bottom - mask.height) // 2)
    image.paste(color, at, mask)
