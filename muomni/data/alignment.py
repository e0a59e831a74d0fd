"""Which token is spoken at which frame: from the times of words, or by forced alignment where nobody knows them.

    words and their times ─ each word's pieces share its time by their letters ─→ first frame of every token (L,)

The first token has the silence before it, the last what follows it, and each lasts a frame at least.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from muomni.errors import UserError

SPACE = "▁"
"""What begins a piece that begins a word."""


def read_times(written: str) -> list[tuple[float, float]]:
    """Starts and ends in seconds, from "0.15-0.27 0.27-0.53".

    Raises:
        UserError: it is not that.
    """
    try:
        pairs = [tuple(map(float, pair.split("-"))) for pair in written.split()]
        return [(start, end) for start, end in pairs]
    except ValueError:
        raise UserError(f"{written[:60]!r} are no times", field="words", fix='Write "0.15-0.27 0.27-0.53".') from None


def token_starts(
    pieces: Sequence[str], times: Sequence[tuple[float, float]], frame: float, n_frames: int
) -> np.ndarray:
    """The first frame (L,) of each of L pieces, ascending; the first is 0.

    Args:
        pieces: of the text, in order.
        times: of its words, in seconds.
        frame: seconds of one frame.
        n_frames: frames of the sound; not less than pieces.

    Raises:
        UserError: there are not as many words as times, or more pieces than frames.
    """
    words = np.cumsum([n > 0 and piece.startswith(SPACE) for n, piece in enumerate(pieces)])
    if not len(pieces) or words[-1] + 1 != len(times):
        raise UserError(f"has {words[-1] + 1 if len(pieces) else 0} words, but times of {len(times)}", field="words")
    if len(pieces) > n_frames:
        raise UserError(f"has {len(pieces)} pieces in {n_frames} frames: too few")
    letters = np.array([max(1, len(piece.strip(SPACE))) for piece in pieces])
    starts = np.empty(len(pieces))
    for word, (start, end) in enumerate(times):
        own = np.flatnonzero(words == word)
        before = np.cumsum(letters[own]) - letters[own]
        starts[own] = start + (end - start) * before / letters[own].sum()
    return spread(np.round(starts / frame).astype(int), n_frames)


def spread(starts: np.ndarray, n_frames: int) -> np.ndarray:
    """Starts moved as little as needed so that they ascend from 0, and the last is a frame of the sound."""
    moved = starts.copy()
    moved[0] = 0
    for n in range(1, len(moved)):
        moved[n] = max(moved[n], moved[n - 1] + 1)
    limit = n_frames - np.arange(len(moved), 0, -1)
    return np.minimum(moved, limit)
