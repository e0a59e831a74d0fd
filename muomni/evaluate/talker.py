"""Stage D: the codec's copies of speech, and the Talker's own speech of new sentences, heard by our own listener.

| rung | scores |
|---|---|
| copied speech | `codec_wer`, held-out speech through the codes and back; its ceiling: the speech itself |
| new sentences | `tts_wer`; `real_time_factor`, one thread with the vocoder; `first_sound_ms` |

The listener comes with the package, whatever was trained: a judge that does not change. `tests/benchmarks/speaking.py`
asks an independent one.
"""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from muomni.data.mel import LogMel
from muomni.data.sound import read_sound
from muomni.evaluate.edits import word_error_rate
from muomni.evaluate.material import Material
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score, mean_score, ratio_score
from muomni.infer.load import load_listener, load_talker, shipped
from muomni.infer.speak import TrainedTalker

TABLE, SPLIT = "audio/tts_test.csv", "test"
N_SENTENCES, N_FIRST = 300, 20
"""Of fewer sentences a good Talker gets so few words wrong that two cannot be told apart."""


def _wer(sounds: list[torch.Tensor], texts: list[str], seed: int) -> Score:
    return word_error_rate(texts, load_listener(shipped("audio_enc")).transcribe(sounds), SPLIT, seed)


def copies(talker: TrainedTalker, material: Material) -> dict[str, Score]:
    examples = material.spread(material.rows(TABLE, "wav"), N_SENTENCES)
    codec, texts = talker.model.codec, [each.text for each in examples]
    true = [read_sound(each.path, talker.model.config.sample_rate) for each in examples]
    log_mel = LogMel(talker.model.config)
    copied = [talker.vocoder(codec.decode(codec.encode(log_mel(sound).T[None]))[0]) for sound in true]
    best = _wer(true, texts, material.seed).value
    return {"codec_wer": replace(_wer(copied, texts, material.seed), ceiling=best)}


def new_sentences(talker: TrainedTalker, material: Material) -> dict[str, Score]:
    texts = [each.text for each in material.spread(material.rows(TABLE, "wav"), N_SENTENCES)]
    sounds, needed, firsts = [], [], []
    for text in texts:
        began = time.perf_counter()
        sounds.append(talker.say(text))
        needed.append(time.perf_counter() - began)
    for text in texts[:N_FIRST]:
        began = time.perf_counter()
        talker.vocoder(next(talker.stream(text)))
        firsts.append(1000 * (time.perf_counter() - began))
    seconds = [max(1, len(sound)) / talker.model.config.sample_rate for sound in sounds]
    return {
        "tts_wer": _wer(sounds, texts, material.seed),
        "real_time_factor": ratio_score(needed, seconds, SPLIT, material.seed),
        "first_sound_ms": mean_score(firsts, SPLIT, material.seed),
    }


LADDER = Ladder(
    load_talker,
    (TABLE,),
    (
        Rung("copied speech", ("codec_wer",), "audio", copies, ("codec_wer",)),
        Rung("new sentences", ("tts_wer", "real_time_factor", "first_sound_ms"), "audio", new_sentences, ("tts_wer",)),
    ),
)
