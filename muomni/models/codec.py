"""The codec: speech as a few whole numbers, 12.5 times a second, and back. Stage D, first half.

    log-mel (B, T, n_mels) ─ normalized ─ convolutions ─ residual blocks ─ linear → latents (B, T', D)
    latents ─ residual quantizer → codes (B, T', K) ─ entries added up → latents
    latents ─ linear ─ residual blocks ─ transposed convolution ─ convolution ─ linear → log-mel (B, T' factor, n_mels)

A convolutional autoencoder with residual vector quantization between its halves (SoundStream, Zeghidour et al. 2021),
of mels and not of samples: a vocoder makes the sound. It learns to reproduce the log-mel (L1) through the codes.

The decoder looks `reach` code frames to each side and no further. So a stream is decoded exactly: keep that many frames
on the left, wait for that many on the right (`StreamingDecoder`). B, T, T', D, K: batch, mel frames, code frames,
latent width, codebooks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import TalkerConfig
from muomni.data.mel import FLOOR, MelStatistics
from muomni.nn.block import initialise
from muomni.nn.convolution import Downsample
from muomni.nn.norm import RMSNorm
from muomni.nn.padding import real_places
from muomni.nn.quantizer import ResidualQuantizer
from muomni.plan.parameters import strides


class CodecLoss(NamedTuple):
    """`total` is trained on; `l1` is the mel's error in the set's standard deviations; `codes` (B, T', K)."""

    total: torch.Tensor
    l1: torch.Tensor
    codes: torch.Tensor


class ResidualBlock(nn.Module):
    """x + convolutions(norm(x)): two of width 3 with a GELU between. x (B, T, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.first = nn.Conv1d(width, width, 3, padding=1)
        self.second = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        """Where `real` (B, T, 1) is False, x is 0 and stays 0 all the way: padding tells its neighbours nothing."""
        y = F.gelu(self.first(self.norm(x).transpose(1, 2)))
        if real is None:
            return x + self.second(y).transpose(1, 2)
        return x + self.second(y * real.transpose(1, 2)).transpose(1, 2) * real


class Upsample(nn.Module):
    """The mirror of `Downsample`: transposed convolutions that lengthen time by `factor`, then one at every frame."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.strided = nn.ModuleList(
            nn.ConvTranspose1d(width, width, 2 * s + 1, s, padding=(s + 2) // 2, output_padding=(s + 1) % 2)
            for s in strides(factor)[::-1]
        )
        self.last = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, T, C) -> (B, T factor, C)
        x = x.transpose(1, 2)
        for layer in self.strided:
            x = F.gelu(layer(x))
        return F.gelu(self.last(x)).transpose(1, 2)


class Codec(nn.Module):
    """Log-mels to codes and back.

    Args:
        config: the codec's fields of `TalkerConfig`.
    """

    mel_mean: torch.Tensor
    mel_deviation: torch.Tensor

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.codec_d_model
        self.register_buffer("mel_mean", torch.zeros(()))
        self.register_buffer("mel_deviation", torch.ones(()))
        self.convolutions = Downsample(config.n_mels, width, config.downsample)
        self.encoder_blocks = nn.ModuleList(ResidualBlock(width) for _ in range(config.codec_blocks))
        self.to_latents = nn.Linear(width, config.codec_dim)
        self.quantizer = ResidualQuantizer(
            config.n_codebooks, config.codebook_size, config.codec_dim, config.commitment
        )
        self.from_latents = nn.Linear(config.codec_dim, width)
        self.decoder_blocks = nn.ModuleList(ResidualBlock(width) for _ in range(config.codec_blocks))
        self.upsample = Upsample(width, config.downsample)
        self.to_mel = nn.Linear(width, config.n_mels)
        initialise(self)

    @property
    def seconds_per_frame(self) -> float:
        """How much sound one code frame stands for."""
        return self.config.hop_length * self.config.downsample / self.config.sample_rate

    @property
    def reach(self) -> int:
        """Code frames that the decoder looks to each side: two convolutions a block, and what lengthens time."""
        first, last = -1, self.config.downsample  # what the last convolution sees of code frame 0's mel frames
        for s in strides(self.config.downsample):
            padding = (s + 2) // 2
            first, last = -((2 * s - padding - first) // s), (last + padding) // s
        return 2 * self.config.codec_blocks + max(-first, last)

    def set_statistics(self, statistics: MelStatistics) -> None:
        """Keep the training set's mean and deviation with the weights."""
        self.mel_mean.fill_(statistics.mean)
        self.mel_deviation.fill_(statistics.deviation)

    def latents(self, normal: torch.Tensor, n_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalized mels (B, T, n_mels), 0 behind their ends, to latents (B, T', D) and how many are real (B,)."""
        x, n_codes = self.convolutions(normal.transpose(1, 2), n_frames)
        x = x.transpose(1, 2)
        real = real_places(n_codes, x.shape[1])[:, :, None]
        for block in self.encoder_blocks:
            x = block(x, real)
        return self.to_latents(x), n_codes

    def rebuild(self, latents: torch.Tensor) -> torch.Tensor:
        """Quantized latents (B, T', D) to normalized mels (B, T' factor, n_mels)."""
        x = self.from_latents(latents)
        for block in self.decoder_blocks:
            x = block(x)
        return self.to_mel(self.upsample(x))

    def normalize(self, mel: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
        """Log-mels (B, T, n_mels) with mean 0 and deviation 1 over the training set, and 0 behind their ends."""
        normal = (mel - self.mel_mean) / self.mel_deviation
        return normal * real_places(n_frames, mel.shape[1])[:, :, None]

    @torch.no_grad()
    def encode(self, mel: torch.Tensor, n_frames: torch.Tensor | None = None) -> torch.Tensor:
        """Log-mels (B, T, n_mels), of which n_frames (B,) are real, to codes (B, ceil(T / factor), K)."""
        if n_frames is None:
            n_frames = torch.full((len(mel),), mel.shape[1], device=mel.device)
        return self.quantizer.encode(self.latents(self.normalize(mel, n_frames), n_frames)[0])

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, T', K) to log-mels (B, T' factor, n_mels)."""
        return self.rebuild(self.quantizer.decode(codes)).float() * self.mel_deviation + self.mel_mean

    def loss(self, mel: torch.Tensor, n_frames: torch.Tensor) -> CodecLoss:
        """What the mel loses on its way through the codes, and what keeps latents and entries together.

        The last code stands for more frames than there are, mostly: behind the end silence shall be heard.

        Args:
            mel: (B, T, n_mels).
            n_frames: (B,), frames that are real.
        """
        normal = self.normalize(mel, n_frames)
        latents, n_codes = self.latents(normal, n_frames)
        quantized = self.quantizer(latents, real_places(n_codes, latents.shape[1]))
        rebuilt = self.rebuild(quantized.latents)
        length = rebuilt.shape[1]
        silence = (math.log(FLOOR) - self.mel_mean) / self.mel_deviation
        told = F.pad(normal, (0, 0, 0, length - normal.shape[1]))
        told = told.where(real_places(n_frames, length)[:, :, None], silence)
        counts = real_places(n_codes * self.config.downsample, length)[:, :, None]
        l1 = ((rebuilt - told).abs() * counts).sum() / (counts.sum() * mel.shape[2])
        return CodecLoss(l1 + quantized.loss, l1, quantized.codes)


class StreamingDecoder:
    """Decodes codes as they come; the pieces together are what `decode` makes of them all at once.

    A frame comes out as soon as the `reach` frames behind it are there, or `finish` says that there are none.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.codes: torch.Tensor | None = None  # (1, kept, K): what may still be looked at
        self.done = 0  # of the kept frames, how many have come out

    def push(self, codes: torch.Tensor) -> torch.Tensor:
        """The mel frames (T, n_mels) that codes (T', K) complete."""
        self.codes = codes[None] if self.codes is None else torch.cat((self.codes, codes[None]), 1)
        return self._decoded(self.codes.shape[1] - self.codec.reach)

    def finish(self) -> torch.Tensor:
        """The rest of the mel."""
        if self.codes is None:
            return torch.zeros(0, self.codec.config.n_mels)
        return self._decoded(self.codes.shape[1])

    def _decoded(self, end: int) -> torch.Tensor:
        assert self.codes is not None
        factor = self.codec.config.downsample
        if end <= self.done:
            return self.codes.new_zeros(0, self.codec.config.n_mels, dtype=torch.float32)
        mel = self.codec.decode(self.codes)[0, self.done * factor : end * factor]
        forgotten = max(0, end - self.codec.reach)
        self.codes, self.done = self.codes[:, forgotten:], end - forgotten
        return mel
