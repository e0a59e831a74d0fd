"""Which settings of a config name data, and where they move when other files are there: production files go first."""

from __future__ import annotations

from pathlib import Path

from muomni.config import StageConfig
from muomni.data.sources import SOURCES

DATA_FIELDS: dict[str, dict[str, str]] = {
    "thinker": {"train_text": "thinker"},
    "audio_enc": {"train_csv": "audio_enc"},
    "vision": {"train_manifest": "vision"},
    "talker": {"tts_csv": "talker"},
    "omni_sft": {"train_text": "thinker", "train_manifest": "vision", "train_csv": "audio_enc", "ocr_csv": "ocr"},
    "vocoder": {"train_csv": "vocoder"},
    "ocr": {"train_csv": "ocr"},
}
"""For each stage, its settings that name data, and the stage whose sources they are."""

IMAGE_ROOT_OF = {"vision": "train_manifest", "omni_sft": "train_manifest", "ocr": "train_csv"}
"""Where `image_root` is the folder of another setting's file."""


def moved_paths(config: StageConfig, data: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Settings that name data, moved to the file that is counted for them; and the reason for each."""
    moved: dict[str, str] = {}
    why: dict[str, str] = {}
    for name, stage in DATA_FIELDS[config.stage_name].items():
        source = SOURCES[stage].first(data)
        if source is None or _same(source, getattr(config, name)):
            continue
        production = source.name.startswith("production_")
        moved[name] = source.as_posix()
        why[name] = "the production file is there" if production else "this is the data that is there"
        if name == IMAGE_ROOT_OF.get(config.stage_name):
            moved["image_root"] = _folder(source, config)
            why["image_root"] = f"the folder of {name}"
    return moved, why


def _folder(source: Path, config: StageConfig) -> str:
    """The folder of `source`, or the config's own image_root where that is the same."""
    root: str = getattr(config, "image_root", "")
    return root if _same(source.parent, root) else source.parent.as_posix()


def _same(path: Path, other: str) -> bool:
    return path.resolve() == Path(other).resolve()
