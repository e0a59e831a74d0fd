"""Training steps a second of stages B, C and G, beside the same shapes built from PyTorch's own transformer modules.

`python -m tests.benchmarks.encoders [--threads 1]` prints a table. Each peer is what one would write with the field's
usual modules, of the same shape: `nn.TransformerEncoder` behind the same convolutions, with a CTC head (B), a ViT and a
text encoder with the same two losses (C), `nn.TransformerDecoder` over a ViT with a CTC head (G); widths, layers, heads
and batch are the nano config's, the optimizer is AdamW. Both are trained in fp32, and where the machine computes in
bf16, as stages then train, under autocast too. Ours and the peer take turns, step by step, so that a noisy machine is
noisy for both; medians are compared.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from muomni.config import AudioEncConfig, OCRConfig, VisionConfig, read_config
from muomni.models.audio_encoder import AudioEncoder
from muomni.models.ocr import OCR
from muomni.models.thinker import n_parameters
from muomni.models.vision_encoder import VisionModel
from muomni.train.precision import autocast, computes_bf16

Batch = tuple[torch.Tensor, ...]
CONFIGS = Path(__file__).parent.parent.parent / "configs"
ROUNDS, WARM_UP = 40, 3
FRAMES, PIECES, CAPTION, LETTERS = 160, 9, 20, 10


def layers(kind: type[nn.Module], width: int, heads: int, inner: int) -> Any:
    return kind(width, heads, inner, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)


def encoder(width: int, heads: int, inner: int, n: int) -> nn.Module:
    return nn.TransformerEncoder(
        layers(nn.TransformerEncoderLayer, width, heads, inner), n, nn.LayerNorm(width), enable_nested_tensor=False
    )


class PeerAudio(nn.Module):
    def __init__(self, c: AudioEncConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(c.n_mels, c.d_model, 3, padding=1)
        self.second = nn.Conv1d(c.d_model, c.d_model, 2 * c.downsample + 1, c.downsample, padding=c.downsample)
        self.positions = nn.Parameter(torch.zeros(512, c.d_model))
        self.encoder = encoder(c.d_model, c.n_heads, c.d_ff, c.n_layers)
        self.head = nn.Linear(c.d_model, c.vocab_size + 1)

    def forward(self, mels: torch.Tensor, n: torch.Tensor, pieces: torch.Tensor, n_pieces: torch.Tensor) -> Any:
        mels = (mels - 0.1) / 1.1  # ours normalizes too
        x = F.gelu(self.second(F.gelu(self.first(mels)))).transpose(1, 2)
        n_states = (n + 4) // 5
        hidden = torch.arange(x.shape[1]) >= n_states[:, None]
        x = self.encoder(x + self.positions[: x.shape[1]], src_key_padding_mask=hidden)
        log_probs = self.head(x).log_softmax(-1).transpose(0, 1)
        return F.ctc_loss(log_probs, pieces, n_states, n_pieces, blank=self.head.out_features - 1)


class PeerViT(nn.Module):
    def __init__(self, img: int, patch: int, width: int, heads: int, inner: int, n: int) -> None:
        super().__init__()
        side = patch // 2
        self.patches = nn.Sequential(
            nn.Conv2d(3, width // 2, side, side), nn.GELU(), nn.Conv2d(width // 2, width, 3, 2, padding=1)
        )
        self.positions = nn.Parameter(torch.zeros((img // patch) ** 2, width))
        self.encoder = encoder(width, heads, inner, n)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patches(pixels.float() / 127.5 - 1).flatten(2).transpose(1, 2)
        return self.encoder(x + self.positions)


class PeerVision(nn.Module):
    def __init__(self, c: VisionConfig) -> None:
        super().__init__()
        self.vision = PeerViT(c.img_size, c.patch, c.d_model, c.n_heads, c.d_ff, c.n_layers)
        self.embedding = nn.Embedding(c.vocab_size, c.text_d_model)
        self.places = nn.Parameter(torch.zeros(c.text_len, c.text_d_model))
        self.text = encoder(c.text_d_model, c.text_heads, c.text_d_ff, c.text_layers)
        self.a = nn.Linear(c.d_model, c.embed_dim, bias=False)
        self.b = nn.Linear(c.text_d_model, c.embed_dim, bias=False)
        self.words = nn.Linear(c.d_model, c.vocab_size)

    def forward(self, pixels: torch.Tensor, ids: torch.Tensor, real: torch.Tensor) -> Any:
        patches = self.vision(pixels)
        x = F.normalize(self.a(patches.mean(1)), dim=-1)
        states = self.text(self.embedding(ids) + self.places[: ids.shape[1]], src_key_padding_mask=~real)
        y = F.normalize(self.b(states.mean(1)), dim=-1)
        scores, right = 14.0 * x @ y.T, torch.arange(len(ids))
        named = self.words(patches).logsumexp(1) - math.log(patches.shape[1])
        stands = torch.zeros_like(named).scatter(1, ids, 1.0)
        words = F.binary_cross_entropy_with_logits(named, stands, reduction="sum") / len(ids)
        return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2 + words


class PeerOCR(nn.Module):
    def __init__(self, c: OCRConfig) -> None:
        super().__init__()
        self.vision = PeerViT(c.img_size, c.patch, c.vision_d_model, c.vision_heads, c.vision_d_ff, c.vision_layers)
        self.bridge = nn.Linear(c.vision_d_model, c.decoder_d_model)
        self.embedding = nn.Embedding(c.n_characters, c.decoder_d_model)
        self.places = nn.Parameter(torch.zeros(c.text_len, c.decoder_d_model))
        layer = layers(nn.TransformerDecoderLayer, c.decoder_d_model, c.decoder_heads, c.decoder_d_ff)
        self.decoder = nn.TransformerDecoder(layer, c.decoder_layers, nn.LayerNorm(c.decoder_d_model))
        self.head = nn.Linear(c.vision_d_model, c.n_characters)

    def forward(self, pixels: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> Any:
        length = inputs.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.embedding(inputs) + self.places[:length]
        memory = self.vision(pixels)
        x = self.decoder(x, self.bridge(memory), tgt_mask=mask, tgt_is_causal=True)
        frames = self.head(memory).log_softmax(-1).transpose(0, 1)
        n_frames, n_letters = (torch.full((len(inputs),), n) for n in (len(frames), length))
        ctc = F.ctc_loss(frames, targets, n_frames, n_letters)
        return F.cross_entropy((x @ self.embedding.weight.T).flatten(0, 1), targets.flatten()) + ctc


def our_audio(model: AudioEncoder) -> Callable[..., torch.Tensor]:
    def loss(mels: torch.Tensor, n: torch.Tensor, pieces: torch.Tensor, n_pieces: torch.Tensor) -> torch.Tensor:
        return model.loss(*model(mels, n), pieces, n_pieces)

    return loss


def stages() -> list[tuple[str, nn.Module, Callable[..., Any], nn.Module, Batch]]:
    """(name, our model, its loss, the peer, a batch) of each stage."""
    b, c, g = (read_config(CONFIGS / f"{stage}_nano.json").config for stage in ("audio_enc", "vision", "ocr"))
    assert isinstance(b, AudioEncConfig) and isinstance(c, VisionConfig) and isinstance(g, OCRConfig)
    n = b.batch_size
    audio = (
        torch.randn(n, b.n_mels, FRAMES),
        torch.full((n,), FRAMES),
        torch.randint(0, b.vocab_size, (n, PIECES)),
        torch.full((n,), PIECES),
    )
    n = c.batch_size
    vision = (
        torch.randint(0, 256, (n, 3, c.img_size, c.img_size), dtype=torch.uint8),
        torch.randint(0, c.vocab_size, (n, CAPTION)),
        torch.ones(n, CAPTION, dtype=torch.bool),
    )
    n = g.batch_size
    words = (
        torch.randint(0, 256, (n, 3, g.img_size, g.img_size), dtype=torch.uint8),
        torch.randint(1, g.n_characters, (n, LETTERS)),
        torch.randint(1, g.n_characters, (n, LETTERS)),
    )
    audio_model, vision_model, ocr_model = AudioEncoder(b), VisionModel(c), OCR(g)
    return [
        ("B audio encoder", audio_model, our_audio(audio_model), PeerAudio(b), audio),
        ("C vision encoder", vision_model, vision_model.loss, PeerVision(c), vision),
        ("G reader", ocr_model, ocr_model.loss, PeerOCR(g), words),
    ]


def step_ms(contestants: list[tuple[nn.Module, Callable[..., Any]]], batch: Batch, use_amp: bool) -> list[float]:
    """Milliseconds of a training step of each model with its loss, which take turns: medians."""
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True) for model, _ in contestants]
    times: list[list[float]] = [[] for _ in contestants]
    for turn in range(ROUNDS + WARM_UP):
        for (_, of), optimizer, mine in zip(contestants, optimizers, times, strict=True):
            began = time.perf_counter()
            with autocast(torch.device("cpu"), use_amp):
                loss = of(*batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if turn >= WARM_UP:
                mine.append(time.perf_counter() - began)
    return [1000 * statistics.median(each) for each in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="of PyTorch's; its own choice if not given")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    table = Table(
        "stage", "", "parameters, ours", "peer", "ms a step, ours", "peer", "ours is faster by", title="training"
    )
    for name, ours, loss, peer, batch in stages():
        sizes = [f"{n_parameters(model):,}" for model in (ours, peer)]
        for use_amp in (False, True) if computes_bf16(torch.device("cpu")) else (False,):
            mine, theirs = step_ms([(ours, loss), (peer, peer)], batch, use_amp)
            kind = "bf16" if use_amp else "fp32"
            table.add_row(name, kind, *sizes, f"{mine:.0f}", f"{theirs:.0f}", f"{theirs / mine:.2f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
