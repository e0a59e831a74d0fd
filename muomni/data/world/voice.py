"""Speech from text, with the times of every word, in one voice and in as many pseudo-speakers as wanted.

The synthesizer is `hibari` (a small neural network that runs on one core, about a hundred times faster than real time).
Its network answers with a spectrum for every 12.5 ms, the harmonic, noisy and free parts of it apart, and the pitch. A
pseudo-speaker changes these before they become sound: another pitch, a shorter or longer vocal tract (the frequency
axis warped), another speed, more breath. The network also knows how long each phoneme lasts; asked for that too, it
tells when each word begins and ends.

Everything the rest of μOmni knows of the synthesizer is in this file, so it can be replaced. The same text, speaker and
seed give the same samples on one machine.

    text ─ phonemes ─ network → spectra, pitch, durations ─ speaker ─ inverse STFT ─ 24 kHz ─ resampling → 16 kHz
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from muomni.data.world.dice import Dice
from muomni.errors import UserError

SAMPLE_RATE = 16_000
NATIVE_RATE = 24_000
FRAME = 0.025
"""Seconds that the network counts durations in."""
LATE = 0.05
"""How long after its sound the network counts a phoneme (against forced alignments)."""
STEP, SILENT = NATIVE_RATE // 100, 0.02
"""Sound is looked at in steps of 10 ms; below this part of the loudest it counts as silence."""
LEAD, TAIL = 0.15, 0.20
"""Silence kept before the first word and after the last, in seconds."""
LOUDEST = 0.8
MODEL_SHA256 = "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8"
DURATIONS = "/Round_output_0"
PUNCTUATION = frozenset(".,?!:;…—")


@dataclass(frozen=True)
class Speaker:
    """How a voice differs from the default one.

    Args:
        name: what manifests call it.
        pitch: times the fundamental frequency.
        tract: times the formants' frequencies; below 1 is a longer vocal tract.
        speed: times the speaking rate.
        breath: added to the noisy part, in nats of magnitude.
    """

    name: str
    pitch: float = 1.0
    tract: float = 1.0
    speed: float = 1.0
    breath: float = 0.0


DEFAULT = Speaker("default")


def pseudo_speaker(number: int) -> Speaker:
    """Speaker `number` of an endless row; long tracts go with low voices, as they do in people."""
    dice = Dice("speaker", number)
    height = dice.uniform(-1.0, 1.0)
    pitch = 2.0 ** (0.62 * height - 0.2 + dice.uniform(-0.15, 0.15))
    tract = 1.02 + 0.13 * height + dice.uniform(-0.04, 0.04)
    return Speaker(
        f"speaker-{number:03}",
        round(min(1.5, max(0.55, pitch)), 4),
        round(min(1.2, max(0.86, tract)), 4),
        round(dice.uniform(0.78, 1.22), 4),
        round(dice.uniform(0.0, 0.8), 4),
    )


@dataclass(frozen=True)
class SpokenWord:
    """A word and when it is spoken, in seconds from the start."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """Sound `(T,)`, float32 at 16 kHz, and its words in order."""

    samples: np.ndarray
    words: tuple[SpokenWord, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def say(text: str, speaker: Speaker = DEFAULT, seed: int = 0) -> Utterance:
    """`text` (one or more sentences) as sound.

    Args:
        text: words as they are written, with their punctuation.
        speaker: whose voice.
        seed: decides the noise in the voice.

    Raises:
        UserError: the text holds nothing that can be said, or words that cannot be told apart in it.
    """
    from scipy.signal import resample_poly

    noise = np.random.default_rng(seed)
    pieces, words, at = [], [], 0.0
    for phonemes in _phonemes(text):
        sound, spans = _sentence(phonemes, speaker, noise)
        pieces.append(sound)
        words += [(at + start, at + end) for start, end in spans]
        at += len(sound) / NATIVE_RATE
    written = text.split()
    if not words or len(words) != len(written):
        problem = f"has {len(written)} words, {len(words)} of them can be said: {text[:80]!r}"
        raise UserError(problem, field="text", fix="Write plain English words.")
    samples = resample_poly(np.concatenate(pieces), SAMPLE_RATE, NATIVE_RATE).astype(np.float32)
    samples *= LOUDEST / max(1e-3, float(np.abs(samples).max()))
    spoken = (
        SpokenWord(word, round(start, 4), round(end, 4)) for word, (start, end) in zip(written, words, strict=True)
    )
    return Utterance(samples, tuple(spoken))


def _sentence(
    phonemes: str, speaker: Speaker, noise: np.random.Generator
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """One sentence at 24 kHz, cut to its words, and when each of them is spoken."""
    from hibari import dsp

    vocabulary, network = _synthesizer().vocab, _synthesizer().sess
    known = [phoneme for phoneme in phonemes if phoneme in vocabulary]
    ids = np.array([[0, *(vocabulary[phoneme] for phoneme in known), 0]], dtype=np.int64)
    *spectra, durations = (
        answer[0] if answer.ndim > 1 else answer
        for answer in network.run(None, {"ids": ids, "speed": np.array([speaker.speed], dtype=np.float32)})
    )
    sound = dsp.synth(*_as_spoken_by(speaker, *spectra), noise)
    spans = _word_times(known, np.cumsum(durations) * FRAME - LATE, sound)
    if not spans:
        return sound[:0], []
    begin, end = max(0.0, spans[0][0] - LEAD), spans[-1][1] + TAIL
    cut = sound[round(begin * NATIVE_RATE) : round(end * NATIVE_RATE)].copy()
    fade = np.linspace(0, 1, NATIVE_RATE // 100, dtype=np.float32)
    cut[: len(fade)] *= fade
    cut[-len(fade) :] *= fade[::-1]
    return cut, [(start - begin, stop - begin) for start, stop in spans]


def _word_times(phonemes: list[str], ends: np.ndarray, sound: np.ndarray) -> list[tuple[float, float]]:
    """When each word is spoken: from the end of the one before to its own, less the silence at either end."""
    level = np.abs(sound[: len(sound) // STEP * STEP].reshape(-1, STEP)).max(axis=1)
    loud = level > SILENT * level.max()
    spans, before = [], 0.0
    for is_word, group in groupby(enumerate(phonemes, start=1), key=lambda item: item[1] != " "):
        said = [i for i, phoneme in group if phoneme not in PUNCTUATION]
        if not (is_word and said):
            continue
        first, last = round(before / STEP * NATIVE_RATE), round(float(ends[said[-1]]) / STEP * NATIVE_RATE)
        within = np.flatnonzero(loud[first:last])
        if len(within):
            first, last = first + int(within[0]), first + int(within[-1]) + 1
        spans.append((first * STEP / NATIVE_RATE, last * STEP / NATIVE_RATE))
        before = float(ends[said[-1]])
    return spans


def _as_spoken_by(speaker: Speaker, *spectra: np.ndarray) -> tuple[np.ndarray, ...]:
    """The network's answer (harmonics, their phase, noise, the free part, its phase, pitch) changed for a speaker."""
    harmonic, phase, noisy, free, free_phase, pitch = spectra
    if speaker.tract != 1.0:
        n_bins = len(harmonic)
        source = np.arange(n_bins) / speaker.tract
        low = np.minimum(source.astype(int), n_bins - 2)
        part = np.minimum(source - low, 1.0).astype(np.float32)[:, None]
        harmonic, noisy, free = (s[low] * (1 - part) + s[low + 1] * part for s in (harmonic, noisy, free))
        nearest = np.minimum(np.round(source).astype(int), n_bins - 1)
        phase, free_phase = phase[nearest], free_phase[nearest]
    return harmonic, phase, noisy + np.float32(speaker.breath), free, free_phase, pitch * np.float32(speaker.pitch)


@lru_cache(maxsize=4096)
def _phonemes(text: str) -> tuple[str, ...]:
    """The sentences of a text as phonemes, words apart by spaces."""
    return tuple(_synthesizer().phonemize(text))


@lru_cache(maxsize=1)
def _synthesizer() -> Any:
    """The synthesizer, its network with one more answer: the durations of the phonemes."""
    import onnx
    import onnxruntime
    from hibari import Hibari

    model = onnx.load(_model_file())
    model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # every sentence has a length of its own: the arena would only grow
    synthesizer = Hibari(model=str(_model_file()), threads=1)
    synthesizer.sess = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return synthesizer


@lru_cache(maxsize=1)
def _model_file() -> Path:
    """The network in the package (other voices would be downloaded: never), if it is the one we know."""
    from hibari.voices import voice_path

    path = Path(voice_path("heart", download_missing=False))
    if hashlib.sha256(path.read_bytes()).hexdigest() != MODEL_SHA256:
        raise UserError("is not the voice that this version knows", file=path, fix="Install hibari-tts 0.2.1 again.")
    return path
