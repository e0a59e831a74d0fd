"""How well stage D speaks: the codec's copies and the Talker's own speech, heard by an independent recogniser.

`python -m tests.benchmarks.speaking [--run DIR] [--omni DIR] [-n 300]` prints tables. PocketSphinx (see
`tests/recogniser.py`) makes mistakes with true speech too: its errors with the synthesizer's own sound stand beside the
others, and the difference is the model's. Times are of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from muomni.data.examples import Examples
from muomni.data.mel import LogMel
from muomni.data.sound import read_sound
from muomni.data.world.voice import say as synthesize
from muomni.evaluate.material import Material
from muomni.evaluate.omni_sft import asked_aloud, right_answers
from muomni.evaluate.pictures import record_of
from muomni.infer.load import load_omni, load_talker, shipped
from muomni.infer.speak import TrainedTalker
from muomni.infer.vocode import GriffinLim
from muomni.nn.quantizer import bitrate, usage
from tests.recogniser import transcribe, word_errors, words_of


def heard(sounds: list[torch.Tensor], texts: list[str]) -> str:
    errors = sum(
        word_errors(words_of(text), transcribe(sound.numpy())) for sound, text in zip(sounds, texts, strict=True)
    )
    return f"{100 * errors / sum(len(words_of(text)) for text in texts):.1f} %"


def answered_in_speech(talker: TrainedTalker, answers: Path, n: int) -> list[tuple[str, str]]:
    """Spoken questions about new scenes, answered in speech: how many answers are heard right.

    Beside it what the recogniser makes of the right answers in the synthesizer's voice, which is its own limit.
    """
    omni, right, best = load_omni(answers), 0, 0
    few = asked_aloud(Material(Path("data")), n)
    for scene, clip, answer in few:
        said = omni.ask(image=scene.path, audio=clip.path)
        heard = transcribe(talker.say(said).numpy(), "answers") if said.strip() else []
        wanted = right_answers(clip.text, answer, record_of(scene))
        right += heard in [words_of(each) for each in wanted]
        best += transcribe(synthesize(answer).samples, "answers") == words_of(answer)
    return [
        ("spoken questions answered in speech, heard right", f"{right / len(few):.0%} of {len(few)}"),
        ("right answers of the synthesizer, heard right", f"{best / len(few):.0%}"),
    ]


def first_sound_ms(talker: TrainedTalker, text: str) -> float:
    """Milliseconds from the text to the first sound of a second of it or of its first mel frames."""
    began = time.perf_counter()
    talker.vocoder(next(talker.stream(text)))
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=shipped("talker"))
    parser.add_argument("--omni", type=Path, default=shipped("omni_sft"), help="answers the spoken questions")
    parser.add_argument("--table", type=Path, default=Path("data/audio/tts_test.csv"))
    parser.add_argument("-n", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    talker = load_talker(options.run)
    config, codec = talker.model.config, talker.model.codec
    examples = Examples.open(options.table, "wav")
    some = [examples[i] for i in range(0, len(examples), max(1, len(examples) // options.n))][: options.n]
    texts = [example.text for example in some]
    true = [read_sound(example.path, config.sample_rate) for example in some]
    log_mel = LogMel(config)
    mels = [log_mel(sound).T for sound in true]
    codes = [codec.encode(mel[None])[0] for mel in mels]
    began = time.perf_counter()
    said_mels = [talker.mel(text) for text in texts]
    talking = time.perf_counter() - began
    said = [talker.vocoder(mel) for mel in said_mels]
    together = time.perf_counter() - began
    seconds = sum(len(sound) for sound in said) / config.sample_rate
    table = Table(
        "sound",
        "words wrong",
        title=f"{len(some)} sentences of {options.table.name}; the vocoder is {talker.voiced_by}",
    )
    table.add_row("the synthesizer's own", heard(true, texts))
    copied = [codec.decode(own[None])[0] for own in codes]
    for vocoder, how in ((talker.vocoder, "the vocoder"), (GriffinLim(config), "Griffin-Lim")):
        for name, some_mels in (("its mel", mels), ("through the codec", copied), ("the Talker", said_mels)):
            table.add_row(f"{name}, {how}", heard([vocoder(mel) for mel in some_mels], texts))
    Console().print(table)
    more = [
        codec.encode(log_mel(read_sound(examples[i].path, config.sample_rate)).T[None])[0] for i in range(len(examples))
    ]
    of_books = usage(torch.cat(more), config.codebook_size)
    table = Table("", "", title="codec and Talker", show_header=False)
    for book, each in enumerate(of_books):
        table.add_row(f"book {book}", f"{each.used:.0%} of {config.codebook_size} entries, {each.bits:.2f} bits a code")
    rate = 1 / codec.seconds_per_frame
    table.add_row("bit rate", f"{bitrate(config.n_codebooks, config.codebook_size, rate):.0f} bits/s")
    lengths = [len(a) / len(b) for a, b in zip(said_mels, mels, strict=True)]
    table.add_row("length, to the true one", f"{statistics.mean(lengths):.3f} times (mean)")
    table.add_row("real-time factor, to the mel", f"{talking / seconds:.3f}")
    table.add_row("real-time factor, with the vocoder", f"{together / seconds:.3f}")
    firsts = [first_sound_ms(talker, text) for text in texts[:20]]
    table.add_row("first sound", f"{statistics.median(firsts):.0f} ms (median of 20)")
    for name, share in answered_in_speech(talker, options.omni, options.n):
        table.add_row(name, share)
    Console().print(table)


if __name__ == "__main__":
    main()
