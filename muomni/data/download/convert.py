"""A set's own layout → rows: one function for each, from the unpacked folder, skipping and counting what is no row.

Paths in the rows are relative to the set's folder. What a set's authors keep for testing is left out (Speech Commands'
testing list, Flickr8k's test images, IIIT 5K's and MNIST's test files); LibriSpeech's and COCO's sets here are their
development parts as a whole.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from muomni.data.download.matlab import MatlabError, read_text_fields
from muomni.data.production import Row, one_line
from muomni.data.skipped import Skipped
from muomni.errors import UserError

AGAIN = "Remove the set's folder and run the command again."
END_OF_TEXT = "<|endoftext|>"
HEADING = re.compile(r"^ = [^=].* = $")
SPLIT_MARK = re.compile(r" @([-,.])@ ")

Layout = Callable[[Path, Skipped], Iterator[Row]]


def _broken(folder: Path, what: str) -> UserError:
    return UserError(
        f"has no {what}: this is not the set as it was published", file=folder, fix="Remove it, run again."
    )


def _only(folder: Path, pattern: str) -> Path:
    """The first file of the set that matches, wherever its archive put it."""
    found = next(iter(sorted(folder.rglob(pattern))), None)
    if found is None:
        raise UserError(f"has no {pattern}: this is not the set as it was published", file=folder, fix=AGAIN)
    return found


def _there(path: Path, folder: Path, skipped: Skipped) -> str | None:
    """`path` relative to the set's folder, where it is a file that is not empty; else it is skipped."""
    if ".." in path.parts or not path.is_relative_to(folder):  # a table of the set names it
        skipped.add("leads out of the folder", path)
        return None
    name = path.relative_to(folder).as_posix()
    if path.is_file() and path.stat().st_size:
        return name
    skipped.add("file missing or empty", name)
    return None


def stories(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """TinyStories: stories of several lines, `<|endoftext|>` on a line of its own between them."""
    story: list[str] = []
    with _only(folder, "*.txt").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            head, mark, rest = line.partition(END_OF_TEXT)
            story.append(head)
            if mark:
                yield {"text": "".join(story)}
                story = [rest]
    yield {"text": "".join(story)}


def wikitext(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """WikiText: an article begins at a heading of the first order, ` = Title = `; ` @-@ ` stands for a plain `-`."""
    article: list[str] = []
    with _only(folder, "wiki.train.*").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if HEADING.match(line.rstrip("\n")) and article:
                yield {"text": SPLIT_MARK.sub(r"\1", "".join(article))}
                article = []
            if not line.startswith(" ="):
                article.append(line)
    yield {"text": SPLIT_MARK.sub(r"\1", "".join(article))}


def flickr8k(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """Flickr8k: `name.jpg#0<TAB>caption` in Flickr8k.token.txt, photographs in a folder, names of the test part."""
    tokens = _only(folder, "Flickr8k.token.txt")
    images = {path.name: path for path in folder.rglob("*.jpg")}
    kept_back = set(_only(folder, "Flickr_8k.testImages.txt").read_text(encoding="utf-8").split())
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(tokens.read_text(encoding="utf-8").splitlines(), 1):
        name, tab, caption = line.partition("\t")
        if not tab or not one_line(caption):
            skipped.add("no caption", f"{tokens.name}:{number}")
            continue
        captions.setdefault(name.rpartition("#")[0], []).append(one_line(caption))
    for name, texts in captions.items():
        if name not in images:
            skipped.add("file missing or empty", name)
        elif name not in kept_back and (path := _there(images[name], folder, skipped)):
            yield {"image": path, "captions": texts}


def coco(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """COCO: one JSON with `images` (id, file_name) and `annotations` (image_id, caption), photographs in val2017/."""
    file = _only(folder, "captions_*.json")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        captions: dict[int, list[str]] = {}
        for one in found["annotations"]:
            captions.setdefault(one["image_id"], []).append(one_line(one["caption"]))
        names = [(one["id"], str(one["file_name"])) for one in found["images"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"is no list of COCO captions ({error!r})", file=file, fix="Remove the set, run again."
        ) from None
    images = {path.name: path for path in folder.rglob("*.jpg")}
    for number, name in sorted(names):
        texts = [text for text in captions.get(number, []) if text]
        if not texts:
            skipped.add("no caption", name)
        elif name not in images:
            skipped.add("file missing or empty", name)
        elif path := _there(images[name], folder, skipped):
            yield {"image": path, "captions": texts}


def librispeech(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """LibriSpeech, through torchaudio's own reader: READER/CHAPTER/*.flac, transcripts in capitals (written small)."""
    from torchaudio.datasets import LIBRISPEECH

    for part in sorted(path for path in (folder / "LibriSpeech").glob("*") if path.is_dir()):
        speech = LIBRISPEECH(folder, url=part.name)
        for number in range(len(speech)):
            try:
                name, _, text, reader, _, _ = speech.get_metadata(number)
            except (OSError, ValueError) as error:  # a clip without a transcript, a line without text
                skipped.add("no transcript", error)
                continue
            if path := _there(folder / "LibriSpeech" / name, folder, skipped):
                yield {"wav": path, "text": one_line(text).lower(), "speaker": str(reader)}


def speech_commands(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """Speech Commands, through torchaudio's own reader: WORD/SPEAKER_nohash_N.wav; the testing list is left out."""
    from torchaudio.datasets import SPEECHCOMMANDS

    folder = folder.absolute()
    root = _only(folder, "testing_list.txt").parent
    kept_back = set((root / "testing_list.txt").read_text(encoding="utf-8").split())
    # torchaudio looks for ROOT/SpeechCommands/speech_commands_v0.02; here those two are called otherwise
    clips = SPEECHCOMMANDS(root.parent.parent, folder_in_archive=root.parent.name, url=f"{root.name}.tar.gz")
    for number in range(len(clips)):
        try:
            clip, _, word, speaker, _ = clips.get_metadata(number)
        except ValueError as error:
            skipped.add("no speaker in its name", error)
            continue
        name = f"{word}/{Path(clip).name}"
        if name not in kept_back and (path := _there(root / name, folder, skipped)):
            yield {"wav": path, "text": word, "speaker": speaker}


def yesno(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """YesNo: the name is the transcript, 0_1_1_... for no, yes, yes (spoken in Hebrew)."""
    for file in sorted(folder.rglob("*.wav")):
        words = file.stem.split("_")
        if not set(words) <= {"0", "1"}:
            skipped.add("no transcript in its name", file.name)
        elif path := _there(file, folder, skipped):
            yield {"wav": path, "text": " ".join("yes" if word == "1" else "no" for word in words)}


def ljspeech(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """LJ Speech: metadata.csv with `id|text|normalized text` (numbers written out), clips in wavs/."""
    table = _only(folder, "metadata.csv")
    with table.open(encoding="utf-8", newline="") as file:
        for number, fields in enumerate(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE), 1):
            text = one_line(fields[-1]) if len(fields) in (2, 3) else ""
            if not text:
                skipped.add("no text", f"{table.name}:{number}")
            elif path := _there(table.parent / "wavs" / f"{fields[0]}.wav", folder, skipped):
                yield {"text": text, "wav": path}


def libritts(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """LibriTTS: READER/CHAPTER/*.wav with the spoken words in *.normalized.txt beside each."""
    for file in sorted(folder.rglob("*.wav")):
        text = file.with_name(f"{file.stem}.normalized.txt")
        words = one_line(text.read_text(encoding="utf-8", errors="replace")) if text.is_file() else ""
        if not words:
            skipped.add("no transcript", file.name)
        elif path := _there(file, folder, skipped):
            yield {"text": words, "wav": path, "speaker": file.name.split("_")[0]}


def iiit5k(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """IIIT 5K-Word: traindata.mat with ImgName (`train/1009_1.png`) and GroundTruth, in capitals."""
    labels = _only(folder, "traindata.mat")
    try:
        for name, word in read_text_fields(labels, ("ImgName", "GroundTruth")):
            if not one_line(word):
                skipped.add("no text", name)
            elif path := _there(labels.parent / name, folder, skipped):
                yield {"image": path, "text": one_line(word)}
    except MatlabError as error:
        raise UserError(str(error), file=labels, fix=AGAIN) from None


def mnist(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """MNIST, through torchvision's own reader; `draw_mnist` has written its digits as pictures."""
    from torchvision.datasets.mnist import read_label_file

    for number, digit in enumerate(read_label_file(str(_only(folder, "*labels*"))).tolist()):
        if path := _there(folder / _digit_name(number), folder, skipped):
            yield {"image": path, "text": str(digit)}


def _digit_name(number: int) -> str:
    return f"digits/{number // 1000:02d}/{number:05d}.png"


def draw_mnist(folder: Path) -> None:
    """Write every digit as a PNG of 28 x 28 pixels."""
    from PIL import Image
    from torchvision.datasets.mnist import read_image_file

    stored = _only(folder, "*images*")
    try:
        digits = read_image_file(str(stored)).numpy()
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise UserError(f"cannot be read as MNIST ({error})", file=stored, fix=AGAIN) from None
    for number, pixels in enumerate(digits):
        path = folder / _digit_name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


LAYOUTS: dict[str, Layout] = {
    one.__name__: one
    for one in (
        stories,
        wikitext,
        flickr8k,
        coco,
        librispeech,
        speech_commands,
        yesno,
        ljspeech,
        libritts,
        iiit5k,
        mnist,
    )
}
"""By the name that the catalogue gives."""

FINISH: dict[str, Callable[[Path], None]] = {"mnist": draw_mnist}
"""What is done to a set's folder once, before it is moved into place."""
