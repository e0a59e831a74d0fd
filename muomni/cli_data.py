"""What each `muomni data` sub-command does, like `cli_commands`: takes parsed arguments, returns the exit code."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from muomni import cli_text
from muomni.cli_commands import watched
from muomni.errors import BAD_DATA, BAD_USAGE, UserError

if TYPE_CHECKING:
    from muomni.data.download.entry import RealSet

REAL_KINDS = ("text", "image", "asr", "tts", "ocr")
"""What real data can be fetched and imported as; `data.production.KINDS`, without importing it."""


def data_make(arguments: Namespace) -> int:
    """`muomni data make`"""
    from muomni.data.world.make import left_out, make_world

    made = make_world(
        arguments.out,
        seed=arguments.seed,
        scale=arguments.scale,
        parts=arguments.only,
        image_size=arguments.image_size,
        workers=arguments.workers,
        progress=watched(),
    )
    if arguments.only is None:
        for part, reason in left_out().items():
            print(f"{part} is left out: {reason}", file=sys.stderr)
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
    from muomni.data.check import Ears, check_data

    found = check_data(arguments.data, Ears.of_config(arguments.config), progress=watched())
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


def data_download(arguments: Namespace) -> int:
    """`muomni data download`"""
    from muomni.data.download.fetch import fetch_set
    from muomni.data.download.sets import choose

    if arguments.list:
        return _list_sets(arguments)
    if arguments.kind is None:
        raise UserError(
            "what to download is missing",
            fix=f"Name one of {', '.join(REAL_KINDS)}; --list shows the sets.",
            exit_code=BAD_USAGE,
        )
    if arguments.limit is not None and arguments.limit < 1:
        raise UserError(
            f"is {arguments.limit}; allowed is a whole number from 1 up", field="--limit", exit_code=BAD_USAGE
        )
    people = sys.stderr if arguments.json else sys.stdout

    def agree(chosen: RealSet, to_fetch: int) -> None:
        _show_set(chosen, to_fetch, arguments.out, people)
        if not arguments.yes:
            _ask_to_agree(people)

    done = fetch_set(
        choose(arguments.kind, arguments.set),
        arguments.out,
        agree=agree,
        limit=arguments.limit,
        replace=arguments.replace,
        progress=watched(),
    )
    _report_real(done, arguments, people)
    return 0


def data_import(arguments: Namespace) -> int:
    """`muomni data import`"""
    from muomni.data.importing.take import import_data

    people = sys.stderr if arguments.json else sys.stdout
    done = import_data(
        arguments.path,
        arguments.kind,
        arguments.out,
        link=arguments.link,
        replace=arguments.replace,
        progress=watched(),
    )
    print(f"found: {done['layout']}", file=people)
    _report_real(done, arguments, people)
    return 0


def _list_sets(arguments: Namespace) -> int:
    from muomni.data.download.sets import sets_of

    sets = sets_of(arguments.kind)
    if arguments.json:
        fields = ("name", "kind", "about", "bytes", "unpacked", "licence", "licence_url", "homepage", "default")
        cli_text.print_json([{field: getattr(one, field) for field in fields} for one in sets])
        return 0
    rows = [[one.kind, one.name + " *" * one.default, _size(one.bytes), one.licence, one.about] for one in sets]
    cli_text.print_table(("kind", "set", "download", "licence", "what it is"), rows)
    print("* is fetched where no --set is given")
    return 0


def _show_set(chosen: RealSet, to_fetch: int, out: Path, people: TextIO) -> None:
    from muomni.data.production import KINDS

    print(f"{chosen.name} · {chosen.about}", file=people)
    lines = {
        "licence": f"{chosen.licence} ({chosen.licence_url})",
        "size": f"{_size(to_fetch)} to fetch, {_size(chosen.unpacked)} unpacked",
        "from": chosen.homepage,
        "into": str(out / KINDS[chosen.kind].folder / chosen.name),
    }
    for name, text in lines.items():
        print(f"  {name:<9}{text}", file=people, flush=True)


def _ask_to_agree(people: TextIO) -> None:
    if not sys.stdin.isatty():
        raise UserError(
            "nothing was fetched: nobody is there to agree to the licence",
            fix="Read the licence above, then add --yes.",
            exit_code=BAD_USAGE,
        )
    print("Fetch it under this licence? [y/N] ", end="", file=people, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing was fetched: the licence was not agreed to", exit_code=BAD_USAGE)


def _report_real(done: dict[str, Any], arguments: Namespace, people: TextIO) -> None:
    from muomni.data.production import KINDS

    path = KINDS[arguments.kind].path(arguments.out)
    if arguments.json:
        cli_text.print_json({"file": str(path), **done})
        return
    for reason, skipped in done["skipped"].items():
        more = ", ..." if skipped["count"] > len(skipped["first"]) else ""
        print(f"skipped {skipped['count']:,}: {reason} ({', '.join(skipped['first'])}{more})", file=people)
    what = "documents" if arguments.kind == "text" else "rows"
    state = "" if done.get("changed", True) else ", as it was: nothing to do"
    print(f"{path}: {done['rows']:,} {what}{state}", file=people)
    if done.get("changed", True):
        print("next: muomni update-configs --dry-run shows what it changes in the configs", file=people)


def _size(size: int) -> str:
    """Bytes as the hosts give them: 4.7 MB, 2.7 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
