"""Stage F against Griffin-Lim: sound made again from mels of held-out speech, true ones and those the codec makes.

`python -m tests.benchmarks.vocoding [--run DIR ...] [-n 50]` prints a table. Without a run it scores the weights that
come with the package. PESQ needs the package pesq. Times are of one thread, in seconds of the processor, the best of
three for every sentence: other work on the machine hardly shows in them.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from muomni.data.examples import Examples
from muomni.data.mel import LogMel
from muomni.data.sound import read_sound
from muomni.infer.load import load_codec, load_vocoder, name_of, newest, shipped
from muomni.infer.vocode import GriffinLim
from muomni.nn.spectral import stft_distance

Vocode = Callable[[torch.Tensor], torch.Tensor]
REPEATS = 3


def timed(vocode: Vocode, mel: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A mel's sound, and the processor's seconds."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        sound = vocode(mel)
        found.append(time.process_time() - began)
    return sound, min(found)


def heard_quality(true: torch.Tensor, made: torch.Tensor, rate: int) -> float:
    if importlib.util.find_spec("pesq") is None:
        return float("nan")
    return float(importlib.import_module("pesq").pesq(rate, true.numpy(), made.numpy(), "wb"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, nargs="*", default=[])
    parser.add_argument("--table", type=Path, default=Path("data/audio/tts_test.csv"))
    parser.add_argument("-n", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = [load_vocoder(run) for run in options.run or [shipped("vocoder")]]
    settings = trained[0].settings
    vocoders: dict[str, Vocode] = {"Griffin-Lim, 60 rounds": GriffinLim(settings)}
    vocoders["Griffin-Lim, 12 rounds"] = GriffinLim(settings, iterations=12)
    vocoders |= {name_of(each.folder): each for each in trained}
    examples = Examples.open(options.table, "wav")
    some = range(0, len(examples), max(1, len(examples) // options.n))[: options.n]
    sounds = [read_sound(examples[i].path, settings.sample_rate) for i in some]
    true = [sound[: len(sound) // settings.hop_length * settings.hop_length] for sound in sounds]
    log_mel, codec = LogMel(settings), load_codec(newest("talker"))
    own = [log_mel(sound).T for sound in true]
    with torch.no_grad():
        copied = [codec.decode(codec.encode(mel[None]))[0, : len(mel)] for mel in own]
    seconds = sum(map(len, true)) / settings.sample_rate
    for kind, mels in (("true mels", own), ("the codec's mels", copied)):
        table = Table("", "PESQ", "STFT distance", "log-mel L1", "ms a second", "speed", title=kind)
        slowest = 0.0
        for name, vocode in vocoders.items():
            pairs = [timed(vocode, mel) for mel in mels]
            made, needed = [sound for sound, _ in pairs], sum(each for _, each in pairs)
            slowest = slowest or needed
            both = list(zip(true, made, strict=True))
            scores = (
                [heard_quality(a, b, settings.sample_rate) for a, b in both],
                [float(stft_distance(b, a)) for a, b in both],
                [float((log_mel(b).T - mel).abs().mean()) for (_, b), mel in zip(both, mels, strict=True)],
            )
            means = [f"{statistics.mean(each):.3f}" for each in scores]
            table.add_row(name, *means, f"{1000 * needed / seconds:.1f}", f"{slowest / needed:.1f} times")
        Console(width=110).print(table)
    print(f"{len(true)} sentences, {seconds:.0f} s")


if __name__ == "__main__":
    main()
