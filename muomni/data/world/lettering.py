"""Faces to write with: the Latin fonts that matplotlib brings along, so nothing is downloaded or left to the system.

Two families and two single faces are never used for training (`UNSEEN_FONTS`): reading them is reading a new font.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FAMILIES = {
    "DejaVu Sans": ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    "DejaVu Serif": ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    "DejaVu Sans Mono": (
        "DejaVuSansMono",
        "DejaVuSansMono-Bold",
        "DejaVuSansMono-Oblique",
        "DejaVuSansMono-BoldOblique",
    ),
    "STIX": ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    "Computer Modern Roman": ("cmr10", "cmb10", "cmti10"),
    "Computer Modern Sans": ("cmss10",),
    "Computer Modern Typewriter": ("cmtt10",),
}
"""Faces by family, named by their files."""

UNSEEN_FAMILIES = ("STIX", "Computer Modern Sans")
UNSEEN_FONTS = tuple(face for family in UNSEEN_FAMILIES for face in FAMILIES[family])
SEEN_FONTS = tuple(face for family, faces in FAMILIES.items() if family not in UNSEEN_FAMILIES for face in faces)
PICTURE_FONTS = ("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold")
"""Strong enough to be read in a picture of 64 pixels."""

REFERENCE = 100
PAD = 2


def letters(text: str, face: str, width: int, height: int) -> Image.Image:
    """`text` as a mask ("L", 255 is ink), as large as `width` x `height` pixels allow, cut to its ink."""
    left, top, right, bottom = font(face, REFERENCE).getbbox(text)
    scale = min(width / max(1, right - left), height / max(1, bottom - top))
    sized = font(face, max(4, int(REFERENCE * scale)))
    box = sized.getbbox(text)
    mask = Image.new("L", (int(box[2] - box[0]) + 2 * PAD, int(box[3] - box[1]) + 2 * PAD))
    ImageDraw.Draw(mask).text((PAD - box[0], PAD - box[1]), text, fill=255, font=sized)
    return mask.crop(mask.getbbox() or (0, 0, 1, 1))


@lru_cache(maxsize=512)
def font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """A face at a size in pixels."""
    return ImageFont.truetype(_folder() / f"{face}.ttf", size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
