"""Opening a file that a user named: whatever the operating system refuses becomes one clear `UserError`.

Every reader of this room opens its files here, so that a folder, a missing file, a pipe or a file without permission
reads the same everywhere, and none of them hangs or ends in a traceback.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from muomni.errors import UserError
from muomni.files import os_reason

DATA_FOLDERS = ("text", "images", "audio", "ocr", "audio_other_engine")
"""The folders of a data folder that hold manifests."""


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """`path` open for reading bytes, without Python's buffer on top; close it by leaving the block.

    Raises:
        UserError: it is missing, a folder, no plain file, or cannot be read.
    """
    path = Path(path)
    check_readable(path)
    try:
        with open(path, "rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from error


def file_status(path: str | Path) -> os.stat_result:
    """What the operating system knows about `path`, or a `UserError` that says why it knows nothing."""
    try:
        return os.stat(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:  # a NUL in the name
        raise UserError("is no file name", file=repr(str(path)), fix="Check the path.") from error


def check_readable(path: str | Path) -> None:
    """A `UserError` unless `path` is a plain file: opening a pipe would wait for ever, a device never end."""
    mode = file_status(path).st_mode
    if stat.S_ISDIR(mode):
        raise UserError("is a folder, not a file", file=path, fix="Name a file inside it.")
    if not stat.S_ISREG(mode):
        raise UserError("is not a plain file", file=path, fix="Save its contents to a file and name that.")


def unreadable(path: str | Path, error: OSError) -> UserError:
    """The `UserError` for what the operating system said about reading `path`."""
    if isinstance(error, FileNotFoundError):
        return UserError("does not exist", file=path, fix="Check the path, or make the data first.")
    return UserError(f"cannot be read ({os_reason(error)})", file=path, fix="Check the file and its permissions.")


def data_folder_of(path: str | Path) -> Path:
    """The data folder a manifest belongs to: `data` for `data/text/tiny_corpus.txt`, else the file's own folder."""
    parent = Path(path).absolute().parent
    return parent.parent if parent.name in DATA_FOLDERS else parent


def cache_folder(path: str | Path, cache_dir: str | Path | None = "auto") -> Path:
    """Where what is known of a data file is kept: `.cache` in its data folder, unless `cache_dir` names another."""
    return data_folder_of(path) / ".cache" if cache_dir in (None, "auto") else Path(cache_dir)


def index_file(path: Path, cache_dir: str | Path | None = "auto") -> Path:
    """Where the line index of a data file is kept."""
    return cache_folder(path, cache_dir) / f"{path.absolute().parent.name}-{path.name}.index"
