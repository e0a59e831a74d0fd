"""`muomni data make`: the tiny world, written, drawn, spoken and lettered into the data folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from muomni.data.input_files import DATA_FOLDERS as PARTS
from muomni.data.world.audio_part import AudioPart
from muomni.data.world.build import Part, build
from muomni.data.world.image_part import ImagePart
from muomni.data.world.ocr_part import OcrPart
from muomni.data.world.other_engine_part import OtherEnginePart
from muomni.data.world.text_part import TextPart
from muomni.errors import BAD_USAGE, UserError

SIDES = (32, 512)


def make_world(
    out: str | Path,
    seed: int = 0,
    scale: float = 1.0,
    parts: Sequence[str] | None = None,
    image_size: int = 64,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, dict[str, Any]]:
    """Make what is missing of the tiny world below `out`; returns the manifests by part.

    Nothing is written where a part is there already and right. A run that was killed goes on where it was. Files appear
    whole or not at all, each part's manifest last.

    Args:
        out: the data folder.
        seed: another seed gives another world of the same kind.
        scale: how much, relative to the full size; 0.02 is enough for a test.
        parts: which of text, images, audio, ocr and audio_other_engine; None: all, but for those `left_out` here.
        image_size: side of pictures and word images in pixels: 64 for the nano models, 224 for the tiny ones.
        workers: processes; None: one for each core.
        progress: show a progress bar.

    Raises:
        UserError: a bad argument, a part that cannot be made here, or a folder that cannot be written.
    """
    if isinstance(scale, bool) or not (isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0):
        raise _bad("scale", f"{scale!r} is not a positive number", "Try 1.0, or 0.02 for a test.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise _bad("seed", f"{seed!r} is not a whole number of 0 or more")
    if not (isinstance(image_size, int) and SIDES[0] <= image_size <= SIDES[1]):
        raise _bad("image_size", f"{image_size!r} is not a whole number from {SIDES[0]} to {SIDES[1]}")
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise _bad("workers", f"{workers!r} is not a whole number of 1 or more")
    without = left_out()
    if parts is None:
        parts = [part for part in PARTS if part not in without]
    if unknown := set(parts) - set(PARTS):
        raise _bad("parts", f"{sorted(unknown)[0]!r} is none of {', '.join(PARTS)}")
    for part, reason in without.items():
        if part in parts:
            raise _bad("parts", f"{part} cannot be made: {reason}")
    by_name: dict[str, Part] = {
        "audio": AudioPart(seed, float(scale)),
        "images": ImagePart(seed, float(scale), image_size),
        "ocr": OcrPart(seed, float(scale), image_size),
        "text": TextPart(seed, float(scale)),
        "audio_other_engine": OtherEnginePart(seed, float(scale)),
    }
    return build([part for name, part in by_name.items() if name in parts], Path(out), workers, progress)


def left_out() -> dict[str, str]:
    """The parts that cannot be made on this machine, each with the reason and what to do."""
    from muomni.data.world.other_engine import missing

    reason = missing()
    return {} if reason is None else {"audio_other_engine": reason}


def make_text(out: str | Path, seed: int = 0, scale: float = 1.0, progress: bool = True) -> dict[str, Any]:
    """The text alone, and its manifest."""
    return make_world(out, seed, scale, ("text",), progress=progress)["text"]


def _bad(field: str, problem: str, fix: str | None = None) -> UserError:
    return UserError(problem, field=field, fix=fix, exit_code=BAD_USAGE)
