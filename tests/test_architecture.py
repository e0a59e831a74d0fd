"""Imports run one way: every module's import statements, lazy ones too, read from its syntax tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "muomni"

LEVELS = {
    "errors": 0,
    "files": 1,
    "processes": 1,
    "config": 2,
    "data": 3,
    "plan": 4,
    "nn": 5,
    "models": 6,
    "infer": 7,
    "evaluate": 7,
    "train": 7,
    "cli": 8,
    "cli_commands": 8,
    "cli_data": 8,
    "cli_chat": 8,
    "cli_eval": 8,
    "cli_text": 8,
    "doctor": 8,
    "widgets": 8,
    "course": 8,
}
"""A room imports rooms on lower levels, and its neighbours on its own."""

WITHOUT_TORCH = (
    "errors",
    "files",
    "processes",
    "config",
    "plan",
    "cli",
    "cli_commands",
    "cli_data",
    "cli_chat",
    "cli_eval",
    "cli_text",
    "doctor",
)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[str, bool]]:
    """(full name of what is imported, whether at the module's top level)."""
    tree = ast.parse(source)
    top = {id(node) for node in ast.walk(tree) if node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*above, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "muomni" else [base]
            yield from ((name, id(node) in top) for name in names)


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    own = LEVELS.get(room(module))
    found = []
    for name, at_top in imports(source, module, is_package):
        if name.split(".")[0] == "torch" and at_top and room(module) in WITHOUT_TORCH:
            found.append(f"{module} imports torch")
        if name.split(".")[0] != "muomni" or room(name) in ("", "__version__") or own is None:
            continue
        if LEVELS.get(room(name), 99) > own:
            found.append(f"{module} imports {name}")
    return found


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_room_has_a_level() -> None:
    rooms = {room(name_of(path)) for path in modules()} - {"", "__main__"}
    assert rooms <= set(LEVELS)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_run_downwards(path: Path) -> None:
    assert violations(path.read_text(), name_of(path), path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("muomni.plan.x", "import torch"),
        ("muomni.config.x", "from torch import nn"),
        ("muomni.config.x", "import muomni.plan"),
        ("muomni.data.x", "def f():\n    from muomni.plan import plan"),
        ("muomni.data.x", "from muomni import train"),
        ("muomni.data.x", "from ..plan import plan"),
        ("muomni.nn.x", "from muomni.models.thinker import Thinker"),
        ("muomni.models.x", "import muomni.train.loop"),
        ("muomni.train.x", "from muomni.cli import main"),
        ("muomni.errors", "from muomni.files import write_text"),
        ("muomni.plan.x", "from muomni.unknown import thing"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("muomni.plan.x", "from muomni.data.counting import count"),
        ("muomni.plan.x", "from . import memory"),
        ("muomni.plan.x", "def f():\n    import torch"),
        ("muomni.data.x", "from muomni import __version__"),
        ("muomni.train.x", "from muomni.infer.generate import generate\nimport torch"),
        ("muomni.cli", "from muomni.widgets import lab\nimport json"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert violations(source, module) == []


@pytest.mark.parametrize(
    "statement",
    [
        "import muomni.plan",
        "import muomni.config",
        "import muomni.plan.update",
        "import muomni.cli, muomni.doctor",
        "import muomni.cli; muomni.cli.parser()",
    ],
)
def test_planning_never_loads_torch_nor_anything_heavy(statement: str) -> None:
    heavy = "{'torch', 'numpy', 'sentencepiece', 'matplotlib', 'rich', 'ipywidgets', 'PIL', 'soundfile'}"
    code = f"{statement}\nimport sys\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
