"""The `muomni` command as it is typed: what it prints, where, and its exit codes."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_project import ROOT, make_project, snapshot, write_corpus

import muomni
from muomni import cli, cli_commands, cli_text
from muomni.cli import main
from muomni.config import STAGES, read_config
from muomni.doctor import Check
from muomni.plan import Memory, plan

TINY = "configs/thinker_tiny.json"
COMMANDS = ("chat", "data", "count", "update-configs", "plan", "memory", "train", "eval", "doctor")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own configs, read only."""
    monkeypatch.chdir(ROOT)


def succeed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def fail(capsys: pytest.CaptureFixture[str], code: int, *argv: str) -> str:
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and err.endswith("\n")
    return err


def test_plan_prints_the_same_object_as_the_library(configs: None, capsys: pytest.CaptureFixture[str]) -> None:
    for stage, size in (("thinker", "--tokens"), ("vision", "--samples")):
        path = f"configs/{stage}_tiny.json"
        config = read_config(path).config
        found = json.loads(succeed(capsys, "plan", path, size, "123456", "--json"))
        expected = plan(config, **{config.unit: 123456})
        assert expected.to_json().items() <= found.items()
        assert found["config"] == path and found["source"] is None and found["skipped"] is None
        changed = {change["field"]: change["after"] for change in found["changes"]}
        assert (
            config.model_copy(update=changed).model_dump() == config.model_copy(update=expected.settings).model_dump()
        )


def test_plan_takes_settings_epochs_warmup_and_memory(configs: None, capsys: pytest.CaptureFixture[str]) -> None:
    wishes = (
        "--set",
        "batch_size=4",
        "learning_rate=0.1",
        "--set",
        "gradient_accumulation_steps=6",
        "--epochs",
        "2",
        "--warmup-percent",
        "5",
        "--memory-gb",
        "0.3",
    )
    found = json.loads(succeed(capsys, "plan", TINY, "--tokens", "1000000", *wishes, "--json"))
    assert found["effective_batch_size"] == 24 and found["max_epochs"] == 2
    assert found["max_steps"] == 2 * (900_000 // (24 * 512)) == 146 and found["warmup_steps"] == 7
    assert found["memory_budget_bytes"] == int(0.3 * 2**30)


def test_plan_for_people(configs: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = succeed(capsys, "plan", TINY, "--tokens", "10_000_000")
    assert "given: 10,000,000 tokens, 9,000,000 to train on (medium: 3-6 epochs)" in out
    assert "4,392 steps of 8,192 tokens: 4 epochs x 1,098; 176 of them warmup" in out
    assert "max_steps" in out and "4 epochs of 1,098 steps" in out and "of 12.0 GiB" in out
    assert all(len(line) < 140 for line in out.splitlines())


def test_plan_says_what_does_not_fit(configs: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = succeed(capsys, "plan", TINY, "--tokens", "1000", "--memory-gb", "0.05")
    assert "DOES NOT FIT" in out and "too much even with batch_size 1" in out


def test_plan_from_the_data_on_disk(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(project)
    assert main(["plan", "configs/vocoder_tiny.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["examples"], found["source"]) == (103, "data/audio/tts.csv")
    assert snapshot(project) == before


def test_update_configs_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update-configs", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [one["stage"] for one in found] == list(STAGES)
    assert all(one["changes"] and one["fits"] for one in found)
    assert err == ""
    for one in found:
        for change in one["changes"]:
            assert json.loads(Path(one["config"]).read_text())[change["field"]] == change["after"]


def test_update_configs_for_people(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/ocr")
    out = succeed(capsys, "update-configs", "--dry-run")
    assert "to be trained on data/text/tiny_corpus.txt" in out
    assert "skipped: no data; looked for data/ocr/production_ocr.csv, data/ocr/ocr_train.csv" in out
    assert "would change:" in out and out.endswith("dry run: nothing was written\n")
    out = succeed(capsys, "update-configs")
    assert "changed:" in out and "would change" not in out and "dry run" not in out
    assert "nothing to change" in succeed(capsys, "update-configs")


def test_a_config_named_without_its_data_is_exit_code_1(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/ocr")
    assert main(["update-configs", "--config", "ocr", "vocoder", "--json"]) == 1
    vocoder, ocr = json.loads(capsys.readouterr().out)
    assert ocr["skipped"]["looked_for"] == ["data/ocr/production_ocr.csv", "data/ocr/ocr_train.csv"]
    assert ocr["max_steps"] is None and vocoder["max_steps"] == 7 * (93 // 8)
    assert read_config("configs/vocoder_tiny.json").config.max_steps == 77


@pytest.mark.parametrize(
    ("given", "other"),
    [
        (["--skip-text-tokenization"], "--assume-text-tokens"),
        (["--assume-text-tokens", "5"], "--skip-text-tokenization"),
    ],
)
def test_assuming_and_skipping_go_together_only(
    project: Path, capsys: pytest.CaptureFixture[str], given: list[str], other: str
) -> None:
    before = snapshot(project)
    err = fail(capsys, 2, "update-configs", *given)
    assert other in err and given[0] in err and len(err.splitlines()) == 1
    assert snapshot(project) == before


def test_assumed_tokens_are_planned(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wishes = ("--skip-text-tokenization", "--assume-text-tokens", "8000000000", "--config", "thinker", "--json")
    found = json.loads(succeed(capsys, "update-configs", *wishes))
    assert found[0]["examples"] == 8_000_000_000 and found[0]["size_class"] == "very large"
    assert not Path("data/text/tokenizer_tiny.model").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "COMMAND"),
        (["pla"], "invalid choice: 'pla'"),
        (["plan"], "CONFIG"),
        (["plan", TINY, "--tokens"], "--tokens"),
        (["plan", TINY, "--tokens", "many"], '"many" is no whole number'),
        (["plan", TINY, "--tokens", "1.5"], '"1.5" is no whole number'),
        (["plan", TINY, "--tokens", "-1"], "--tokens: is -1"),
        (["plan", TINY, "--samples", "5"], "planned by tokens"),
        (["plan", TINY, "--tokens", "5", "--samples", "5"], "not allowed with"),
        (["plan", TINY, "--tokens", "5", "--set", "lr"], "not of the form key=value"),
        (["plan", TINY, "--tokens", "5", "--set", "lrr=1"], 'did you mean "lr"?'),
        (["plan", TINY, "--tokens", "5", "--set", "lr=fast"], 'lr: is "fast"; allowed is a number'),
        (["plan", TINY, "--tokens", "5", "--set", "lr=NaN"], "lr: is NaN"),
        (["plan", TINY, "--tokens", "5", "--set", "tokenizer="], "names no file"),
        (["plan", TINY, "--tokens", "5", "--epochs", "0"], "--epochs is 0"),
        (["plan", TINY, "--tokens", "5", "--warmup-percent", "nan"], "--warmup-percent: is nan"),
        (["plan", TINY, "--tokens", "5", "--memory-gb", "-3"], "--memory-gb: is -3"),
        (["plan", TINY, "--tokens", "9" * 30], "max_steps may be a whole number"),
        (["plan", TINY, "--tok", "5"], "--tok"),
        (["memory", TINY, "--set", "n_heads=3"], "which does not divide d_model 256"),
        (["update-configs", "--config", "thinkr"], "invalid choice: 'thinkr'"),
        (["update-configs", "--config"], "--config"),
        (["update-configs", "--profile", "big"], "'big'"),
        (["update-configs", "--memory-gb", "lots"], "invalid float value"),
        (["update-configs", "--skip-text-tokenization", "--assume-text-tokens", "-1"], "is -1"),
        (["update-configs", "--skip-text-tokenization", "--assume-text-tokens", "1", "--estimate"], "--estimate"),
        (["train", "everything"], "invalid choice: 'everything'"),
        (["train", "thinker", "--resume", "--replace"], "not allowed"),
        (["train", "thinker", "--config", "configs/ocr_tiny.json"], "is a config of ocr, not of thinker"),
        (["count", "README.md", "--estimate"], "--tokenizer"),
        (["count", "a.csv", "--estimate", "--tokenizer", "x"], "text"),
        (["data"], "COMMAND"),
        (["data", "make", "--seed", "x"], "no whole number"),
        (["data", "make", "--out", "nowhere", "--scale", "0"], "scale"),
    ],
)
def test_a_command_typed_wrongly_is_exit_code_2(
    configs: None, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert said in fail(capsys, 2, *argv)


@pytest.mark.parametrize("command", [[], ["data"], ["data", "make"], *([name] for name in COMMANDS)])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "usage: " in succeed(capsys, *command, "--help")


def test_the_help_lists_what_there_is_and_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    out = succeed(capsys, "--help")
    assert all(re.search(rf"\n +{name}\s", out) for name in COMMANDS)
    assert "export" not in out
    assert succeed(capsys, "--version") == f"muomni {muomni.__version__}\n"


def test_the_version_is_the_one_that_is_installed() -> None:
    assert muomni.__version__ == importlib.metadata.version("muomni")


def test_memory_by_category(configs: None, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(succeed(capsys, "memory", TINY, "--set", "batch_size=2", "--json"))
    parts = found["memory"]
    assert parts["total"] == sum(value for name, value in parts.items() if name != "total")
    assert (found["batch_size"], found["method"]) == (2, "closed form")
    out = succeed(capsys, "memory", TINY)
    assert "activations" in out and "total" in out and "GiB" in out


def test_exact_memory_is_traced(
    configs: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from muomni.train import memory_trace

    traced: list[tuple[str, int]] = []

    def trace(config: Any, batch_size: int) -> Memory:
        traced.append((config.stage_name, batch_size))
        return Memory(1, 2, 3, 4, 5)

    monkeypatch.setattr(memory_trace, "trace", trace)
    found = json.loads(succeed(capsys, "memory", TINY, "--exact", "--set", "batch_size=3", "--json"))
    assert traced == [("thinker", 3)]
    assert found["method"] == "exact trace" and found["memory"]["total"] == 15


def test_count_lines_rows_and_tokens(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update-configs", "--config", "thinker", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)[0]["examples"]
    corpus, model = "data/text/tiny_corpus.txt", "data/text/tokenizer_tiny.model"
    assert json.loads(succeed(capsys, "count", corpus, "--json"))["lines"] == 600
    assert json.loads(succeed(capsys, "count", corpus, "--tokenizer", model, "--json"))["tokens"] == planned
    assert json.loads(succeed(capsys, "count", corpus, "--tokenizer", model, "--estimate", "--json"))["low"] == planned
    assert json.loads(succeed(capsys, "count", "data/audio/asr.csv", "--json"))["rows"] == 102
    assert json.loads(succeed(capsys, "count", "data/images/annotations.json", "--json"))["rows"] == 101
    assert json.loads(succeed(capsys, "count", "data/audio/asr.csv", "--tokenizer", model, "--json"))["rows"] == 102
    assert "600 lines" in succeed(capsys, "count", corpus)


def test_data_make_writes_the_same_text_twice(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads(succeed(capsys, "data", "make", "--out", "a", "--scale", "0.001", "--only", "text", "--json"))
    assert main(["data", "make", "--out", "b", "--scale", "0.001", "--only", "text"]) == 0
    assert "tiny_corpus.txt" in capsys.readouterr().out
    assert Path("a/text/tiny_corpus.txt").read_bytes() == Path("b/text/tiny_corpus.txt").read_bytes()
    assert first["text"]["files"]["tiny_corpus.txt"]["lines"] > 0
    assert main(["update-configs", "--data", "a", "--config", "thinker", "--dry-run"]) == 0


def test_train_hands_the_config_on(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from muomni.train import run
    from muomni.train.loop import Result

    asked: list[Any] = []

    def train(config: Any, **options: Any) -> Result:
        asked.append((config, options))
        print("a line for people")
        return Result(Path(config.save_dir), 7, "finished", {"loss": 1.5}, 1.5, 0.1)

    monkeypatch.setattr(run, "train", train)
    out = succeed(
        capsys, "train", "thinker", "--set", "max_steps=7", "warmup_steps=1", "--out", "here", "--json", "--resume"
    )
    config, options = asked[0]
    assert (config.max_steps, config.save_dir, config.vocab_size) == (7, "here", 512)
    assert options["resume"] is True and options["replace"] is False
    assert json.loads(out) == {
        "folder": "here",
        "step": 7,
        "reason": "finished",
        "metrics": {"loss": 1.5},
        "best": 1.5,
        "seconds": 0.1,
    }


def test_doctor_finds_a_sound_installation(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checks = {check["name"]: check for check in json.loads(succeed(capsys, "doctor", "--json"))}
    assert checks["python"]["found"] == ".".join(map(str, sys.version_info[:3]))
    assert "torch" in checks["packages"]["found"]
    assert checks["configs"]["found"] == "14 valid in configs"
    assert checks["data: ocr"]["state"] == "ok"
    assert {"device", "bf16", "chromium", "disk"} <= set(checks)


def test_doctor_finds_what_is_wrong_and_says_what_to_do(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("configs/ocr_nano.json").write_text("{")
    Path("configs/vision_tiny.json").write_text(
        Path("configs/vision_tiny.json").read_text().replace('"vocab_size": 32000', '"vocab_size": 31000')
    )
    shutil.rmtree("data/text")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "bad" in out and "ocr_nano.json:1: is no JSON" in out
    assert "vision_tiny.json: vocab_size: is 31000, but vocab_size of the thinker config is 32000" in out
    assert "→ muomni data make" in out
    assert main(["doctor", "--configs", "nowhere"]) == 1
    assert "none in nowhere" in capsys.readouterr().out


def test_doctor_finds_missing_and_old_packages(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "rich":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"pydantic": "1.0", "nbmake": "0.1"}.get(name, real(name))

    monkeypatch.setattr("muomni.doctor.metadata.version", version)
    assert main(["doctor", "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert (checks["rich"]["state"], checks["rich"]["found"]) == ("bad", "not installed")
    assert checks["pydantic"]["state"] == "bad" and "1.0, but <3,>=2.10 is asked for" in checks["pydantic"]["found"]
    assert checks["nbmake"]["state"] == "missing" and "pip install 'nbmake" in checks["nbmake"]["remedy"]


def test_tables_in_a_terminal_hold_what_they_hold_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [["max_steps", "10,000", "126"], ["[bold]", "a", "b"]]
    cli_text.print_table(("setting", "before", "after"), cells, indent=2)
    plain = capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cli_text.print_table(("setting", "before", "after"), cells, indent=2)
    rich = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert plain.split() == rich.split() == ["setting", "before", "after", *(cell for row in cells for cell in row)]
    cli_text.print_checks([Check("a", "bad", "b", "c")])
    assert capsys.readouterr().out.split() == ["bad", "a", "b", "→", "c"]


def test_an_interruption_is_one_word_and_exit_code_130(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_commands, "doctor", interrupted)
    before = snapshot(project)
    assert fail(capsys, 130, "doctor") == "interrupted\n"
    assert snapshot(project) == before


def test_what_the_operating_system_refuses_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> int:
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr(cli_commands, "doctor", refused)
    assert fail(capsys, 1, "doctor") == "some/file: Permission denied\n"


def run(*argv: str, cwd: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "muomni.cli", *argv], cwd=cwd, capture_output=True, text=True, **options
    )


def test_in_a_process_of_its_own(project: Path) -> None:
    done = run("plan", TINY, "--tokens", "1000000", "--json", cwd=project)
    assert done.returncode == 0 and json.loads(done.stdout)["examples"] == 1_000_000 and done.stderr == ""
    done = run("plan", "nowhere.json", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "nowhere.json: does not exist\n")
    done = run("plan", TINY, "--samples", "4", cwd=project)
    assert done.returncode == 2 and "planned by tokens" in done.stderr


def test_the_script_is_the_same_command(project: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts/update_configs_from_data.py")]
    done = subprocess.run([*script, "--config", "ocr", "--json"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)[0]["examples"] == 104
    done = subprocess.run([*script, "--skip-text-tokenization"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 2 and "--assume-text-tokens" in done.stderr


def test_a_reader_that_leaves_is_no_error() -> None:
    for words in (f"plan {TINY} --tokens 1000", "--help"):
        command = f"{sys.executable} -m muomni.cli {words} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
        assert done.stderr == "" and done.stdout.strip() in ("0", "141")


def test_a_terminal_that_knows_no_greek() -> None:
    done = run("plan", TINY, "--tokens", "1000", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and "thinker \\xb7 configs" in done.stdout


CTRL_C = """
import os, signal, sys
from muomni.cli import main
from muomni.data.count_memory import CountMemory

note = CountMemory.checkpoint

def note_and_stop(self, *what):
    note(self, *what)
    if "production" in self.path.name:
        os.kill(os.getpid(), signal.SIGINT)

CountMemory.checkpoint = note_and_stop
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with "&" ignore it
sys.argv = ["muomni", "update-configs", "--config", "thinker"]
sys.exit(main())
"""


def test_interrupted_while_counting_it_says_so_and_goes_on_later(project: Path) -> None:
    """Ctrl-C in the middle of a large count; the configs are untouched and the next run ends it."""
    assert run("update-configs", "--config", "thinker", cwd=project).returncode == 0
    n_lines = 300_000
    write_corpus(project / "data/text/production_corpus.txt", n_lines)
    before = snapshot(project / "configs")
    process = subprocess.run(
        [sys.executable, "-c", CTRL_C], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    out, err = process.stdout, process.stderr
    assert process.returncode == 130 and out == "" and err.rstrip().endswith("interrupted") and "Traceback" not in err
    assert snapshot(project / "configs") == before
    done = run(
        "count",
        "data/text/production_corpus.txt",
        "--tokenizer",
        "data/text/tokenizer_tiny.model",
        "--json",
        cwd=project,
    )
    found = json.loads(done.stdout)
    assert found["lines"] == n_lines and 0 < found["resumed_at"] < n_lines


def test_no_command_is_listed_that_does_nothing() -> None:
    """Every leaf of the parser runs a function of cli_commands."""
    actions = [action for action in cli.parser()._actions if action.choices]
    assert sorted(actions[0].choices) == sorted(COMMANDS)  # type: ignore[arg-type]
    for name, command in actions[0].choices.items():  # type: ignore[union-attr]
        assert name == "data" or callable(command.get_default("run"))
