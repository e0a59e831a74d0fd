"""Loading trained models for use: a run's folder (its best or last checkpoint) or a checkpoint's own folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muomni.config import ThinkerConfig
from muomni.config.reading import read_json
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.models.checkpoint import CONFIG, TOKENIZER, read_model
from muomni.models.thinker import Thinker


@dataclass(frozen=True)
class TrainedThinker:
    """A Thinker with the tokenizer it was trained with, and where both came from."""

    model: Thinker
    tokenizer: Tokenizer
    folder: Path


def checkpoint_folder(run: str | Path, which: str = "best") -> Path:
    """The folder of a run's `best` or `last` checkpoint; a checkpoint's own folder is returned as it is.

    Raises:
        UserError: there is no such checkpoint.
    """
    run = Path(run)
    if (run / CONFIG).exists():
        return run
    pointer = run / f"{which}.json"
    if not pointer.exists():
        raise UserError(f"holds no {which} checkpoint", file=run, fix="Train the stage first, or name another folder.")
    return run / str(read_json(pointer)["folder"])


def load_thinker(run: str | Path, which: str = "best") -> TrainedThinker:
    """A trained Thinker, ready to generate.

    Raises:
        UserError: the folder holds no whole Thinker.
    """
    folder = checkpoint_folder(run, which)
    config, weights = read_model(folder)
    if not isinstance(config, ThinkerConfig):
        raise UserError(f"holds a model of stage {config.stage_name}, not a thinker", file=folder)
    model = Thinker(config)
    model.load_state_dict(weights)
    return TrainedThinker(model.eval(), Tokenizer.load(folder / TOKENIZER), folder)
