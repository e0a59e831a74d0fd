"""Stages A, B, C and then E on a small world: each loads what the one before wrote; and chat loads what E wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from muomni.cli import main
from muomni.config import STAGES, OmniSFTConfig, StageConfig, read_config, with_changes
from muomni.config.writing import new_file
from muomni.data.tokenizer import train_tokenizer
from muomni.data.world.make import make_world
from muomni.errors import UserError
from muomni.infer.chat import TrainedOmni
from muomni.infer.load import load_omni, shipped
from muomni.models.checkpoint import read_model
from muomni.train.beside import Beside
from muomni.train.events import Control, Event, Noted, Sampled, TrainEvent, Validated
from muomni.train.everything import SIDE_BY_SIDE, train_everything
from muomni.train.omni_data import TASKS, conversations
from muomni.train.omni_sft import OmniObjective, beginning
from muomni.train.order import Place
from muomni.train.run import omni_sft_task, train

STEPS = 16
RUN: dict[str, Any] = dict(
    max_steps=STEPS, warmup_steps=2, val_freq=8, checkpoint_freq=4, print_freq=4, batch_size=4, use_amp=False, lr=3e-3,
    optimizer="muon",
)  # fmt: skip
DECODER: dict[str, Any] = dict(
    d_model=32, n_layers=1, n_heads=2, n_kv_heads=2, d_ff=48, vocab_size=400, ctx_len=128, dropout=0.0
)
SHAPES: dict[str, dict[str, Any]] = {
    "thinker": DECODER,
    "audio_enc": dict(d_model=16, n_layers=1, n_heads=2, d_ff=32, downsample=5, max_audio_seconds=8.0, vocab_size=400),
    "vision": dict(img_size=64, patch=16, d_model=16, n_layers=1, n_heads=2, d_ff=32, vocab_size=400)
    | dict(text_d_model=16, text_layers=1, text_heads=2, text_d_ff=32, embed_dim=16),
    "omni_sft": DECODER
    | dict(audio_d_model=16, audio_layers=1, audio_heads=2, audio_d_ff=32, downsample=5, max_audio_seconds=8.0)
    | dict(img_size=64, patch=16, vision_d_model=16, vision_layers=1, vision_heads=2, vision_d_ff=32),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world with its tokenizer, and runs of A, B and C beside it."""
    folder = tmp_path_factory.mktemp("world")
    make_world(folder / "data", scale=0.01, workers=1, progress=False)
    train_tokenizer(folder / "data/text/tiny_corpus.txt", folder / "data/text/pieces.model", 400)
    for stage in ("thinker", "audio_enc", "vision"):
        train(config(stage, folder, folder / f"runs/{stage}_nano"))
    train(config("omni_sft", folder, folder / "runs/omni_sft_nano"))
    return folder


def config(stage: str, world: Path, save_dir: Path, **changes: Any) -> StageConfig:
    data = world / "data"
    files = {
        "train_text": data / "text/tiny_corpus.txt",
        "train_manifest": data / "images/annotations.json",
        "image_root": data / "images",
        "train_csv": data / "audio/asr.csv",
        "ocr_csv": data / "ocr/ocr_train.csv",
        "tokenizer": data / "text/pieces.model",
        "save_dir": save_dir,
    } | {part: world / f"runs/{part}_nano" for part in ("thinker", "audio_enc", "vision")}
    known = STAGES[stage].model_fields
    paths = {name: str(path) for name, path in files.items() if name in known}
    return STAGES[stage](**(SHAPES[stage] | RUN | paths | changes))


@pytest.fixture(scope="module")
def chat(world: Path) -> TrainedOmni:
    return load_omni(world / "runs/omni_sft_nano")


def test_it_begins_with_the_stages_before_it_says_so_and_learns(world: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train(config("omni_sft", world, tmp_path), listener=events.append)
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert [note.rpartition("/runs/")[2].partition("/")[0] for note in notes[:3]] == [
        "thinker_nano", "audio_enc_nano", "vision_nano",
    ]  # fmt: skip
    losses = [event.loss for event in events if isinstance(event, TrainEvent)]
    assert losses[-1] < losses[0]
    assert all("right" in event.metrics for event in events if isinstance(event, Validated))
    assert any(event.text for event in events if isinstance(event, Sampled))


def test_frozen_encoders_come_out_as_they_went_in(world: Path) -> None:
    _, mine = read_model(next((world / "runs/omni_sft_nano").glob(f"step-{STEPS:06d}")))
    _, audio = read_model(next((world / "runs/audio_enc_nano").glob("step-*")))
    for name, tensor in audio.items():
        assert torch.equal(mine[f"audio.{name}"], tensor)


@pytest.mark.parametrize(
    "changes", [dict(train_vision=True), dict(train_audio=True), dict(train_thinker=False)], ids=str
)
def test_any_part_may_be_trained_or_frozen(changes: dict[str, bool], world: Path, tmp_path: Path) -> None:
    assert train(config("omni_sft", world, tmp_path, max_steps=2, warmup_steps=0, **changes)).step == 2


def test_stopped_and_resumed_the_weights_are_the_very_same(world: Path, tmp_path: Path) -> None:
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, TrainEvent) and event.step == 8:
            control.stop()

    parts = config("omni_sft", world, tmp_path)
    assert train(parts, listener=stop, control=control).reason == "stopped"
    train(parts, resume=True)
    _, once = read_model(next((world / "runs/omni_sft_nano").glob(f"step-{STEPS:06d}")))
    _, twice = read_model(next(tmp_path.glob(f"step-{STEPS:06d}")))
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_the_first_steps_may_be_text_alone_and_one_caption_serves_many_questions(world: Path, tmp_path: Path) -> None:
    train_rows = omni_sft_task(config("omni_sft", world, tmp_path, text_first=0.5, ctx_len=256)).train
    text = TASKS.index("text")
    moments = (0, STEPS // 2 - 1, STEPS // 2)
    drawn = {step: [train_rows[Place(0, index, step)] for index in range(8)] for step in moments}
    early, _, _ = drawn.values()
    tasks = [{task for _, those, _ in rows for task in those} for rows in drawn.values()]
    assert tasks[0] == tasks[1] == {text} < tasks[2]
    assert not any(row.media for row, _, _ in early)
    row = max((row for row, _, _ in early), key=lambda row: row.n_answers)
    branches = {trunk: set[int]() for trunk in row.trunks}
    for document, trunk in zip(row.documents, row.trunks, strict=True):
        branches[trunk].add(document)
    assert max(map(len, branches.values())) > 3, "a caption and its questions"
    assert train_rows[Place(0, 3, 15)][0].ids == train_rows[Place(0, 3)][0].ids, "else the step changes nothing"
    asks = {step: " ".join(train_rows.tokenizer.decode(row.ids) for row, _, _ in rows) for step, rows in drawn.items()}
    of_two = ("bigger than", "next to", "left of", "right of", "above", "below", "how many")
    hard = [sum(any(of in each[-40:] for of in of_two) for each in asked.split("?")[:-1]) for asked in asks.values()]
    assert hard[0] == 0 < min(hard[1:]), "what belongs to what is asked first"


def test_the_shipped_model_looks_at_its_pictures(world: Path) -> None:
    """With each other's pictures, held-out answers are worse; not so for a model that cannot see."""
    omni = load_omni(shipped("omni_sft"))
    images = {"train_manifest": str(world / "data/images/annotations.json"), "image_root": str(world / "data/images")}
    asked = with_changes(omni.model.config, images | {"sft_mix": {"picture_question": 1.0}})
    _, rows, _ = conversations(asked, omni.tokenizer, omni.model.audio.seconds_per_frame, (1, 12))
    batch = rows.collate([rows[Place(0, n)] for n in range(12)])
    others = batch._replace(rows=batch.rows._replace(pictures=batch.rows.pictures.roll(1, 0)))
    objective = OmniObjective(asked, omni.model).eval()

    def worse_by() -> tuple[float, float]:
        """What other pictures cost: nats a token, and the share of answers that is no longer right."""
        with torch.no_grad():
            losses = [float(omni.model.loss(each.rows, each.targets)) for each in (batch, others)]
        shares = [float(objective.right(each).mean()) for each in (batch, others)]
        return losses[1] - losses[0], shares[0] - shares[1]

    nats, share = worse_by()
    assert len(batch.tasks) > 80 and nats > 0.2 and share > 0.15
    omni.model.vision.norm.weight.data.zero_()
    omni.model.vision.head.bias.data.fill_(-1e4)  # every patch of every picture is the same now, and names nothing
    assert worse_by() == pytest.approx((0.0, 0.0), abs=1e-4)


def test_a_run_begins_with_all_of_an_earlier_omni_run_that_is_named_as_its_thinker(world: Path, tmp_path: Path) -> None:
    earlier = load_omni(world / "runs/omni_sft_nano")
    again = config("omni_sft", world, tmp_path, thinker=str(world / "runs/omni_sft_nano"))
    assert isinstance(again, OmniSFTConfig)
    model, folders = beginning(again, earlier.tokenizer)
    assert folders == [earlier.folder]
    weights = earlier.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())
    with pytest.raises(UserError, match="the config makes"):
        beginning(again.model_copy(update={"audio_d_ff": 64}), earlier.tokenizer)


def test_a_shift_may_begin_but_not_end(world: Path, tmp_path: Path) -> None:
    shifted = config("omni_sft", world, tmp_path / "shifted", token_shift=True, max_steps=1, warmup_steps=0)
    train(shifted)
    plain = config("omni_sft", world, tmp_path / "plain", thinker=str(tmp_path / "shifted"))
    with pytest.raises(UserError, match="token_shift: is False, but True in the run of omni_sft"):
        train(plain)


@pytest.mark.parametrize("field", ["d_model", "audio_d_ff", "vision_d_ff"])
def test_another_width_than_the_stages_before_is_an_error_with_both_shapes(
    field: str, world: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"has \(.*\) as .*, the config makes \("):
        train(config("omni_sft", world, tmp_path, **{field: 64}))


def test_what_no_shape_shows_must_agree_with_the_stages_before_too(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rope_theta: is 100.0, but 10000.0 in the run of thinker"):
        train(config("omni_sft", world, tmp_path, rope_theta=100.0))
    with pytest.raises(UserError, match=r"hop_length: is 128, but 256 in the run of audio_enc"):
        train(config("omni_sft", world, tmp_path, hop_length=128))


def test_captions_and_transcripts_alone_train_what_they_can_and_the_rest_is_told(world: Path, tmp_path: Path) -> None:
    rows = json.loads((world / "data/images/annotations.json").read_text())
    manifest = tmp_path / "captions.json"
    manifest.write_text(json.dumps([{"image": row["image"], "captions": row["captions"]} for row in rows]))
    text = tmp_path / "plain.txt"
    text.write_text("a text that asks nothing at all.\n" * 2000)
    events: list[Event] = []
    plain = dict(train_manifest=str(manifest), train_text=str(text), max_steps=2, warmup_steps=0)
    train(config("omni_sft", world, tmp_path / "run", **plain), listener=events.append)
    told = "\n".join(event.text for event in events if isinstance(event, Noted))
    assert all(f"task {task} is left out" in told for task in ("text", "picture_question", "spoken_question"))
    with pytest.raises(UserError, match="sft_mix: no task of it can be trained"):
        train(config("omni_sft", world, tmp_path / "none", **plain, sft_mix={"picture_question": 1.0}))


def test_every_task_of_the_mix_is_drawn_and_a_row_is_the_same_each_time(world: Path, tmp_path: Path) -> None:
    task = omni_sft_task(config("omni_sft", world, tmp_path))
    seen = set()
    for index in range(40):
        row, tasks, _ = task.train[Place(0, index)]
        assert len(row) <= 128 and row.n_answers == len(tasks) > 0
        seen |= set(tasks)
    assert seen == set(range(6))
    assert task.train[Place(0, 3)][0].ids == task.train[Place(0, 3)][0].ids != task.train[Place(1, 3)][0].ids


def test_all_stages_are_trained_in_order_and_a_second_time_nothing_is_done(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("thinker", "audio_enc", "vision", "omni_sft"):
        new_file(tmp_path / f"{stage}_nano.json", config(stage, world, world / f"runs/{stage}_nano"))
    few = {stage: STAGES[stage] for stage in ("thinker", "audio_enc", "vision", "omni_sft")}
    monkeypatch.setattr("muomni.train.everything.STAGES", few)
    said: list[str] = []
    outcomes = train_everything(tmp_path, "nano", _unwatched, said.append)
    assert [each.did for each in outcomes] == ["was finished"] * 4 and len(said) == 4


def test_a_stopped_chain_goes_on_where_it_was_and_ends_with_the_same_weights(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("thinker", "audio_enc", "vision")
    for stage in few:
        new_file(tmp_path / f"{stage}_nano.json", config(stage, world, tmp_path / stage))
    monkeypatch.setattr("muomni.train.everything.STAGES", {stage: STAGES[stage] for stage in few})
    control = Control()

    @contextmanager
    def stop_the_second(title: str) -> Iterator[Any]:
        def listener(event: Event) -> None:
            if title == "2/3 audio_enc" and isinstance(event, TrainEvent) and event.step == 8:
                control.stop()

        yield listener

    stopped = train_everything(tmp_path, "nano", stop_the_second, lambda line: None, control)
    assert [(each.stage, each.did, each.steps) for each in stopped] == [
        ("thinker", "trained", STEPS), ("audio_enc", "trained", 8),
    ]  # fmt: skip
    again = train_everything(tmp_path, "nano", _unwatched, lambda line: None)
    assert [each.did for each in again] == ["was finished", "resumed", "trained"]
    for stage in few:
        once, twice = (read_model(next(folder.glob(f"step-{STEPS:06d}")))[1] for folder in
                       (world / f"runs/{stage}_nano", tmp_path / stage))  # fmt: skip
        assert all(torch.equal(tensor, twice[name]) for name, tensor in once.items())


@pytest.fixture
def fresh(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configs of four stages, each of which begins with the runs of the others, and no runs yet."""
    runs = {stage: str(tmp_path / stage) for stage in ("thinker", "audio_enc", "vision")}
    for stage in (*runs, "omni_sft"):
        more = runs if stage == "omni_sft" else {}
        new_file(tmp_path / f"{stage}_nano.json", config(stage, world, tmp_path / stage, **more))
    monkeypatch.setattr("muomni.train.everything.STAGES", {stage: STAGES[stage] for stage in (*runs, "omni_sft")})
    return tmp_path


def test_stages_side_by_side_wait_for_what_they_begin_with_and_end_with_the_same_weights(
    world: Path, fresh: Path
) -> None:
    order: list[str] = []  # the stage of every event, and a line for each that begins

    @contextmanager
    def keep(title: str) -> Iterator[Any]:
        yield lambda event: order.append(title.partition(" ")[2])

    outcomes = train_everything(fresh, "nano", keep, order.append, at_once=2)
    assert [(each.stage, each.did, each.steps) for each in outcomes] == [
        (stage, "trained", STEPS) for stage in ("thinker", "audio_enc", "vision", "omni_sft")
    ]
    first = order.index("omni_sft")
    assert not {"thinker", "audio_enc", "vision"} & set(order[first:])
    begun = [STAGES[stage].title + ": begins" for stage in ("thinker", "vision")]
    assert [line.partition("] ")[2] for line in order[:2]] == begun  # the second did not wait for the first
    for stage in ("thinker", "audio_enc", "vision", "omni_sft"):
        once, twice = (read_model(next(folder.glob(f"step-{STEPS:06d}")))[1] for folder in
                       (world / f"runs/{stage}_nano", fresh / stage))  # fmt: skip
        assert all(torch.allclose(tensor, twice[name], atol=1e-5) for name, tensor in once.items())
    again = train_everything(fresh, "nano", _unwatched, lambda line: None, at_once=2)
    assert [each.did for each in again] == ["was finished"] * 4


def test_stages_side_by_side_stop_together_and_go_on(fresh: Path) -> None:
    control = Control()

    @contextmanager
    def stop(title: str) -> Iterator[Any]:
        yield lambda event: control.stop() if isinstance(event, TrainEvent) else None

    stopped = train_everything(fresh, "nano", stop, lambda line: None, control, at_once=2)
    assert [each.stage for each in stopped] == ["thinker", "vision"]
    again = train_everything(fresh, "nano", _unwatched, lambda line: None)
    assert [each.steps for each in again] == [STEPS] * 4
    assert [each.did for each in again][1::2] == ["trained", "trained"]


def test_side_by_side_the_longest_stage_begins_as_soon_as_it_can() -> None:
    configs = Path(__file__).parent.parent / "configs"
    read = {stage: read_config(configs / f"{stage}_nano.json").config for stage in STAGES}
    needed = {stage for stage, each in read.items() if each.save_dir in read["omni_sft"].begins_with}
    assert needed == {"thinker", "audio_enc", "vision"}
    assert set(SIDE_BY_SIDE) == set(STAGES)
    assert set(SIDE_BY_SIDE[:3]) == needed
    assert SIDE_BY_SIDE[3] == "omni_sft"


def test_a_stage_that_fails_beside_another_ends_both_with_its_message(world: Path, fresh: Path) -> None:
    bad = config("audio_enc", world, fresh / "audio_enc", train_csv=str(fresh / "none.csv"))
    new_file(fresh / "other/audio_enc_nano.json", bad)
    (fresh / "other/audio_enc_nano.json").replace(fresh / "audio_enc_nano.json")
    with pytest.raises(UserError, match=r"none\.csv"):
        train_everything(fresh, "nano", _unwatched, lambda line: None, at_once=2)


def test_stages_that_wait_for_each_other_are_told(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_file(
        tmp_path / "omni_sft_nano.json", config("omni_sft", world, tmp_path / "run", thinker=str(tmp_path / "run"))
    )
    monkeypatch.setattr("muomni.train.everything.STAGES", {"omni_sft": STAGES["omni_sft"]})
    with pytest.raises(UserError, match="omni_sft: would begin with each other's runs, or with their own"):
        train_everything(tmp_path, "nano", _unwatched, lambda line: None, at_once=2)


def test_a_run_whose_process_is_killed_is_told(world: Path, tmp_path: Path) -> None:
    with Beside(threads=1, control=Control()) as beside:
        beside.start(config("thinker", world, tmp_path, max_steps=10_000), False, _unwatched("thinker"))
        beside.running[0].process.kill()
        with pytest.raises(UserError, match=r"thinker: its process ended .* \(exit code -9\)"):
            for _ in range(100):
                beside.listen()


class _unwatched:
    def __init__(self, title: str) -> None: ...
    def __enter__(self) -> Any:
        return lambda event: None

    def __exit__(self, *error: Any) -> None: ...


def test_odd_pictures_sounds_and_texts_are_answered(chat: TrainedOmni, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("L", (8000, 500), 200).save(tmp_path / "wide.png")
    for name, samples in (
        ("blip.wav", np.zeros(160)),
        ("silence.wav", np.zeros(32_000)),
        ("noise.wav", np.random.default_rng(0).normal(0, 0.3, 32_000)),
    ):
        soundfile.write(tmp_path / name, samples, 16_000)
    for media in ({"image": "dot.png"}, {"image": "wide.png"}, {"audio": "blip.wav"}, {"audio": "silence.wav"},
                  {"audio": "noise.wav"}):  # fmt: skip
        assert isinstance(chat.ask("what is it?", **{name: tmp_path / file for name, file in media.items()}), str)
    assert isinstance(chat.ask("\n\t\u00e9 \U0001f600 <|user|> <|end|>"), str)


def test_what_does_not_fit_is_cut_and_told(chat: TrainedOmni, tmp_path: Path) -> None:
    long = chat.reply([chat.turn("word " * 10_000)])
    assert any("tokens, the last" in note for note in long.notes) and isinstance(long.whole(), str)
    soundfile.write(tmp_path / "long.wav", np.zeros(16_000 * 600), 16_000)
    with pytest.raises(UserError, match="do not fit in a context of 128"):
        chat.reply([chat.turn(audio=tmp_path / "long.wav")])
    turns = [chat.turn("what is this? " * 4) for _ in range(12)]
    turns = [*(type(turn)(turn.text, answer="blue.") for turn in turns), chat.turn("and now?")]
    assert any("turns are forgotten" in note for note in chat.reply(turns).notes)


def test_every_frame_of_a_video_is_read(chat: TrainedOmni, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (40 * i, 0, 0)) for i in range(6)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:], duration=200)
    turn = chat.turn("what?", video=tmp_path / "film.gif")
    assert len(turn.pictures) > 1 and turn.seconds == pytest.approx(1.2)
    row, media = chat._row([turn])
    assert sum(each.kind == "picture" for each in row.media) == len(media) == len(turn.pictures)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing is said"),
        (["--audio", "text.wav"], "is no sound that can be read"),
        (["--image", "none.png"], "none.png"),
        (["--image", "text.wav"], "is no image that can be read"),
        (["hello", "--max-tokens", "0"], "--max-tokens"),
        (["hello", "--speak", "out.mp3"], "--speak"),
        (["--ocr"], "--ocr"),
        (["hello", "--weights", "nowhere"], "is no folder"),
    ],
)
def test_a_wrong_use_of_chat_is_one_line(
    arguments: list[str], told: str, world: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("text.wav").write_text("this is no sound")
    weights = [] if "--weights" in arguments else ["--weights", str(world / "runs")]
    assert main(["chat", *arguments, *weights]) in (1, 2)
    out, err = capsys.readouterr()
    assert told in err and "Traceback" not in err and out == ""


def test_chat_answers_and_says_which_weights_it_uses(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = next((world / "data/images/images").glob("*.png"))
    assert main(["chat", "what is it?", "--image", str(picture), "--weights", str(world / "runs"), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert isinstance(found["answer"], str) and "omni_sft_nano" in found["weights"] and "omni_sft_nano" in err
