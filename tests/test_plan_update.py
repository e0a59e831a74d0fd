"""update-configs: what it reads, what it changes and why, and what it never touches."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_project import SENTENCES, TEXT_STAGES, make_project, snapshot, write_annotations, write_corpus, write_csv

from muomni.config import STAGES, disagreements, read_config, save_changes
from muomni.data import counting
from muomni.data.tokenizer import Tokenizer, train_tokenizer
from muomni.errors import UserError
from muomni.plan import plan
from muomni.plan.outcome import Outcome, Report, Request
from muomni.plan.survey import Survey
from muomni.plan.update import plan_from_disk, update_configs

TOKENIZER = Path("data/text/tokenizer_tiny.model")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature project after a first run: tokenizer, caches and configs are there."""
    folder = make_project(tmp_path_factory.mktemp("trained"))
    before = Path.cwd()
    os.chdir(folder)
    try:
        update_configs(Request(), progress=False)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The miniature project as it is before anything was run; the working directory."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def after(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project after its first run; the working directory."""
    shutil.copytree(trained, tmp_path / "after")
    monkeypatch.chdir(tmp_path / "after")
    return tmp_path / "after"


def run(**wishes: Any) -> Report:
    return update_configs(Request(**wishes), progress=False)


def changes(report: Report) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {o.stage: {c.field: (c.before, c.after) for c in o.changes} for o in report.outcomes}


def one(report: Report, stage: str) -> Outcome:
    return next(outcome for outcome in report.outcomes if outcome.stage == stage)


def config_of(stage: str, profile: str = "tiny") -> Any:
    return read_config(f"configs/{stage}_{profile}.json").config


def test_a_dry_run_writes_nothing_anywhere(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = snapshot(project)
    report = run(dry_run=True)
    assert report.vocabulary is not None and report.vocabulary.trained_on is not None
    assert snapshot(project) == before
    assert list(scratch.iterdir()) == []


def test_a_dry_run_over_transcripts_writes_nothing_either(project: Path) -> None:
    (project / "data/text/tiny_corpus.txt").unlink()
    before = snapshot(project)
    assert run(dry_run=True).vocabulary is not None
    assert snapshot(project) == before


def test_a_dry_run_after_a_run_writes_nothing_and_counts_nothing_again(
    after: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished count is read again")

    before = snapshot(after)
    monkeypatch.setattr(counting, "_batches", never)
    assert all(not outcome.changes for outcome in run(dry_run=True).outcomes)
    assert snapshot(after) == before


def test_the_run_does_what_the_dry_run_said_and_the_next_has_nothing_to_do(project: Path) -> None:
    said = run(dry_run=True)
    did = run()
    assert changes(did) == changes(said)
    assert all(changes(said).values())
    before = snapshot(project / "configs")
    again = run()
    assert not any(changes(again).values())
    assert snapshot(project / "configs") == before


def test_after_a_run_every_config_is_valid_agrees_with_the_others_and_can_be_trained(after: Path) -> None:
    configs = {stage: config_of(stage) for stage in STAGES}
    assert disagreements(configs) == {}
    assert {config.vocab_size for stage, config in configs.items() if stage in TEXT_STAGES} == {
        Tokenizer.load(TOKENIZER).vocab_size
    }
    for config in configs.values():
        for field in ("train_text", "train_csv", "tts_csv", "ocr_csv", "train_manifest", "image_root", "tokenizer"):
            assert Path(getattr(config, field, ".")).exists(), field


def test_what_is_planned_is_the_plan_of_the_data_counted_by_hand(after: Path) -> None:
    tokenizer = Tokenizer.load(TOKENIZER)
    tokens = sum(len(ids) + 1 for ids in tokenizer.encode_batch(SENTENCES * 10))
    report = run(dry_run=True)
    sizes = {
        "thinker": tokens,
        "omni_sft": tokens,
        "vision": 101,
        "audio_enc": 102,
        "talker": 103,
        "vocoder": 103,
        "ocr": 104,
    }
    for outcome in report.outcomes:
        assert outcome.counted is not None and outcome.counted.examples == sizes[outcome.stage]
        assert outcome.plan == plan(outcome.config, **{outcome.config.unit: sizes[outcome.stage]})
        for name, value in outcome.plan.settings.items():
            assert getattr(config_of(outcome.stage), name) == value


def test_every_change_has_its_reason(project: Path) -> None:
    for outcome in run(dry_run=True).outcomes:
        assert outcome.changes
        for change in outcome.changes:
            assert change.reason and change.before != change.after, change


def test_the_tokenizer_is_trained_where_the_thinkers_config_says(project: Path) -> None:
    for stage in TEXT_STAGES:
        save_changes(read_config(f"configs/{stage}_tiny.json"), {"tokenizer": "./models//my.model"})
    report = run()
    assert Path("models/my.model").exists() and not TOKENIZER.exists()
    assert all("vocab_size" in changes(report)[stage] for stage in TEXT_STAGES)


def test_too_little_text_for_the_vocabulary_is_a_change_in_every_config_that_shares_it(project: Path) -> None:
    report = run()
    assert report.vocabulary is not None
    pieces = report.vocabulary.pieces
    assert 266 < pieces < 32_000
    for stage in TEXT_STAGES:
        change = next(c for c in one(report, stage).changes if c.field == "vocab_size")
        assert (change.before, change.after) == (32_000, pieces)
        assert change.reason == "data/text/tiny_corpus.txt is too small for 32,000 pieces"
    assert "vocab_size" not in changes(report)["ocr"]


def test_configs_that_were_not_asked_for_follow_the_vocabulary_and_nothing_else(project: Path) -> None:
    before = {stage: config_of(stage).model_dump() for stage in STAGES}
    report = run(stages=("thinker",))
    assert report.vocabulary is not None
    for stage in STAGES:
        if stage != "thinker":
            shared = {"vocab_size": report.vocabulary.pieces} if stage in TEXT_STAGES else {}
            assert config_of(stage).model_dump() == before[stage] | shared
            assert set(changes(report).get(stage, {})) == set(shared)
    assert disagreements({stage: config_of(stage) for stage in STAGES}) == {}


def test_a_config_with_a_tokenizer_of_its_own_keeps_its_vocabulary(project: Path) -> None:
    save_changes(read_config("configs/talker_tiny.json"), {"tokenizer": "data/text/other.model"})
    report = run()
    assert config_of("talker").vocab_size == 32_000
    assert any("talker_tiny.json: tokenizer: is 'data/text/other.model'" in note for note in report.notes)


def test_a_tokenizer_that_is_there_is_kept_and_the_configs_follow_it(project: Path) -> None:
    made = train_tokenizer("data/text/tiny_corpus.txt", TOKENIZER, 300)
    before = TOKENIZER.read_bytes()
    report = run()
    assert TOKENIZER.read_bytes() == before
    assert config_of("vision").vocab_size == made.vocab_size == 300
    change = next(c for c in one(report, "vision").changes if c.field == "vocab_size")
    assert change.reason == f"{TOKENIZER} has 300 pieces"


def test_a_tokenizer_older_than_the_text_is_noted(after: Path) -> None:
    assert run(dry_run=True).notes == ()
    write_corpus(Path("data/text/production_corpus.txt"), 700)
    os.utime(TOKENIZER, (1, 1))
    assert run(dry_run=True).notes == (
        f"{TOKENIZER} is older than data/text/production_corpus.txt: remove it to have one trained on that text",
    )


def test_without_a_corpus_the_tokenizer_is_trained_on_the_transcripts(project: Path) -> None:
    Path("data/text/tiny_corpus.txt").unlink()
    report = run()
    assert report.vocabulary is not None and report.vocabulary.trained_on == Path("data/audio/asr.csv")
    assert TOKENIZER.exists() and not Path("data/.temp").exists()
    assert one(report, "thinker").skipped and config_of("thinker").vocab_size == report.vocabulary.pieces


def test_paths_move_to_the_production_files(after: Path) -> None:
    write_corpus(Path("data/text/production_corpus.txt"), 900)
    write_annotations(Path("data/images/production_annotations.json"), 201)
    write_csv(Path("data/audio/production_asr.csv"), ("wav", "text"), 202)
    write_csv(Path("data/audio/production_tts.csv"), ("text", "wav"), 203)
    write_csv(Path("data/ocr/production_ocr.csv"), ("image", "text"), 204)
    report = run()
    text, pictures = "data/text/production_corpus.txt", "data/images/production_annotations.json"
    asr, tts, ocr = "data/audio/production_asr.csv", "data/audio/production_tts.csv", "data/ocr/production_ocr.csv"
    expected = {
        "thinker": {"train_text": text},
        "audio_enc": {"train_csv": asr},
        "vision": {"train_manifest": pictures},
        "talker": {"tts_csv": tts},
        "vocoder": {"train_csv": tts},
        "ocr": {"train_csv": ocr},
        "omni_sft": {"train_text": text, "train_manifest": pictures, "train_csv": asr, "ocr_csv": ocr},
    }
    for stage, fields in expected.items():
        for name, path in fields.items():
            assert getattr(config_of(stage), name) == path
            assert next(c for c in one(report, stage).changes if c.field == name).reason == (
                "the production file is there"
            )
    assert config_of("vision").image_root == "data/images" and config_of("ocr").image_root == "data/ocr"
    counted = {o.stage: o.counted.examples for o in report.outcomes if o.counted}
    assert (counted["vision"], counted["audio_enc"], counted["talker"], counted["vocoder"], counted["ocr"]) == (
        201,
        202,
        203,
        203,
        204,
    )


def test_the_configs_name_the_tiny_files_where_no_production_file_is(after: Path) -> None:
    assert config_of("ocr").train_csv == "data/ocr/ocr_train.csv"  # both are shipped with the production file
    assert config_of("vocoder").train_csv == "data/audio/tts.csv"


def test_data_elsewhere_moves_paths_and_picture_folders_there(project: Path, tmp_path: Path) -> None:
    shutil.move("data", tmp_path / "elsewhere")
    run(data=tmp_path / "elsewhere")
    vision = config_of("vision")
    assert vision.train_manifest == f"{tmp_path}/elsewhere/images/annotations.json"
    assert vision.image_root == f"{tmp_path}/elsewhere/images"
    assert config_of("ocr").image_root == f"{tmp_path}/elsewhere/ocr"


def test_the_same_data_named_otherwise_moves_nothing(after: Path) -> None:
    assert not any(changes(run(data=after / "data")).values())


@pytest.mark.parametrize(
    "there",
    [["production_tts", "production_asr", "tts", "asr"], ["production_asr", "tts", "asr"], ["tts", "asr"], ["asr"]],
)
def test_the_vocoder_takes_the_first_sound_there_is(project: Path, there: list[str]) -> None:
    for path in Path("data/audio").glob("*.csv"):
        path.unlink()
    for n, name in enumerate(there):
        write_csv(Path(f"data/audio/{name}.csv"), ("text", "wav"), 300 + n)
    outcome = one(run(stages=("vocoder",)), "vocoder")
    assert outcome.counted is not None and outcome.counted.examples == 300
    assert config_of("vocoder").train_csv == f"data/audio/{there[0]}.csv"


def test_configs_without_data_are_skipped_with_where_it_was_looked_for(project: Path) -> None:
    shutil.rmtree("data/images")
    before = config_of("vision").model_dump()
    report = run()
    outcome = one(report, "vision")
    assert outcome.plan is None and outcome.looked_for == (
        "data/images/production_annotations.json",
        "data/images/annotations.json",
    )
    assert outcome.make == "muomni data make"
    assert report.missing == ()
    assert config_of("vision").model_dump() == before | {"vocab_size": config_of("thinker").vocab_size}
    assert run(stages=("vision", "ocr")).missing == ("vision",)


def test_without_any_data_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_project(tmp_path / "empty", data=False))
    before = snapshot(Path.cwd())
    report = run()
    assert all(outcome.skipped and not outcome.changes for outcome in report.outcomes)
    assert one(report, "thinker").make == "muomni data make"
    assert snapshot(Path.cwd()) == before


def damage(path: str) -> None:
    Path(path).write_bytes(b"\xff\x00{not data")


def test_only_what_the_selected_configs_need_is_read(project: Path) -> None:
    damage("data/text/tiny_corpus.txt")
    damage("data/images/annotations.json")
    damage("data/audio/asr.csv")
    damage("configs/thinker_tiny.json")
    report = run(stages=("ocr", "vocoder"))
    assert [outcome.stage for outcome in report.outcomes] == ["vocoder", "ocr"]
    assert not TOKENIZER.exists()


def test_speech_for_talker_and_vocoder_is_counted_once(after: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[Path, tuple[str, ...]]] = []
    original = counting.count_samples

    def count_samples(path: Path, columns: tuple[str, ...], **options: Any) -> counting.Count:
        counted.append((Path(path), columns))
        return original(path, columns, **options)

    monkeypatch.setattr(counting, "count_samples", count_samples)
    run(stages=("talker", "vocoder"))
    assert counted == [(Path("data/audio/tts.csv"), ("text", "wav"))]


def test_assumed_tokens_are_planned_without_touching_the_text(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the text is tokenized")

    monkeypatch.setattr(Survey, "vocabulary", never)
    monkeypatch.setattr(Survey, "_tokens", never)
    damage("data/text/tiny_corpus.txt")
    report = run(assume_text_tokens=8_000_000_000)
    for stage in ("thinker", "omni_sft"):
        outcome = one(report, stage)
        assert outcome.plan is not None and outcome.plan.examples == 8_000_000_000
        assert outcome.counted is not None and outcome.counted.source == Path("data/text/tiny_corpus.txt")
        assert "vocab_size" not in changes(report)[stage]
    vision = one(report, "vision").counted
    assert vision is not None and (vision.examples, vision.reference_tokens) == (101, None)


def test_tokens_can_be_assumed_before_there_is_any_text(project: Path) -> None:
    shutil.rmtree("data/text")
    outcome = one(run(stages=("thinker",), assume_text_tokens=10**7), "thinker")
    assert outcome.plan is not None and outcome.plan.size_class == "medium" and not outcome.skipped
    assert outcome.to_json()["source"] is None


def test_an_estimate_has_its_interval_and_plans_with_the_middle(after: Path) -> None:
    write_corpus(Path("data/text/production_corpus.txt"), 120_000)
    outcome = one(run(stages=("thinker",), estimate=True, dry_run=True), "thinker")
    exact = one(run(stages=("thinker",), dry_run=True), "thinker")
    assert outcome.counted is not None and exact.counted is not None and outcome.counted.interval is not None
    low, high = outcome.counted.interval
    assert low <= outcome.counted.examples <= high
    assert abs(outcome.counted.examples - exact.counted.examples) < 0.02 * exact.counted.examples
    assert outcome.plan is not None and outcome.plan.examples == outcome.counted.examples
    assert exact.counted.interval is None


def test_a_planted_count_is_not_believed(after: Path) -> None:
    record = next(Path("data/.cache").glob("*tiny_corpus*.count"))
    record.write_text(record.read_text().replace('"totals": [600', '"totals": [999999999'))
    assert not any(changes(run()).values())


def test_texts_of_other_stages_are_counted_for_reference_and_plan_nothing(after: Path) -> None:
    tokenizer = Tokenizer.load(TOKENIZER)
    report = run(dry_run=True)
    pairs = [SENTENCES[n % 60] for n in range(101)] + [SENTENCES[(n + 7) % 60] for n in range(101)]
    expected = {"vision": pairs, "audio_enc": [SENTENCES[n % 60] for n in range(102)]}
    for stage, texts in expected.items():
        outcome = one(report, stage)
        assert outcome.counted is not None and outcome.plan is not None
        assert outcome.counted.reference_tokens == sum(map(len, tokenizer.encode_batch(texts)))
        assert outcome.plan.tokens_per_step is None


def test_rows_without_words_are_samples_all_the_same(after: Path) -> None:
    Path("data/audio/asr.csv").write_text("wav,text\n" + "a.wav,\n" * 50)
    counted = one(run(stages=("audio_enc",)), "audio_enc").counted
    assert counted is not None and (counted.examples, counted.reference_tokens) == (50, None)


def test_configs_that_do_not_fit_together_are_noted(after: Path) -> None:
    save_changes(read_config("configs/thinker_tiny.json"), {"d_model": 128})
    notes = run(dry_run=True).notes
    assert any(
        "configs/omni_sft_tiny.json: d_model: is 256, but d_model of the thinker config is 128" in n for n in notes
    )
    assert any("configs/talker_tiny.json: thinker_d_model" in note for note in notes)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda: Path("data/ocr/ocr_train.csv").write_text("image,text\n"), "ocr_train.csv: has no rows"),
        (lambda: Path("data/text/tiny_corpus.txt").write_text("\n\n"), "holds no text"),
        (lambda: Path("data/ocr/ocr_train.csv").write_text("img,text\na,b\n"), "the column is missing"),
        (lambda: Path("configs/ocr_tiny.json").write_text("{"), "ocr_tiny.json:1: is no JSON"),
        (lambda: Path("configs/ocr_tiny.json").unlink(), "ocr_tiny.json: does not exist"),
        (
            lambda: shutil.copy("configs/vision_tiny.json", "configs/ocr_tiny.json"),
            'ocr_tiny.json: stage: is "vision", but the file is named for ocr',
        ),
    ],
)
def test_one_bad_file_and_no_config_is_written(project: Path, spoil: Callable[[], object], said: str) -> None:
    spoil()
    before = snapshot(project / "configs")
    with pytest.raises(UserError) as caught:
        run()
    assert said in str(caught.value)
    assert snapshot(project / "configs") == before


def test_a_full_disk_leaves_every_config_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: json.loads(path.read_text()) for path in Path("configs").glob("*.json")}
    replaced: list[object] = []
    original = os.replace

    def third_fails(source: Any, target: Any) -> None:
        if str(target).endswith(".json"):
            replaced.append(target)
            if len(replaced) == 3:
                raise OSError(28, "No space left on device")
        original(source, target)

    monkeypatch.setattr(os, "replace", third_fails)
    with pytest.raises(UserError, match=r"vision_tiny\.json: cannot be written \(No space left on device\)"):
        run()
    monkeypatch.undo()
    os.chdir(project)
    changed = {
        path.name for path in Path("configs").glob("*.json") if json.loads(path.read_text()) != before[path.name]
    }
    assert changed == {"thinker_tiny.json", "audio_enc_tiny.json"}
    assert list(Path("configs").glob(".*")) == []
    run()
    assert disagreements({stage: config_of(stage) for stage in STAGES}) == {}


def test_the_nano_profile_has_a_tokenizer_of_its_own(project: Path) -> None:
    report = run(profile="nano")
    assert Path("data/text/tokenizer_nano.model").exists() and not TOKENIZER.exists()
    assert {outcome.file.path.name for outcome in report.outcomes} == {f"{stage}_nano.json" for stage in STAGES}


def test_memory_decides_the_batch(after: Path) -> None:
    tight = one(run(stages=("thinker",), memory_gib=0.2, dry_run=True), "thinker").plan
    roomy = one(run(stages=("thinker",), dry_run=True), "thinker").plan
    assert tight is not None and roomy is not None
    assert tight.batch_size < roomy.batch_size == 16
    assert tight.effective_batch_size == roomy.effective_batch_size


def test_a_plan_from_disk_is_what_update_configs_plans_and_writes_nothing(project: Path) -> None:
    before = snapshot(project)
    for stage in STAGES:
        outcome = plan_from_disk(read_config(f"configs/{stage}_tiny.json"), Path("data"))
        wanted = one(run(dry_run=True, stages=(stage,)), stage)
        assert outcome.plan == wanted.plan
    assert snapshot(project) == before


def test_a_plan_from_disk_without_data_says_what_to_give(project: Path) -> None:
    shutil.rmtree("data/images")
    with pytest.raises(UserError, match="Give --samples N"):
        plan_from_disk(read_config("configs/vision_tiny.json"), Path("data"))


def test_the_json_object_has_the_same_keys_for_every_config(project: Path) -> None:
    shutil.rmtree("data/images")
    objects = [outcome.to_json() for outcome in run(dry_run=True).outcomes]
    assert len({tuple(sorted(found)) for found in objects}) == 1
    assert set(objects[0]) >= {
        "stage",
        "config",
        "source",
        "unit",
        "examples",
        "training",
        "effective_batch_size",
        "batch_size",
        "gradient_accumulation_steps",
        "data_parallel",
        "tokens_per_step",
        "steps_per_epoch",
        "size_class",
        "epochs_range",
        "max_epochs",
        "max_steps",
        "warmup_steps",
        "val_freq",
        "checkpoint_freq",
        "parameters",
        "memory",
        "memory_budget_bytes",
        "fits",
        "changes",
    }
    json.dumps(objects, allow_nan=False)
