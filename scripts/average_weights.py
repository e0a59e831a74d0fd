"""The mean of several runs' weights, as one checkpoint: `python scripts/average_weights.py OUT RUN RUN [RUN ...]`.

Runs that went on from the same weights, with other seeds or data, end in one valley of the loss. Their mean lies nearer
to its middle than any of them (model soups, Wortsman et al. 2022), and costs nothing when the model is used.

OUT becomes a checkpoint's folder with the settings and the tokenizer of the first run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from muomni.errors import UserError
from muomni.infer.load import checkpoint_folder
from muomni.models.checkpoint import CONFIG, TOKENIZER, WEIGHTS, read_model, save_tensors


def average(out: Path, runs: Sequence[Path]) -> Path:
    """Write the mean of the runs' last weights to `out`. Whole numbers, such as marks, have to be the same in all.

    Raises:
        UserError: a run is of another model, or `out` is there already.
    """
    folders = [checkpoint_folder(run, "last") for run in runs]
    first, *others = (read_model(folder)[1] for folder in folders)
    for folder, other in zip(folders[1:], others, strict=True):
        strange = first.keys() ^ other.keys() or {n for n, t in first.items() if not may_be_averaged(t, other[n])}
        if strange:
            problem = f"is another model than {folders[0]}: {sorted(strange)[0]} differs"
            raise UserError(problem, file=folder, fix="Name runs that went on from the same weights.")
    if out.exists():
        raise UserError("is there already", file=out, fix="Name another folder.")
    out.mkdir(parents=True)
    for name in (CONFIG, TOKENIZER):
        if (folders[0] / name).exists():
            shutil.copyfile(folders[0] / name, out / name)
    save_tensors(out / WEIGHTS, {name: mean([t, *(other[name] for other in others)]) for name, t in first.items()})
    return out


def may_be_averaged(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors have one shape, and whole numbers one value."""
    return one.shape == other.shape and (one.is_floating_point() or torch.equal(one, other))


def mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean of tensors of one shape in fp32; of whole numbers, which are the same, the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([t.float() for t in tensors]).mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    try:
        print(average(options.out, options.runs))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
