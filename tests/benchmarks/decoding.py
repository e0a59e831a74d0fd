"""The KV cache's worth: a text written with the cache, and by reading it whole for every token.

    python -m tests.benchmarks.decoding [--config FILE] [--tokens N] [--threads N] [--repeats N]

Greedy, one text, at the shape of `configs/thinker_tiny.json` with random weights: what is written is of no use, how
long it takes is the same. Three ways take turns, so that whatever else the machine does disturbs all: the whole text
forward for each token, the model with its cache, and `generate`, which also rearranges the weights. Shown are medians,
and the median of the turns' ratios. Bar: `generate` writes at least three times as many tokens a second.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from muomni.config import read_config
from muomni.infer.generate import generate
from muomni.models.thinker import Thinker
from tests.benchmarks.thinker import take_turns

BAR = 3.0


@torch.inference_mode()
def whole(model: Thinker, prompt: list[int], n_new: int) -> list[int]:
    """Greedy writing without a cache: the whole text is read for each token."""
    text = list(prompt)
    for _ in range(n_new):
        text.append(int(model(torch.tensor([text]), last_only=True).argmax()))
    return text[len(prompt) :]


@torch.inference_mode()
def cached(model: Thinker, prompt: list[int], n_new: int) -> list[int]:
    """Greedy writing through the cache, by the model itself."""
    cache, new, written = model.new_cache(), torch.tensor([prompt]), list[int]()
    for _ in range(n_new):
        new = model(new, cache=cache, last_only=True).argmax(-1)
        written.append(int(new))
    return written


def by_library(model: Thinker, prompt: list[int], n_new: int) -> list[int]:
    """`muomni.infer.generate`"""
    return list(generate(model, prompt, max_new_tokens=n_new, temperature=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/thinker_tiny.json"))
    parser.add_argument("--tokens", type=int, default=256, help="tokens to write, after a prompt of 16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = read_config(options.config).config
    model = Thinker(config).eval()  # type: ignore[arg-type]  # a Thinker's config
    prompt = torch.randint(model.config.vocab_size, (16,)).tolist()
    ways = {"the whole text for each token": whole, "with the cache": cached, "generate": by_library}
    texts = [way(model, prompt, options.tokens) for way in ways.values()]
    times = take_turns(options.repeats, *(lambda w=way: w(model, prompt, options.tokens) for way in ways.values()))
    console = Console()
    console.print(f"torch {torch.__version__}, {options.threads} threads, {torch.backends.cpu.get_cpu_capability()}")
    table = Table("way", "tokens/s", "ratio", "same tokens", title=f"{options.config.stem}, {options.tokens} tokens")
    ratios = [statistics.median(plain / each for plain, each in zip(times[0], way, strict=True)) for way in times]
    for name, way, ratio, text in zip(ways, times, ratios, texts, strict=True):
        same = sum(a == b for a, b in zip(text, texts[0], strict=True))
        speed = options.tokens / statistics.median(way)
        table.add_row(name, f"{speed:,.0f}", f"{ratio:.1f}", f"{same} of {options.tokens}")
    console.print(table)
    console.print(f"generate: {ratios[-1]:.1f} times as fast as without a cache (bar {BAR:g})")


if __name__ == "__main__":
    main()
