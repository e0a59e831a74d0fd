"""The closed form of parameters against the built models: the shipped configs, and random valid ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from muomni.config import (
    AudioEncConfig,
    OCRConfig,
    OmniSFTConfig,
    StageConfig,
    TalkerConfig,
    ThinkerConfig,
    VisionConfig,
    VocoderConfig,
    read_config,
)
from muomni.models.audio_encoder import AudioEncoder
from muomni.models.ocr import OCR
from muomni.models.omni import OmniModel
from muomni.models.talker import Talker
from muomni.models.thinker import Thinker, n_parameters
from muomni.models.vision_encoder import VisionModel
from muomni.plan.parameters import count_parameters
from muomni.train.vocoder import Vocoder

CONFIGS = Path(__file__).parent.parent / "configs"
MODELS: dict[str, Callable[[Any], nn.Module]] = {
    "thinker": Thinker,
    "audio_enc": AudioEncoder,
    "vision": VisionModel,
    "talker": Talker,
    "vocoder": Vocoder,
    "ocr": OCR,
    "omni_sft": OmniModel,
}


def width(dice: random.Random) -> tuple[int, int, int]:
    """(width, heads, feed-forward width) that go together."""
    heads = dice.choice([1, 2, 3, 4])
    return heads * dice.choice([8, 14, 16]), heads, dice.choice([8, 24, 64])


def some_config(stage: str, dice: random.Random) -> StageConfig:
    """A valid config of a stage, small enough to be built at once."""
    (d, heads, ff), (d2, heads2, ff2) = width(dice), width(dice)
    layers, layers2, vocab = dice.randint(1, 3), dice.randint(1, 3), dice.choice([266, 300, 511])
    patch = dice.choice([2, 4, 8])
    if stage == "thinker":
        return ThinkerConfig(
            vocab_size=vocab,
            d_model=d,
            n_heads=heads,
            n_kv_heads=dice.choice([n for n in range(1, heads + 1) if heads % n == 0]),
            n_layers=layers,
            d_ff=ff,
            use_swiglu=dice.random() < 0.5,
            tie_embeddings=dice.random() < 0.5,
            n_experts=dice.choice([0, 2, 4]),
        )
    if stage == "audio_enc":
        return AudioEncConfig(
            vocab_size=vocab,
            d_model=d,
            n_heads=heads,
            n_layers=layers,
            d_ff=ff,
            n_mels=dice.choice([8, 40]),
            downsample=dice.choice([1, 2, 3, 5, 6, 8, 12, 49]),
        )
    if stage == "vision":
        return VisionConfig(
            vocab_size=vocab,
            img_size=patch * dice.choice([8, 16]),
            patch=patch,
            d_model=d,
            n_heads=heads,
            n_layers=layers,
            d_ff=ff,
            text_d_model=d2,
            text_heads=heads2,
            text_layers=layers2,
            text_d_ff=ff2,
            embed_dim=dice.choice([8, 20]),
            learn_temperature=dice.random() < 0.5,
        )
    if stage == "talker":
        return TalkerConfig(
            vocab_size=vocab,
            thinker_d_model=d2,
            d_model=d,
            n_heads=heads,
            n_layers=layers,
            d_ff=ff,
            n_mels=dice.choice([8, 40]),
            downsample=dice.choice([1, 2, 3, 5, 6, 8]),
            n_codebooks=dice.randint(1, 4),
            codebook_size=dice.choice([8, 50]),
            codec_d_model=dice.choice([8, 24]),
            codec_blocks=dice.randint(1, 3),
            codec_dim=dice.choice([4, 10]),
            predictor_d_model=dice.choice([8, 20]),
            n_speakers=dice.choice([1, 5]),
        )
    if stage == "vocoder":
        weight = dice.choice([0.0, 1.0])
        return VocoderConfig(
            head=dice.choice(["hifigan", "istft"]),
            d_model=dice.choice([8, 24]),
            n_layers=layers,
            d_disc=dice.choice([4, 8]),
            n_mels=dice.choice([8, 40]),
            lambda_adv=weight,
            lambda_fm=weight,
        )
    if stage == "omni_sft":
        return OmniSFTConfig(
            **trained_whole(OmniSFTConfig()),
            vocab_size=vocab,
            d_model=d,
            n_heads=heads,
            n_kv_heads=dice.choice([n for n in range(1, heads + 1) if heads % n == 0]),
            n_layers=layers,
            d_ff=ff,
            use_swiglu=dice.random() < 0.5,
            tie_embeddings=dice.random() < 0.5,
            n_experts=dice.choice([0, 2, 4]),
            audio_d_model=d2,
            audio_heads=heads2,
            audio_layers=layers2,
            audio_d_ff=ff2,
            downsample=dice.choice([4, 5, 6, 8, 12, 49]),
            img_size=patch * dice.choice([8, 16]),
            patch=patch,
            vision_d_model=d2,
            vision_heads=heads2,
            vision_layers=layers2,
            vision_d_ff=ff2,
        )
    return OCRConfig(
        img_size=patch * dice.choice([8, 16]),
        patch=patch,
        vision_d_model=d,
        vision_heads=heads,
        vision_layers=layers,
        vision_d_ff=ff,
        decoder_d_model=d2,
        decoder_heads=heads2,
        decoder_layers=layers2,
        decoder_d_ff=ff2,
        n_characters=dice.choice([4, 90]),
        ctc_weight=dice.choice([0.0, 1.0]),
    )


def trained_whole(config: StageConfig) -> dict[str, bool]:
    """The settings that leave nothing frozen, so that all parameters count."""
    return {name: True for name in ("train_thinker", "train_audio", "train_vision") if hasattr(config, name)}


@pytest.mark.parametrize("profile", ["nano", "tiny"])
@pytest.mark.parametrize("stage", MODELS)
def test_a_shipped_config_has_the_parameters_that_are_foretold(stage: str, profile: str) -> None:
    config = read_config(CONFIGS / f"{stage}_{profile}.json").config
    config = config.model_copy(update=trained_whole(config))
    assert n_parameters(MODELS[stage](config)) == count_parameters(config)


@pytest.mark.parametrize("stage", MODELS)
def test_fifty_random_configs_have_the_parameters_that_are_foretold(stage: str) -> None:
    dice = random.Random(stage)
    for _ in range(50):
        config = some_config(stage, dice)
        assert n_parameters(MODELS[stage](config)) == count_parameters(config), config


def test_a_frozen_thinker_s_parameters_are_not_the_vision_model_s() -> None:
    thinker = Thinker(ThinkerConfig(vocab_size=300, d_model=32, n_heads=2, n_layers=1, d_ff=32))
    config = VisionConfig(text_tower="thinker", text_d_model=32, img_size=32, patch=8, d_model=16, vocab_size=300)
    model = VisionModel(config, thinker)
    assert n_parameters(model) == count_parameters(config)
    assert not any("thinker" in name for name in model.state_dict())
