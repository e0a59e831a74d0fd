"""The text of any source as a plain text file: the file itself, or a temporary one with the texts of a manifest.

Temporary files go to `data/.temp/` and are removed afterwards, also on failure.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muomni.data.input_files import data_folder_of
from muomni.data.manifests import is_manifest, read_rows, text_columns, texts_of
from muomni.errors import UserError
from muomni.files import os_reason


@contextmanager
def plain_text(source: str | Path, temp_dir: str | Path | None = None) -> Iterator[Path]:
    """The path of a text file with the texts of `source`, for as long as the block lasts.

    Args:
        source: a text file, which is used as it is, or a CSV or JSON manifest, whose texts are streamed to a new file.
        temp_dir: where that goes: by default `.temp` in the data folder.

    Raises:
        UserError: the manifest is unreadable or malformed, or the temporary file cannot be written.
    """
    source = Path(source)
    if not is_manifest(source):
        yield source
        return
    folder = data_folder_of(source) / ".temp" if temp_dir is None else Path(temp_dir)
    made = not folder.exists()
    texts = None
    try:
        texts = _new_file(folder, source.stem)
        _write_texts(source, texts)
        yield texts
    finally:
        if texts is not None:
            texts.unlink(missing_ok=True)
            if made and not any(folder.iterdir()):
                folder.rmdir()


def _new_file(folder: Path, stem: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{stem}-", suffix=".txt", delete=False) as file:
            return Path(file.name)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write_texts(source: Path, texts: Path) -> None:
    columns = text_columns(source)
    rows = read_rows(source, columns)
    try:
        with open(texts, "w", encoding="utf-8", newline="") as file:
            for row in rows:
                file.writelines(text + "\n" for text in texts_of(row, columns))
    except OSError as error:
        raise _unwritable(texts, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    fix = "Free some space, or choose another folder for temporary files."
    return UserError(f"cannot be written ({os_reason(error)})", file=path, fix=fix)
