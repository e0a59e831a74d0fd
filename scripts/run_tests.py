"""Everything `make test` runs, one step after another; `--quick` is `make check`.

A failed step does not stop the later ones, so that one run shows all there is to mend. The last lines repeat how each
step ended, pytest's own closing line included, and the exit code is 1 when one failed.

Notebooks run in `.make/course`: a copy of notebooks/ and configs/ beside links to everything else. So the committed
notebooks keep no outputs, and neither the learner's configs nor their checkpoints are touched. Plain chapters run two
at a time with one thread each; the chapters that train a stage run alone, with every core, because they are timed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from muomni.course.chapters import TRAINING, chapter_of

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / ".make" / "course"
COPIED = ("configs", "notebooks")
LEFT_OUT = (".git", ".venv", ".make", "checkpoints", "build", "dist")
NOTEBOOK_SECONDS = 600
NOTHING_SELECTED = 5  # pytest's exit code when no test was selected
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Step:
    """A command with a name; `may_be_empty` accepts a pytest run that selects nothing."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    may_be_empty: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a step ended: its exit code, its time, and the last line it printed."""

    name: str
    code: int
    seconds: float
    closing: str


def module(*arguments: str) -> list[str]:
    """A command line that runs a module of this environment."""
    return [sys.executable, "-m", *arguments]


def code_steps(workers: int, everything: bool) -> list[Step]:
    """Format, lint, types and tests. Slow and browser tests run after the others, alone: some of them measure time."""
    steps = [
        Step("format", module("ruff", "format", "--check", "--output-format=concise", ".")),
        Step("lint", module("ruff", "check", "--output-format=concise", ".")),
        Step("types", module("mypy", "muomni", "scripts")),
        Step(
            "tests",
            module("pytest", "-n", str(workers), "-m", "not slow and not browser"),
            ONE_THREAD,
        ),
    ]
    if everything:
        slow = module("pytest", "-m", "slow or browser", "--durations=5")
        steps.append(Step("slow and browser tests", slow, may_be_empty=True))
    return steps


def notebook_steps(notebooks: Sequence[Path], workers: int) -> list[Step]:
    """Every notebook in a kernel of its own, then a look at what the executed ones hold."""
    stages = [path for path in notebooks if (chapter := chapter_of(path)) and chapter.number in TRAINING]
    plain = [path for path in notebooks if path not in stages]
    pytest = module("pytest", "-v", "-c", str(ROOT / "pyproject.toml"))
    nbmake = [*pytest, "--nbmake", "--overwrite", f"--nbmake-timeout={NOTEBOOK_SECONDS}", "--durations=0"]
    steps = []
    if plain:
        together = [*nbmake, "-n", str(min(workers, len(plain))), "--dist=worksteal"]
        steps.append(Step("notebooks", [*together, *map(str, plain)], ONE_THREAD))
    if stages:
        steps.append(Step("notebooks that train", [*nbmake, *map(str, stages)]))
    if notebooks:
        executed = {"MUOMNI_EXECUTED": str(notebooks[0].parent)}
        steps.append(Step("executed notebooks", [*pytest, "tests/test_executed_notebooks.py"], executed))
    return steps


def fresh_course(root: Path = ROOT, course: Path = COURSE) -> list[Path]:
    """Make the copy of the project that notebooks run in, anew. Returns its notebooks, in order."""
    shutil.rmtree(course, ignore_errors=True)
    course.mkdir(parents=True)
    for entry in root.iterdir():
        if entry.name in COPIED:
            shutil.copytree(entry, course / entry.name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        elif entry.name not in LEFT_OUT:
            (course / entry.name).symlink_to(entry)
    return sorted((course / "notebooks").glob("[0-9]*.ipynb"))


def run(step: Step) -> Outcome:
    """Run one step, passing its output on as it comes."""
    print(f"\n--- {step.name}", flush=True)
    began = time.monotonic()
    tail = b""
    with subprocess.Popen(
        step.command, cwd=ROOT, env={**os.environ, **step.environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 65536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            tail = (tail + chunk)[-4000:]
    code = 0 if step.may_be_empty and process.returncode == NOTHING_SELECTED else process.returncode
    return Outcome(step.name, code, time.monotonic() - began, closing_line(tail.decode("utf-8", "replace")))


def closing_line(output: str) -> str:
    """Pytest's closing line where there is one, otherwise the last line that was printed."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines() if line.strip()]
    counts = [line for line in lines if re.search(r"\b\d+ (passed|failed|errors?|skipped|deselected)\b.* in \d", line)]
    return (counts or lines or ["nothing was printed"])[-1]


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line for each step."""
    lines = ["", "--- summary"]
    for each in outcomes:
        lines.append(f"{'ok' if each.code == 0 else 'FAILED':<7}{each.name:<24}{each.seconds:6.0f} s  {each.closing}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the checks and tests.")
    parser.add_argument("--quick", action="store_true", help="format, lint, types and the quick tests only")
    parser.add_argument("--only", choices=("code", "notebooks"), help="one half of it")
    parser.add_argument("--workers", type=int, default=2, help="processes for what can run side by side (default: 2)")
    parser.add_argument("chapters", nargs="*", type=int, help="with notebooks: these chapters only")
    options = parser.parse_args(arguments)
    if sys.stdout.isatty():
        os.environ.setdefault("FORCE_COLOR", "1")
    outcomes = []
    if options.only != "notebooks":
        outcomes += [run(step) for step in code_steps(options.workers, everything=not options.quick)]
    if options.only != "code" and not options.quick:
        notebooks = fresh_course()
        if options.chapters:
            notebooks = [path for path in notebooks if int(path.name[:2]) in options.chapters]
        outcomes += [run(step) for step in notebook_steps(notebooks, options.workers)]
    print(summary(outcomes))
    return 1 if any(each.code for each in outcomes) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
