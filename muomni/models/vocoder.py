"""Generators of the vocoder: a log-mel to sound.

    hifigan  log-mel (B, T, n_mels) ─ conv 7 ─ 4 x [transposed conv, residual convs 3, 7, 11] ─ conv 7 → samples
    istft    log-mel (B, T, n_mels) ─ conv 7 ─ ConvNeXt blocks → log |STFT| and the phases' advances (B, T, bins) each
             ─ phases added up ─ inverse STFT, a few rounds of Griffin-Lim → samples

HiFi-GAN (Kong et al. 2020) works at the rate of samples, with 8 x 8 x 2 x 2 = 256 of them a frame. The other works at
the rate of frames, as Vocos (Siuzdak 2023) does, and is some hundred times cheaper. A mel does not tell a sound's
phases, which may all be shifted; it does tell how fast they advance. So the network predicts the advance from one frame
to the next, and begins its magnitudes from the pseudo-inverse of the mel filters: it learns only what that misses.

T frames are centered at multiples of `hop_length`: they give (T - 1) hop_length samples.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni.config import VocoderConfig
from muomni.data.mel import mel_filters
from muomni.nn.spectral import QUIETEST
from muomni.plan.parameters import UPSAMPLING

KERNELS = (3, 7, 11)
DILATIONS = (1, 3, 5)
SLOPE = 0.1
MEL_CENTER, MEL_SCALE = -5.0, 3.0
MOMENTUM = 0.99


class ResidualConvs(nn.Module):
    """Three pairs of convolutions of one width, the first of each pair dilated: (B, C, T) to (B, C, T)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)

        self.dilated = nn.ModuleList(convolution(dilation) for dilation in DILATIONS)
        self.plain = nn.ModuleList(convolution(1) for _ in DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class HiFiGAN(nn.Module):
    """Log-mel (B, T, n_mels) to samples (B, (T - 1) hop_length)."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.hop_length = config.hop_length
        self.first = nn.Conv1d(config.n_mels, config.d_model, 7, padding=3)
        self.upsample, self.fuse = nn.ModuleList(), nn.ModuleList()
        channels = config.d_model
        for factor in UPSAMPLING:
            half = max(1, channels // 2)
            self.upsample.append(nn.ConvTranspose1d(channels, half, 2 * factor, factor, padding=factor // 2))
            self.fuse.append(nn.ModuleList(ResidualConvs(half, kernel) for kernel in KERNELS))
            channels = half
        self.last = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, log_mel: Tensor) -> Tensor:
        x = self.first(((log_mel - MEL_CENTER) / MEL_SCALE).transpose(1, 2))
        for upsample, fuse in zip(self.upsample, self.fuse, strict=True):
            x = upsample(F.leaky_relu(x, SLOPE))
            x = torch.stack([convs(x) for convs in cast(nn.ModuleList, fuse)]).mean(0)
        samples = torch.tanh(self.last(F.leaky_relu(x, SLOPE)))[:, 0]
        begin = self.hop_length // 2  # a frame's samples lie around its center
        return samples[:, begin : begin + (log_mel.shape[1] - 1) * self.hop_length]


class ConvNeXt(nn.Module):
    """A depthwise convolution over time, then a feed-forward layer (Liu et al. 2022): (B, T, C) to (B, T, C)."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1 / layers))

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.down(F.gelu(self.up(mixed)))


class InverseSTFT(nn.Module):
    """Log-mel (B, T, n_mels) to samples (B, (T - 1) hop_length), by way of a spectrum."""

    window: Tensor
    inverse: Tensor
    advance: Tensor
    start: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.n_fft, self.hop_length, self.rounds = config.n_fft, config.hop_length, config.rounds
        width, bins = config.d_model, config.n_fft // 2 + 1
        self.first = nn.Conv1d(config.n_mels, width, 7, padding=3)
        self.blocks = nn.ModuleList(ConvNeXt(width, config.n_layers) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * bins)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        numbers = torch.arange(bins)
        for name, table in {
            "window": torch.hann_window(config.n_fft),
            "inverse": torch.linalg.pinv(mel_filters(config)),
            "advance": 2 * math.pi * numbers * config.hop_length / config.n_fft % (2 * math.pi),
            "start": math.pi * numbers,  # neighbouring bins of one tone are half a turn apart
        }.items():
            self.register_buffer(name, table, persistent=False)

    def spectrum(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-magnitudes and how far the phases move since the frame before, in radians: (B, T, bins) each."""
        x = self.first(((log_mel - MEL_CENTER) / MEL_SCALE).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        change, turn = self.head(self.norm(x)).float().chunk(2, dim=-1)
        with torch.autocast(log_mel.device.type, enabled=False):
            begun = (log_mel.float().exp() @ self.inverse).clamp_min(QUIETEST).log()
        return begun + change, self.advance + turn

    def forward(self, log_mel: Tensor) -> Tensor:
        magnitudes, turns = self.spectrum(log_mel)
        with torch.autocast(log_mel.device.type, enabled=False):
            return self.invert(magnitudes.exp().transpose(1, 2), (self.start + turns.cumsum(1)).transpose(1, 2))

    def invert(self, magnitudes: Tensor, phases: Tensor) -> Tensor:
        """Sound of a spectrum (B, bins, T), with phases made consistent by Griffin-Lim, with momentum."""
        length = (magnitudes.shape[-1] - 1) * self.hop_length
        angles = torch.polar(torch.ones_like(phases), phases)
        before: Tensor | None = None
        for _ in range(self.rounds):
            rebuilt = self.stft(self.istft(magnitudes * angles, length))
            moved = rebuilt if before is None else rebuilt - before * (MOMENTUM / (1 + MOMENTUM))
            angles, before = moved / (moved.abs() + 1e-16), rebuilt
        return self.istft(magnitudes * angles, length)

    def stft(self, samples: Tensor) -> Tensor:
        """The complex spectrum (B, bins, T) in the frames of `muomni.data.mel`."""
        return torch.stft(
            samples, self.n_fft, self.hop_length, window=self.window, pad_mode="constant", return_complex=True
        )

    def istft(self, spectrum: Tensor, length: int) -> Tensor:
        return torch.istft(spectrum, self.n_fft, self.hop_length, window=self.window, length=length)


def make_generator(config: VocoderConfig) -> HiFiGAN | InverseSTFT:
    """The generator that a config names."""
    return InverseSTFT(config) if config.head == "istft" else HiFiGAN(config)
