"""The data browser: any row of any manifest, seen and heard, and what all its rows are like.

`DataBrowser("data/audio/asr.csv")` in a notebook shows the panel; the same object answers to code: `browser.go(12)`,
`browser.filter(words="ring")`, `browser.check()`, `print(browser.text())`. It reads CSV tables, JSON and JSON Lines
annotations and plain text. The first row is there at once; the rest of a large manifest is counted behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from muomni.data.catalogue import Catalogue
from muomni.data.check import Checked, Ears, check_manifest
from muomni.data.examples import Example, Examples
from muomni.data.input_files import data_folder_of
from muomni.errors import UserError
from muomni.widgets import data_view
from muomni.widgets.data_inputs import hearing, tokenizer_of
from muomni.widgets.data_row import OpenRow, as_text, open_row
from muomni.widgets.panel import Panel, beside, front_end, style

AT_ONCE = 0.25
"""Seconds that a manifest is counted for before it is shown; what is left is counted behind it."""
BETWEEN_UPDATES = 0.25
TURN = 0.05
"""Seconds that the counting keeps the panel from answering."""


class Stopped(Exception):
    """The check was told to stop."""


class DataBrowser(Panel):
    """A panel that browses a manifest.

    Args:
        manifest: a `.csv`, `.json` or `.jsonl` manifest, or a text.
        tokenizer: a tokenizer's model file; None: `text/tokenizer_nano.model` (or another) in the data folder, if any.
        config: a config of the audio encoder, which says how sound becomes frames; None:
            `configs/audio_enc_nano.json` beside the data folder, if there is one.

    Attributes:
        catalogue: the rows, as far as they have been counted.
        chosen: the numbers (from 0) of the rows that pass the filter, `(n,)`; None while nothing is filtered.
        row: the row that is shown; None where the filter leaves none.
        checked: what the check found; None before it.

    Raises:
        UserError: a file cannot be read, or has no first row.
    """

    _esm = front_end("data_browser.js")
    _css = style()
    row_html = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, manifest: str | Path, *, tokenizer: str | Path | None = None, config: str | Path | None = None
    ) -> None:
        path = Path(manifest)
        data = data_folder_of(path)
        self.settings = hearing(config, data)
        self.catalogue = Catalogue(path, tokenizer_of(tokenizer, data))
        self.chosen: np.ndarray | None = None
        self.split, self.words = "", ""
        self.unit = self.catalogue.units()[0]
        self.at = 0
        self.row: OpenRow | None = None
        self.checked: Checked | None = None
        self.checking = ""
        self._stop = False
        super().__init__()
        self.form = {"title": path.name, "units": self.catalogue.units()}
        self._count(AT_ONCE)
        self.go(1)
        if not self.catalogue.done:
            beside(self._count_behind)

    def __len__(self) -> int:
        """Rows that can be gone to: all that are counted, or those that pass the filter."""
        return len(self.catalogue) if self.chosen is None else len(self.chosen)

    def go(self, place: int) -> None:
        """Show the row at a place, from 1, among those that pass the filter.

        Raises:
            UserError: there is no such place, or the manifest has changed.
        """
        with self.lock:
            if isinstance(place, bool) or not isinstance(place, int):
                raise UserError(f"is {place!r}, not a whole number", field="row", fix=f"Choose 1 to {len(self):,}.")
            if place > len(self) and self.chosen is None:
                self.catalogue.finish()
            if not 1 <= place <= len(self):
                allowed = f"Choose 1 to {len(self):,}." if len(self) else "Change the filter: it leaves no row."
                raise UserError(f"is {place}; there are {len(self):,}", field="row", fix=allowed)
            number = place - 1 if self.chosen is None else int(self.chosen[place - 1])
            if self.row is None or self.row.number != number:
                self.row = open_row(self.catalogue, number, self.settings)
            self.at = place
            self.refresh()

    def next(self) -> None:
        """Show the next row; at the last one nothing changes."""
        self.go(min(self.at + 1, max(1, len(self))))

    def previous(self) -> None:
        """Show the row before; at the first one nothing changes."""
        self.go(max(self.at - 1, 1))

    def filter(self, split: str = "", words: str = "") -> int:
        """Go through those rows only that are of a split and whose texts hold some words, in any case. How many pass.

        Args:
            split: a name of the `split` column; "" for all.
            words: what a text (or a question or answer) must hold; "" for any.

        Raises:
            UserError: there is no such split.
        """
        with self.lock:
            if split or words:
                self.catalogue.finish()
            if split and split not in self.catalogue.split_names:
                there = ", ".join(self.catalogue.split_names)
                raise UserError(f'"{split}" is no split of this manifest', field="split", fix=f"There are {there}.")
            self.chosen = self.catalogue.matching(split, words) if split or words else None
            self.split, self.words, self.at = split, words, 0
            if len(self):
                self.go(1)
            else:
                self.row = None
                self.refresh()
            return len(self)

    def lengths_in(self, unit: str) -> None:
        """Show the lengths in seconds, characters or tokens.

        Raises:
            UserError: they are not known in this unit.
        """
        with self.lock:
            if unit not in self.catalogue.units():
                there = ", ".join(self.catalogue.units())
                raise UserError(f'"{unit}" is not known here', field="lengths", fix=f"Choose one of {there}.")
            self.unit = unit
            self.refresh()

    def check(self) -> Checked:
        """Read every file of the manifest and look for faults, as `muomni data check` does. May take minutes.

        A test is held against the training manifests of its folder, too.
        """
        self._stop = False
        try:
            checked = check_manifest(self.catalogue.path, self._ears(), self._watched)
        finally:
            self.checking = ""
        with self.lock:
            self.checked = checked
            self.refresh()
        return checked

    def text(self) -> str:
        """The panel as text: the row that is shown, and what is known of all."""
        with self.lock:
            shown = "no row passes the filter" if self.row is None else f"row {self.at:,} of {len(self):,} · "
            shown += "" if self.row is None else as_text(self.row)
            return "\n".join([shown, *data_view.summary_lines(self)])

    def act(self, content: dict[str, Any]) -> None:
        """Do what was done in the browser."""
        kind, value = content.get("kind"), content.get("value")
        self.message = ""
        if kind == "row":
            self.go(value)  # type: ignore[arg-type]  # what it is, `go` checks
        elif kind == "step":
            (self.next if value == 1 else self.previous)()
        elif kind == "split":
            self.filter(str(value or ""), self.words)
        elif kind == "words":
            self.filter(self.split, str(value or "").strip())
        elif kind == "unit":
            self.lengths_in(str(value))
        elif kind == "press" and content.get("action") == "check":
            self._check_behind()
        elif kind == "press" and content.get("action") == "stop":
            self._stop = True
        else:
            raise ValueError(f"unknown message {content!r}")

    def picture(self) -> dict[str, Any]:
        """What the browser shows now."""
        catalogue = self.catalogue
        return {
            "place": self.at,
            "total": len(self),
            "split": self.split,
            "splits": list(catalogue.split_names),
            "words": self.words,
            "unit": self.unit,
            "checking": bool(self.checking),
            "html": {
                "status": data_view.status(self),
                "tiles": data_view.tiles(self),
                "splits": data_view.splits(self),
                "lengths": data_view.lengths(self),
                "check": data_view.check(self),
            },
        }

    def refresh(self) -> None:
        """Send the browser what changed; the row, with its picture or sound, only when it is another one."""
        with self.lock:
            html = data_view.row(self.row)
            if html != self.row_html:
                self.row_html = html
            super().refresh()

    def _count(self, seconds: float) -> None:
        """Count rows for so long."""
        end = time.monotonic() + seconds
        for _ in self.catalogue.scan():
            if time.monotonic() >= end:
                return

    def _count_behind(self) -> None:
        """Count the rows that are left, in a thread of its own."""
        shown = time.monotonic()
        try:
            while not self.catalogue.done and threading.main_thread().is_alive():
                with self.lock:
                    self._count(TURN)
                    if self.catalogue.done or time.monotonic() - shown > BETWEEN_UPDATES:
                        shown = time.monotonic()
                        self.refresh()
                time.sleep(TURN / 10)  # lets go of the lock for whoever waits
        except Exception:
            self.fail()

    def _check_behind(self) -> None:
        """Check in a thread of its own, so that the panel goes on answering."""
        if self.checking:
            return
        self.checking = "Opening the manifest."

        def work() -> None:
            try:
                self.check()
                message = ""
            except Stopped:
                message = "The check was stopped; nothing is known of the rows that were left."
            except UserError as error:
                message = f"✕ {error}"
            except Exception:
                self.fail()
                return
            with self.lock:
                self.message = message
                self.refresh()

        beside(work)

    def _watched(self, examples: Examples, name: str) -> Iterator[Example]:
        """The examples one by one, telling how far the check is; ends it when told to stop."""
        shown = time.monotonic()
        for index, example in enumerate(examples):
            if self._stop or not threading.main_thread().is_alive():
                raise Stopped
            if time.monotonic() - shown > BETWEEN_UPDATES:
                with self.lock:
                    shown = time.monotonic()
                    self.checking = f"Reading {name}: {index:,} of {len(examples):,} rows."
                    self.refresh()
            yield example

    def _ears(self) -> Ears | None:
        if self.catalogue.media != "wav" or self.catalogue.tokenizer is None:
            return None
        settings = self.settings
        return Ears(self.catalogue.tokenizer, settings.sample_rate, settings.hop_length * settings.downsample)
