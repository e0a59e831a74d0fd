"""Exercise checks: the learner hands over a value or a function, and reads what is wrong with it.

A judge is a function of the answer that returns nothing when the answer is right, and one sentence naming the mistake
when it is not. It is registered under its exercise's number, with answers it has to tell apart:

    # muomni/course/exercises/ch34.py
    @exercise("34.1", expects=int, right=8192, wrong=[(512, "per sequence"), (2048, "accumulation")])
    def tokens_per_step(answer: int) -> str | None:
        if answer == 512:
            return "512 is the number of tokens per sequence; one step sees the whole effective batch."
        ...

A notebook calls `check("34.1", answer)`. Nothing is raised there: a notebook with unanswered or wrong exercises still
runs to its end. A learner's function is handed on wrapped, so that a judge that calls it needs no care about stubs.
"""

from __future__ import annotations

import dis
import functools
import importlib
import inspect
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal

from muomni.errors import BAD_USAGE, UserError

Judge = Callable[[Any], str | None]
State = Literal["right", "wrong", "unanswered"]

NAME = re.compile(r"(\d\d)\.([1-9])")
_KINDS: dict[type, tuple[type, str]] = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    FunctionType: (Callable, "a function"),  # type: ignore[dict-item]  # an abstract class, though not a type to mypy
}


@dataclass(frozen=True)
class Exercise:
    """A registered exercise: its judge, the kind of answer it takes, and answers that the judge has to tell apart."""

    name: str
    judge: Judge
    right: Any
    wrong: tuple[tuple[Any, str], ...]
    expects: type | None
    because: str


@dataclass(frozen=True)
class Result:
    """What `check` found: for programs and tests. The learner reads the printed line."""

    name: str
    state: State
    message: str

    def __bool__(self) -> bool:
        return self.state == "right"

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    def _ipython_display_(self) -> None:
        """Show nothing: `check` has printed the result, and a cell that ends with it would show it twice."""


class _Unanswered(Exception):
    """The learner's function is a stub still."""


_exercises: dict[str, Exercise] = {}


def alike(a: Sequence[float], b: Sequence[float]) -> bool:
    """As many on both sides, and each as near to the other as rounding may bring it."""
    return len(a) == len(b) and all(abs(x - y) < 1e-6 for x, y in zip(a, b, strict=True))


def exercise(
    name: str,
    *,
    right: Any,
    wrong: Sequence[tuple[Any, str]],
    expects: type | None = None,
    because: str = "",
) -> Callable[[Judge], Judge]:
    """Register a judge for exercise `name` ("34.1").

    Args:
        name: the chapter's number in two digits, a dot, the exercise's number.
        right: an answer that the judge accepts.
        wrong: at least one answer that it refuses, each with words that its message then has to contain.
        expects: the type of answer; other types are refused before the judge runs. `int` and `float` take any whole or
            real number, `types.FunctionType` anything that can be called.
        because: one sentence printed with a right answer: why it is right.

    Raises:
        ValueError: the name is malformed or taken, or no wrong answer is given.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f'exercise name {name!r}: expected two digits, a dot and a digit, like "34.1"')
    if not wrong or not all(words.strip() for _, words in wrong):
        raise ValueError(f"exercise {name}: give at least one wrong answer, each with words its message contains")

    def register(judge: Judge) -> Judge:
        taken = _exercises.get(name)
        # The same function again is a reloaded module, which a notebook does while its author edits.
        if taken is not None and _origin(taken.judge) != _origin(judge):
            raise ValueError(f"exercise {name} is registered twice: {_origin(taken.judge)} and {_origin(judge)}")
        _exercises[name] = Exercise(name, judge, right, tuple(wrong), expects, because)
        return judge

    return register


def _origin(judge: Judge) -> str:
    return f"{judge.__module__}.{judge.__qualname__}"


def registered(chapter: int) -> dict[str, Exercise]:
    """The exercises of one chapter, by name; empty when the chapter has none."""
    module = f"muomni.course.exercises.ch{chapter:02d}"
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    return {name: each for name, each in sorted(_exercises.items()) if name.startswith(f"{chapter:02d}.")}


def find(name: str) -> Exercise:
    """The exercise with this name.

    Raises:
        UserError: there is none.
    """
    parts = NAME.fullmatch(name) if isinstance(name, str) else None
    known = registered(int(parts[1])) if parts else {}
    if name not in known:
        there = f"chapter {parts[1]} has {', '.join(known) or 'none'}" if parts else 'names look like "34.1"'
        raise UserError(f"no exercise {name!r}; {there}", exit_code=BAD_USAGE)
    return known[name]


def check(name: str, answer: Any) -> Result:
    """Judge the answer to an exercise and print one line: right, not answered yet, or what the mistake is.

    Raises:
        UserError: no exercise has this name.
    """
    result = judge(find(name), answer)
    print(result)
    return result


def judge(exercise: Exercise, answer: Any) -> Result:
    """Judge an answer without printing."""
    if is_blank(answer):
        return _unanswered(exercise)
    answer = _plain(answer, exercise.expects)
    refusal = _wrong_kind(answer, exercise.expects)
    if refusal:
        return Result(exercise.name, "wrong", f"not right yet. {refusal}")
    call = _Calls(answer) if isinstance(answer, FunctionType) else None
    try:
        mistake = exercise.judge(call or answer)
    except (_Unanswered, NotImplementedError):
        return _unanswered(exercise)
    except Exception as error:
        if isinstance(error, TypeError) and "ellipsis" in str(error):
            return _unanswered(exercise)  # arithmetic on a `...` that the stub still holds
        mistake = _failure(error, answer)
    if mistake:
        if call is not None and call.gave_nothing:
            mistake = "Your function returns None. Is a `return` missing?"
        return Result(exercise.name, "wrong", f"not right yet. {mistake}")
    return Result(exercise.name, "right", f"right. {exercise.because}".rstrip())


def _unanswered(exercise: Exercise) -> Result:
    return Result(exercise.name, "unanswered", "not answered yet")


def is_blank(answer: Any) -> bool:
    """Whether an answer is a stub: `...`, None, a collection with a `...` in it, or a function with an empty body."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, Mapping):
        return any(value is ... for value in answer.values())
    if isinstance(answer, list | tuple | set):
        return any(value is ... for value in answer)
    return isinstance(answer, FunctionType) and _is_empty(answer)


def _is_empty(function: FunctionType) -> bool:
    """Whether a function's body is `...`, `pass` or a docstring: nothing is called or stored, and None comes back."""
    harmless = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP", "COPY_FREE_VARS"}
    steps = list(dis.get_instructions(function))
    constants = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(step.opname in harmless for step in steps) and all(value is None or value is ... for value in constants)


class _Calls:
    """The learner's function, which notices when what it returns is blank."""

    def __init__(self, function: FunctionType) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self.gave_nothing = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value = self._function(*args, **kwargs)
        if value is None:
            self.gave_nothing = True  # right for a function that works in place, a forgotten `return` for others
        elif is_blank(value):
            raise _Unanswered
        return value


def _failure(error: Exception, answer: Any) -> str:
    """A sentence about the exception that stopped the judge, with the learner's own line where theirs raised it."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    code = getattr(answer, "__code__", None)
    trace = error.__traceback__
    line = None
    while trace is not None:
        if code is not None and trace.tb_frame.f_code is code:
            line = trace.tb_lineno - code.co_firstlineno + 1
        trace = trace.tb_next
    if line is not None:
        return f"Your function stopped in its line {line} with {said}"
    return f"Your answer, {_shown(answer)}, could not be used ({said})."


def _plain(answer: Any, expects: type | None) -> Any:
    """A tensor or array of one number as that number, where a number is expected."""
    if expects in (int, float) and not isinstance(answer, numbers.Number) and hasattr(answer, "item"):
        try:
            return answer.item()
        except (ValueError, RuntimeError):
            return answer
    return answer


def _wrong_kind(answer: Any, expects: type | None) -> str | None:
    if expects is None:
        return None
    kind, called = _KINDS.get(expects, (expects, f"a {expects.__name__}"))
    if isinstance(answer, kind) and not (isinstance(answer, bool) and expects in (int, float)):
        return None
    got = "a function; call it" if inspect.isroutine(answer) else f"{_shown(answer)}, a {type(answer).__name__}"
    return f"The answer is {called}; yours is {got}."


def _shown(answer: Any) -> str:
    """The answer in at most a line."""
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def misjudged(exercise: Exercise) -> list[str]:
    """What is wrong with an exercise itself: its examples judged otherwise than they are declared. For the tests."""
    faults = []
    found = judge(exercise, exercise.right)
    if not found:
        faults.append(f"{exercise.name}: the right answer is judged {found.state}: {found.message}")
    for answer, words in exercise.wrong:
        found = judge(exercise, answer)
        if found.state != "wrong":
            faults.append(f"{exercise.name}: the wrong answer {_shown(answer)} is judged {found.state}")
        elif words.lower() not in found.message.lower():
            faults.append(f"{exercise.name}: the message for {_shown(answer)} lacks {words!r}: {found.message}")
    if judge(exercise, ...).state != "unanswered":
        faults.append(f"{exercise.name}: an unanswered stub is not recognised")
    return faults
