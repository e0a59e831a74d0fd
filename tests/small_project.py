"""A project folder in miniature for tests: the real configs and a few rows of every kind of data."""

import csv
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT_STAGES = ("thinker", "audio_enc", "vision", "talker", "omni_sft")
SENTENCES = [
    f"the {color} {shape} is {where} the other one"
    for color in ("red", "green", "blue", "grey", "pink")
    for shape in ("circle", "square", "star", "cross")
    for where in ("above", "below", "beside")
]
ROWS = {"audio/asr.csv": ("wav", "text"), "audio/tts.csv": ("text", "wav"), "ocr/ocr_train.csv": ("image", "text")}


def write_csv(path: Path, columns: tuple[str, ...], rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for n in range(rows):
            values = {"wav": f"wav/{n}.flac", "image": f"images/{n}.png", "text": SENTENCES[n % len(SENTENCES)]}
            writer.writerow([values[column] for column in columns])


def write_annotations(path: Path, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [{"image": f"{n}.png", "captions": [SENTENCES[n % 60], SENTENCES[(n + 7) % 60]]} for n in range(rows)]
    path.write_text(json.dumps(pictures))


def write_corpus(path: Path, lines: int = 600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(SENTENCES[n * 17 % 60] + "\n" for n in range(lines)))


def make_project(folder: Path, data: bool = True) -> Path:
    """Configs, and (with `data`) 600 lines of text and 100 + rows of everything else, in `folder`."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    if data:
        write_corpus(folder / "data/text/tiny_corpus.txt")
        write_annotations(folder / "data/images/annotations.json", 101)
        for n, (name, columns) in enumerate(ROWS.items()):
            write_csv(folder / "data" / name, columns, 102 + n)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[bytes | None, int]]:
    """Every file and folder below `folder`: its bytes and when it was last written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def with_batches_of_32(path: Path) -> None:
    """Give a config file a batch of 32, so that tests know what they change it from."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(settings | {"batch_size": 32}, indent=2) + "\n", encoding="utf-8")
