"""A model on disk: `model.safetensors` (weights), `config.json` (its settings), `tokenizer.model` (where it has one).

Nothing is pickled, and a folder is complete in itself: it can be moved, sent and loaded elsewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from muomni.config import StageConfig, read_config
from muomni.config.writing import to_json
from muomni.errors import UserError
from muomni.files import replacing, write_text

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.model"


def save_model(
    folder: str | Path, weights: dict[str, torch.Tensor], config: StageConfig, tokenizer: str | Path | None = None
) -> Path:
    """Write a model's weights, settings and tokenizer into `folder`, each file atomically."""
    folder = Path(folder)
    save_tensors(folder / WEIGHTS, weights)
    write_text(folder / CONFIG, to_json({"stage": config.stage_name} | config.model_dump()))
    if tokenizer is not None:
        with replacing(folder / TOKENIZER) as temporary:
            shutil.copyfile(tokenizer, temporary)
    return folder


def save_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Tensors to one safetensors file, atomically."""
    with replacing(path) as temporary:
        save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, temporary)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of one safetensors file.

    Raises:
        UserError: the file is missing, cut short or of another format.
    """
    if not path.is_file():
        raise UserError("does not exist", file=path, fix="Train the stage first, or name another folder.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"is no readable safetensors file ({error})",
            file=path,
            fix="It was cut short or damaged: use another checkpoint.",
        ) from None


def read_model(folder: str | Path) -> tuple[StageConfig, dict[str, torch.Tensor]]:
    """Settings and weights of a model's folder."""
    folder = Path(folder)
    return read_config(folder / CONFIG).config, load_tensors(folder / WEIGHTS)


def fill(
    model: nn.Module,
    weights: dict[str, torch.Tensor],
    folder: str | Path,
    fix: str = "They are of another version: train the stage again.",
) -> None:
    """Put weights into a model that has just these.

    Raises:
        UserError: names or shapes differ; the first that does is named.
    """
    wanted, found = ({name: tuple(t.shape) for name, t in each.items()} for each in (model.state_dict(), weights))
    if wanted != found:
        other = next(name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name))
        problem = f"has {found.get(other, 'no')} as {other}, the config makes {wanted.get(other, 'none')}"
        raise UserError(problem, file=Path(folder), fix=fix)
    model.load_state_dict(weights)
