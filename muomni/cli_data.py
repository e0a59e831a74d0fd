"""What each `muomni data` sub-command does, like `cli_commands`: takes parsed arguments, returns the exit code."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from muomni import cli_text
from muomni.cli_commands import watched
from muomni.config import read_config
from muomni.errors import BAD_DATA, UserError

if TYPE_CHECKING:
    from muomni.data.check import Ears


def data_make(arguments: Namespace) -> int:
    """`muomni data make`"""
    from muomni.data.world.make import make_world

    made = make_world(
        arguments.out,
        seed=arguments.seed,
        scale=arguments.scale,
        parts=arguments.only,
        image_size=arguments.image_size,
        workers=arguments.workers,
        progress=watched(),
    )
    if arguments.json:
        cli_text.print_json(made)
        return 0
    files = [(arguments.out / part / name, file) for part, each in made.items() for name, file in each["files"].items()]
    cli_text.print_table(
        ("file", "lines", "bytes"), [[str(path), f"{file['lines']:,}", f"{file['bytes']:,}"] for path, file in files]
    )
    return 0


def data_check(arguments: Namespace) -> int:
    """`muomni data check`: 0 where nothing is an error, else 1."""
    from muomni.data.check import check_data

    found = check_data(arguments.data, _ears(arguments.config), progress=watched())
    bad = any(each.errors for each in found)
    if arguments.json:
        cli_text.print_json([each.as_json() for each in found])
        return BAD_DATA if bad else 0
    columns = ("file", "rows", "usable", "errors", "warnings")
    counts = [(each.rows, each.usable, each.errors.total(), each.warnings.total()) for each in found]
    rows = [[str(each.file), *(f"{n:,}" for n in numbers)] for each, numbers in zip(found, counts, strict=True)]
    cli_text.print_table(columns, rows)
    for each in found:
        for level, problems in (("error", each.errors), ("warning", each.warnings)):
            for kind, n in problems.items():
                print(f"\n{level}: {each.file}: {kind} ({n:,})")
                print("\n".join(f"  {line}" for line in each.listed.get(kind, [])))
    print(f"\n{'Errors: see above.' if bad else 'No errors.'}")
    return BAD_DATA if bad else 0


def _ears(config: Path) -> Ears | None:
    """How the audio encoder of `config` hears, if its tokenizer is there already."""
    from muomni.config.stages import AudioEncConfig
    from muomni.data.check import Ears
    from muomni.data.tokenizer import Tokenizer

    if not config.is_file():
        return None
    file = read_config(config)
    settings = file.config
    if not isinstance(settings, AudioEncConfig):
        raise UserError(f"is a config of {file.stage}", file=config, fix="Name one of audio_enc.")
    if not Path(settings.tokenizer).is_file():
        return None
    tokenizer = Tokenizer.load(settings.tokenizer)
    return Ears(tokenizer, settings.sample_rate, settings.hop_length * settings.downsample)
