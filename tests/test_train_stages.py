"""Stages B, C, D, F and G on a small world: trained, stopped, killed, resumed, loaded; faulty data."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from muomni.config import STAGES, StageConfig, ThinkerConfig
from muomni.config.writing import new_file
from muomni.data.alignment import read_times
from muomni.data.tokenizer import train_tokenizer
from muomni.data.world.make import make_world
from muomni.errors import UserError
from muomni.infer.align import word_times
from muomni.infer.load import load_codec, load_listener, load_looker, load_reader, load_talker, load_vocoder, shipped
from muomni.models.checkpoint import read_model, save_model
from muomni.models.thinker import Thinker
from muomni.train.events import Began, Control, Event, Finished, Noted, Sampled, Saved, TrainEvent, Validated
from muomni.train.run import train

STEPS = 24
RUN = dict(
    max_steps=STEPS, warmup_steps=2, val_freq=12, checkpoint_freq=4, print_freq=4, batch_size=4, use_amp=False, lr=3e-3
)
SIZES: dict[str, dict[str, Any]] = {
    "audio_enc": dict(d_model=16, n_layers=1, n_heads=2, d_ff=32, downsample=5, max_audio_seconds=8.0),
    "vision": dict(img_size=64, patch=16, d_model=16, n_layers=1, n_heads=2, d_ff=32)
    | dict(text_d_model=16, text_layers=1, text_heads=2, text_d_ff=32, embed_dim=16),
    "talker": dict(d_model=16, n_layers=1, n_heads=2, d_ff=32, thinker_d_model=32, predictor_d_model=8)
    | dict(codec_d_model=16, codec_blocks=1, codec_dim=4, n_codebooks=2, codebook_size=16, codec_steps=6),
    "ocr": dict(img_size=64, patch=16, vision_d_model=16, vision_layers=1, vision_heads=2, vision_d_ff=32)
    | dict(decoder_d_model=16, decoder_layers=1, decoder_heads=2, decoder_d_ff=32),
    "vocoder": dict(head="istft", d_model=16, n_layers=1, d_disc=2, n_mels=40, max_audio_length=4096, lambda_stft=1.0)
    | dict(rounds=1, lr_g=3e-3, lr_d=1e-4),
}
SMALL_STAGES = list(SIZES)
CODEC_STEPS = 6
METRICS = {"audio_enc": "wer", "vision": "r_at_1", "talker": "first_book_right", "ocr": "exact", "vocoder": "mel_l1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world, with a tokenizer."""
    folder = tmp_path_factory.mktemp("data")
    make_world(folder, scale=0.01, workers=1, progress=False)
    tokenizer = folder / "text/pieces.model"
    train_tokenizer(folder / "text/tiny_corpus.txt", tokenizer, 400)
    torch.manual_seed(0)
    thinker = ThinkerConfig(d_model=32, n_layers=1, n_heads=2, n_kv_heads=1, d_ff=32, vocab_size=400, ctx_len=64)
    save_model(folder / "thinker", Thinker(thinker).state_dict(), thinker, tokenizer)
    return folder


def config(stage: str, data: Path, save_dir: Path, **changes: Any) -> StageConfig:
    files: dict[str, Any] = {
        "audio_enc": dict(train_csv=str(data / "audio/asr.csv")),
        "vision": dict(train_manifest=str(data / "images/annotations.json"), image_root=str(data / "images")),
        "talker": dict(tts_csv=str(data / "audio/tts.csv"), thinker=str(data / "thinker")),
        "ocr": dict(train_csv=str(data / "ocr/ocr_train.csv"), image_root=str(data / "ocr")),
        "vocoder": dict(train_csv=str(data / "audio/tts.csv")),
    }[stage]
    if stage not in ("ocr", "vocoder"):
        files |= dict(tokenizer=str(data / "text/pieces.model"), vocab_size=400)
    settings = RUN | SIZES[stage] | files | dict(save_dir=str(save_dir)) | changes
    if stage == "vocoder":
        settings.pop("lr")  # it has two
    return STAGES[stage](**settings)


def split_at_end(events: list[Event]) -> tuple[list[Event], list[Event]]:
    """The events of the codec's part, and those of the Talker's."""
    at = events.index(Began("talker"))
    return events[:at], events[at:]


def weights_hash(run: Path) -> str:
    _, weights = read_model(next(run.glob(f"step-{STEPS:06d}")))
    return hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()


@pytest.mark.parametrize("stage", SMALL_STAGES)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_it_learns_shows_samples_and_can_be_loaded(stage: str, optimizer: str, data: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    result = train(config(stage, data, tmp_path, optimizer=optimizer), listener=events.append)
    if stage == "talker":  # first the codec's run, then its own
        codec, events = split_at_end(events)
        assert [event.step for event in codec if isinstance(event, Saved)][-1] == CODEC_STEPS
    losses = [event.loss for event in events if isinstance(event, TrainEvent)]
    assert result.step == STEPS and losses[-1] < losses[0]
    assert all(METRICS[stage] in event.metrics for event in events if isinstance(event, Validated))
    samples = [event for event in events if isinstance(event, Sampled)]
    assert len(samples) == 2 and samples[-1].text
    assert (samples[-1].picture is None) == (stage == "audio_enc")
    if stage == "audio_enc":
        heard = load_listener(tmp_path).transcribe([next((data / "audio/wav").glob("*.flac"))])
        assert isinstance(heard[0], str)
    elif stage == "vision":
        picture = next((data / "images/images").glob("*.png"))
        chances = load_looker(tmp_path).choose(picture, ["a red circle.", "a blue star."])
        assert sum(chance for _, chance in chances) == pytest.approx(1, abs=1e-5)
    elif stage == "talker":
        talker = load_talker(tmp_path)
        sound = talker.say("a red circle.")
        assert len(sound) > 0 and sound.isfinite().all()
        torch.testing.assert_close(torch.cat(list(talker.stream("a red circle."))), talker.mel("a red circle."))
        copied = load_codec(tmp_path / "codec").state_dict()
        assert all(torch.equal(tensor, copied[name]) for name, tensor in talker.model.codec.state_dict().items())
    elif stage == "vocoder":
        assert load_vocoder(tmp_path)(torch.zeros(11, 40)).shape == (10 * 256,)
    else:
        assert len(load_reader(tmp_path).read(sorted((data / "ocr/images").glob("*.png"))[:3], beam=2)) == 3


@pytest.mark.parametrize("stage", SMALL_STAGES)
def test_stopped_anywhere_and_resumed_the_weights_are_the_very_same(stage: str, data: Path, tmp_path: Path) -> None:
    train(config(stage, data, tmp_path / "once", optimizer="muon"))
    parts = config(stage, data, tmp_path / "parts", optimizer="muon")
    dice, resume = random.Random(stage), False
    for _ in range(6):
        control, stop_at = Control(), dice.randint(3, 9)

        def stop_soon(event: Event, control: Control = control, stop_at: int = stop_at) -> None:
            if isinstance(event, TrainEvent) and event.step % stop_at < 4:
                control.stop()

        result = train(parts, resume=resume, listener=stop_soon, control=control)
        resume = True
        if result.reason == "finished":
            break
    if result.step < STEPS:
        train(parts, resume=True)
    assert weights_hash(tmp_path / "once") == weights_hash(tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("stage", SMALL_STAGES)
def test_killed_at_random_moments_and_resumed_the_weights_are_the_very_same(
    stage: str, data: Path, tmp_path: Path
) -> None:
    """`KILLS` (default 2) sets how often."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    files = {}
    for name in ("once", "killed"):
        files[name] = tmp_path / f"{stage}_{name}.json"
        new_file(files[name], config(stage, data, tmp_path / name, optimizer="muon"))

    def command(name: str) -> list[str]:
        resumes = ["--resume"] if (tmp_path / name / "last.json").exists() else []
        return [sys.executable, "-m", "muomni.cli", "train", stage, "--config", str(files[name]), *resumes]

    subprocess.run(command("once"), check=True, env=environment, capture_output=True, timeout=120)
    dice, history = random.Random(1), tmp_path / "killed" / "history.jsonl"
    for _ in range(int(os.environ.get("KILLS", "2"))):
        begun = history.stat().st_size if history.exists() else 0
        process = subprocess.Popen(
            command("killed"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(6000):  # until it trains: then a random moment later
            if process.poll() is not None or (history.exists() and history.stat().st_size > begun):
                break
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    if not (tmp_path / "killed" / f"step-{STEPS:06d}").exists():
        subprocess.run(command("killed"), check=True, env=environment, capture_output=True, timeout=120)
    assert weights_hash(tmp_path / "once") == weights_hash(tmp_path / "killed")


@pytest.mark.parametrize("stage", SMALL_STAGES)
def test_a_run_that_diverges_stops_with_the_step_and_keeps_the_last_checkpoint(
    stage: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from muomni.train import step as step_module

    original, calls = step_module.Stepper._clipped_norm, [0]
    # the vocoder's steps have two turns, and before the Talker's first comes the codec's last
    eleventh = {"vocoder": 21, "talker": 11 + CODEC_STEPS}.get(stage, 11)

    def poisoned(self: Any, turn: Any) -> torch.Tensor:
        calls[0] += 1
        return original(self, turn) * (float("nan") if calls[0] == eleventh else 1.0)

    monkeypatch.setattr(step_module.Stepper, "_clipped_norm", poisoned)
    with pytest.raises(UserError, match=r"step 11 cannot be taken.*The likely cause is .*step-000008"):
        train(config(stage, data, tmp_path))
    assert (tmp_path / "step-000008").exists()


def test_pieces_that_do_not_fit_the_frames_are_refused_when_common(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows have more pieces than CTC can say in their frames \(at most 5% may\)"):
        train(config("audio_enc", data, tmp_path, downsample=49))


def test_what_is_too_long_is_left_out_and_told(data: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train(
        config("audio_enc", data, tmp_path, max_audio_seconds=3.0, max_steps=1, warmup_steps=0), listener=events.append
    )
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert any("are longer than" in note and "left out" in note for note in notes)
    with pytest.raises(UserError, match=r"max_audio_seconds: is 0.5, but the shortest clip"):
        train(config("audio_enc", data, tmp_path / "none", max_audio_seconds=0.5))


def test_broken_recordings_are_counted_and_stop_the_run_when_there_are_many(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "audio"
    folder.mkdir()
    rows = []
    for n in range(40):
        path = folder / f"{n}.wav"
        if n % 4 == 0:
            path.write_bytes(b"no sound")
        else:
            soundfile.write(path, [0.0] * 16_000, 16_000)
        rows.append(f"{n}.wav,a red circle.\n")
    (folder / "asr.csv").write_text("wav,text\n" + "".join(rows))
    with pytest.raises(UserError, match=r"10 of 40 rows cannot be used"):
        train(config("audio_enc", data, tmp_path / "run", train_csv=str(folder / "asr.csv")))


def test_a_character_set_too_large_for_the_model_is_an_error_with_the_number_to_set(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"n_characters: is 8, but the texts have \d+ .*Set it to at least \d+"):
        train(config("ocr", data, tmp_path, n_characters=8))


def test_texts_too_long_for_the_model_are_an_error_when_common(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"have 4 characters \(text_len\) or more"):
        train(config("ocr", data, tmp_path, text_len=4))


def test_the_frozen_thinker_can_read_the_captions_and_must_have_the_width_that_is_said(
    data: Path, tmp_path: Path
) -> None:
    sizes = dict(d_model=32, n_layers=1, n_heads=2, n_kv_heads=1, d_ff=32, vocab_size=400, ctx_len=64)
    files = dict(train_text=str(data / "text/tiny_corpus.txt"), tokenizer=str(data / "text/pieces.model"))
    train(STAGES["thinker"](**sizes, **files, **RUN, save_dir=str(tmp_path / "thinker")))
    reads = dict(text_tower="thinker", thinker=str(tmp_path / "thinker"))
    with pytest.raises(UserError, match=r"text_d_model: is 16, but the Thinker in .* is 32 wide"):
        train(config("vision", data, tmp_path / "vision", **reads))
    train(config("vision", data, tmp_path / "vision", text_d_model=32, **reads))
    looker = load_looker(tmp_path / "vision")
    assert not any(name.startswith("text.") for name in looker.model.state_dict())
    assert looker.embed_texts(["a red circle."]).shape == (1, 16)


def test_the_codec_and_the_talker_are_told_as_two_parts_of_one_run(data: Path, tmp_path: Path) -> None:
    """The codec's end is not the run's, and its warmup is no longer than its run."""
    events: list[Event] = []
    settings = config("talker", data, tmp_path, codec_steps=2, max_steps=3, warmup_steps=3, print_freq=1)
    train(settings, listener=events.append)
    told = [e.part if isinstance(e, Began) else e.step for e in events if isinstance(e, Began | TrainEvent | Finished)]
    assert told == ["codec", 1, 2, "talker", 1, 2, 3, 3]


def test_a_talker_speaks_only_with_the_thinker_it_was_trained_with(data: Path, tmp_path: Path) -> None:
    train(config("talker", data, tmp_path / "run", max_steps=1, warmup_steps=0))
    assert load_talker(tmp_path / "run")
    settings, weights = read_model(data / "thinker")
    other = tmp_path / "other"
    save_model(other, {name: tensor + 0.01 for name, tensor in weights.items()}, settings, data / "text/pieces.model")
    changed, weights = read_model(tmp_path / "run" / "step-000001")
    save_model(
        tmp_path / "moved",
        weights,
        changed.model_copy(update={"thinker": str(other)}),
        data / "text/pieces.model",
    )
    with pytest.raises(UserError, match="was trained with a Thinker that is neither in"):
        load_talker(tmp_path / "moved")


def test_speech_without_times_of_its_words_is_aligned(data: Path, tmp_path: Path) -> None:
    with (data / "audio/tts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = data / "audio" / "no_times.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "wav"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    result = train(config("talker", data, tmp_path, tts_csv=str(table), max_steps=1, warmup_steps=0))
    assert result.reason == "finished"
    times = word_times(load_listener(shipped("audio_enc")), data / "audio" / rows[0]["wav"], rows[0]["text"])
    known = read_times(rows[0]["words"])
    assert len(times) == len(known)
    assert (
        max(abs(a - b) for found, right in zip(times, known, strict=True) for a, b in zip(found, right, strict=True))
        < 0.6
    )
