"""How much data a panel starts from: what lies on disk when that is known quickly, else a number that says "assumed".

A panel must open at once. So a text is counted only when it is small, else estimated from a sample of its lines;
without a tokenizer its tokens are guessed from its bytes. `muomni count` and `muomni update-configs` count exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muomni.config import StageConfig
from muomni.data.sources import SOURCES
from muomni.errors import UserError

BYTES_PER_TOKEN = 4
DRAWS = 1000
SMALL_TEXT = 1 << 20
SMALL_MANIFEST = 16 << 20
ASSUMED = {"tokens": 1_000_000, "samples": 5_000}


@dataclass(frozen=True)
class DataSize:
    """So many tokens or samples, where the number comes from, and whether it was counted."""

    examples: int
    source: str
    counted: bool


def data_size(config: StageConfig, data: Path) -> DataSize:
    """The size of a stage's data in the folder `data`, or an assumption that says so and why."""
    sources = SOURCES[config.stage_name]
    path = sources.first(data)
    if path is None:
        looked = " or ".join(f"data/{name}" for name in sources.files)
        return DataSize(ASSUMED[config.unit], f"assumed: there is no {looked} yet", counted=False)
    try:
        if sources.unit == "tokens":
            return _tokens(path, data.parent / str(getattr(config, "tokenizer", "")))
        return _samples(path, sources.columns)
    except UserError as error:
        return DataSize(ASSUMED[config.unit], f"assumed: {error}", counted=False)


def _tokens(path: Path, tokenizer: Path) -> DataSize:
    if not tokenizer.is_file():
        guess = max(1, path.stat().st_size // BYTES_PER_TOKEN)
        return DataSize(
            guess,
            f"guessed: {_shown(path)} at {BYTES_PER_TOKEN} bytes a token; there is no tokenizer yet",
            counted=False,
        )
    from muomni.data.estimate import estimate_tokens
    from muomni.data.tokenizer import Tokenizer

    found = estimate_tokens(path, Tokenizer.load(tokenizer), draws=DRAWS, small=SMALL_TEXT)
    if found.exact:
        return DataSize(found.tokens, f"counted: {_shown(path)}", counted=True)
    margin = max(found.high - found.tokens, found.tokens - found.low)
    return DataSize(
        found.tokens, f"estimated from {found.lines:,} lines of {_shown(path)}: ± {margin:,}", counted=False
    )


def _samples(path: Path, columns: tuple[str, ...]) -> DataSize:
    if path.stat().st_size <= SMALL_MANIFEST:
        from muomni.data.counting import count_samples

        rows = count_samples(path, columns, cache_dir=None, progress=False).samples
        return DataSize(rows, f"counted: rows of {_shown(path)}", counted=True)
    with path.open("rb") as file:
        head = file.read(SMALL_MANIFEST // 4)
    mark = b'"image"' if path.suffix == ".json" else b"\n"
    rows = max(1, head.count(mark) * path.stat().st_size // len(head))
    return DataSize(rows, f"estimated from the first {len(head) >> 20} MiB of {_shown(path)}", counted=False)


def _shown(path: Path) -> str:
    return f"data/{path.parent.name}/{path.name}"
