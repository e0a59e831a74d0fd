"""The fourteen config files: valid, in agreement, and what the course's reference says they are."""

import json
from pathlib import Path

import pytest

from muomni.config import STAGES, check_values, disagreements, fields_of, read_config
from muomni.config.json_schema import json_schema

CONFIGS = Path(__file__).parent.parent / "configs"
FILES = [CONFIGS / f"{stage}_{profile}.json" for stage in STAGES for profile in ("tiny", "nano")]

VOCODER_TINY = {
    "save_dir": "checkpoints/vocoder_tiny",
    "train_csv": "data/audio/production_tts.csv",
    "sample_rate": 16000,
    "n_mels": 128,
    "n_fft": 1024,
    "hop_length": 256,
    "batch_size": 2,
    "num_workers": 1,
    "max_audio_length": 8192,
    "gradient_accumulation_steps": 4,
    "lr_g": 0.0002,
    "lr_d": 0.0002,
    "max_steps": 100000,
    "use_amp": True,
    "lambda_mel": 45.0,
    "lambda_fm": 2.0,
    "lambda_adv": 1.0,
}
OCR_TINY = {
    "save_dir": "checkpoints/ocr_tiny",
    "train_csv": "data/ocr/production_ocr.csv",
    "image_root": "data/ocr",
    "img_size": 224,
    "patch": 16,
    "vision_d_model": 128,
    "vision_layers": 4,
    "vision_heads": 2,
    "vision_d_ff": 512,
    "decoder_d_model": 256,
    "decoder_layers": 4,
    "decoder_heads": 4,
    "decoder_d_ff": 1024,
    "dropout": 0.1,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "lr": 3e-4,
    "max_steps": 10000,
}
THINKER_TINY = {
    "d_model": 256,
    "n_layers": 4,
    "n_heads": 4,
    "d_ff": 1024,
    "dropout": 0.1,
    "ctx_len": 512,
    "vocab_size": 32000,
    "use_swiglu": True,
}
AUDIO_TINY = {"d_model": 192, "n_layers": 4, "n_heads": 3, "d_ff": 768, "downsample": 8, "n_mels": 128}
VISION_TINY = {"img_size": 224, "patch": 16, "d_model": 128, "n_layers": 4, "n_heads": 2, "d_ff": 512}
TALKER_TINY = {"d_model": 192, "n_layers": 4, "n_heads": 3, "d_ff": 768}


def test_there_are_two_profiles_of_seven_stages() -> None:
    assert sorted(CONFIGS.glob("*.json")) == sorted(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_config_is_valid_and_says_every_setting(path: Path) -> None:
    file = read_config(path)
    assert path.stem.startswith(file.stage + "_")
    assert set(fields_of(STAGES[file.stage])) == set(file.raw) - {"$schema", "stage"}


@pytest.mark.parametrize("profile", ["tiny", "nano"])
def test_the_configs_of_a_profile_agree(profile: str) -> None:
    assert disagreements({stage: read_config(CONFIGS / f"{stage}_{profile}.json").config for stage in STAGES}) == {}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("vocoder_tiny", VOCODER_TINY),
        ("ocr_tiny", OCR_TINY),
        ("thinker_tiny", THINKER_TINY),
        ("audio_enc_tiny", AUDIO_TINY),
        ("vision_tiny", VISION_TINY),
        ("talker_tiny", TALKER_TINY),
    ],
)
def test_the_tiny_configs_have_the_reference_values(name: str, values: dict[str, object]) -> None:
    raw = json.loads((CONFIGS / f"{name}.json").read_text())
    assert {key: raw[key] for key in values} == values


def test_audio_is_heard_and_spoken_at_twelve_and_a_half_frames_a_second() -> None:
    for stage in ("audio_enc", "talker"):
        for profile in ("tiny", "nano"):
            config = read_config(CONFIGS / f"{stage}_{profile}.json").config
            rate = config.sample_rate / config.hop_length / config.downsample  # type: ignore[attr-defined]
            assert rate == 12.5


@pytest.mark.parametrize("stage", STAGES)
def test_the_json_schema_on_disk_is_the_one_the_code_makes(stage: str) -> None:
    on_disk = json.loads((CONFIGS / "schema" / f"{stage}.schema.json").read_text())
    assert on_disk == json_schema(stage), "write it anew with muomni.config.json_schema.write_schemas"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_config_validates_by_its_own_json_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    raw = json.loads(path.read_text())
    schema = json.loads((path.parent / raw["$schema"]).read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(raw)
    assert not validator.is_valid(raw | {"batch_size": 0})
    assert not validator.is_valid(raw | {"batch_sise": 4})
    assert validator.is_valid(raw | {"_why": "a note", "notes": ["kept"]})


@pytest.mark.parametrize("stage", STAGES)
def test_every_setting_has_words_a_valid_default_and_a_range_where_it_is_a_number(stage: str) -> None:
    config, problems = check_values(stage, {})
    assert config is not None, problems
    for spec in fields_of(STAGES[stage]).values():
        assert spec.help.endswith("."), spec.name
        if spec.kind in ("int", "float"):
            assert spec.low is not None and spec.high is not None, spec.name
            assert spec.low <= spec.default <= spec.high, spec.name
