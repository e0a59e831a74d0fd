"""What the training sets of sounds and pictures share: rows of a manifest, read once and then kept in memory.

A file that cannot be read is skipped and counted by the `Reader`; the next row takes its place, so that every batch is
full. What is random about an example is a function of the run's seed, the epoch and the row: a resumed run sees the
very same. Rows beyond a limit of length are left out with a line that says how many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from muomni.data.examples import MAX_SKIPPED, TRAIN, VALIDATION, Example, Examples, Reader
from muomni.data.mel import LogMel, MelSettings, MelStatistics
from muomni.data.pictures import read_picture
from muomni.data.sound import read_sound
from muomni.errors import UserError
from muomni.train.order import Place

T = TypeVar("T")

STATISTICS_FROM = 400
"""Examples that the mean and the deviation of a set's mels are taken from."""

KEPT_BYTES = 2 << 30
"""Decoded examples are kept up to this much memory: a set that fits is decoded once, not once an epoch."""


class Kept(Generic[T]):
    """Media of some rows of a manifest, decoded when first asked for, kept while there is room.

    Args:
        reader: reads a row's file.
        rows: which rows of the reader's examples there are.
        size: bytes of what the reader reads.
    """

    def __init__(self, reader: Reader[T], rows: np.ndarray, size: Callable[[T], int]) -> None:
        self.reader, self.rows, self.size = reader, rows, size
        self.left = KEPT_BYTES
        self._kept: dict[int, tuple[Example, T]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> tuple[int, Example, T]:
        """The example of place `index`, or of the next place that can be read; and that place's number.

        Raises:
            UserError: too many rows cannot be read.
        """
        for offset in range(len(self)):
            at = (index + offset) % len(self)
            found = self._kept.get(at)
            if found is None:
                found = self.reader[int(self.rows[at])]
                if found is not None and self.size(found[1]) <= self.left:
                    self.left -= self.size(found[1])
                    self._kept[at] = found
            if found is not None:
                return at, *found
        raise UserError("none of its rows can be read", file=self.reader.examples.manifest)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_kept": {}, "left": 0}  # in a worker process nothing is kept: memory would multiply


def tensor_bytes(tensor: torch.Tensor) -> int:
    """Bytes of a tensor's numbers."""
    return tensor.numel() * tensor.element_size()


def dice(seed: int, place: Place) -> np.random.Generator:
    """What is random about one example of one epoch."""
    return np.random.default_rng((seed, place.epoch, place.index))


class MelReader:
    """Reads a file as the log-mel (n_mels, T) of a config, in half precision."""

    def __init__(self, config: MelSettings) -> None:
        self.sample_rate = config.sample_rate
        self.log_mel = LogMel(config)

    def __call__(self, path: Any) -> torch.Tensor:
        return self.log_mel(read_sound(path, self.sample_rate)).half()


def mel_statistics(media: Kept[torch.Tensor]) -> MelStatistics:
    """Mean and deviation of log-mels, from `STATISTICS_FROM` of them spread over the set."""
    few = range(0, len(media), max(1, len(media) // STATISTICS_FROM))
    return MelStatistics.of(media.read(index)[2] for index in few)


class PictureReader:
    """Reads a file as bytes (3, side, side)."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, path: object) -> torch.Tensor:
        return read_picture(path, self.side)  # type: ignore[arg-type]


def both_splits(examples: Examples, val_split: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows that train and those that validate; with a val_split of 0 all rows train."""
    if not val_split:
        return np.arange(len(examples)), np.arange(0)
    return examples.rows(TRAIN, val_split), examples.rows(VALIDATION, val_split)


def leave_out(fits: np.ndarray, why: str, manifest: object, most: float = MAX_SKIPPED) -> str:
    """A line that says how many rows do not fit; empty where all do.

    Args:
        fits: for every row, whether it fits.
        why: what is wrong with the others ("are longer than 8 s").
        most: the share of rows that may be left out so.

    Raises:
        UserError: more rows than that do not fit, or none does.
    """
    out = int((~fits).sum())
    if out > most * len(fits) or out == len(fits):
        raise UserError(
            f"{out:,} of {len(fits):,} rows {why} (at most {most:.0%} may)",
            file=str(manifest),
            fix="Change the limit in the config, or mend the data.",
        )
    return f"{out:,} of {len(fits):,} rows of {manifest} {why}: left out" if out else ""


def vary_pictures(pixels: torch.Tensor, amounts: np.ndarray) -> torch.Tensor:
    """Turn, scale, shift and relight each picture of a batch a little.

    Args:
        pixels: (B, 3, H, W) bytes.
        amounts: (B, 7) from -1 to 1 times the largest change: turn (in radians), scale across and down, shift across
            and down (in halves of a side), contrast, brightness.

    Returns:
        (B, 3, H, W) floats, 0 to 255.
    """
    a = torch.from_numpy(amounts.astype(np.float32))
    turn, wide, high, right, down = (a[:, i] for i in range(5))
    rows = (
        torch.stack((turn.cos() * (1 + wide), -turn.sin(), right), 1),
        torch.stack((turn.sin(), turn.cos() * (1 + high), down), 1),
    )
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)
    middle = moved.mean((1, 2, 3), keepdim=True)
    contrast, brightness = a[:, 5, None, None, None], a[:, 6, None, None, None]
    return ((moved - middle) * (1 + contrast) + middle + 127.5 * brightness).clamp(0, 255)
