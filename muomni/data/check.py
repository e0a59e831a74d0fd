"""`muomni data check`: every manifest of a data folder, row by row and file by file.

| found | how bad |
|---|---|
| a manifest that cannot be read, a path that leaves its folder | error |
| a file that is missing, empty, broken, or not what `media.txt` says | error |
| an empty text | error |
| the same file, or a sentence that its split holds out, in training and in a test | error: leakage |
| the same file twice within a split | warning |
| a silent clip | warning |
| a text that CTC cannot say in the frames of its sound | warning |

Lines are named; of each kind the first ten are listed and all are counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muomni.data.examples import Example, Examples
from muomni.data.input_files import DATA_FOLDERS
from muomni.data.manifests import csv_records, is_manifest, read_rows
from muomni.data.world.splits import SHORT
from muomni.errors import UserError

if TYPE_CHECKING:
    from muomni.data.tokenizer import Tokenizer

LISTED = 10
SILENT = 1e-3
"""A clip whose loudest sample is below this part of full scale is silent."""
ERROR, WARNING = "error", "warning"
LEAKAGE = "leakage: training has it too"
TABLES = ("*.csv",)
PATTERNS = {
    "text": ("*.txt",),
    "images": ("*.json", "*.jsonl"),
    "audio": TABLES,
    "ocr": TABLES,
    "audio_other_engine": TABLES,
}
NO_DATA = ("media.txt", "manifest.json")
TRAINED_IN = {"audio_other_engine": "audio"}
"""Folders of tests alone, and the folder that the training data is in."""
Watch = Callable[[Examples, str], Iterable[Example]]
"""Hands on the examples of a manifest (whose name it is given) one by one: with a bar, or until told to stop."""


@dataclass(frozen=True)
class Ears:
    """How a sound becomes frames that a text must fit: a tokenizer, and samples for each frame of the encoder."""

    tokenizer: Tokenizer
    sample_rate: int
    samples_per_frame: int

    @classmethod
    def of_config(cls, config: Path, tokenizer: Tokenizer | None = None) -> Ears | None:
        """How the audio encoder of a config hears; None where the config or its tokenizer is not there.

        Raises:
            UserError: it is the config of another stage, or one of the two is damaged.
        """
        from muomni.config import read_config
        from muomni.config.stages import AudioEncConfig
        from muomni.data.tokenizer import Tokenizer

        if not config.is_file():
            return None
        file = read_config(config)
        settings = file.config
        if not isinstance(settings, AudioEncConfig):
            raise UserError(f"is a config of {file.stage}", file=config, fix="Name one of audio_enc.")
        if tokenizer is None:
            if not Path(settings.tokenizer).is_file():
                return None
            tokenizer = Tokenizer.load(settings.tokenizer)
        return cls(tokenizer, settings.sample_rate, settings.hop_length * settings.downsample)


@dataclass
class Checked:
    """What was found in one manifest: rows, usable rows, and problems by kind with the first lines of each."""

    file: Path
    rows: int = 0
    usable: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    listed: dict[str, list[str]] = field(default_factory=dict)

    def add(self, level: str, kind: str, where: str) -> None:
        """Count a problem."""
        (self.errors if level == ERROR else self.warnings)[kind] += 1
        lines = self.listed.setdefault(kind, [])
        if len(lines) < LISTED:
            lines.append(where)

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        counts = {
            "rows": self.rows,
            "usable": self.usable,
            "errors": dict(self.errors),
            "warnings": dict(self.warnings),
        }
        return {"file": str(self.file)} | counts | {"listed": self.listed}


def check_data(data: str | Path, ears: Ears | None = None, progress: bool = True) -> list[Checked]:
    """Check every manifest below `data`.

    Args:
        ears: for the fit of texts and sounds; None leaves that out.
        progress: show progress bars.

    Raises:
        UserError: there is no manifest at all.
    """
    found = list[Checked]()
    shown: dict[str, dict[str, str]] = {}
    for folder in DATA_FOLDERS:
        files = _manifests(Path(data) / folder)
        if folder == "text":
            told = set[int]()
            found += [_check_text(path, told) for path in files]
        else:
            trained = shown.setdefault(TRAINED_IN.get(folder, folder), {})
            found += [_check_media(path, ears, trained, _with_bar(progress)) for path in files]
    if not found:
        raise UserError("holds no data", file=data, fix="Run `muomni data make`, or name the folder with --data.")
    return found


def check_manifest(path: str | Path, ears: Ears | None = None, watch: Watch | None = None) -> Checked:
    """Check one manifest; a test is also held against the training manifests of its folder.

    Args:
        path: the manifest.
        ears: for the fit of texts and sounds; None leaves that out.
        watch: is handed the examples and hands them on; None shows a progress bar.
    """
    path, watch = Path(path), watch or _with_bar(True)
    folder = path.parent.with_name(TRAINED_IN.get(path.parent.name, path.parent.name))
    training = [other for other in _manifests(folder) if _tests_last(path)[0] and not _tests_last(other)[0]]
    if not is_manifest(path):
        told = set[int]()
        for other in training:
            _check_text(other, told)
        return _check_text(path, told)
    trained: dict[str, str] = {}
    for other in training:
        try:
            examples = Examples.open(other, _media_of(other), max_skipped=1.0)
            for example in watch(examples, other.name):
                _train_on(trained, other, example, _digest(example))
        except UserError:
            continue  # says so when it is checked itself
    return _check_media(path, ears, trained, watch)


def _with_bar(progress: bool) -> Watch:
    from tqdm.auto import tqdm

    return lambda examples, name: tqdm(examples, desc=name, unit="row", disable=not progress)


def _manifests(folder: Path) -> list[Path]:
    """The manifests of a folder, training before tests, so that leakage shows."""
    patterns = PATTERNS.get(folder.name, ("*.csv", "*.json", "*.jsonl"))
    files = {path for pattern in patterns for path in folder.glob(pattern)}
    files = {path for path in files if path.name not in NO_DATA and not path.name.endswith(".source.json")}
    return sorted(files, key=_tests_last)


def _tests_last(path: Path) -> tuple[bool, str]:
    return "test" in path.name, path.name


def _media_of(path: Path) -> str:
    """The column that names a row's file: by the folder, else by the header."""
    folder = path.parent.name.partition("_")[0]
    if path.suffix != ".csv" or folder in ("audio", "ocr"):
        return "wav" if folder == "audio" else "image"
    header = next((fields for _, _, fields in csv_records(path)), [])
    return "wav" if "wav" in (name.strip() for name in header) else "image"


def _check_text(path: Path, trained: set[int]) -> Checked:
    """A text; `trained` holds a hash of every document that training has."""
    checked, seen = Checked(path), set[int]()
    try:
        for row in read_rows(path, ("text",)):
            checked.rows += 1
            key = hash(row.values["text"])
            if key in seen:
                checked.add(WARNING, "the same document again", f"line {row.line}")
            if key in trained:
                checked.add(ERROR, LEAKAGE, f"line {row.line}")
            seen.add(key)
        if not _tests_last(path)[0]:
            trained |= seen
        checked.usable = checked.rows
        if not checked.rows:
            checked.add(ERROR, "no text", path.name)
    except UserError as error:
        checked.add(ERROR, "cannot be read", str(error))
    return checked


def _check_media(path: Path, ears: Ears | None, trained: dict[str, str], watch: Watch) -> Checked:
    """A manifest with media; `trained` holds what training shows, by hash or text, and where."""
    found = Checked(path)
    try:
        _check_rows(found, path, ears, trained, watch)
    except UserError as error:
        found.add(ERROR, "cannot be read", str(error))
    return found


def _check_rows(found: Checked, path: Path, ears: Ears | None, trained: dict[str, str], watch: Watch) -> None:
    media, known = _media_of(path), _hashes(path.parent)
    examples = Examples.open(path, media, max_skipped=1.0)
    found.rows = examples.skipped.tried
    if examples.skipped.rows:
        found.errors["row cannot be used"] = examples.skipped.rows
        found.listed["row cannot be used"] = examples.skipped.reasons
    test, seen = _tests_last(path)[0], dict[str, int]()
    for example in watch(examples, path.name):
        where = f"line {example.line}: {example.values[media]}"
        digest = _digest(example)
        if known.get(str(example.values[media]), digest) != digest:
            found.add(ERROR, "not the file that media.txt lists", where)
        for level, kind, more in _heard_or_seen(example, media, ears):
            found.add(level, kind, where + more)
        if digest in seen:
            found.add(WARNING, "the same file again", f"{where}, as in line {seen[digest]}")
        seen[digest] = example.line
        if not test:
            _train_on(trained, path, example, digest)
        for key in _held_out(path, example, digest) if test else ():
            if key in trained:
                found.add(ERROR, LEAKAGE, f"{where}, as in {trained[key]}")
    found.usable = len(examples) - found.errors["cannot be read"]


def _train_on(trained: dict[str, str], path: Path, example: Example, digest: str) -> None:
    """Note what a training example shows, and where."""
    for key in _held_out(path, example, digest):
        trained.setdefault(key, f"{path.name} line {example.line}")


def _digest(example: Example) -> str:
    return hashlib.sha256(example.path.read_bytes()).hexdigest()


def _heard_or_seen(example: Example, media: str, ears: Ears | None) -> Iterator[tuple[str, str, str]]:
    """(level, kind of problem, what more there is to say) of one file."""
    try:
        if media == "image":
            from muomni.data.pictures import read_picture

            read_picture(example.path)
            return
        from muomni.data.sound import read_sound

        samples = read_sound(example.path, ears.sample_rate if ears else 16_000)
    except UserError as error:
        yield ERROR, "cannot be read", f" {error.problem}"
        return
    if float(samples.abs().max()) < SILENT:
        yield WARNING, "silent", ""
    if ears is not None:
        from muomni.data.ctc import fits

        if not fits(ears.tokenizer.encode(example.text), len(samples) // ears.samples_per_frame + 1):
            yield WARNING, "the text does not fit its frames (CTC)", ""


def _held_out(path: Path, example: Example, digest: str) -> Iterator[str]:
    """What a test must not share with training: the file, and where the text is held out, that."""
    yield digest
    spoken = path.suffix == ".csv" and "wav" in example.values and len(example.text.split()) >= SHORT
    written = "image" in example.values and "text" in example.values and "new_fonts" not in path.name
    if spoken or (written and ("new_words" in path.name or "test" not in path.name)):
        yield f"text {example.text.lower()}"


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by path, of the files that the tiny world's list names."""
    from muomni.data.world.build import read_media

    return {medium.path: medium.sha256 for medium in read_media(folder)}
