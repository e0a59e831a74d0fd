"""Generators of the vocoder: a log-mel to sound.

    hifigan  log-mel (B, T, n_mels) ─ conv 7 ─ 4 x [transposed conv, residual convs 3, 7, 11] ─ conv 7 → samples
    istft    log-mel (B, T, n_mels) ─ conv 7 ─ ConvNeXt blocks → log |STFT| and the phases' advances (B, T, bins) each
             ─ phases put together ─ a few rounds of Griffin-Lim, inverse STFT → samples

HiFi-GAN (Kong et al. 2020) works at the rate of samples, with 8 x 8 x 2 x 2 = 256 of them a frame. The other works at
the rate of frames, as Vocos (Siuzdak 2023) does, and is some hundred times cheaper. A mel does not tell a sound's
phases, which may all be shifted; it does tell how fast they advance. So the network predicts the advance from one frame
to the next, and begins its magnitudes from the pseudo-inverse of the mel filters: it learns only what that misses.
What it cannot know, how the phases of frames and bins fit together, Griffin-Lim finds, and from there it needs a fifth
of the rounds that it needs from random phases.

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
from muomni.nn.spectral import QUIETEST, ShortTime
from muomni.plan.parameters import UPSAMPLING

KERNELS = (3, 7, 11)
DILATIONS = (1, 3, 5)
SLOPE = 0.1
MEL_CENTER, MEL_SCALE = -5.0, 3.0
MOMENTUM = 0.95
GIVES_WAY, GIVES_WAY_EVERY = 0.8, 4
UPHILL = 4
TINY = 1e-10


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

    filters: Tensor
    weights: Tensor
    bands: Tensor
    inverse: Tensor
    advance: Tensor
    start: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.rounds = config.rounds
        self.short_time = ShortTime(config.n_fft, config.hop_length)
        width, bins = config.d_model, config.n_fft // 2 + 1
        self.first = nn.Conv1d(config.n_mels, width, 7, padding=3)
        self.blocks = nn.ModuleList(ConvNeXt(width, config.n_layers) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * bins)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        numbers, filters = torch.arange(bins), mel_filters(config)
        weights, bands = filters.topk(2)
        for name, table in {
            "filters": filters,
            "weights": weights.T.contiguous(),
            "bands": bands.T.contiguous(),
            "inverse": torch.linalg.pinv(filters),
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
            mel = log_mel.float().exp()
            magnitudes = (mel @ self.inverse).clamp_min(QUIETEST).log() + change
            return magnitudes + self.missing(magnitudes.exp(), self.spread(mel)).log(), self.advance + turn

    def spread(self, mel: Tensor) -> Tensor:
        """A mel (B, T, n_mels), every band over the bins (B, T, bins) that it was added up from."""
        two = (mel[..., bands] * weights for bands, weights in zip(self.bands, self.weights, strict=True))
        return next(two) + next(two) + TINY  # no bin is in more than two bands

    def missing(self, magnitudes: Tensor, wanted: Tensor) -> Tensor:
        """Factors (B, T, bins) that bring the mel of magnitudes near to a wanted one, itself spread: one multiplicative
        step (Lee & Seung 2001). Bins that no band covers keep what they have."""
        return wanted / self.spread(magnitudes @ self.filters)

    def forward(self, log_mel: Tensor) -> Tensor:
        magnitudes, turns = self.spectrum(log_mel)
        with torch.autocast(log_mel.device.type, enabled=False):
            magnitudes = magnitudes.exp()
            return self.invert(magnitudes, self.phases(magnitudes, turns), log_mel.float().exp())

    def phases(self, magnitudes: Tensor, turns: Tensor) -> Tensor:
        """Phases in radians for magnitudes, from how far they move between frames: (B, T, bins) each.

        A tone fills several bins, whose phases stay half a turn apart. So only the loudest bin of each tone moves on by
        its own advance, from the phase that was there in the frame before, and the bins around it are locked to it
        (Laroche & Dolson 1999). Errors that add up over the frames then shift tones, but do not break them.
        """
        peak = F.max_pool1d(magnitudes.detach(), 3, 1, 1, return_indices=True)[1]  # one bin uphill
        for _ in range(UPHILL):
            peak = peak.gather(-1, peak)  # twice as far
        moves = turns.gather(-1, peak) + (self.start - self.start[peak])
        now = self.start + turns[:, 0]
        found = [now]
        for at, move in zip(peak.unbind(1)[1:], moves.unbind(1)[1:], strict=True):
            now = now.gather(-1, at) + move
            found.append(now)
        return torch.stack(found, 1)

    def invert(self, magnitudes: Tensor, phases: Tensor, mel: Tensor) -> Tensor:
        """Sound of a spectrum (B, T, bins), made consistent: rounds of Griffin-Lim with momentum.

        Not every spectrum is one of a sound. Griffin-Lim gives way in the phases alone, but the magnitudes are guesses
        as well. So now and then they go most of the way to those that the sound has, and back to the mel.
        """
        angles = torch.polar(torch.ones_like(phases), phases)
        told, wanted, before = magnitudes, self.spread(mel), None
        covered = self.short_time.coverage(magnitudes.shape[1])
        for number in range(1, self.rounds + 1):
            rebuilt: Tensor = self.short_time(self.short_time.inverse(magnitudes * angles, covered))
            moved = rebuilt if before is None else rebuilt - before * (MOMENTUM / (1 + MOMENTUM))
            angles, before = torch.sgn(moved), rebuilt
            if number % GIVES_WAY_EVERY == 0:
                between = told.lerp(rebuilt.abs(), GIVES_WAY)
                magnitudes = between * self.missing(between, wanted)
        return self.short_time.inverse(magnitudes * angles, covered)


def make_generator(config: VocoderConfig) -> HiFiGAN | InverseSTFT:
    """The generator that a config names."""
    return InverseSTFT(config) if config.head == "istft" else HiFiGAN(config)
