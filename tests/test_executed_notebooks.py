"""What a notebook holds after it ran: no widget with an error in it, no stub judged wrong, and not too long a time.

`make test` runs these after nbmake, on the executed copies (`MUOMNI_EXECUTED` names their folder); elsewhere they are
skipped. Nbmake alone sees an exception that leaves a cell, but not one that a widget caught and shows in its output.
"""

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest

from muomni.course.chapters import TRAINING, chapter_of

PLAIN_SECONDS = 20
TRAINING_SECONDS = 300
ALLOWANCE = 2  # the limits are for two free cores; a shared machine may take twice as long

FOLDER = os.environ.get("MUOMNI_EXECUTED")
NOTEBOOKS = sorted(Path(FOLDER).glob("[0-9]*.ipynb")) if FOLDER else []
pytestmark = pytest.mark.skipif(not FOLDER, reason="needs executed notebooks: `make test` runs this after them")
executed = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict]:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    if not any(cell.get("outputs") or cell["execution_count"] for cell in cells):
        pytest.skip("was not executed in this run")
    return cells


def printed(cell: dict) -> str:
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


@executed
def test_no_widget_holds_an_error(path):
    from muomni.course.scan import widget_errors

    code_cells(path)
    assert widget_errors(path) == []


@executed
def test_every_cell_ran_and_no_untouched_exercise_is_called_wrong(path):
    for cell in code_cells(path):
        assert cell["execution_count"], "".join(cell["source"])
        if "exercise" in cell["metadata"].get("tags", ()):
            # A learner may have filled it in; as committed it is a stub, and a stub is not a mistake.
            assert re.search(r"\d: (not answered yet|right\.)", printed(cell)), "".join(cell["source"])


@executed
def test_the_chapter_ran_in_its_time(path):
    times = [cell["metadata"]["execution"] for cell in code_cells(path)]
    moments = [[datetime.fromisoformat(moment) for key, moment in sorted(time.items())] for time in times]
    seconds = sum((max(each) - min(each)).total_seconds() for each in moments if each)
    limit = TRAINING_SECONDS if chapter_of(path).number in TRAINING else PLAIN_SECONDS
    assert seconds < limit * ALLOWANCE, f"{seconds:.0f} s of cells; the chapter's limit is {limit} s on two free cores"
