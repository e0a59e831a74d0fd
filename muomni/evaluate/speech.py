"""Which of a few words is said: the probability that an audio encoder gives each of them, by CTC.

    sound ─ audio encoder → log-probabilities (T, V + 1) ─ CTC of each word's pieces → log p (W,)

No decoding: every alignment of a word with the frames counts (Graves et al. 2006). W words, T frames, V pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from muomni.infer.listen import TrainedListener

BATCH = 32


@torch.inference_mode()
def word_log_probs(
    listener: TrainedListener, sounds: Sequence[Path | torch.Tensor], words: Sequence[str]
) -> torch.Tensor:
    """Log-probabilities (N, W) of the words, each said alone as in training ("yes."), in nats.

    Args:
        sounds: N files, or samples (T,) at the model's rate.
        words: W words; -inf for one that has more pieces than a sound has frames.
    """
    pieces = [torch.tensor(listener.tokenizer.encode(f"{word}.")) for word in words]
    lengths = torch.tensor([len(each) for each in pieces])
    targets = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)  # (W, L)
    rows = list[torch.Tensor]()
    for start in range(0, len(sounds), BATCH):
        logits, n_states = listener.hear(sounds[start : start + BATCH])
        for frames, n in zip(logits.float().log_softmax(-1), n_states, strict=True):
            said = frames[:n, None].expand(-1, len(words), -1)  # (T, W, V + 1)
            times = n.expand(len(words))
            rows.append(
                -F.ctc_loss(said, targets, times, lengths, blank=listener.model.blank, reduction="none").float()
            )
    return torch.stack(rows)
