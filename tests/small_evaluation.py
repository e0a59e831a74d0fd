"""A world, recordings and untrained models, small enough to be scored in a second or two."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from small_thinker import small_config

from muomni.config import AudioEncConfig, OCRConfig, VisionConfig
from muomni.data.tokenizer import train_tokenizer
from muomni.data.world import document_at, scene
from muomni.data.world.dice import Dice
from muomni.data.world.image_part import told_of
from muomni.data.world.lettering import SEEN_FONTS
from muomni.data.world.picture import draw
from muomni.data.world.word_image import draw_text, text_to_read
from muomni.models.audio_encoder import AudioEncoder
from muomni.models.checkpoint import save_model
from muomni.models.ocr import OCR
from muomni.models.thinker import Thinker
from muomni.models.vision_encoder import VisionModel

RATE, SIDE, N_SCENES = 16_000, 32, 30
SENTENCES = (
    "there is a red circle.",
    "is the star blue?",
    "a big ring is in the middle.",
    "how many shapes are there?",
)
REAL = (
    ("fsdd", "seven"),
    ("fsdd", "two"),
    ("speech_commands", "Yes"),
    ("speech_commands", "marvin"),  # not taught
    ("ljspeech", "printing in the only sense with which we are concerned"),
    ("librivox", "he was not an ill disposed young man"),
)


def write_noise(path: Path, seed: int, seconds: float = 0.8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE)), RATE)


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([columns, *rows])


def make_data(folder: Path) -> Path:
    """Test tables of text, pictures, speech (noise, in truth) and words, and a tokenizer."""
    (folder / "text").mkdir(parents=True)
    for name, pairs in (("test", "seen"), ("test_new_pairs", "held_out")):
        lines = [document_at(7, index, pairs).text + "\n" for index in range(12)]
        (folder / f"text/{name}.txt").write_text("".join(lines))
    corpus = folder / "text/tiny_corpus.txt"
    corpus.write_text("".join(document_at(8, index).text + "\n" for index in range(400)))
    train_tokenizer(corpus, folder / "text/tokenizer.model", 300)
    for name in ("asr_test", "asr_test_new_speakers"):
        rows = [(f"wav/{name}-{n}.flac", text) for n, text in enumerate(SENTENCES)]
        for n, (path, _) in enumerate(rows):
            write_noise(folder / "audio" / path, n)
        write_table(folder / f"audio/{name}.csv", ("wav", "text"), rows)
    (folder / "images").mkdir()
    for name, pairs in (("test", "seen"), ("test_new_pairs", "held_out")):
        records = [record for record in (scene(0, i, pairs) for i in range(60)) if record.kind != "talk"][:N_SCENES]
        rows_of = []
        for record in records:
            path = f"{pairs}-{record.index}.png"
            draw(record, SIDE).save(folder / "images" / path)
            rows_of.append({"image": path} | told_of(record) | {"scene": [0, record.index, pairs]})
        (folder / f"images/{name}.json").write_text(json.dumps(rows_of))
    (folder / "ocr").mkdir()
    for name in ("test_new_words", "test_new_fonts"):
        rows = []
        for n in range(6):
            dice = Dice(name, n)
            text = text_to_read(dice, "test")
            draw_text(text, dice.pick(SEEN_FONTS), SIDE, dice).save(folder / f"ocr/{name}-{n}.png")
            rows.append((f"{name}-{n}.png", text))
        write_table(folder / f"ocr/ocr_{name}.csv", ("image", "text"), rows)
    for part in ("text", "audio", "images", "ocr"):
        (folder / part / "manifest.json").write_text(json.dumps({"name": part}))
    return folder


def make_reality(folder: Path) -> Path:
    """Recordings (noise, in truth) as the folder of real ones holds them, and a text."""
    rows = [(f"speech/{n}.flac", which, f"speaker-{n}", text) for n, (which, text) in enumerate(REAL)]
    for n, row in enumerate(rows):
        write_noise(folder / row[0], 100 + n)
    write_table(folder / "speech.tsv", ("path", "set", "speaker", "text"), rows, "\t")
    (folder / "text").mkdir()
    (folder / "text/tinyshakespeare.txt").write_text("First Citizen:\nBefore we proceed, hear me speak.\n\n" * 400)
    return folder


def untrained(stage: str, vocab_size: int = 300) -> Any:
    """A small model of a stage with random weights, for pictures of 32 pixels."""
    torch.manual_seed(3)
    sizes: dict[str, Any] = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "dropout": 0.0}
    if stage == "thinker":
        return Thinker(small_config(vocab_size=vocab_size, ctx_len=256))
    if stage == "audio_enc":
        return AudioEncoder(AudioEncConfig(vocab_size=vocab_size, downsample=5, **sizes))
    if stage == "vision":
        text = {"text_d_model": 16, "text_layers": 1, "text_heads": 2, "text_d_ff": 32, "vocab_size": vocab_size}
        return VisionModel(VisionConfig(img_size=SIDE, patch=16, embed_dim=32, **text, **sizes))
    widths = {f"{part}_{name}": sizes[name] for part in ("vision",) for name in ("d_model", "d_ff")}
    widths |= {"vision_layers": 1, "vision_heads": 2, "decoder_layers": 1, "decoder_heads": 2}
    model = OCR(OCRConfig(img_size=SIDE, patch=16, decoder_d_model=16, decoder_d_ff=32, text_len=12, **widths))
    model.set_characters("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")
    return model


def make_runs(folder: Path, tokenizer: Path) -> Path:
    """A checkpoint of every stage that has a model, none of them trained."""
    for stage in ("thinker", "audio_enc", "vision", "ocr"):
        model = untrained(stage)
        save_model(folder / f"{stage}_nano", model.state_dict(), model.config, None if stage == "ocr" else tokenizer)
    return folder
