"""What `muomni chat` does, like `cli_commands`: takes parsed arguments, returns the exit code."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from muomni import cli_text
from muomni.errors import BAD_USAGE, UserError

if TYPE_CHECKING:
    from muomni.infer.chat import Turn
    from muomni.infer.omni import Omni

GOODBYE = ("", "exit", "quit")


def chat(arguments: Namespace) -> int:
    """`muomni chat`"""
    media = {name: getattr(arguments, name) for name in ("image", "audio", "video")}
    if arguments.max_tokens < 1:
        raise UserError(
            f"is {arguments.max_tokens}; allowed is a whole number from 1 up", field="--max-tokens", exit_code=BAD_USAGE
        )
    if arguments.speak is not None and arguments.speak.suffix != ".wav":
        raise UserError(f"{str(arguments.speak)!r} is no .wav", field="--speak", exit_code=BAD_USAGE)
    from muomni.infer.omni import Omni

    runs = {"newest": "checkpoints", "shipped": None}.get(arguments.weights, arguments.weights)
    if runs is not None and runs != "checkpoints" and not Path(runs).is_dir():
        raise UserError("is no folder", file=runs, field="--weights", exit_code=BAD_USAGE)
    model = Omni(runs=runs)
    if arguments.ocr:
        return _read(model, arguments)
    given = arguments.text.strip() or any(media.values())
    if not given and not sys.stdin.isatty():
        raise UserError("nothing is said", fix="Give a text, --image, --audio or --video.", exit_code=BAD_USAGE)
    _say_which(model)
    if not given:
        return _talk(model, arguments)
    _answer(model, [], model.omni.turn(arguments.text, **media), arguments)
    return 0


def _say_which(model: Omni) -> None:
    from muomni.infer.load import name_of

    print(f"omni_sft · {name_of(model.omni.folder)}", file=sys.stderr)


def _read(model: Omni, arguments: Namespace) -> int:
    if arguments.image is None:
        raise UserError("goes with --image", field="--ocr", exit_code=BAD_USAGE)
    text = model.read(arguments.image)
    if arguments.json:
        cli_text.print_json({"text": text, "weights": str(model.reader.folder)})
    else:
        print(text)
    return 0


def _answer(model: Omni, turns: list[Turn], turn: Turn, arguments: Namespace) -> str:
    reply = model.omni.reply([*turns, turn], arguments.max_tokens)
    for note in reply.notes:
        print(note, file=sys.stderr)
    answer = ""
    for piece in reply:
        answer += piece
        if not arguments.json:
            print(piece, end="", flush=True)
    answer = answer.strip()
    if arguments.json:
        cli_text.print_json(
            {"answer": answer, "notes": list(reply.notes), "weights": str(model.omni.folder)}
            | ({"sound": str(arguments.speak)} if arguments.speak else {})
        )
    else:
        print()
    if arguments.speak is not None:
        _speak(model, answer, arguments.speak)
    return answer


def _speak(model: Omni, answer: str, path: Path) -> None:
    import soundfile

    from muomni.files import replacing

    if not answer:
        raise UserError("the answer is empty: there is nothing to say", field="--speak")
    print(f"spoken by {model.talker.voiced_by}", file=sys.stderr)
    samples = model.say(answer)
    with replacing(path) as temporary:
        soundfile.write(temporary, samples.numpy(), 16_000, format="WAV", subtype="PCM_16")


def _talk(model: Omni, arguments: Namespace) -> int:
    """One line after another, until an empty one."""
    from dataclasses import replace

    turns: list[Turn] = []
    while True:
        try:
            said = input("you: ")
        except EOFError:
            said = ""
        if said.strip().lower() in GOODBYE:
            return 0
        turn = model.omni.turn(said)
        turns.append(replace(turn, answer=_answer(model, turns, turn, arguments)))
