"""Errors that a run hides are found: in Output widgets, in panels, on standard error. Clean runs are clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from muomni.course.scan import WIDGET_STATE, widget_errors

ROOT = Path(__file__).parent.parent


def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *cells: str) -> Path:
    """Run cells as nbmake does, and store outputs and widget state."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    path = tmp_path / "executed.ipynb"
    nbformat.write(notebook, path)
    return path


LAB = 'from muomni.widgets import ConfigLab\nlab = ConfigLab("configs/thinker_nano.json", tokens=1_000_000)\nlab'
SLIDER = 'lab._handle_custom_msg({"kind": "set", "field": "batch_size", "value": 64, "ticket": "t"}, [])'
INTERACT = """
import ipywidgets
slider = ipywidgets.IntSlider(value=1, min=0)
ipywidgets.interact(lambda n: 1 / n, n=slider)
slider.value = 0
"""
RUN = """
from muomni.train.events import Finished
from muomni.widgets import TrainingMonitor
TrainingMonitor(lambda listener, control: listener(Finished(3, "finished"))).run()
"""


def test_panels_and_widgets_that_work_are_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = executed(tmp_path, monkeypatch, LAB, SLIDER, INTERACT.replace("slider.value = 0", "slider.value = 2"), RUN)
    states = json.loads(path.read_text())["metadata"]["widgets"][WIDGET_STATE]["state"]
    assert len(states) > 3, "the widgets' state was not stored, so nothing was scanned"
    assert widget_errors(path) == []


def test_errors_hidden_in_widgets_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "lab.state.put = lambda *a, **k: {}['planted']"
    path = executed(tmp_path, monkeypatch, LAB, broken, SLIDER, INTERACT)  # the run itself raises nothing
    found = widget_errors(path)
    assert any("KeyError: 'planted'" in text for text in found)
    assert any("ZeroDivisionError" in text for text in found)
    assert widget_errors(nbformat.read(path, as_version=4)) == found


def notebook(outputs: list[dict[str, Any]] | None = None, **state: Any) -> dict[str, Any]:
    models = {"m": {"model_name": "SomeModel", "state": state}}
    return {"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs or []}],
            "metadata": {"widgets": {WIDGET_STATE: {"state": models}}}}  # fmt: skip


TRACE = "Traceback (most recent call last):\n  File x\nValueError: planted\n"


@pytest.mark.parametrize(
    "found",
    [
        notebook([{"output_type": "error", "ename": "ValueError", "evalue": "planted"}]),
        notebook([{"output_type": "stream", "name": "stderr", "text": ["before\n", TRACE]}]),
        notebook([{"output_type": "display_data", "data": {"text/html": '<p class="a muomni-error">planted</p>'}}]),
        notebook(outputs=None, failures=[TRACE]),
        notebook(None, value="<pre class='muomni-error b'>planted</pre>"),
        notebook(None, shown={"html": {"status": '<pre class="muomni-error">planted</pre>'}}),
    ],
)  # fmt: skip
def test_each_kind_of_hidden_error_is_found(found: dict[str, Any]) -> None:
    errors = widget_errors(found)
    assert len(errors) == 1 and "planted" in errors[0]


def test_an_output_widgets_error_is_found() -> None:
    node = notebook()
    error = {"output_type": "error", "ename": "ValueError", "evalue": "planted"}
    node["metadata"]["widgets"][WIDGET_STATE]["state"]["m"]["state"]["outputs"] = [error]
    assert widget_errors(node) == ["SomeModel: ValueError: planted"]


@pytest.mark.parametrize(
    "clean",
    [
        {"cells": []},
        notebook([{"output_type": "stream", "name": "stderr", "text": "a warning\n"}]),
        notebook([{"output_type": "execute_result", "data": {"text/html": ["<p>muomni-error</p>"]}}]),
        notebook(None, failures=[], value="an error is shown with the class muomni-error"),
        notebook(None, _esm='<pre class="muomni-error">', _css='class="muomni-error"'),
    ],
)
def test_what_is_no_error_is_not_found(clean: dict[str, Any]) -> None:
    assert widget_errors(clean) == []
