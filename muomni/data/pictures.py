"""Image files of any kind as bytes of one size and mode.

    file (any mode) ─ turned as EXIF says ─ alpha over white ─ RGB or grey ─ resized → (C, H, W) uint8

The header is asked first, so a file that claims to be gigapixels is refused before memory is taken.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageOps

from muomni.data.input_files import check_readable
from muomni.errors import UserError

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 89_000_000
warnings.filterwarnings("ignore", module=r"PIL\.")  # a broken file is one `UserError`, a huge one too
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
Fit = Literal["stretch", "crop", "pad"]


def picture_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels, from the header.

    Raises:
        UserError: it is missing, no plain file, no image, or has more than 89 million pixels.
    """
    with _opened(path) as image:
        return image.size


def count_frames(path: str | Path) -> int:
    """How many pictures a file shows after each other; of most, one.

    Raises:
        UserError: as `picture_size`.
    """
    with _opened(path) as image:
        return int(getattr(image, "n_frames", 1))


def read_picture(path: str | Path, side: int | None = None, mode: str = "RGB", fit: Fit = "stretch") -> torch.Tensor:
    """The image of a file, `(3, H, W)` uint8 (`(1, H, W)` with `mode="L"`).

    Args:
        side: resized to `side` x `side`; None: as large as it is.
        mode: "RGB" or "L" (grey).
        fit: how another aspect ratio is made square: "stretch"; "crop" the middle; "pad" with white.

    Raises:
        UserError: as `picture_size`, or it breaks off.
    """
    import torch

    with _opened(path) as image:
        try:
            plain = as_plain(image, mode)
        except Exception as error:  # whatever a decoder makes of broken bytes
            raise _no_picture(path, error) from None
    if side is not None:
        plain = square(plain, side, fit)
    pixels = np.asarray(plain)
    return torch.from_numpy((pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)).copy())


def read_frames(path: str | Path, n: int, side: int) -> tuple[list[torch.Tensor], float]:
    """`n` frames (3, side, side) of an animated picture (GIF, WebP, PNG), evenly spread, and its length in seconds.

    Raises:
        UserError: as `picture_size`, or it breaks off.
    """
    import torch

    with _opened(path) as image:
        total = getattr(image, "n_frames", 1)
        frames, milliseconds = list[torch.Tensor](), 0.0
        chosen = {round(i) for i in np.linspace(0, total - 1, min(n, total))}
        try:
            for number in range(total):
                image.seek(number)
                milliseconds += float(image.info.get("duration", 100) or 100)
                if number in chosen:
                    pixels = np.array(square(image.convert("RGB"), side))
                    frames.append(torch.from_numpy(pixels.transpose(2, 0, 1).copy()))
        except Exception as error:  # whatever a decoder makes of broken bytes
            raise _no_picture(path, error) from None
    return frames, milliseconds / 1000


def as_png(pixels: torch.Tensor) -> bytes:
    """Pixels (3, H, W), bytes of 0 to 255, as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(pixels.cpu().numpy().transpose(1, 2, 0)).save(content, "PNG")
    return content.getvalue()


def as_plain(image: Image.Image, mode: str = "RGB") -> Image.Image:
    """The first frame, upright, without alpha, in `mode`."""
    image.load()
    if "exif" in image.info or image.format == "TIFF":
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits of grey, in 16 or 32
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray((wide // 256 if wide.max() > 255 else wide).clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def square(image: Image.Image, side: int, fit: Fit = "stretch") -> Image.Image:
    """`image` with `side` x `side` pixels, smoothed where it shrinks."""
    size = (side, side)
    if image.size == size:
        return image
    if fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    if fit == "pad":
        return ImageOps.pad(image, size, Image.Resampling.BILINEAR, color="white")
    return image.resize(size, Image.Resampling.BILINEAR)


def _opened(path: str | Path) -> Image.Image:
    check_readable(path)
    try:
        image = Image.open(path, formats=FORMATS)
    except Exception as error:  # whatever a decoder makes of broken bytes
        raise _no_picture(path, error) from None
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        image.close()
        problem = f"has {width:,} x {height:,} pixels, at most {MAX_PIXELS:,} are read"
        raise UserError(problem, file=path, fix="Scale it down.")
    return image


def _no_picture(path: str | Path, error: Exception) -> UserError:
    reason = " ".join(str(error).replace(str(path), "").split()).strip(" :'\"-.") or type(error).__name__
    return UserError(f"is no image that can be read ({reason[:120]})", file=path, fix="Save it again as PNG or JPEG.")
