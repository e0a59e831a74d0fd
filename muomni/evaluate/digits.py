"""Handwritten digits from `scikit-learn`, which need not be installed: 1,797 of 8 x 8 pixels (Alpaydin & Kaynak 1998).

8 x 8 grey levels (16 is ink) ─ enlarged, dark on light → (3, side, side), the digit as high as half the picture
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from muomni.evaluate.material import Unavailable

INK, GROUND = 30.0, 230.0
SHARE = 0.5
"""Height of the digit's square, as a part of the picture's side."""


def handwritten_digits(side: int) -> tuple[torch.Tensor, list[str]]:
    """Pictures (N, 3, side, side), bytes of 0 to 255, and what each shows.

    Raises:
        Unavailable: the package is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise Unavailable(f"needs the package scikit-learn ({error}): pip install scikit-learn") from None
    found = load_digits()
    ink = torch.from_numpy(np.asarray(found.images, dtype=np.float32) / 16)[:, None]  # (N, 1, 8, 8)
    size = round(SHARE * side)
    ink = F.interpolate(ink, (size, size), mode="bilinear", align_corners=False)
    before = (side - size) // 2
    ink = F.pad(ink, (before, side - size - before, before, side - size - before))
    grey = (GROUND + (INK - GROUND) * ink).round().to(torch.uint8)
    return grey.expand(-1, 3, -1, -1), [str(digit) for digit in found.target.tolist()]
