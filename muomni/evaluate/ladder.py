"""The reality ladder: every stage on examples less and less like its training, each rung with its floor and ceiling.

A stage is added by a file with its `LADDER` and a line in `LADDERS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from muomni.evaluate import audio_enc, ocr, omni_sft, talker, thinker, vision, vocoder
from muomni.evaluate.material import Material, Unavailable
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score

LADDERS: dict[str, Ladder] = {
    "thinker": thinker.LADDER,
    "audio_enc": audio_enc.LADDER,
    "vision": vision.LADDER,
    "talker": talker.LADDER,
    "vocoder": vocoder.LADDER,
    "ocr": ocr.LADDER,
    "omni_sft": omni_sft.LADDER,
}


@dataclass(frozen=True)
class Climbed:
    """A rung, and its scores by metric; or why there are none."""

    rung: Rung
    scores: dict[str, Score]
    source: str | None = None
    skipped: str | None = None


def climb(rung: Rung, trained: Any, material: Material) -> Climbed:
    """Measure one rung; examples that need not be there are skipped with the reason."""
    try:
        found = dict(rung.measure(trained, material))
    except Unavailable as reason:
        return Climbed(rung, {}, skipped=str(reason))
    return Climbed(rung, found, material.fingerprint(rung.source))
