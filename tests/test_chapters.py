"""The course's texts: chapters keep the rules and agree with their notebooks; every rule catches a planted mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from chapter_rules import RULES, Cell, Text, cells_of, exercise_names, problems
from new_chapter import create, skeleton
from pair_rules import drift, stored_noise
from sync_chapters import ROOT, as_notebook, as_text, cleaned, main, read_notebook, read_text, sync

from muomni.course.chapters import CHAPTERS, PARTS, chapter, chapter_of, links, table, written
from muomni.course.checks import registered
from muomni.course.place import project_folder, start
from muomni.errors import UserError

EXISTING = written(ROOT)
real = pytest.mark.parametrize("number", sorted(EXISTING), ids=lambda number: chapter(number).name)


def paths(number: int) -> tuple[Path, Path]:
    name = chapter(number).name
    text, notebook = ROOT / "chapters" / f"{name}.md", ROOT / "notebooks" / f"{name}.ipynb"
    for path in (text, notebook):
        assert path.exists(), f"{path.relative_to(ROOT)} is missing; `make sync` makes it from its pair"
    return text, notebook


# The chapters that exist.


@real
def test_the_chapter_keeps_the_rules(number):
    text = Text(chapter(number), cells_of(read_text(paths(number)[0])), EXISTING, ROOT)
    found = problems(text)
    assert not found, "\n".join(map(str, found))


@real
def test_the_notebook_says_what_the_text_says(number):
    text, notebook = paths(number)
    found = drift(cells_of(read_text(text)), cells_of(read_notebook(notebook)))
    assert not found, "\n".join(map(str, found))


@real
def test_the_notebook_stores_nothing_but_its_cells(number):
    found = stored_noise(json.loads(paths(number)[1].read_text(encoding="utf-8")))
    assert not found, "\n".join(map(str, found))


@real
def test_pairing_again_would_change_nothing(number):
    assert sync(chapter(number), ROOT, EXISTING, check=True, origin="chapters") == []


@real
def test_the_exercises_are_the_registered_ones(number):
    assert exercise_names(cells_of(read_text(paths(number)[0]))) == list(registered(number))


def test_every_file_is_one_of_the_fifty_chapters():
    files = [*(ROOT / "chapters").glob("[0-9]*"), *(ROOT / "notebooks").glob("*.ipynb")]
    strangers = [path.name for path in files if chapter_of(path) is None]
    assert not strangers, "not in muomni/course/chapters.py"


# The list of chapters.


def test_numbers_run_from_0_to_49_and_the_fixed_ones_are_where_other_texts_look_for_them():
    assert [each.number for each in CHAPTERS] == list(range(50))
    assert len({each.slug for each in CHAPTERS}) == 50
    assert chapter(0).name == "00-start-here"
    assert chapter(27).name == "27-stage-a-thinker"
    assert [chapter(n).slug for n in (33, 34, 35)] == ["code-structure", "configuration-files", "data-preparation"]
    assert {each.part for each in CHAPTERS} == set(range(len(PARTS)))


def test_a_chapter_is_a_link_once_it_exists_and_plain_text_before():
    assert links(27, {0, 27, 28}) == (
        "← 26 The pipeline and its budget · [Index](../notebooks/00-start-here.ipynb) · "
        "[28 Stage B: audio encoder](../notebooks/28-stage-b-audio-encoder.ipynb) →"
    )
    assert links(0, set()) == "Index · 01 Learning from examples →"
    assert links(49, set()) == "← 48 Stage G: OCR · Index"
    assert table({7}).count("](") == 1 and "[07 Attention](../notebooks/07-attention.ipynb)" in table({7})


def test_start_makes_a_path_mean_the_same_in_a_notebook_as_on_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert start() == start() == Path.cwd() == tmp_path.resolve()
    elsewhere = tmp_path / "configs"
    (tmp_path / "notebooks").rmdir()
    with pytest.raises(UserError, match="notebooks/"):
        project_folder(elsewhere)


# Every rule, on a chapter that keeps them all and on one that breaks it.

SOUND = skeleton(chapter(34)).replace("TODO", "Words")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with one sound chapter, 34, and its notebook."""
    root = tmp_path_factory.mktemp("project")
    (root / "chapters" / "figures").mkdir(parents=True)
    (root / "notebooks").mkdir()
    (root / "chapters" / "figures" / "mel.svg").write_text("<svg/>")
    (root / "chapters" / "34-configuration-files.md").write_text(SOUND)
    sync(chapter(34), root, written(root))
    return root


def broken_rules(project: Path, old: str = "", new: str = "") -> set[str]:
    """The rules that chapter 34 breaks after `old` is replaced by `new`."""
    sound = (project / "chapters" / "34-configuration-files.md").read_text()
    assert old in sound, "the planted mistake has no place"
    cells = cells_of(read_text_of(sound.replace(old, new, 1)))
    return {problem.rule for problem in problems(Text(chapter(34), cells, written(project), project))}


def read_text_of(content: str):
    return jupytext.reads(content, fmt="md:myst")


PROSE = "Words say what the first cell is for."

MISTAKES = {
    "header": [
        ("# 34 · Configuration files", "# 34 · Settings"),
        ("**You will be able to**", "**Aims**"),
        ("**It assumes**", "Assumes"),
        ("running 20 seconds", "running soon"),
        ("← 33 Code structure · Index · 35 Data preparation →", "← 33 Code structure"),
    ],
    "links": [
        (PROSE, "See [the code](../muomni/nothing.py)."),
        (PROSE, "See [the next](../notebooks/35-data-preparation.ipynb)."),
        (PROSE, "See [this](34-configuration-files.ipynb)."),
        (PROSE, "See [this](../chapters/34-configuration-files.md)."),
    ],
    "alt text": [
        (PROSE, "![](../chapters/figures/mel.svg)"),
        (PROSE, '<img src="../chapters/figures/mel.svg" alt="">'),
    ],
    "markdown first": [(PROSE + "\n\n", "```{code-cell}\nx = 1\n```\n\n")],
    "short code": [("start()\n", "start()\n" + "x = 1\n" * 12), ("start()\n", "start()\n```\n\nA\n\n```{code-cell}\n")],
    "open logic": [("start()\n", "interact(start)\n"), ("start()\n", "out = widgets.Output()\n")],
    "words": [
        (PROSE, "You simply call it."),
        (PROSE, "Just call it."),
        (PROSE, "Obviously."),
        (PROSE, "![just a plot](../chapters/figures/mel.svg)"),
    ],
    "what goes wrong": [("## What goes wrong", "## Failures"), ('```{code-cell}\nprint("Words")\n```\n', "")],
    "exercises": [
        ("### Exercise 34.2", "### Exercise 34.3"),
        ("### Exercise 34.2", "### More"),
        ("Difficulty 2 of 5", "Difficulty high"),
        ('check("34.1", answer)', "answer"),
        ("<summary>Hint</summary>\n\nWords", "<summary>Hint</summary>\n"),
        ('```python\nanswer = "Words"\n```', "Think."),
        ("<details><summary>Solution</summary>", "Solution"),
    ],
    "unfinished": [(PROSE, "TODO say more.")],
}


def test_the_sound_chapter_breaks_no_rule(project):
    assert broken_rules(project) == set()


@pytest.mark.parametrize(
    ("rule", "old", "new"), [(rule, old, new) for rule, mistakes in MISTAKES.items() for old, new in mistakes]
)
def test_the_rule_catches_the_planted_mistake_and_no_other_rule_does(project, rule, old, new):
    assert broken_rules(project, old, new) == {rule}


def test_every_rule_has_a_planted_mistake():
    assert set(MISTAKES) == set(RULES)


@pytest.mark.parametrize(
    "allowed",
    [
        "The just-run-it path.",
        "Justice, adjusted.",
        "`just` and ``simply`` are names.",
        "`![](nothing.png)` is a picture without alt text.",
        "```text\nsimply\n```",
        "See [this](../notebooks/34-configuration-files.ipynb#exercises) and [that](https://example.org/just).",
        "![A mel spectrogram](../chapters/figures/mel.svg)",
        '<img src="../chapters/figures/mel.svg" alt="A mel spectrogram">',
        "```text\n## Not a heading\n```",
    ],
)
def test_what_looks_like_a_mistake_and_is_none_passes(project, allowed):
    assert broken_rules(project, PROSE, allowed) == set()


def test_a_setup_cell_may_be_long(project):
    long = "```{code-cell}\n:tags: [setup]\n\n" + "x = 1\n" * 20
    assert broken_rules(project, "```{code-cell}\nfrom muomni", long + "from muomni") == set()


def test_a_new_chapter_lacks_nothing_but_its_words(tmp_path):
    path = create(7, tmp_path)
    cells = cells_of(read_text(path))
    assert {p.rule for p in problems(Text(chapter(7), cells, written(tmp_path), tmp_path))} == {"unfinished"}
    with pytest.raises(FileExistsError):
        create(7, tmp_path)


# Drift and stored noise.


def notebook_of(project: Path) -> dict:
    return json.loads((project / "notebooks" / "34-configuration-files.ipynb").read_text())


def code_cell(notebook: dict) -> dict:
    return next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")


NOISE = {
    "stored outputs": lambda nb: code_cell(nb).update(
        outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}]
    ),
    "execution count": lambda nb: code_cell(nb).update(execution_count=3),
    "metadata other than tags": lambda nb: code_cell(nb).update(metadata={"execution": {}}),
    "attachment": lambda nb: nb["cells"][0].update(attachments={"a.png": {}}),
    "widget state": lambda nb: nb["metadata"].update(widgets={}),
    "kernelspec alone": lambda nb: nb["metadata"].update(language_info={"version": "3.11.7"}),
    "same id": lambda nb: nb["cells"][1].update(id=nb["cells"][0]["id"]),
}


@pytest.mark.parametrize("planted", NOISE)
def test_stored_noise_is_found(project, planted):
    notebook = notebook_of(project)
    assert stored_noise(notebook) == []
    NOISE[planted](notebook)
    assert [planted in str(problem) for problem in stored_noise(notebook)] == [True]


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells[:-1],
        lambda cells: (Cell("markdown", cells[0].source + "!"), *cells[1:]),
        lambda cells: (Cell("raw", cells[0].source), *cells[1:]),
        lambda cells: (Cell("markdown", cells[0].source, ("hidden",)), *cells[1:]),
    ],
    ids=["missing cell", "source", "type", "tags"],
)
def test_drift_between_text_and_notebook_is_found(project, change):
    cells = cells_of(notebook_of(project))
    assert drift(cells, cells) == []
    assert len(drift(cells, change(cells))) == 1


# Pairing.


@pytest.fixture
def pair(tmp_path):
    """A sound pair of files, and a function that makes one of them the newer."""
    text = tmp_path / "chapters" / "34-configuration-files.md"
    notebook = tmp_path / "notebooks" / "34-configuration-files.ipynb"
    text.parent.mkdir()
    notebook.parent.mkdir()
    text.write_text(SOUND)
    assert main(["--root", str(tmp_path)]) == 0
    return tmp_path, text, notebook


def newer(path: Path) -> None:
    os.utime(path, (2e9, 2e9))


def test_pairing_twice_gives_the_same_bytes_whichever_side_is_newer(pair):
    root, text, notebook = pair
    before = text.read_bytes(), notebook.read_bytes()
    for side in (text, notebook):
        newer(side)
        assert main(["--root", str(root)]) == 0
        assert (text.read_bytes(), notebook.read_bytes()) == before
    notebook.unlink()
    main(["--root", str(root)])
    assert notebook.read_bytes() == before[1]
    text.unlink()
    main(["--root", str(root)])
    assert text.read_bytes() == before[0]


def test_the_newer_side_wins_unless_one_is_named(pair):
    root, text, notebook = pair
    notebook.write_text(notebook.read_text().replace("Words say which", "Phrases say which"))
    newer(notebook)
    main(["--root", str(root)])
    assert "Phrases say which" in text.read_text()
    notebook.write_text(notebook.read_text().replace("Phrases say which", "Nobody says which"))
    newer(notebook)
    main(["--root", str(root), "--from", "chapters"])
    assert "Phrases say which" in notebook.read_text()


def test_running_a_notebook_leaves_no_trace_after_pairing(pair):
    root, text, notebook = pair
    before = text.read_bytes(), notebook.read_bytes()
    executed = json.loads(notebook.read_text())
    for spoil in ("stored outputs", "execution count", "widget state", "kernelspec alone"):
        NOISE[spoil](executed)
    notebook.write_text(json.dumps(executed))
    newer(notebook)
    main(["--root", str(root)])
    assert (text.read_bytes(), notebook.read_bytes()) == before


def test_check_writes_nothing_and_fails_on_drift(pair, capsys):
    root, text, _ = pair
    text.write_text(text.read_text().replace("Words say which", "Phrases say which"))
    newer(text)
    before = text.read_bytes()
    assert main(["--root", str(root), "--check"]) == 1
    assert "would change notebooks/34-configuration-files.ipynb" in capsys.readouterr().out
    assert text.read_bytes() == before


def test_a_cell_keeps_its_id_when_another_one_changes(pair):
    root, text, notebook = pair
    before = [cell["id"] for cell in json.loads(notebook.read_text())["cells"]]
    text.write_text(text.read_text().replace("Words say which", "Phrases say which"))
    newer(text)
    main(["--root", str(root)])
    after = [cell["id"] for cell in json.loads(notebook.read_text())["cells"]]
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_a_new_neighbour_becomes_a_link(pair):
    root, text, _ = pair
    assert "· 35 Data preparation →" in text.read_text()
    create(35, root)
    assert main(["--root", str(root)]) == 0
    assert "[35 Data preparation](../notebooks/35-data-preparation.ipynb) →" in text.read_text()


def test_text_survives_the_round_trip_cell_for_cell():
    original = read_text_of(SOUND)
    clean = cleaned(original, chapter(34), frozenset({34}))
    assert as_text(cleaned(read_text_of(as_text(clean)), chapter(34), frozenset({34}))) == as_text(clean)
    again = json.loads(as_notebook(clean))
    assert cells_of(again) == cells_of(clean)
    assert [cell.tags for cell in cells_of(clean) if "check(" in cell.source] == [("exercise",)] * 2


@pytest.mark.slow
def test_jupytexts_own_sync_changes_nothing(pair):
    """The pairing in pyproject.toml is the one that `make sync` writes."""
    root, text, notebook = pair
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    before = text.read_bytes(), notebook.read_bytes()
    command = [sys.executable, "-m", "jupytext", "--quiet", "--sync", text.name]
    for side in (text, notebook):
        newer(side)
        subprocess.run(command, cwd=text.parent, check=True)
        assert (text.read_bytes(), notebook.read_bytes()) == before
