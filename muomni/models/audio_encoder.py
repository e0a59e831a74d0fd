"""The audio encoder: speech to vectors, 12.5 a second, and to text by CTC. Stage B.

    log-mel (B, n_mels, T) ─ normalized ─ convolutions (B, T', C) ─ n_layers blocks ─ RMSNorm → states (B, T', C)
    states ─ linear → logits (B, T', V + 1)

Connectionist temporal classification (CTC, Graves et al. 2006): every frame says one piece or *blank*; equal neighbours
are one, blanks are dropped. What is said may lie anywhere in time, so no alignment is needed to train. The pieces are
those of the Thinker's tokenizer: at 12.5 frames a second, letters would not fit. V pieces, and blank is number V.
B, T, C: batch, time, width.
"""

from __future__ import annotations

import torch
from torch import nn

from muomni.config import AudioEncConfig
from muomni.data.mel import MelStatistics
from muomni.nn.attention import padding_bias
from muomni.nn.block import Block, initialise
from muomni.nn.convolution import Downsample
from muomni.nn.loss import ctc_loss
from muomni.nn.norm import RMSNorm, product_dtype
from muomni.nn.padding import real_places
from muomni.nn.rotary import Rotation, rotation

THETA = 10000.0


class AudioEncoder(nn.Module):
    """Log-mel spectrograms to states, and states to logits over pieces and blank.

    Args:
        config: the architecture's fields of `AudioEncConfig`.
    """

    mel_mean: torch.Tensor
    mel_deviation: torch.Tensor

    def __init__(self, config: AudioEncConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mel_mean", torch.zeros(()))
        self.register_buffer("mel_deviation", torch.ones(()))
        self.convolutions = Downsample(config.n_mels, config.d_model, config.downsample)
        self.blocks = nn.ModuleList(
            Block(
                config.d_model,
                config.n_heads,
                config.d_ff,
                use_swiglu=False,
                dropout=config.dropout,
                use_flash=config.use_flash,
            )
            for _ in range(config.n_layers)
        )
        self.norm = RMSNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocab_size + 1)
        self.dropout = nn.Dropout(config.dropout)
        initialise(self)

    @property
    def blank(self) -> int:
        """The number of the blank: behind the last piece."""
        return self.config.vocab_size

    @property
    def seconds_per_frame(self) -> float:
        """How much sound one state covers."""
        return self.config.hop_length * self.config.downsample / self.config.sample_rate

    def set_statistics(self, statistics: MelStatistics) -> None:
        """Keep the training set's mean and deviation with the weights: whoever loads them hears alike."""
        self.mel_mean.fill_(statistics.mean)
        self.mel_deviation.fill_(statistics.deviation)

    def normalize(self, mel: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
        """Log-mels (B, n_mels, T) with mean 0 and deviation 1 over the training set, and 0 behind their ends."""
        scale = real_places(n_frames, mel.shape[2])[:, None] / self.mel_deviation  # (B, 1, T)
        return torch.addcmul(-self.mel_mean * scale, mel, scale)  # in one pass

    def encode(self, x: torch.Tensor, n_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            x: normalized log-mels (B, n_mels, T), see `normalize`.
            n_frames: (B,), frames that are real.

        Returns:
            states (B, T', C) after the final norm, and (B,), how many are real.
        """
        x, n_states = self.convolutions(x, n_frames)
        x = self.dropout(x.transpose(1, 2))  # (B, T', C)
        turn = self._turn(x)
        bias = padding_bias(real_places(n_states, x.shape[1])).to(product_dtype(x))
        for block in self.blocks:
            x = block(x, turn=turn, bias=bias)
        return self.norm(x), n_states

    def _turn(self, x: torch.Tensor) -> Rotation:
        places = torch.arange(x.shape[1], device=x.device)
        return rotation(places, self.config.d_model // self.config.n_heads, THETA).to(product_dtype(x))

    def forward(self, mel: torch.Tensor, n_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw log-mels (B, n_mels, T) and their lengths to logits (B, T', V + 1) and theirs."""
        states, n_states = self.encode(self.normalize(mel, n_frames), n_frames)
        return self.head(states), n_states

    def loss(
        self, logits: torch.Tensor, n_states: torch.Tensor, targets: torch.Tensor, n_targets: torch.Tensor
    ) -> torch.Tensor:
        """CTC's cost in nats for each piece of the targets.

        Args:
            logits: (B, T', V + 1).
            n_states, n_targets: (B,), how many of each are real.
            targets: (B, L), pieces; what lies behind an example's end is ignored.
        """
        return ctc_loss(logits, n_states, targets, n_targets, self.blank) / n_targets.sum().clamp(min=1)
