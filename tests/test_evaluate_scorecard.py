"""The scorecard as a library and as `muomni eval`: what is scored, what is skipped and why, and every wrong use."""

import json
import shutil
from pathlib import Path

import pytest
from small_evaluation import make_data, make_reality, make_runs, untrained

from muomni import cli_text
from muomni.cli import main
from muomni.config import STAGES
from muomni.evaluate import scorecard
from muomni.evaluate.ladder import LADDERS
from muomni.evaluate.ladder_figure import ladder_figure, place, rows_of
from muomni.evaluate.material import REALITY, Material, Unavailable, material
from muomni.evaluate.score import Score
from muomni.evaluate.scorecard import Scorecard, evaluate, name_of
from muomni.models.checkpoint import save_model

ALWAYS = {
    "thinker": ["loss_nats", "entropy_nats", "excess"],
    "audio_enc": ["wer_new_sentences", "wer_new_speakers"],
    "vision": ["r_at_1", "r_at_1_new_pairs", "zero_shot", "r_at_1_true"],
    "ocr": ["exact_new_words", "exact_new_fonts", "cer"],
}
"""What the scorecard has whatever is installed."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data, untrained runs and recordings; nothing in it is changed."""
    folder = tmp_path_factory.mktemp("home")
    make_data(folder / "data")
    make_runs(folder / "checkpoints", folder / "data/text/tokenizer.model")
    make_reality(folder / "reality")
    return folder


@pytest.fixture(autouse=True)
def _no_reality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REALITY, raising=False)


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


@pytest.fixture(scope="module")
def card(home: Path) -> Scorecard:
    """Everything that can be scored."""
    return evaluate((), home / "checkpoints", home / "data", home / "reality")


def test_every_stage_with_weights_is_scored_and_the_others_say_why(card: Scorecard, home: Path) -> None:
    found = card.to_json()
    assert list(found) == list(ALWAYS) and set(LADDERS) == set(STAGES)
    for stage, metrics in ALWAYS.items():
        assert set(metrics) <= set(found[stage])
    assert set(card.skipped) == set(STAGES) - set(ALWAYS)
    assert all(f"{stage} is skipped: " in "\n".join(card.left_out()) for stage in card.skipped)
    for metrics in found.values():
        for score in metrics.values():
            assert {"value", "low", "high", "n", "floor", "ceiling", "split", "weights", "data", "seed"} == set(score)
            assert score["low"] <= score["value"] <= score["high"] and score["n"] > 0 and score["seed"] == 0
    assert found["ocr"]["cer"]["weights"] == (home / "checkpoints/ocr_nano").as_posix()
    assert found["ocr"]["cer"]["data"] == Material(home / "data").fingerprint("ocr")
    assert str(found["ocr"]["cer"]["data"]).startswith("sha256:")
    json.dumps(found, allow_nan=False)


def test_a_rung_gives_the_metrics_that_it_announces(card: Scorecard) -> None:
    for stage in card.stages:
        for climbed in stage.rungs:
            assert bool(climbed.scores) != bool(climbed.skipped)
            if climbed.scores:
                assert set(climbed.scores) == set(climbed.rung.metrics) >= set(climbed.rung.shown)


def test_untrained_models_are_near_the_floor(card: Scorecard) -> None:
    found = card.to_json()
    assert found["thinker"]["excess"]["value"] > 5 and found["thinker"]["answers_right"]["value"] == 0
    assert found["audio_enc"]["wer_new_sentences"]["value"] >= 0.9
    assert found["vision"]["r_at_1"]["value"] <= 0.15 and found["vision"]["zero_shot"]["value"] <= 0.2
    assert found["ocr"]["exact_new_words"]["value"] == 0 and found["ocr"]["cer"]["value"] >= 0.9
    loss, entropy = found["thinker"]["loss_nats"], found["thinker"]["entropy_nats"]
    assert loss["ceiling"] == entropy["value"] < loss["floor"]
    assert found["thinker"]["excess"]["value"] == pytest.approx(loss["value"] / entropy["value"] - 1, rel=1e-4)


def test_the_thinker_is_held_against_the_same_excess_as_in_its_chapter(home: Path, card: Scorecard) -> None:
    from muomni.evaluate.text import excess_over_entropy
    from muomni.infer.load import load_thinker

    trained = load_thinker(home / "checkpoints/thinker_nano")
    lines = (home / "data/text/test.txt").read_text().splitlines()
    old = excess_over_entropy(trained.model, trained.tokenizer, lines)
    new = card.to_json()["thinker"]["excess"]
    assert [new["value"], new["low"], new["high"]] == pytest.approx([old.excess, old.low, old.high], rel=1e-4)


def test_scores_are_the_same_again_and_a_limit_makes_them_few(home: Path, card: Scorecard) -> None:
    again = evaluate(["ocr", "ocr"], home / "checkpoints", home / "data").to_json()
    first = card.to_json()["ocr"]
    assert list(again) == ["ocr"] and all(first[name] == score for name, score in again["ocr"].items())
    few = evaluate(["ocr"], home / "checkpoints", home / "data", limit=3, seed=5).to_json()["ocr"]["cer"]
    assert (few["n"], few["seed"]) == (3, 5)


def test_what_is_not_there_is_skipped_with_the_reason(home: Path) -> None:
    found = evaluate(["audio_enc"], home / "checkpoints", home / "data")
    assert not {"accuracy_real_words", "wer_real_sentences"} & set(found.to_json()["audio_enc"])
    told = "\n".join(found.left_out())
    assert "audio_enc: real words: skipped: no real recordings and texts are named: give --reality DIR" in told
    assert "audio_enc: another engine: skipped:" in told and "--only audio_other_engine" in told


def test_reality_may_be_named_by_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REALITY, str(home / "reality"))
    found = material(home / "data")
    assert [each.text for each in found.recordings("fsdd")] == ["seven", "two"]
    with pytest.raises(Unavailable, match="no recordings of nothing"):
        found.recordings("nothing")
    (source := found.fingerprint("reality/speech.tsv")) and source.startswith("sha256:")


def test_a_limit_takes_examples_evenly_from_a_whole_table() -> None:
    few = Material(Path(), limit=3)
    assert few.spread(range(101)) == [0, 50, 100] and few.spread([1, 2]) == [1, 2]
    assert few.spread(range(100), most=2) == [0, 99] and Material(Path()).spread(range(5), most=9) == [0, 1, 2, 3, 4]


def test_newest_prefers_the_learners_run_and_shipped_is_named_without_its_place(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = tmp_path / "weights"
    shutil.copytree(home / "checkpoints/ocr_nano", shipped / "nano/ocr")
    monkeypatch.setattr("muomni.infer.load.WEIGHTS_FOLDER", shipped)
    monkeypatch.chdir(tmp_path)
    assert name_of(scorecard._folder("ocr", "newest")) == name_of(scorecard._folder("ocr", "shipped"))
    assert name_of(scorecard._folder("ocr", "shipped")) == "shipped: nano/ocr"
    shutil.copytree(home / "checkpoints/ocr_nano", "checkpoints/ocr_nano/step-000010")
    Path("checkpoints/ocr_nano/best.json").write_text('{"folder": "step-000010"}')
    assert name_of(scorecard._folder("ocr", "newest")) == "checkpoints/ocr_nano/step-000010"
    Path("checkpoints/ocr_nano/best.json").rename("checkpoints/ocr_nano/last.json")
    assert name_of(scorecard._folder("ocr", "checkpoints/ocr_nano")) == "checkpoints/ocr_nano/step-000010"


def test_the_figure_shows_every_rung_from_chance_to_the_best(card: Scorecard) -> None:
    figure = ladder_figure(card)
    assert len(figure.axes) == len(card.stages)
    for ax, stage in zip(figure.axes, card.stages, strict=True):
        labels = [text.get_text() for text in ax.get_yticklabels()]
        assert len(labels) == len(rows_of(stage))
        assert all(any(label.startswith(climbed.rung.name) for label in labels)
                   for climbed in stage.rungs if climbed.skipped or climbed.rung.shown)  # fmt: skip
    error = Score(0.25, 0.2, 0.3, 10, "test", floor=1.0, ceiling=0.0)
    assert (place(0.25, error), place(1.0, error), place(0.0, error)) == (0.75, 0.0, 1.0)


def run(capsys: pytest.CaptureFixture[str], code: int, *argv: str) -> tuple[str, str]:
    assert main(["eval", *argv]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out, err


def test_eval_for_programs(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, 0, "ocr", "--weights", "checkpoints", "--limit", "4", "--json", "--plot", "ladder.svg")
    found = json.loads(out)
    assert set(ALWAYS["ocr"]) <= set(found["ocr"]) and found["ocr"]["cer"]["weights"] == "checkpoints/ocr_nano"
    assert Path("ladder.svg").read_text().startswith("<?xml")
    assert err == "" or "ocr: handwritten digits: skipped: " in err
    Path("ladder.svg").unlink()


def test_eval_for_people(at_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--weights", "checkpoints", "--limit", "4", "--reality", "reality")
    out, _ = run(capsys, 0, "audio_enc", *options)
    assert out.startswith("audio_enc · checkpoints/audio_enc_nano\n") and "floor: what chance gets" in out
    lines = [line.split() for line in out.splitlines()]
    assert any(line[:3] == ["new", "sentences", "wer_new_sentences"] and "to" in line for line in lines)
    assert "real sentences: expected to fail: most of these words were never taught" in out
    assert "another engine: skipped: " in out
    out, _ = run(capsys, 0, "--weights", "checkpoints/vision_nano", "--limit", "4")
    assert out.startswith("vision · checkpoints/vision_nano\n") and "thinker" not in out
    assert "photographs: skipped: " in out


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["visoin"], 2, "'visoin' is no stage. Did you mean vision?"),
        (["everything"], 2, "Name some of thinker, audio_enc"),
        (["vocoder"], 1, "vocoder"),
        (["ocr", "talker"], 1, "talker"),
        (["ocr", "--limit", "0"], 2, "--limit: is 0; allowed is a whole number from 2 up"),
        (["ocr", "--limit", "few"], 2, '"few" is no whole number'),
        (["ocr", "--seed", "-1"], 2, "--seed: is -1"),
        (["ocr", "--plot", "ladder"], 2, "--plot: 'ladder' is no name of a picture"),
        (["ocr", "--weights", "nowhere"], 2, "nowhere: --weights: is no folder of weights"),
        (["ocr", "--weights", "data"], 1, "data: holds neither a checkpoint nor runs"),
        (["ocr", "--weights", "checkpoints/vision_nano"], 2, "holds a model of stage vision, not of ocr"),
        (["ocr", "--data", "nowhere"], 1, "nowhere: is no folder. Run `muomni data make`"),
        (["ocr", "--data", "checkpoints"], 1, "checkpoints/ocr/ocr_test_new_words.csv: does not exist"),
        (["--data", "checkpoints"], 1, "nothing can be scored:\n  thinker: checkpoints/text/test.txt: does not exist"),
        (["audio_enc", "--reality", "data"], 1, "data: holds no speech.tsv"),
        (["--what"], 2, "--what"),
    ],
)
def test_eval_typed_wrongly_or_without_what_it_needs(
    at_home: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, said: str
) -> None:
    weights = [] if "--weights" in argv else ["--weights", "checkpoints"]
    out, err = run(capsys, code, *argv, *weights)
    assert out == "" and said in err and err.endswith("\n")


def test_a_stage_without_weights_is_an_error_only_when_it_is_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home / "checkpoints/ocr_nano", tmp_path / "runs/ocr_nano")
    monkeypatch.chdir(tmp_path)
    data = ("--data", str(home / "data"), "--limit", "4", "--weights", "runs")
    out, err = run(capsys, 0, *data, "--json")
    assert list(json.loads(out)) == ["ocr"] and "vision is skipped: runs/vision_nano: holds no best checkpoint" in err
    _, err = run(capsys, 1, "vision", *data)
    assert err.startswith("runs/vision_nano: holds no best checkpoint")


@pytest.mark.parametrize(
    ("name", "content", "stage", "said"),
    [
        ("ocr/ocr_test_new_words.csv", b"image,text\nmissing.png,abc\n", "ocr", "missing.png: does not exist"),
        ("ocr/ocr_test_new_words.csv", b"image\nx\n", "ocr", "ocr_test_new_words.csv:1: text: the column is missing"),
        ("ocr/test_new_words-0.png", b"no picture", "ocr", "is no image"),
        ("images/test.json", b"[{", "vision", "test.json"),
        ("images/test.json", b'[{"image": "seen-0.png", "captions": ["a ring."]}]', "vision", "names no scene record"),
        ("text/test.txt", b"the moon is a purple cheese.\n", "thinker", "no document of the tiny world"),
        ("text/test.txt", b"\xff\xfe", "thinker", "test.txt"),
        ("audio/wav/asr_test-1.flac", b"fLaC", "audio_enc", "asr_test-1.flac"),
    ],
)
def test_damaged_data_is_one_clear_error(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, stage: str, said: str
) -> None:
    shutil.copytree(home / "data", tmp_path / "data")
    (tmp_path / "data" / name).write_bytes(content)
    options = ("--weights", str(home / "checkpoints"), "--data", str(tmp_path / "data"), "--json")
    out, err = run(capsys, 1, stage, *options)
    assert out == "" and said in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path\tset\n", "has no recordings"),
        ("path\tset\tspeaker\ttext\nspeech/0.flac\tfsdd\tx\n", "speech.tsv:2: text: is missing"),
        ("path\tset\tspeaker\ttext\n../0.flac\tfsdd\tx\tone\n", "leaves the folder"),
        ("\0", "speech.tsv"),
    ],
)
def test_a_damaged_table_of_recordings(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "speech.tsv").write_text(content)
    with pytest.raises(Exception, match=said):
        Material(tmp_path, tmp_path).recordings("fsdd")


def test_weights_that_are_cut_short_are_one_clear_error(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = untrained("ocr")
    folder = save_model(tmp_path / "run", model.state_dict(), model.config)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    _, err = run(capsys, 1, "--weights", str(folder), "--data", str(home / "data"))
    assert "model.safetensors: is no readable safetensors file" in err


def test_a_plot_that_cannot_be_written_is_one_clear_error(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").write_text("a file, not a folder")
    options = ("--weights", "checkpoints", "--limit", "4", "--plot", "taken/ladder.png")
    _, err = run(capsys, 1, "ocr", *options)
    assert "cannot be written" in err
    Path("taken").unlink()


def test_numbers_stand_to_the_right_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    cli_text.print_table(("metric", "value"), [["cer", "0.5000"], ["exact", "11.0000"]])
    assert capsys.readouterr().out == "metric    value\ncer      0.5000\nexact   11.0000\n"
