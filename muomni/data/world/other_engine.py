"""A second synthesizer, of another kind than `voice`: PicoTTS, in the two English voices that it has.

It is statistical (hidden Markov models, made for the telephones of 2009) where `voice` is a neural network: what a
listener learnt of that one voice, and not of speech, is of no use here. So it makes a test and never training data. It
comes with the extra `engines` (`py-nanotts`, Apache-2.0); without it nothing else changes.

The library reads memory that it did not write, so what it says depends on what was said before. It runs in a process of
its own, in which every large block of memory is new and therefore zero (`MALLOC_MMAP_THRESHOLD_`): then each sentence
has the same samples in any order. A crash in it, too, stays in that process.

    texts ─ own process: PicoTTS → 16 kHz, 16 bits ─ silence at both ends as in `voice`, loudest at 0.8 → (T,) float32
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from muomni.errors import UserError

PACKAGE, VERSION = "py-nanotts", "0.1.1"
VOICES = ("en-GB", "en-US")
SAMPLE_RATE = 16_000
VOLUME = 0.5
"""The library's own level clips two sentences of three; at half of it none."""
LOUDEST, SILENT, LEAD, TAIL = 0.8, 0.02, 0.15, 0.20
"""As in `voice`: peak; the part of the peak that counts as silence; seconds of it before the first sound and after."""
NEW_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
INSTALL = "Install it: pip install 'muomni[engines]'."


def missing() -> str | None:
    """Why the synthesizer cannot be used here, with what to do; None where it can."""
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        return f"{PACKAGE} is not installed. {INSTALL}"
    return None if found == VERSION else f"{PACKAGE} is {found}, and only {VERSION} is known. {INSTALL}"


def say_all(texts: Sequence[tuple[str, str]]) -> list[np.ndarray]:
    """Sound `(T,)`, float32 at 16 kHz, of every (text, voice).

    Args:
        texts: plain English sentences, each with one of `VOICES`.

    Raises:
        UserError: the synthesizer is not there, ended early, or a text holds nothing that can be said.
    """
    if problem := missing():
        raise UserError(problem)
    answer = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(list(texts)).encode(),
        capture_output=True,
        env=os.environ | NEW_MEMORY | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    spoken = answer.stdout.split()
    if answer.returncode or len(spoken) != len(texts):
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        problem = f"{PACKAGE} ended early (exit code {answer.returncode}{': ' + said[-1] if said else ''})"
        raise UserError(problem, fix="Run it again, or leave its part out with --only.")
    return [_as_in_voice(base64.b64decode(each), text) for each, (text, _) in zip(spoken, texts, strict=True)]


def _as_in_voice(pcm: bytes, text: str) -> np.ndarray:
    """Samples with the silences and the level of `voice`."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    loudest = float(np.abs(samples).max(initial=0.0))
    loud = np.flatnonzero(np.abs(samples) > SILENT * loudest)
    if not len(loud) or not any(letter.isalnum() for letter in text):
        raise UserError(f"has nothing that can be said: {text[:80]!r}", field="text", fix="Write plain English words.")
    lead, tail = round(LEAD * SAMPLE_RATE), round(TAIL * SAMPLE_RATE)
    first, last = int(loud[0]), int(loud[-1]) + 1
    sound = samples[max(0, first - lead) : last + tail]
    sound = np.pad(sound, (max(0, lead - first), max(0, last + tail - len(samples))))
    return sound * np.float32(LOUDEST / loudest)


def _serve() -> None:
    """What the process of its own does: [[text, voice], ...] comes in, a line of base64 for each goes out."""
    from py_nanotts import NanoTTS

    engine = NanoTTS()
    for text, voice in json.load(sys.stdin):
        print(base64.b64encode(engine.speak(text, voice=voice, volume=VOLUME)).decode() or "=", flush=True)


if __name__ == "__main__":
    _serve()
