"""What the data browser reads beside the manifest: a tokenizer, and how the audio encoder hears."""

from __future__ import annotations

from pathlib import Path

from muomni.config import read_config
from muomni.config.stages import AudioEncConfig
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError


def hearing(config: str | Path | None, data: Path) -> AudioEncConfig:
    """The settings of the audio encoder, by which sounds are drawn and texts held against them.

    Args:
        config: its file; None: `configs/audio_enc_nano.json` beside the data folder, else the defaults.
        data: the data folder.

    Raises:
        UserError: it cannot be read, or is another stage's.
    """
    found = data.resolve().parent / "configs" / "audio_enc_nano.json"
    if config is None and not found.is_file():
        return AudioEncConfig()
    file = read_config(found if config is None else config)
    if not isinstance(file.config, AudioEncConfig):
        raise UserError(f"is a config of {file.stage}", file=config, fix="Name one of audio_enc.")
    return file.config


def tokenizer_of(path: str | Path | None, data: Path) -> Tokenizer | None:
    """The tokenizer that was named, or the one in the data folder; None where there is none.

    Raises:
        UserError: the file is missing, damaged, or another kind of tokenizer.
    """
    if path is not None:
        return Tokenizer.load(path)
    found = sorted((data / "text").glob("tokenizer*.model"), key=lambda file: ("nano" not in file.name, file.name))
    return Tokenizer.load(found[0]) if found else None
