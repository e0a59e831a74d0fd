"""What several stages must agree on, because one reads what another makes.

The Talker's codec and the vocoder meet in one mel spectrogram; the tokenizer is the Thinker's everywhere; the omni
model is built from a Thinker, an audio encoder and a vision encoder of exactly the widths its projectors expect.
"""

from __future__ import annotations

from collections.abc import Mapping

from muomni.config.reading import Problem
from muomni.config.stages import StageConfig
from muomni.errors import UserError

DECODER = (
    "d_model",
    "n_layers",
    "n_heads",
    "n_kv_heads",
    "d_ff",
    "use_swiglu",
    "rope_theta",
    "norm_eps",
    "tie_embeddings",
    "n_experts",
    "experts_per_token",
)
MEL = ("sample_rate", "n_mels", "n_fft", "hop_length")
TEXT = ("vocab_size", "tokenizer")


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


AGREEMENTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("thinker", "audio_enc", _same(*TEXT)),
    ("thinker", "vision", _same(*TEXT)),
    ("thinker", "talker", _same(*TEXT) | {"d_model": "thinker_d_model"}),
    ("thinker", "omni_sft", _same(*TEXT, *DECODER)),
    (
        "audio_enc",
        "omni_sft",
        _same(*MEL, "downsample")
        | {"d_model": "audio_d_model", "n_layers": "audio_layers", "n_heads": "audio_heads", "d_ff": "audio_d_ff"},
    ),
    (
        "vision",
        "omni_sft",
        _same("img_size", "patch")
        | {"d_model": "vision_d_model", "n_layers": "vision_layers", "n_heads": "vision_heads", "d_ff": "vision_d_ff"}
        | {"attention_window": "vision_window"},
    ),
    ("talker", "vocoder", _same(*MEL)),
)
"""(stage that decides, stage that follows, {its setting: the follower's setting})"""


def disagreements(configs: Mapping[str, StageConfig]) -> dict[str, list[Problem]]:
    """For each following stage, the settings that differ from the stage it is built on. Absent stages are skipped."""
    found: dict[str, list[Problem]] = {}
    for leader, follower, settings in AGREEMENTS:
        if leader not in configs or follower not in configs:
            continue
        for theirs, ours in settings.items():
            expected, value = getattr(configs[leader], theirs), getattr(configs[follower], ours)
            if value != expected:
                message = f"is {value!r}, but {theirs} of the {leader} config is {expected!r}; make them equal"
                found.setdefault(follower, []).append(Problem(ours, message))
    return found


def must_agree(config: StageConfig, theirs: StageConfig, names: Mapping[str, str]) -> None:
    """Nothing, where a run that this one begins with has the settings that it has.

    Args:
        theirs: that run's settings.
        names: its settings and what the same ones are called in `config`.

    Raises:
        UserError: the first of them that differs.
    """
    for name, ours in names.items():
        if getattr(theirs, name) != getattr(config, ours):
            problem = f"is {getattr(config, ours)}, but {getattr(theirs, name)} in the run of {theirs.stage_name}"
            raise UserError(problem, field=ours, fix="Make the configs agree, or name another run.")
