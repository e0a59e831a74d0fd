"""The repository as a whole: what it holds and must not hold, one source of versions, the two commands' scripts."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from run_tests import Outcome, closing_line, fresh_course, notebook_steps, summary

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LARGEST, MOST_WEIGHTS = 2_000_000, 30_000_000

MACHINE_PATH = re.compile(r"(?<![\w.~*/-])/(?:root|home|Users|work|opt|mnt|workspace)/[\w.]")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.(?:org|com)|npmjs\.|deb\.debian\.org"
)


def tracked() -> list[Path]:
    """Every file that is committed or would be: tracked, or new and not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so there is no list of its files")
    return [path for name in listed if name and (path := ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:8000]:
            found.append((path.relative_to(ROOT), data.decode("utf-8")))
    return found


def lines_with(pattern: re.Pattern[str], files: list[tuple[Path, str]]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


# What is there, and what is not.


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "LICENSE",
        "Makefile",
        "pyproject.toml",
        "environment.yml",
        ".ci/run",
        ".gitignore",
        "data/README.md",
        "configs/thinker_nano.json",
        "scripts/update_configs_from_data.py",
    ],
)
def test_the_repository_has(name):
    assert (ROOT / name).is_file()


def test_no_file_is_large_and_all_weights_together_are_light():
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked()}
    weights = {name: sizes.pop(name) for name in list(sizes) if name.endswith(".safetensors")}
    assert not {name: size for name, size in sizes.items() if size > LARGEST}
    assert sum(weights.values()) < MOST_WEIGHTS, weights


def test_nothing_generated_is_committed():
    generated = re.compile(
        r"^(data/(?!README\.md)|checkpoints/|\.venv/|\.make/|build/|dist/)|(\.pyc|\.pt|\.pth|\.pkl)$"
    )
    names = [str(path.relative_to(ROOT)) for path in tracked()]
    assert not [name for name in names if generated.search(name)]


def test_no_text_names_a_machines_path_or_a_package_registry():
    files = texts()
    assert not lines_with(MACHINE_PATH, files)
    assert not lines_with(REGISTRY, files)


def test_planted_paths_and_registries_are_found_and_harmless_text_is_not():
    bad = ["cd " + "/ro" + "ot/x", 'open("/ho' + 'me/ann/y")', "at https://py" + "pi.org/simple", "=/op" + "t/x"]
    good = [
        "a/home/x",
        "https://example.org/work/x",
        "~/work/x",
        "text/home",
        "work/main",
        "data/root/x",
        "/usr/bin/env",
    ]
    for pattern_hits, lines in ((True, bad), (False, good)):
        for line in lines:
            hit = bool(MACHINE_PATH.search(line) or REGISTRY.search(line))
            assert hit is pattern_hits, line


# One source of versions.


def test_pyproject_pins_the_versions_known_to_work_together():
    pins = set(PROJECT["project"]["dependencies"])
    assert {"torch==2.14.1", "torchvision==0.29.1", "torchaudio==2.11.0"} <= pins
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_conda_gets_python_and_pip_and_leaves_every_version_to_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == "muomni"
    *from_conda, from_pip = environment["dependencies"]
    assert from_conda == ["python>=3.11,<3.14", "pip"]
    assert from_pip == {"pip": ["-e .[test]"]}


def test_every_file_of_the_package_is_packaged():
    declared = PROJECT["tool"]["setuptools"]["package-data"]
    packaged = {path for room, globs in declared.items() for each in globs for path in _folder(room).glob(each)}
    files = [path for path in tracked() if path.is_relative_to(ROOT / "muomni") and path.suffix != ".py"]
    assert not [str(path.relative_to(ROOT)) for path in files if path not in packaged]


def _folder(room: str) -> Path:
    return ROOT.joinpath(*room.split("."))


# The commands' scripts.


def fake_python(folder: Path, name: str, version: str, complete: bool = True, works: bool = True) -> None:
    """A program that answers the two questions `find_python.sh` asks."""
    able = 0 if complete and tuple(map(int, version.split("."))) >= (3, 11) else 1
    answer = f'case "$2" in *ensurepip*) exit {able} ;; *) echo {version} ;; esac' if works else "exit 127"
    path = folder / name
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)


def find_python(folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "scripts" / "find_python.sh"), given]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True)


def test_the_first_python_new_enough_is_taken(tmp_path):
    fake_python(tmp_path, "python3", "3.9")
    fake_python(tmp_path, "python3.11", "3.11", works=False)
    fake_python(tmp_path, "python3.12", "3.12")
    assert find_python(tmp_path).stdout == "python3.12\n"


def test_a_named_python_is_taken_or_refused_never_replaced(tmp_path):
    fake_python(tmp_path, "python3", "3.12")
    fake_python(tmp_path, "mine", "3.10")
    refused = find_python(tmp_path, "mine")
    assert refused.returncode == 1 and "3.11 or newer" in refused.stderr and "3.10" in refused.stderr
    assert find_python(tmp_path, "python3").stdout == "python3\n"
    assert "nowhere does not run" in find_python(tmp_path, "nowhere").stderr


def test_a_python_without_venv_is_told_from_an_old_one(tmp_path):
    fake_python(tmp_path, "python3", "3.11", complete=False)
    assert "python3-venv" in find_python(tmp_path).stderr
    fake_python(tmp_path, "python3", "3.9")
    assert "python3-venv" not in find_python(tmp_path).stderr


def test_no_python_at_all_is_one_clear_message(tmp_path):
    found = find_python(tmp_path)
    assert found.returncode == 1 and found.stdout == "" and "3.11 or newer" in found.stderr


def test_the_ci_script_is_executable_and_calls_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text and "\nmake test\n" in text
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_without_a_browser_and_without_rights_the_install_script_says_how_to_get_one(tmp_path):
    fake_python(tmp_path, "id", "1000")
    script = str(ROOT / "scripts" / "install_browser.sh")
    said = subprocess.run(["/bin/sh", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert "skipped" in said.stdout and "apt-get install chromium" in said.stdout
    fake_python(tmp_path, "chromium", "1")
    said = subprocess.run(["/bin/sh", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert said.stdout == ""


def run_ci(folder: Path, **environment: str) -> str:
    """What `.ci/run` prints where the path holds a stand-in for make, and whatever else the test put in `folder`."""
    for name in ("dirname", "sh", "bash"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(shutil.which(name) or "")
    (folder / "make").write_text('#!/bin/sh\necho "make $* with browser required: ${MUOMNI_REQUIRE_BROWSER:-no}"\n')
    (folder / "make").chmod(0o755)
    command = ["bash", str(ROOT / ".ci" / "run")]
    done = subprocess.run(command, env={"PATH": str(folder)} | environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_ci_requires_the_browser_it_installed_and_goes_on_without_one(tmp_path):
    fake_python(tmp_path, "id", "0")
    assert "make test with browser required: no" in run_ci(tmp_path)
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\n[ "$1" = update ] || ln -s "{shutil.which("true")}" "{tmp_path}/chromium"\n')
    apt.chmod(0o755)
    ln = shutil.which("ln")
    (tmp_path / "ln").symlink_to(ln or "")
    assert "make test with browser required: no" in run_ci(tmp_path, MUOMNI_INSTALL_BROWSER="0")
    assert "make test with browser required: 1" in run_ci(tmp_path)


@pytest.mark.slow
def test_a_skipped_browser_test_fails_where_a_browser_is_required(tmp_path):
    test = "import pytest\n\n@pytest.mark.browser\ndef test_it():\n    pytest.skip('nothing to drive')\n"
    (tmp_path / "test_it.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-o", "markers=browser: x", "test_it.py"]
    closing = {}
    for required in ("", "1"):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "MUOMNI_REQUIRE_BROWSER": required}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        closing[required] = closing_line(done.stdout)
    assert "1 skipped" in closing[""] and "1 failed" in closing["1"]


# The driver of `make test`.


def test_notebooks_run_on_a_copy_that_leaves_configs_outputs_and_checkpoints_alone(tmp_path):
    root, course = tmp_path / "project", tmp_path / "course"
    for name in (
        "configs/a.json",
        "notebooks/00-start-here.ipynb",
        "data/x.txt",
        "checkpoints/w",
        ".venv/y",
        "README.md",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("theirs")
    notebooks = fresh_course(root, course)
    assert [path.name for path in notebooks] == ["00-start-here.ipynb"]
    for name in ("configs/a.json", "notebooks/00-start-here.ipynb"):
        (course / name).write_text("ours")
        assert (root / name).read_text() == "theirs"
    assert (course / "data" / "x.txt").read_text() == "theirs"
    assert not (course / "checkpoints").exists() and not (course / ".venv").exists()
    fresh_course(root, course)
    assert (root / "data" / "x.txt").exists(), "making the copy anew must not follow its links"
    assert (course / "configs" / "a.json").read_text() == "theirs"


def test_chapters_that_train_run_alone_and_after_the_others():
    names = ("00-start-here", "27-stage-a-thinker", "34-configuration-files")
    steps = notebook_steps([Path(f"{name}.ipynb") for name in names], workers=2)
    plain, stages, scan = (" ".join(step.command) for step in steps)
    assert "00-start" in plain and "34-conf" in plain and "27-stage" not in plain and "-n 2" in plain
    assert "27-stage" in stages and "-n 2" not in stages and "34-conf" not in stages
    assert steps[0].environment["OMP_NUM_THREADS"] == "1" and "OMP_NUM_THREADS" not in steps[1].environment
    assert "test_executed_notebooks" in scan


def test_the_summary_repeats_pytests_own_closing_line():
    printed = "....\n\x1b[32m===== \x1b[1m4 passed\x1b[0m, 1 skipped in 2.03s =====\x1b[0m\nLearn more about it\n\n"
    assert closing_line(printed) == "===== 4 passed, 1 skipped in 2.03s ====="
    assert closing_line("Success: no issues\n") == "Success: no issues"
    assert closing_line("") == "nothing was printed"
    shown = summary([Outcome("tests", 1, 2.0, "1 failed in 2.03s"), Outcome("lint", 0, 1.0, "All checks passed!")])
    assert re.search(r"FAILED +tests .* 1 failed in 2.03s\nok +lint", shown)
