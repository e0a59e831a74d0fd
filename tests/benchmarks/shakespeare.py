"""Bits per character on real text: ours beside nanoGPT's published CPU recipe, in the same wall-clock time.

    python -m tests.benchmarks.shakespeare [--text FILE] [--tune]

The peer is the recipe written down in nanoGPT's README for a laptop without a GPU (characters, 4 layers of 4 heads, 128
wide, block 64, batch 12, 2,000 steps, learning rate 1e-3), built here from torch's own layers. Ours trains with
`muomni.train` on pieces of a tokenizer trained on the same first 90 %; the time that takes is counted as ours. Both are
judged on the whole last 10 %, with the same fp32 arithmetic and threads.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import ThinkerConfig, parse_setting
from muomni.data.tokenizer import Tokenizer, train_tokenizer
from muomni.evaluate.text import bits_per_character
from muomni.infer.load import load_thinker
from muomni.train.checkpoint import RunFolder
from muomni.train.run import train as run

DEFAULT = Path(__file__).parents[3] / "shared/reality/text/tinyshakespeare.txt"
PACE_STEPS = 20
SETTINGS: dict[str, Any] = dict(
    vocab_size=1024,
    d_model=128,
    n_layers=4,
    n_heads=4,
    n_kv_heads=4,
    d_ff=384,
    ctx_len=128,
    dropout=0.0,
    documents="paragraphs",
    batch_size=16,
    lr=2e-3,
    wd=0.1,
    warmup_steps=0,
    max_epochs=1000,
    val_split=0.0,
    val_freq=1_000_000,
    checkpoint_freq=1_000_000,
    print_freq=100,
    use_amp=False,
)


class Peer(nn.Module):
    """A GPT-2-style decoder of characters: learned positions, LayerNorm without bias, GELU, tied output."""

    def __init__(self, vocabulary: int, block: int = 64, layers: int = 4, heads: int = 4, width: int = 128) -> None:
        super().__init__()
        self.block = block
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(block, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width, bias=False),
                    "qkv": nn.Linear(width, 3 * width, bias=False),
                    "out": nn.Linear(width, width, bias=False),
                    "norm2": nn.LayerNorm(width, bias=False),
                    "up": nn.Linear(width, 4 * width, bias=False),
                    "down": nn.Linear(4 * width, width, bias=False),
                }
            )
            for _ in range(layers)
        )
        self.norm, self.heads = nn.LayerNorm(width, bias=False), heads
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * layers) if "out" in name or "down" in name else 0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        B, T = ids.shape
        x = self.tokens(ids) + self.positions(torch.arange(T))
        for block in self.blocks:
            q, k, v = (
                part.view(B, T, self.heads, -1).transpose(1, 2)
                for part in block["qkv"](block["norm1"](x)).chunk(3, dim=-1)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, -1)
            x = x + block["out"](y)
            x = x + block["down"](F.gelu(block["up"](block["norm2"](x))))
        return F.linear(self.norm(x), self.tokens.weight)  # (B, T, V)


def train_peer(train: str, test: str, steps: int) -> tuple[float, float]:
    """(seconds of training, bits per character of `test`) of the published recipe."""
    torch.manual_seed(1337)
    letters = {letter: number for number, letter in enumerate(sorted(set(train + test)))}
    data, held_out = (torch.tensor([letters[c] for c in text]) for text in (train, test))
    model = Peer(len(letters))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99)
    )
    began = time.perf_counter()
    for step in range(steps):
        rate = (
            1e-3 * step / 100
            if step < 100
            else 1e-4 + 0.5 * 9e-4 * (1 + math.cos(math.pi * (step - 100) / (steps - 100)))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(data) - 64, (12,))
        x = torch.stack([data[i : i + 64] for i in starts])
        y = torch.stack([data[i + 1 : i + 65] for i in starts])
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - began
    nats, count = 0.0, 0
    with torch.no_grad():
        # every character judged with 32 to 63 characters before it: the best this model's block allows
        windows = held_out.unfold(0, 65, 32)
        for chunk in windows.split(64):
            losses = F.cross_entropy(
                model(chunk[:, :-1])[:, 32:].flatten(0, 1), chunk[:, 33:].flatten(), reduction="sum"
            )
            nats, count = nats + float(losses), count + chunk.shape[0] * 32
    return seconds, nats / count / math.log(2)


def train_ours(train: str, test: str, seconds: float, folder: Path, **changes: Any) -> tuple[float, float, int]:
    """(seconds, bits per character of `test`, steps) of the training loop, all preparation inside the time."""
    began = time.perf_counter()
    text, pieces = folder / "train.txt", folder / "pieces.model"
    text.write_text(train, encoding="utf-8")
    trained = train_tokenizer(text, pieces, SETTINGS["vocab_size"])
    tokenizer = Tokenizer.load(pieces)
    settings = (
        SETTINGS | {"vocab_size": trained.vocab_size, "tokenizer": str(pieces), "train_text": str(text)} | changes
    )
    paced = ThinkerConfig(
        **settings | {"max_steps": PACE_STEPS, "print_freq": PACE_STEPS // 2, "save_dir": str(folder / "pace")}
    )
    run(paced)
    reports = [entry["seconds"] for entry in RunFolder(paced.save_dir).history() if "loss" in entry]
    a_step = (reports[-1] - reports[0]) / (PACE_STEPS - PACE_STEPS // 2)
    steps = int((seconds - (time.perf_counter() - began)) / a_step * 0.95)
    config = ThinkerConfig(
        **settings | {"max_steps": steps, "warmup_steps": steps // 20, "save_dir": str(folder / "run")}
    )
    torch.manual_seed(config.seed)
    result = run(config)
    spent = time.perf_counter() - began
    loaded = load_thinker(result.folder, "last")
    return spent, bits_per_character(loaded.model, tokenizer, test, documents="paragraphs"), steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=DEFAULT)
    parser.add_argument("--peer-steps", type=int, default=2000)
    parser.add_argument(
        "--tune", action="store_true", help="judge on the end of the first 90 %% instead of the last 10 %%"
    )
    parser.add_argument("--set", nargs="*", default=[], help="settings of ours, key=value")
    args = parser.parse_args()
    text = args.text.read_text(encoding="utf-8")
    cut = int(len(text) * 0.9)
    train, test = text[:cut], text[cut:]
    if args.tune:
        cut = int(len(train) * 0.9)
        train, test = train[:cut], train[cut:]
    print(f"{len(train):,} characters to learn from, {len(test):,} to be judged on; {torch.get_num_threads()} threads")
    seconds, peer = train_peer(train, test, args.peer_steps)
    with tempfile.TemporaryDirectory() as folder:
        changes = dict(parse_setting("thinker", text) for text in args.set)
        spent, ours, steps = train_ours(train, test, seconds, Path(folder), **changes)
    print(f"{'':24}{'seconds':>10}{'steps':>8}{'bits per character':>20}")
    print(f"{'nanoGPT CPU recipe':24}{seconds:>10.1f}{args.peer_steps:>8}{peer:>20.3f}")
    print(f"{'muomni thinker':24}{spent:>10.1f}{steps:>8}{ours:>20.3f}")
    print(f"ours needs {100 * (1 - ours / peer):.1f} % fewer bits")


if __name__ == "__main__":
    main()
