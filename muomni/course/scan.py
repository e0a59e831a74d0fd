"""Finding errors that a notebook's run hides: those inside widgets, where a cell succeeds although its callback failed.

`nbmake` fails a notebook when a cell raises. An exception in a widget's callback raises nowhere: it is printed into an
`Output` widget, kept by a panel, or written on standard error. All of that is in the executed notebook if it was
executed with its widget state stored (nbclient's default), and `widget_errors` finds it there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
TRACEBACK = "Traceback (most recent call last)"
MARKED = re.compile(r"""class=["'][^"']*\bmuomni-error\b""")
SOURCE_CODE = ("_esm", "_css")  # a panel's own program, which names the marker without meaning an error


def widget_errors(notebook: str | Path | Mapping[str, Any]) -> list[str]:
    """Every hidden error of an executed notebook, one text each; empty when there is none.

    Args:
        notebook: path of an .ipynb file, or the notebook itself (nbformat's node or plain data).
    """
    node = notebook if isinstance(notebook, Mapping) else json.loads(Path(notebook).read_text(encoding="utf-8"))
    found: list[str] = []
    for number, cell in enumerate(node.get("cells", [])):
        for output in cell.get("outputs", []):
            found += [f"cell {number}: {text}" for text in output_errors(output)]
    states = node.get("metadata", {}).get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for model in states.values():
        state = model.get("state", {})
        name = model.get("model_name", "widget")
        for output in state.get("outputs", []):
            found += [f"{name}: {text}" for text in output_errors(output)]
        failures = [text for text in state.get("failures", []) if isinstance(text, str)]
        found += [f"{name}: {_last_line(text)}" for text in failures]
        if not failures:
            found += [f"{name}: shows an error: {_around(text)}" for text in _texts(state) if MARKED.search(text)]
    return found


def output_errors(output: Mapping[str, Any]) -> Iterator[str]:
    """The errors in one output of a cell or of an `Output` widget."""
    kind = output.get("output_type")
    if kind == "error":
        yield f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
    elif kind == "stream":
        text = _joined(output.get("text", ""))
        if TRACEBACK in text:
            yield _last_line(text[text.index(TRACEBACK) :])
    else:
        html = _joined(output.get("data", {}).get("text/html", ""))
        if MARKED.search(html):
            yield f"shows an error: {_around(html)}"


def _texts(value: Any, key: str = "") -> Iterator[str]:
    """Every text inside a widget's state, its program left out."""
    if key in SOURCE_CODE:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "an error without a text"


def _around(html: str) -> str:
    match = MARKED.search(html)
    text = re.sub(r"<[^>]*>?", " ", html[html.rfind("<", 0, match.start()) if match else 0 :])
    return " ".join(text.split())[:200]
