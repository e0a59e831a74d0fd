"""What each sub-command does: ask the library, then print for people or, with `--json`, for programs.

Every function takes the parsed arguments and returns the exit code. Heavy rooms are imported by the commands that need
them.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from muomni import cli_text
from muomni.config import ConfigError, ConfigFile, parse_setting, read_config, with_changes
from muomni.errors import BAD_DATA, BAD_USAGE, UserError
from muomni.plan import count_parameters, peak_memory


def watched() -> bool:
    """Whether somebody sees a progress bar: in a log it would only stand in the way of the errors."""
    return sys.stderr.isatty()


def configured(path: Path, settings: Sequence[str]) -> ConfigFile:
    """The config in `path`, with `--set` settings in place of its own."""
    file = read_config(path)
    changes = dict(parse_setting(file.stage, text) for text in settings)
    try:
        return replace(file, config=with_changes(file.config, changes)) if changes else file
    except ConfigError as error:
        raise UserError(str(error), field="--set", exit_code=BAD_USAGE) from None


def count(arguments: Namespace) -> int:
    """`muomni count`"""
    found = _counted(arguments.file, arguments.tokenizer, arguments.estimate)
    if arguments.json:
        cli_text.print_json({"file": str(arguments.file)} | found)
        return 0
    numbers = {name: value for name, value in found.items() if value is not False and value is not True}
    if not numbers.get("resumed_at"):
        numbers.pop("resumed_at", None)
    print(f"{arguments.file}: " + ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in numbers.items()))
    return 0


def _counted(file: Path, tokenizer: Path | None, estimate: bool) -> dict[str, Any]:
    from muomni.data.counting import count_samples, count_tokens
    from muomni.data.manifests import is_manifest

    if estimate and (tokenizer is None or is_manifest(file)):
        raise UserError(
            "is for the tokens of a text",
            field="--estimate",
            exit_code=BAD_USAGE,
            fix="Give a text file and --tokenizer MODEL.",
        )
    if tokenizer is None and not is_manifest(file):
        from muomni.data.line_index import LineIndex

        return {"lines": len(LineIndex.open(file)), "bytes": file.stat().st_size}
    if tokenizer is None:
        rows = count_samples(file, progress=watched())
        return {"rows": rows.samples, "bytes": rows.bytes}
    from muomni.data.estimate import estimate_tokens
    from muomni.data.tokenizer import Tokenizer

    pieces = Tokenizer.load(tokenizer)
    if estimate:
        about = estimate_tokens(file, pieces)
        return {
            "tokens": about.tokens,
            "low": about.low,
            "high": about.high,
            "lines_drawn": about.lines,
            "exact": about.exact,
        }
    found = count_tokens(file, pieces, progress=watched())
    unit = "rows" if is_manifest(file) else "lines"
    return {
        "tokens": found.tokens,
        unit: found.lines,
        "documents": found.documents,
        "characters": found.characters,
        "bytes": found.bytes,
        "resumed_at": found.resumed_at,
    }


def update(arguments: Namespace) -> int:
    """`muomni update-configs`"""
    from muomni.plan.outcome import Request
    from muomni.plan.update import update_configs

    skip, assumed = arguments.skip_text_tokenization, arguments.assume_text_tokens
    if skip != (assumed is not None):
        given, other = (
            ("--skip-text-tokenization", "--assume-text-tokens N")
            if skip
            else ("--assume-text-tokens", "--skip-text-tokenization")
        )
        raise UserError(f"goes with {other} only", field=given, fix="Give both or neither.", exit_code=BAD_USAGE)
    if skip and arguments.estimate:
        raise UserError("is no use where the text is not tokenized", field="--estimate", exit_code=BAD_USAGE)
    if assumed is not None and assumed < 0:
        raise UserError(
            f"is {assumed}; allowed is a whole number from 0 up", field="--assume-text-tokens", exit_code=BAD_USAGE
        )
    report = update_configs(
        Request(
            data=arguments.data,
            configs=arguments.configs,
            profile=arguments.profile,
            stages=tuple(arguments.config or ()),
            dry_run=arguments.dry_run,
            assume_text_tokens=assumed,
            estimate=arguments.estimate,
            memory_gib=arguments.memory_gb,
        ),
        watched(),
    )
    if arguments.json:
        for note in report.notes:
            print(note, file=sys.stderr)
        cli_text.print_json([outcome.to_json() for outcome in report.outcomes])
    else:
        cli_text.print_report(report, arguments.dry_run)
    return BAD_DATA if report.missing else 0


def plan(arguments: Namespace) -> int:
    """`muomni plan`"""
    from muomni.plan.update import plan_from_disk, plan_of

    file = configured(arguments.config, arguments.settings)
    wishes = {
        "epochs": arguments.epochs,
        "warmup_percent": arguments.warmup_percent,
        "memory_gib": arguments.memory_gb,
    }
    if arguments.tokens is not None or arguments.samples is not None:
        outcome = plan_of(file, tokens=arguments.tokens, samples=arguments.samples, **wishes)
    else:
        outcome = plan_from_disk(file, arguments.data, watched(), **wishes)
    if arguments.json:
        cli_text.print_json(outcome.to_json())
    else:
        cli_text.print_outcome(outcome, "would change")
    return 0


def memory(arguments: Namespace) -> int:
    """`muomni memory`"""
    file = configured(arguments.config, arguments.settings)
    config = file.config
    if arguments.exact:
        from muomni.train.memory_trace import STEPS, trace

        if config.stage_name not in STEPS:
            raise UserError(f"cannot be traced yet; these can: {', '.join(STEPS)}", field=config.stage_name)
        peak = trace(config, config.batch_size)
    else:
        peak = peak_memory(config, config.batch_size, config.gradient_accumulation_steps > 1)
    method = "exact trace" if arguments.exact else "closed form"
    size = count_parameters(config)
    if arguments.json:
        cli_text.print_json(
            {
                "stage": file.stage,
                "config": str(file.path),
                "method": method,
                "batch_size": config.batch_size,
                "gradient_accumulation_steps": config.gradient_accumulation_steps,
                "parameters": size,
                "memory": peak.to_json(),
            }
        )
    else:
        print(f"{file.stage} · {file.path}: {size:,} parameters")
        print(f"peak of one training step of {config.batch_size:,} examples ({method})")
        cli_text.print_memory(peak)
    return 0


def train(arguments: Namespace) -> int:
    """`muomni train`"""
    if arguments.stage == "all":
        return train_all(arguments)
    path = arguments.config or Path("configs") / f"{arguments.stage}_nano.json"
    out = [f"save_dir={arguments.out}"] if arguments.out else []
    file = configured(path, [*arguments.settings, *out])
    if file.stage != arguments.stage:
        raise UserError(f"is a config of {file.stage}, not of {arguments.stage}", file=path, exit_code=BAD_USAGE)
    from muomni.train.progress import ProgressBar
    from muomni.train.run import train as run

    quiet = redirect_stdout(sys.stderr) if arguments.json else nullcontext()
    with quiet, ProgressBar(file.stage) as bar:
        result = run(file.config, resume=arguments.resume, replace=arguments.replace, listener=bar)
    if arguments.json and os.environ.get("RANK", "0") == "0":  # under torchrun, one process speaks
        cli_text.print_json(asdict(result) | {"folder": str(result.folder)})
    return 0


def train_all(arguments: Namespace) -> int:
    """`muomni train all`"""
    if arguments.config or arguments.settings or arguments.out or arguments.replace:
        raise UserError(
            "takes --profile, --at-once and --json only: it resumes by itself what is not finished",
            field="all",
            fix="Train one stage by its name for other settings.",
            exit_code=BAD_USAGE,
        )
    if arguments.at_once is not None and arguments.at_once < 1:
        raise UserError(f"is {arguments.at_once}; at least 1", field="--at-once", exit_code=BAD_USAGE)
    from functools import partial

    from tqdm.auto import tqdm

    from muomni.train.everything import stages_at_once, train_everything
    from muomni.train.progress import ProgressBar

    quiet = redirect_stdout(sys.stderr) if arguments.json else nullcontext()
    with quiet:
        at_once = stages_at_once() if arguments.at_once is None else arguments.at_once
        shown = partial(ProgressBar, among_others=at_once > 1)
        outcomes = train_everything(Path("configs"), arguments.profile, shown, tqdm.write, at_once=at_once)
    if arguments.json:
        cli_text.print_json([asdict(each) for each in outcomes])
    return 0


def doctor(arguments: Namespace) -> int:
    """`muomni doctor`"""
    from muomni.doctor import examine

    checks = examine(arguments.data, arguments.configs)
    if arguments.json:
        cli_text.print_json([asdict(check) for check in checks])
    else:
        cli_text.print_checks(checks)
    return BAD_DATA if any(check.state == "bad" for check in checks) else 0
