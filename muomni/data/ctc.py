"""Whether a text fits the frames it is heard in: CTC needs a frame for each symbol, and one between two equal ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def frames_needed(target: Sequence[int]) -> int:
    """The least number of frames in which CTC can say `target`, a blank between equal neighbours included."""
    return len(target) + sum(a == b for a, b in pairwise(target))


def fits(target: Sequence[int], n_frames: int) -> bool:
    """Whether CTC can say `target` in `n_frames`. An empty target always fits."""
    return frames_needed(target) <= n_frames
