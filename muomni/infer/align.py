"""When each word of a recording is spoken, where nobody noted it: forced alignment with a trained listener.

    sound ─ audio encoder → log-probabilities (T, V + 1) ─ the likeliest path that says the text → each word's times

The text is known, so only the best way through it is sought (torchaudio's `forced_align`). CTC says a piece at one
moment of it; between two pieces the border is halfway.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torchaudio

from muomni.data.alignment import SPACE
from muomni.errors import UserError
from muomni.infer.listen import TrainedListener


def word_times(listener: TrainedListener, sound: str | Path | torch.Tensor, text: str) -> list[tuple[float, float]]:
    """Starts and ends in seconds of a text's words in a sound: a file, or samples (T,) at the listener's rate.

    Raises:
        UserError: the file cannot be read, or the sound is too short for the text.
    """
    pieces = listener.tokenizer.encode(text)
    logits, n_frames = listener.hear([sound])
    frames = int(n_frames[0])
    doubled = sum(a == b for a, b in pairwise(pieces))
    if not pieces or frames < len(pieces) + doubled:
        raise UserError(f"has {len(pieces)} pieces in {frames} frames: too few to be aligned", field="text")
    with torch.inference_mode():
        log_probs = logits[:, :frames].float().log_softmax(-1)
        path, scores = torchaudio.functional.forced_align(
            log_probs, torch.tensor([pieces], dtype=torch.int32), blank=listener.model.blank
        )
    spans = torchaudio.functional.merge_tokens(path[0], scores[0].exp(), blank=listener.model.blank)
    starts_word = [n == 0 or listener.tokenizer.piece(piece).startswith(SPACE) for n, piece in enumerate(pieces)]
    return _between([(span.start, span.end) for span in spans], starts_word, listener.model.seconds_per_frame)


def _between(
    spans: Sequence[tuple[int, int]], starts_word: Sequence[bool], seconds: float
) -> list[tuple[float, float]]:
    """Words' times from the frames at which pieces are said."""
    said = np.array(spans, dtype=float)
    borders = np.concatenate((said[:1, 0], (said[:-1, 1] + said[1:, 0]) / 2, said[-1:, 1])) * seconds
    first = [*np.flatnonzero(starts_word), len(spans)]
    return [(float(borders[a]), float(borders[b])) for a, b in pairwise(first)]
