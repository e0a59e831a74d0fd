"""Stage A: the Thinker learns to foretell the next token of packed text.

Batch: inputs (B, L) and targets (B, L), both int64; a target of -100 is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from muomni.config import ThinkerConfig
from muomni.data.packed import IGNORED, PackedTokens
from muomni.data.tokenizer import Tokenizer
from muomni.infer.generate import generate
from muomni.models.thinker import Thinker
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class TextRows:
    """Rows of packed text as training examples."""

    rows: PackedTokens

    lengths = None  # all rows are full

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Place) -> tuple[np.ndarray, np.ndarray]:
        return self.rows.row(place.index, place.epoch)

    def collate(self, examples: Sequence[tuple[np.ndarray, np.ndarray]]) -> Batch:
        inputs, targets = zip(*examples, strict=True)
        return torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(targets))


class ThinkerObjective(Objective):
    """Next-token cross-entropy, in nats.

    Args:
        config: the Thinker's settings.
        tokenizer: writes the growing sample; None trains without one.
        prompt: what the sample begins with.
    """

    model: Thinker

    def __init__(self, config: ThinkerConfig, tokenizer: Tokenizer | None = None, prompt: str = "") -> None:
        super().__init__(Thinker(config), config, (Turn("thinker", config.lr),))
        self.tokenizer = tokenizer
        self.separate = config.separate_documents
        self.eot_id = -1 if tokenizer is None else tokenizer.eot_id
        self.prompt = prompt

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        inputs, targets = batch
        documents = (inputs == self.eot_id).cumsum(1) if self.separate else None
        return Loss(self.model.loss(inputs, targets, documents=documents))

    def weight(self, batch: Batch) -> float:
        return float((batch[1] != IGNORED).sum())

    def units(self, batch: Batch) -> int:
        return batch[0].numel()

    def sample(self, seed: int) -> Sample | None:
        """A text that the model goes on with, at temperature 0.8."""
        if self.tokenizer is None:
            return None
        start = [self.tokenizer.eot_id, *self.tokenizer.encode(self.prompt)]
        room = self.model.config.ctx_len - len(start)
        written = list(
            generate(
                self.model,
                start,
                max_new_tokens=min(60, room),
                temperature=0.8,
                eot_id=self.tokenizer.eot_id,
                seed=seed,
            )
        )
        return Sample("text", self.prompt + self.tokenizer.decode(written))
