"""The rules every chapter keeps, checked on its cells.

`python scripts/chapter_rules.py [FILE ...]` lists what a chapter breaks; `tests/test_chapters.py` fails on
the same list, and plants a wrong example for every rule. A rule is a function of a chapter that yields sentences, each
about one place. `new_chapter.py` writes a file that keeps all rules but the last, so it shows what each rule asks for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muomni.course.chapters import Chapter, chapter_of, links, written

MAX_CODE_LINES = 12
LONG_CODE_TAG = "setup"
WORDS = re.compile(r"(?<![\w-])(simply|just|obviously)(?![\w-])", re.IGNORECASE)  # "just-run-it" is a path's name
EXERCISE = re.compile(r"^### Exercise (\d\d\.\d) · \S.*$", re.MULTILINE)
EFFORT = re.compile(r"^Difficulty [1-5] of 5 · importance [1-5] of 5 · about \d+ minutes?$", re.MULTILINE)
TIME = re.compile(r"^\*\*Time\*\* reading \d+ minutes?, running \d+ (seconds?|minutes?)$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
HTML_ALT = re.compile(r"\balt\s*=\s*(\"[^\"]*\w[^\"]*\"|'[^']*\w[^']*')", re.IGNORECASE)
FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1\s*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)[^\n]+?(?<!`)\1(?!`)")
DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell: "markdown", "code" or "raw", its text and its tags."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()

    @property
    def prose(self) -> str:
        """A markdown cell's text without fenced code."""
        return FENCE.sub("", self.source) if self.kind == "markdown" else ""

    @property
    def plain(self) -> str:
        """A markdown cell's text without any code."""
        return INLINE_CODE.sub("", self.prose)


@dataclass(frozen=True)
class Text:
    """A chapter's cells, with what its rules need to know about the rest of the course."""

    chapter: Chapter
    cells: tuple[Cell, ...]
    existing: frozenset[int]
    root: Path

    def sections(self, heading: re.Pattern[str]) -> list[Section]:
        """The parts below each heading that matches, down to the next heading of the same level or a higher one."""
        found: list[Section] = []
        open_level = 0
        for cell in self.cells:
            if cell.kind == "code" and open_level:
                found[-1].code.append(cell.source)
            for line, fenced in _lines(cell):
                marks = re.match(r"(#{1,6}) ", line)
                if marks and not fenced and len(marks[1]) <= (open_level or 6):
                    open_level = 0
                if not fenced and heading.match(line):
                    open_level = len(line) - len(line.lstrip("#"))
                    found.append(Section(line, [], []))
                elif open_level:
                    found[-1].lines.append(line)
        return found


@dataclass(frozen=True)
class Section:
    """The part of a chapter below one heading: the lines of its markdown and the sources of its code cells."""

    heading: str
    lines: list[str]
    code: list[str]


def _lines(cell: Cell) -> Iterator[tuple[str, bool]]:
    """The lines of a markdown cell, and whether each stands inside a fence."""
    fence = ""
    for line in cell.source.splitlines() if cell.kind == "markdown" else ():
        mark = re.match(r"```+|~~~+", line)
        yield line, bool(fence or mark)
        if mark and not fence:
            fence = mark[0]
        elif mark and line.strip() == fence:
            fence = ""


@dataclass(frozen=True)
class Problem:
    """What a chapter breaks."""

    rule: str
    message: str

    def __str__(self) -> str:
        return f"[{self.rule}] {self.message}"


def cells_of(notebook: Any) -> tuple[Cell, ...]:
    """The cells of a notebook as nbformat and jupytext read it, or as plain JSON."""
    return tuple(
        Cell(cell["cell_type"], _joined(cell["source"]), tuple(cell["metadata"].get("tags", ())))
        for cell in notebook["cells"]
    )


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def header(text: Text) -> Iterator[str]:
    """Cell 0: title, what you will be able to do, what it assumes, time, and the links as the last line."""
    first = text.cells[0] if text.cells else Cell("markdown", "")
    lines = first.source.strip().splitlines() if first.kind == "markdown" else []
    title = f"# {text.chapter.number:02d} · {text.chapter.title}"
    if not lines or lines[0] != title:
        yield f"the first cell begins with the line: {title}"
    if not re.search(r"^\*\*You will be able to\*\*\n+- \S", first.source, re.MULTILINE):
        yield "the first cell has **You will be able to** and a list"
    if not re.search(r"^\*\*It assumes\*\* \S", first.source, re.MULTILINE):
        yield "the first cell has a line that begins with **It assumes**"
    if not TIME.search(first.source):
        yield "the first cell has a line like: **Time** reading 15 minutes, running 20 seconds"
    expected = links(text.chapter.number, text.existing)
    if not lines or lines[-1] != expected:
        yield f"the first cell ends with the line (`make sync` writes it): {expected}"


def targets(text: Text) -> Iterator[str]:
    """Every link within the project leads somewhere, from `chapters/` and from `notebooks/` alike."""
    for cell in text.cells:
        for _, label, target in LINK.findall(cell.plain):
            path = target.split("#")[0]
            if not path or re.match(r"[a-z]+:", path):
                continue
            if not path.startswith("../"):
                yield f"{target}: begin links and pictures with ../, which holds in chapters/ and in notebooks/"
            elif (other := chapter_of(path)) is not None:
                if other.number not in text.existing:
                    yield f"{target}: that chapter does not exist yet; write {label!r} as plain text"
                elif path != other.notebook:
                    yield f"{target}: write chapters' links as {other.notebook}"
            elif not (text.root / "notebooks" / path).exists():
                yield f"{target}: there is no such file"


def pictures(text: Text) -> Iterator[str]:
    """Every picture has alternative text."""
    for cell in text.cells:
        for picture, label, target in LINK.findall(cell.plain):
            if picture and not re.search(r"\w", label):
                yield f"{target} has no alt text"
        for tag in HTML_IMAGE.findall(cell.plain):
            if not HTML_ALT.search(tag):
                yield f"{tag} has no alt text"


def markdown_first(text: Text) -> Iterator[str]:
    """A markdown cell stands before every code cell."""
    for before, cell in zip((None, *text.cells), text.cells, strict=False):
        if cell.kind == "code" and (before is None or before.kind != "markdown"):
            yield f"no markdown cell before the code cell that begins {begin(cell)!r}"


def short_code(text: Text) -> Iterator[str]:
    """A code cell is short, empty lines not counted; the tag `setup` allows a longer one."""
    for cell in text.cells:
        lines = sum(1 for line in cell.source.splitlines() if line.strip())
        if cell.kind == "code" and lines == 0:
            yield "an empty code cell"
        if cell.kind == "code" and lines > MAX_CODE_LINES and LONG_CODE_TAG not in cell.tags:
            yield f"{lines} lines, more than {MAX_CODE_LINES}, in the code cell that begins {begin(cell)!r}"


def open_logic(text: Text) -> Iterator[str]:
    """No logic where an error would pass silently: inside `interact` or an `Output` widget."""
    for cell in text.cells:
        if cell.kind == "code" and re.search(r"\b(interact|interactive|interactive_output|Output)\(", cell.source):
            yield f"`interact` or `Output` in the code cell that begins {begin(cell)!r}"


def words(text: Text) -> Iterator[str]:
    """Words that tell a learner that what is hard for them is easy."""
    for cell in text.cells:
        prose = re.sub(r"<[^>\n]*>", "", LINK.sub(lambda link: link[2], cell.plain))
        for found in WORDS.finditer(prose):
            yield f"{found[0]!r} in: {prose[max(0, found.start() - 30) : found.end() + 30].strip()}".replace("\n", " ")


def wrong_turns(text: Text) -> Iterator[str]:
    """A section "What goes wrong" in which a cell produces the failure."""
    found = text.sections(re.compile(r"## What goes wrong$"))
    if not found:
        yield 'no section "## What goes wrong"'
    elif not found[0].code:
        yield '"What goes wrong" has no code cell that produces the failure'


def exercises(text: Text) -> Iterator[str]:
    """Two to four exercises, each with its effort, a stub that calls `check`, a hint and a folded solution."""
    names = exercise_names(text.cells)
    expected = [f"{text.chapter.number:02d}.{i}" for i in range(1, len(names) + 1)]
    if not 2 <= len(names) <= 4:
        yield f"{len(names)} headings like `### Exercise {text.chapter.number:02d}.1 · Title`; two to four are wanted"
    if names != expected:
        yield f"exercises are numbered {names}, expected {expected}"
    for name, section in zip(names, text.sections(EXERCISE), strict=True):
        prose = "\n".join(section.lines)
        folded = {summary.strip(): body for summary, body in DETAILS.findall(prose)}
        if not EFFORT.search(prose):
            yield f"{name}: no line like: Difficulty 2 of 5 · importance 4 of 5 · about 10 minutes"
        if not any(f'check("{name}",' in source for source in section.code):
            yield f'{name}: no code cell with check("{name}", ...)'
        if not folded.get("Hint", "").strip():
            yield f"{name}: no <details><summary>Hint</summary> ... </details>"
        if not re.search(r"^```python\n.+?^```", folded.get("Solution", ""), re.MULTILINE | re.DOTALL):
            yield f"{name}: no <details><summary>Solution</summary> ... </details> with a python block in it"


def unfinished(text: Text) -> Iterator[str]:
    """Nothing is left to do."""
    for cell in text.cells:
        if re.search(r"\b(TODO|FIXME)\b", cell.source):
            yield f"TODO in the cell that begins {begin(cell)!r}"


RULES: dict[str, Callable[[Text], Iterator[str]]] = {
    "header": header,
    "links": targets,
    "alt text": pictures,
    "markdown first": markdown_first,
    "short code": short_code,
    "open logic": open_logic,
    "words": words,
    "what goes wrong": wrong_turns,
    "exercises": exercises,
    "unfinished": unfinished,
}


def exercise_names(cells: tuple[Cell, ...]) -> list[str]:
    """The exercises of a chapter in their order: ["34.1", "34.2"]."""
    return [name for cell in cells for name in EXERCISE.findall(cell.prose)]


def problems(text: Text) -> list[Problem]:
    """Everything a chapter breaks."""
    return [Problem(name, message) for name, rule in RULES.items() for message in rule(text)]


def begin(cell: Cell) -> str:
    """The start of a cell, to name it by."""
    return cell.source.strip().split("\n")[0][:50]


def main(paths: list[str]) -> int:
    """Print what the named chapters, or all of them, break."""
    from sync_chapters import ROOT, read_text

    broken = 0
    for path in [Path(each) for each in paths] or sorted((ROOT / "chapters").glob("[0-9]*.md")):
        chapter = chapter_of(path)
        if chapter is None:
            print(f"{path}: not one of the chapters' names (muomni/course/chapters.py)")
            broken += 1
            continue
        for problem in problems(Text(chapter, cells_of(read_text(path)), written(ROOT), ROOT)):
            print(f"{path}: {problem}")
            broken += 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
