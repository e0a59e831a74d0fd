"""What a committed notebook must not store, and where it and its chapter's text say different things."""

from __future__ import annotations

from typing import Any

from chapter_rules import Cell, Problem, begin


def stored_noise(notebook: dict[str, Any]) -> list[Problem]:
    """What a committed notebook must not hold: outputs, widget state, counts, a machine's own metadata."""
    found = []
    for number, cell in enumerate(notebook["cells"]):
        if cell.get("outputs"):
            found.append(f"cell {number} has stored outputs")
        if cell.get("execution_count") is not None:
            found.append(f"cell {number} has an execution count")
        if set(cell["metadata"]) - {"tags"}:
            found.append(f"cell {number} has metadata other than tags: {sorted(set(cell['metadata']) - {'tags'})}")
        if cell.get("attachments"):
            found.append(f"cell {number} has an attachment; put the picture in a file")
    if "widgets" in notebook["metadata"]:
        found.append("widget state is stored")
    if set(notebook["metadata"]) - {"widgets"} != {"kernelspec"}:
        found.append(f"its metadata is {sorted(notebook['metadata'])}, expected kernelspec alone")
    if len({cell.get("id") for cell in notebook["cells"]}) != len(notebook["cells"]):
        found.append("two cells have the same id")
    return [Problem("stored noise", f"{message} (`make sync` cleans it)") for message in found]


def drift(text: tuple[Cell, ...], notebook: tuple[Cell, ...]) -> list[Problem]:
    """Where a chapter's text and its notebook say different things."""
    found = []
    if len(text) != len(notebook):
        found.append(f"the text has {len(text)} cells, the notebook {len(notebook)}")
    for number, (left, right) in enumerate(zip(text, notebook, strict=False)):
        for part in ("kind", "source", "tags"):
            if getattr(left, part) != getattr(right, part):
                found.append(f"cell {number} differs in its {part}: {begin(left)!r} and {begin(right)!r}")
    return [Problem("drift", f"{message} (`make sync` pairs them again)") for message in found]
