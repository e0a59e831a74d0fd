"""Pairs chapters/NN-slug.md (MyST Markdown) with notebooks/NN-slug.ipynb, and cleans both. `make sync`.

The file changed last is the source of its pair; a missing one is made. The result depends on the cells alone: no
outputs, counts or widget state, metadata down to the kernel's name and the tags, cell ids from the cells' text. So
`jupytext --sync`, which reads the same pairing from pyproject.toml, agrees with it, and a second run changes nothing.
The line of links that ends each chapter's header is renewed too.

    python scripts/sync_chapters.py            # all chapters
    python scripts/sync_chapters.py 34 27      # these
    python scripts/sync_chapters.py --check    # write nothing, exit 1 where something would change
    python scripts/sync_chapters.py --from chapters    # the text wins, whatever the clock says
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from muomni.course.chapters import CHAPTERS, Chapter, links, written
from muomni.files import write_text

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
MYST = {"extension": ".md", "format_name": "myst"}


def read_text(path: Path) -> Any:
    """A chapter's text as a notebook."""
    return jupytext.reads(path.read_text(encoding="utf-8"), fmt=MYST)


def read_notebook(path: Path) -> Any:
    """A notebook file."""
    return nbformat.read(str(path), as_version=4)


def cleaned(notebook: Any, chapter: Chapter, existing: frozenset[int]) -> Any:
    """The same cells, and nothing else that could differ from one run or machine to another."""
    cells: list[Any] = []
    seen: Counter[str] = Counter()
    for number, cell in enumerate(notebook.cells):
        source = cell.source.strip("\n") if cell.cell_type == "markdown" else cell.source.rstrip()
        if number == 0 and cell.cell_type == "markdown":
            source = _linked(source, links(chapter.number, existing))
        if cell.cell_type == "markdown" and not source.strip():
            continue
        new = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")(source)
        new.metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        text = hashlib.sha256(f"{cell.cell_type}\n{source}".encode()).hexdigest()[:12]
        seen[text] += 1
        new.id = text if seen[text] == 1 else f"{text}-{seen[text]}"
        cells.append(new)
    clean = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": dict(KERNEL)})
    clean.nbformat_minor = 5
    return clean


def _linked(header: str, line: str) -> str:
    """The header with its last line made the line of links; added where it has none."""
    lines = header.split("\n")
    if lines[-1].startswith(("← ", "Index")) or lines[-1].endswith(" →"):
        lines.pop()
    else:
        lines.append("")
    return "\n".join([*lines, line])


def as_text(notebook: Any) -> str:
    """The MyST Markdown of a cleaned notebook."""
    copy = nbformat.from_dict(notebook)
    copy.metadata = nbformat.from_dict(
        {
            "kernelspec": dict(KERNEL),
            "jupytext": {"notebook_metadata_filter": "kernelspec,-all", "cell_metadata_filter": "tags,-all"},
        }
    )
    return str(jupytext.writes(copy, fmt=MYST))


def as_notebook(notebook: Any) -> str:
    """The .ipynb file's text of a cleaned notebook."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def sync(
    chapter: Chapter, root: Path, existing: frozenset[int], *, check: bool = False, origin: str | None = None
) -> list[Path]:
    """Bring one pair into agreement. Returns the files that changed, or with `check` those that would."""
    text, notebook = root / "chapters" / f"{chapter.name}.md", root / "notebooks" / f"{chapter.name}.ipynb"
    present = [path for path in (text, notebook) if path.exists()]
    named = [path for path in present if path.parent.name == origin]
    source = named[0] if named else max(present, key=lambda path: path.stat().st_mtime_ns)
    clean = cleaned(read_text(text) if source == text else read_notebook(notebook), chapter, existing)
    changed = []
    for path, content in ((text, as_text(clean)), (notebook, as_notebook(clean))):
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        changed.append(path)
        if not check:
            write_text(path, content)
    if changed and not check:
        moment = text.stat()
        os.utime(notebook, ns=(moment.st_atime_ns, moment.st_mtime_ns))  # neither is newer: neither wins next time
    return changed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Pair chapters/*.md with notebooks/*.ipynb.")
    parser.add_argument("numbers", nargs="*", type=int, help="chapters (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something would change")
    parser.add_argument("--from", dest="origin", choices=("chapters", "notebooks"), help="which side wins")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    existing = written(options.root)
    changed = []
    for chapter in CHAPTERS:
        if chapter.number in existing and chapter.number in (options.numbers or existing):
            changed += sync(chapter, options.root, existing, check=options.check, origin=options.origin)
    for path in changed:
        print(f"{'would change' if options.check else 'wrote'} {path.relative_to(options.root)}")
    return 1 if changed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
