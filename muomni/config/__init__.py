"""What can be set: one schema per stage, JSON in and out, errors that help."""

from muomni.config.agreement import disagreements
from muomni.config.fields import FieldSpec, fields_of
from muomni.config.reading import (
    ConfigError,
    ConfigFile,
    Problem,
    check_values,
    parse_setting,
    read_config,
    with_changes,
)
from muomni.config.stages import (
    STAGES,
    AudioEncConfig,
    OCRConfig,
    OmniSFTConfig,
    StageConfig,
    TalkerConfig,
    ThinkerConfig,
    VisionConfig,
    VocoderConfig,
)
from muomni.config.writing import Change, differences, save_changes

__all__ = [
    "STAGES",
    "AudioEncConfig",
    "Change",
    "ConfigError",
    "ConfigFile",
    "FieldSpec",
    "OCRConfig",
    "OmniSFTConfig",
    "Problem",
    "StageConfig",
    "TalkerConfig",
    "ThinkerConfig",
    "VisionConfig",
    "VocoderConfig",
    "check_values",
    "differences",
    "disagreements",
    "fields_of",
    "parse_setting",
    "read_config",
    "save_changes",
    "with_changes",
]
