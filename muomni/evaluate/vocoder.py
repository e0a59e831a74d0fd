"""Stage F: sound made again from true mels of held-out speech, beside what Griffin-Lim makes of the same mels.

| rung | scores |
|---|---|
| true mels | `mel_l1`, `stft` (multi-resolution STFT distance), each also `_griffin_lim`; `real_time_factor` |
| true mels, PESQ | `pesq`, `pesq_griffin_lim`: wide-band PESQ, 1 to 4.6; needs the package pesq |
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial

import torch

from muomni.data.mel import LogMel
from muomni.data.sound import read_sound
from muomni.evaluate.material import Material, Unavailable
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score, mean_score, ratio_score
from muomni.infer.load import load_vocoder
from muomni.infer.vocode import GriffinLim, TrainedVocoder
from muomni.nn.spectral import stft_distance

TABLE, SPLIT = "audio/tts_test.csv", "test"
N_SENTENCES = 50


def _true(trained: TrainedVocoder, material: Material) -> list[torch.Tensor]:
    """Held-out recordings, cut to whole frames."""
    hop = trained.settings.hop_length
    rows = material.spread(material.rows(TABLE, "wav"), N_SENTENCES)
    sounds = [read_sound(each.path, trained.settings.sample_rate) for each in rows]
    return [sound[: len(sound) // hop * hop] for sound in sounds]


def _both(trained: TrainedVocoder) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    return {"": trained, "_griffin_lim": GriffinLim(trained.settings)}


def true_mels(trained: TrainedVocoder, material: Material) -> dict[str, Score]:
    true, log_mel = _true(trained, material), LogMel(trained.settings)
    mels = [log_mel(sound).T for sound in true]
    seconds = [len(sound) / trained.settings.sample_rate for sound in true]
    score, found = partial(mean_score, split=SPLIT, seed=material.seed), dict[str, Score]()
    for suffix, vocoder in _both(trained).items():
        made, needed = [], []
        for mel in mels:
            began = time.perf_counter()
            made.append(vocoder(mel))
            needed.append(time.perf_counter() - began)
        found["mel_l1" + suffix] = score(
            [float((log_mel(a).T - b).abs().mean()) for a, b in zip(made, mels, strict=True)]
        )
        found["stft" + suffix] = score([float(stft_distance(a, b)) for a, b in zip(made, true, strict=True)])
        if not suffix:
            found["real_time_factor"] = ratio_score(needed, seconds, SPLIT, material.seed)
    return found


def heard_quality(trained: TrainedVocoder, material: Material) -> dict[str, Score]:
    try:
        pesq = importlib.import_module("pesq").pesq
    except ImportError:
        raise Unavailable("the package pesq is not installed") from None
    true, log_mel = _true(trained, material), LogMel(trained.settings)
    rate, found = trained.settings.sample_rate, dict[str, Score]()
    for suffix, vocoder in _both(trained).items():
        values = [float(pesq(rate, x.numpy(), vocoder(log_mel(x).T).numpy(), "wb")) for x in true]
        found["pesq" + suffix] = mean_score(values, SPLIT, material.seed)
    return found


MEASURED = ("mel_l1", "mel_l1_griffin_lim", "stft", "stft_griffin_lim", "real_time_factor")
LADDER = Ladder(
    load_vocoder,
    (TABLE,),
    (
        Rung("true mels", MEASURED, "audio", true_mels, ("stft",)),
        Rung("true mels, PESQ", ("pesq", "pesq_griffin_lim"), "audio", heard_quality, ("pesq",)),
    ),
)
