"""The Thinker's speed, ours and transformers' Llama of the same shape side by side in one run.

    python -m tests.benchmarks.thinker [train] [decode] [attention] [norm] [--threads N] [--repeats N]

Ours and the peer take turns, so that whatever else the machine does disturbs both; shown are medians, and the median of
the turns' ratios. Bars: training at least as fast as the peer, greedy decoding at least twice as fast.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from muomni.config import ThinkerConfig
from muomni.infer.generate import generate
from muomni.models.llama_format import llama_config, to_llama
from muomni.models.thinker import Thinker
from muomni.nn.attention import BLOCK, blocks, choose_kernel, fused
from muomni.nn.norm import RMSNorm

BATCH, NEW_TOKENS = 8, 256


def take_turns(repeats: int, *actions: Callable[[], Any]) -> list[list[float]]:
    """Seconds of every action in every round, after one round that does not count."""
    rounds = []
    for _ in range(repeats + 1):
        times = []
        for action in actions:
            start = time.perf_counter()
            action()
            times.append(time.perf_counter() - start)
        rounds.append(times)
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def peer_of(model: Thinker) -> Any:
    """transformers' Llama with the same shape and the same weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    peer = LlamaForCausalLM(LlamaConfig(**llama_config(model.config)))
    peer.load_state_dict(to_llama(model.state_dict()), strict=False)
    peer.tie_weights()
    return peer


def training_step(model: Any, loss: Callable[[], torch.Tensor], bf16: bool) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def train(repeats: int) -> Table:
    """Tokens a second of whole training steps at thinker_tiny's shape."""
    table = Table("vocabulary", "type", "ours", "ours, dropout 0.1", "Llama", "ratio", title="training, tokens/s")
    for vocab_size in (4096, 32000):
        for bf16 in (False, True):
            config = ThinkerConfig(vocab_size=vocab_size, dropout=0.0)
            ours, dropping = Thinker(config), Thinker(config.model_copy(update={"dropout": 0.1}))
            peer = peer_of(ours)
            rows = torch.randint(0, vocab_size, (BATCH, config.ctx_len + 1))
            ids, targets = rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
            times = take_turns(
                repeats,
                training_step(ours, lambda m=ours, x=ids, y=targets: m.loss(x, y), bf16),
                training_step(dropping, lambda m=dropping, x=ids, y=targets: m.loss(x, y), bf16),
                training_step(peer, lambda m=peer, x=ids: m(input_ids=x, labels=x).loss, bf16),
            )
            speeds = [BATCH * config.ctx_len / statistics.median(t) for t in times]
            ratio = statistics.median(theirs / our for our, theirs in zip(times[0], times[2], strict=True))
            kind = "bf16 autocast" if bf16 else "fp32"
            table.add_row(f"{vocab_size:,}", kind, *(f"{s:,.0f}" for s in speeds), f"{ratio:.2f}")
    return table


def decode(repeats: int) -> Table:
    """Tokens a second of greedy decoding, batch 1."""
    table = Table("vocabulary", "ours", "Llama", "ratio", title=f"greedy decoding of {NEW_TOKENS} tokens, tokens/s")
    for vocab_size in (4096, 32000):
        ours = Thinker(ThinkerConfig(vocab_size=vocab_size, dropout=0.0)).eval()
        peer = peer_of(ours).eval()
        prompt = torch.randint(0, vocab_size, (1, 16))
        written: dict[str, list[int]] = {}

        def by_us(model: Thinker = ours, prompt: torch.Tensor = prompt, into: dict[str, list[int]] = written) -> None:
            into["ours"] = list(generate(model, prompt[0], max_new_tokens=NEW_TOKENS, temperature=0))

        def by_peer(model: Any = peer, prompt: torch.Tensor = prompt, into: dict[str, list[int]] = written) -> None:
            with torch.inference_mode():
                ids = model.generate(
                    prompt, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0
                )
            into["peer"] = ids[0, 16:].tolist()

        times = take_turns(repeats, by_us, by_peer)
        assert len(written["ours"]) == len(written["peer"]) == NEW_TOKENS
        ratio = statistics.median(theirs / our for our, theirs in zip(*times, strict=True))
        speeds = [NEW_TOKENS / statistics.median(t) for t in times]
        table.add_row(f"{vocab_size:,}", *(f"{s:,.0f}" for s in speeds), f"{ratio:.2f}")
    return table


def attention(repeats: int) -> Table:
    """Forward and backward through both kernels; the chosen one should be the faster."""
    table = Table("B, H, G, T, D", "mask", "type", f"blocks of {BLOCK}", "fused", "chosen", title="attention, ms")
    shapes = [(8, 4, 2, 512, 64), (32, 4, 2, 128, 32), (4, 2, 2, 196, 64), (2, 4, 2, 1536, 64)]
    for shape in shapes:
        batch, heads, groups, length, width = shape
        for causal in (True, False):
            for dtype in (torch.float32, torch.bfloat16):
                leaves = [
                    torch.randn(batch, h, length, width, dtype=dtype, requires_grad=True)
                    for h in (heads, groups, groups)
                ]
                grad = torch.randn(batch, heads, length, width, dtype=dtype)
                times = take_turns(
                    repeats,
                    *(
                        lambda k=kernel, x=leaves, c=causal, g=grad: torch.autograd.grad(k(*x, c, None), x, g)
                        for kernel in (blocks, fused)
                    ),
                )
                medians = [1000 * statistics.median(t) for t in times]
                table.add_row(
                    ", ".join(map(str, shape)),
                    "causal" if causal else "none",
                    str(dtype).removeprefix("torch."),
                    *(f"{m:.1f}" for m in medians),
                    choose_kernel("cpu", dtype, length, length, causal=causal),
                )
    return table


def norm(repeats: int) -> Table:
    """Forward and backward of RMSNorm over a batch of thinker_tiny, beside PyTorch's own."""
    layer = RMSNorm(256)
    x, grad = torch.randn(BATCH, 512, 256, requires_grad=True), torch.randn(BATCH, 512, 256)

    def run(forward: Callable[[], torch.Tensor]) -> None:
        torch.autograd.grad(forward(), (x, layer.weight), grad)

    times = take_turns(
        5 * repeats, lambda: run(lambda: layer(x)), lambda: run(lambda: F.rms_norm(x, (256,), layer.weight, 1e-5))
    )
    table = Table("ours", "F.rms_norm", title="RMSNorm, ms")
    table.add_row(*(f"{1000 * statistics.median(t):.2f}" for t in times))
    return table


TABLES = {"train": train, "decode": decode, "attention": attention, "norm": norm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="which tables to print; all by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    console = Console()
    console.print(f"torch {torch.__version__}, {options.threads} threads, {torch.backends.cpu.get_cpu_capability()}")
    for name in options.tables or TABLES:
        console.print(TABLES[name](options.repeats))


if __name__ == "__main__":
    main()
