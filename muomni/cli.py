"""The `muomni` command: its sub-commands, their options, and one clear line for every mistake.

Exit codes: 0 success, 1 bad data or config, 2 bad usage, 130 interrupted. With `--json`, standard output holds JSON and
nothing else; progress and errors go to standard error. What is heavy (torch, SentencePiece) is imported by the command
that needs it, so that `muomni plan` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import muomni
from muomni import cli_commands as run
from muomni.cli_chat import chat
from muomni.cli_data import REAL_KINDS, data_check, data_download, data_import, data_make
from muomni.cli_eval import evaluate
from muomni.config import STAGES
from muomni.data.input_files import DATA_FOLDERS
from muomni.errors import BAD_DATA, BAD_USAGE, UserError
from muomni.files import os_reason
from muomni.plan import MEMORY_GIB
from muomni.plan.schedule import WARMUP_PERCENT

INTERRUPTED = 130
BROKEN_PIPE = 141
TRAINABLE = ("thinker", "audio_enc", "vision", "talker", "omni_sft", "vocoder", "ocr")
ALL = "all"
Arguments = argparse.Namespace


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, like all our errors."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, fix=f"See `{self.prog} --help`.", exit_code=BAD_USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no μ must not end the program
    try:
        code = _run(argv)
        sys.stdout.flush()  # here, where a reader that has left is no traceback yet
        return code
    except UserError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: nothing to flush at the end
        return BROKEN_PIPE
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _complain(f"{where}{os_reason(error)}", BAD_DATA)


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    code: int = arguments.run(arguments)
    return code


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def parser() -> Parser:
    """All sub-commands that there are."""
    top = Parser(
        prog="muomni",
        description="Build a small omni model from zero: reads, looks, listens and speaks.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"muomni {muomni.__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for add in (
        _add_data,
        _add_count,
        _add_update,
        _add_plan,
        _add_memory,
        _add_train,
        _add_eval,
        _add_chat,
        _add_doctor,
    ):
        add(commands)
    return top


def _command(commands: Any, name: str, run: Callable[[Arguments], int], help: str, more: str = "") -> Parser:
    command: Parser = commands.add_parser(name, help=help, description=f"{help} {more}".strip(), allow_abbrev=False)
    command.set_defaults(run=run)
    command.add_argument("--json", action="store_true", help="print JSON for programs")
    return command


def _add_data(commands: Any) -> None:
    data = commands.add_parser(
        "data",
        help="Make, fetch, import and check the data.",
        description="Make, fetch, import and check the data.",
        allow_abbrev=False,
    )
    parts = data.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    make = _command(
        parts,
        "make",
        data_make,
        "Make the tiny world: text, pictures, speech and words to read; the same bytes for the same seed.",
        "What is there already and right is left alone; a run that was killed goes on where it was.",
    )
    make.add_argument("--out", type=Path, default=Path("data"), metavar="DIR", help="folder of the data")
    make.add_argument("--seed", type=_count, default=0, metavar="N", help="another seed, another world (default: 0)")
    make.add_argument("--scale", type=float, default=1.0, metavar="F", help="how much, relative to the full size")
    make.add_argument(
        "--only",
        nargs="+",
        metavar="PART",
        choices=DATA_FOLDERS,
        help=f"of {', '.join(DATA_FOLDERS)} (default: all)",
    )
    make.add_argument(
        "--image-size", type=_count, default=64, metavar="N", help="side of the images in pixels: 64 nano, 224 tiny"
    )
    make.add_argument("--workers", type=_count, metavar="N", help="processes (default: one for each core)")
    check = _command(
        parts,
        "check",
        data_check,
        "Check every manifest, row by row: files, texts, splits.",
        "Names missing, broken, silent and doubled files, empty texts, and what training shares with a test.",
    )
    check.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the data")
    check.add_argument(
        "--config",
        type=Path,
        default=Path("configs/audio_enc_nano.json"),
        metavar="FILE",
        help="audio encoder whose frames the texts must fit",
    )
    _add_data_download(parts)
    _add_data_import(parts)


def _add_data_download(parts: Any) -> None:
    command = _command(
        parts,
        "download",
        data_download,
        "Fetch a real set into the production files.",
        "Shows licence and size and asks first; an interrupted download goes on where it was.",
    )
    command.add_argument("kind", nargs="?", choices=REAL_KINDS, metavar="KIND", help=", ".join(REAL_KINDS))
    command.add_argument("--set", metavar="NAME", help="which set (default: the one that --list marks)")
    command.add_argument("--limit", type=_count, metavar="N", help="at most N rows, evenly spread over the set")
    command.add_argument("--yes", action="store_true", help="agree to the licence without being asked")
    command.add_argument("--list", action="store_true", help="print the sets, of KIND or all, and fetch nothing")
    _production_files(command)


def _add_data_import(parts: Any) -> None:
    command = _command(
        parts,
        "import",
        data_import,
        "Take your own recordings, pictures or texts into the production files.",
        "Files are copied, so that the data stays whole when the originals move.",
    )
    command.add_argument("path", type=Path, metavar="PATH", help="a folder, or the table or text in it")
    command.add_argument(
        "--as", dest="kind", choices=REAL_KINDS, required=True, metavar="KIND", help=", ".join(REAL_KINDS)
    )
    way = command.add_mutually_exclusive_group()
    way.add_argument("--link", action="store_true", help="make hard links instead of copies")
    way.add_argument("--copy", action="store_true", help="copy the files (what is done anyway)")
    _production_files(command)


def _production_files(command: Parser) -> None:
    command.add_argument("--out", type=Path, default=Path("data"), metavar="DIR", help="folder of the data")
    command.add_argument("--replace", action="store_true", help="overwrite a production file of your own making")


def _add_count(commands: Any) -> None:
    command = _command(
        commands,
        "count",
        run.count,
        "Count the lines, rows or tokens of a file.",
        "An interrupted count goes on where it was; a finished one is remembered.",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="a text, or a .csv, .json or .jsonl manifest")
    command.add_argument("--tokenizer", type=Path, metavar="MODEL", help="count tokens by this SentencePiece model")
    command.add_argument(
        "--estimate", action="store_true", help="estimate a text's tokens from a random sample of its lines"
    )


def _add_update(commands: Any) -> None:
    command = _command(
        commands,
        "update-configs",
        run.update,
        "Set each config's schedule and batches from the data that is there.",
        "The tiny profile is the one for real data and what is updated unless --profile says nano, the notebooks' own.",
    )
    command.add_argument("--dry-run", action="store_true", help="print every change and write nothing")
    command.add_argument(
        "--config", nargs="+", choices=tuple(STAGES), metavar="NAME", help=f"only these: {', '.join(STAGES)}"
    )
    command.add_argument(
        "--skip-text-tokenization", action="store_true", help="do not tokenize the text; goes with --assume-text-tokens"
    )
    command.add_argument(
        "--assume-text-tokens",
        type=_count,
        metavar="N",
        help="take N as the text's tokens; goes with --skip-text-tokenization",
    )
    command.add_argument(
        "--estimate", action="store_true", help="estimate the text's tokens from a random sample of its lines"
    )
    command.add_argument("--profile", choices=("tiny", "nano"), default="tiny", help="which configs (default: tiny)")
    _folders(command)
    _memory_budget(command)


def _add_plan(commands: Any) -> None:
    command = _command(
        commands,
        "plan",
        run.plan,
        "What a run of one config will cost: steps, batches, memory.",
        "Without --tokens or --samples the data on disk is counted. Nothing is written.",
    )
    _config_and_settings(command)
    size = command.add_mutually_exclusive_group()
    size.add_argument("--tokens", type=_count, metavar="N", help="tokens of text (thinker, omni_sft)")
    size.add_argument("--samples", type=_count, metavar="N", help="rows of data (the other stages)")
    command.add_argument("--epochs", type=_count, metavar="N", help="passes over the data (default: by its size)")
    command.add_argument(
        "--warmup-percent",
        type=float,
        metavar="P",
        default=WARMUP_PERCENT,
        help=f"warmup as a share of the run (default: {WARMUP_PERCENT})",
    )
    command.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the data")
    _memory_budget(command)


def _add_memory(commands: Any) -> None:
    command = _command(commands, "memory", run.memory, "Peak memory of training one config, by category.")
    _config_and_settings(command)
    command.add_argument(
        "--exact",
        action="store_true",
        help="run one step on tensors without contents and count every byte (takes seconds)",
    )


def _add_train(commands: Any) -> None:
    command = _command(commands, "train", run.train, "Train one stage; also under torchrun.")
    command.add_argument(
        "stage",
        choices=(*TRAINABLE, ALL),
        metavar="STAGE",
        help=f"one of: {', '.join(TRAINABLE)}; or {ALL}: A to G, what is finished left alone",
    )
    command.add_argument("--profile", choices=("nano", "tiny"), default="nano", help="configs of `all` (default: nano)")
    command.add_argument(
        "--at-once",
        type=_count,
        metavar="N",
        help="stages that `all` trains at a time (default: one on a GPU, else two, each with its share of the cores)",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="its config (default: configs/STAGE_nano.json)")
    _settings(command)
    again = command.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    again.add_argument("--replace", action="store_true", help="remove the run that is there and start again")
    command.add_argument("--out", metavar="DIR", help="folder of the run, in place of the config's save_dir")


def _add_eval(commands: Any) -> None:
    command = _command(
        commands,
        "eval",
        evaluate,
        "Score trained stages on held-out examples, from those like training to those unlike it.",
        "Each score has a 95 % interval, and the floor and ceiling where they are known.",
    )
    command.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)} (default: all there are)")
    command.add_argument(
        "--weights",
        default="newest",
        metavar="FOLDER",
        help="newest: your own runs, else the shipped weights (default); shipped; or the folder of a run",
    )
    command.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the data")
    command.add_argument(
        "--reality",
        type=Path,
        metavar="DIR",
        help="folder with speech.tsv and text/: real recordings and texts (default: what MUOMNI_REALITY names)",
    )
    command.add_argument("--limit", type=_count, metavar="N", help="at most N examples of each kind, for a quick look")
    command.add_argument("--seed", type=_count, default=0, metavar="N", help="of the bootstrap (default: 0)")
    command.add_argument("--plot", type=Path, metavar="FILE", help="also draw the ladders into a .png, .svg or .pdf")


def _add_chat(commands: Any) -> None:
    command = _command(
        commands,
        "chat",
        chat,
        "Talk with the model: text, a picture, sound or a video in; text out, as it is written.",
        "Without a text, a picture or a sound it asks for one line after another.",
    )
    command.add_argument("text", nargs="?", default="", metavar="TEXT", help="what is said or asked")
    command.add_argument("--image", type=Path, metavar="FILE", help="a picture to look at")
    command.add_argument("--audio", type=Path, metavar="FILE", help="a sound to listen to")
    command.add_argument("--video", type=Path, metavar="FILE", help="an animated GIF, WebP or PNG to watch")
    command.add_argument("--speak", type=Path, metavar="FILE", help="also write the answer as sound, into a .wav")
    command.add_argument("--ocr", action="store_true", help="only read the word in --image, letter by letter (stage G)")
    command.add_argument(
        "--weights",
        default="newest",
        metavar="FOLDER",
        help="newest: your own runs, else the shipped weights (default); shipped; or a folder of runs",
    )
    command.add_argument("--max-tokens", type=_count, default=64, metavar="N", help="length of an answer (default: 64)")


def _add_doctor(commands: Any) -> None:
    command = _command(commands, "doctor", run.doctor, "Check the installation, the configs and the data.")
    _folders(command)


def _folders(command: Parser) -> None:
    command.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the data")
    command.add_argument("--configs", type=Path, default=Path("configs"), metavar="DIR", help="folder of the configs")


def _memory_budget(command: Parser) -> None:
    command.add_argument(
        "--memory-gb",
        type=float,
        default=MEMORY_GIB,
        metavar="G",
        help=f"memory that training may take, in GiB (default: {MEMORY_GIB:g})",
    )


def _config_and_settings(command: Parser) -> None:
    command.add_argument("config", type=Path, metavar="CONFIG", help="a config file, as configs/thinker_tiny.json")
    _settings(command)


def _settings(command: Parser) -> None:
    command.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="settings in place of the file's",
    )


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no whole number') from None


if __name__ == "__main__":
    sys.exit(main())
