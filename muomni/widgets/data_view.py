"""The data browser's fragments as HTML: the row, and what is known of all rows. All text from files is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from muomni.data.check import Checked
from muomni.widgets.data_row import OpenRow, Picture, Sound, channels, shortened
from muomni.widgets.lab_view import cell
from muomni.widgets.panel import failure_html
from muomni.widgets.svg import framed_image, histogram

if TYPE_CHECKING:
    from muomni.widgets.data_browser import DataBrowser

MOST_PIECES = 300
NOT_CHECKED = (
    "Not looked for yet. A check reads every file: broken, silent and doubled ones, empty texts, leakage from training "
    "into a test, texts that do not fit their frames (CTC)."
)
KEYS = 'data-lm-suppress-shortcuts="true"'
"""Keeps JupyterLab from taking the keys of what has the focus for commands of its own."""


def row(shown: OpenRow | None) -> str:
    """The row that is shown: its picture or sound, texts, tokens and columns."""
    if shown is None:
        return '<p class="mu-words">No row passes the filter.</p>'
    parts = [
        f'<p class="mu-words">line {cell("line", f"{shown.line:,}", shown.line)} · split <b>{escape(shown.split)}</b>'
        + (f" · <code>{escape(shown.file)}</code>" if shown.file else "")
        + "</p>"
    ]
    if shown.problem:
        parts.append(f'<div role="alert" class="mu-alert mu-said">✕ {escape(shown.problem)}</div>')
    first = shortened(shown.texts[0]) if shown.texts else ""
    name = f"row {shown.number + 1}: {first[:200]}"
    if isinstance(shown.media, Picture):
        small = " mu-small-picture" if max(shown.media.width, shown.media.height) <= 128 else ""
        parts.append(
            f'<img class="mu-picture{small}" src="{shown.media.source}" alt="Picture of {escape(name, True)}">'
            f'<p class="mu-words">{escape(str(shown.media))}</p>'
        )
    elif isinstance(shown.media, Sound):
        parts.append(_sound(shown.media, name))
    if len(shown.texts) == 1:
        parts.append(f'<p class="mu-text">{escape(first)}</p>')
    elif shown.texts:
        items = "".join(f"<li>{escape(shortened(text))}</li>" for text in shown.texts)
        parts.append(f'<h4>Captions</h4><ol class="mu-list">{items}</ol>')
    if shown.questions:
        items = "".join(f"<li>{escape(ask)} <b>{escape(answer)}</b></li>" for ask, answer in shown.questions)
        parts.append(f'<h4>Questions</h4><ol class="mu-list">{items}</ol>')
    parts.append(_pieces(shown))
    if shown.others:
        items = "".join(
            f'<tr><th scope="row">{escape(str(key))}</th><td>{escape(shortened(str(value)))}</td></tr>'
            for key, value in shown.others.items()
        )
        parts.append(f'<table class="mu-table mu-columns-table"><caption>Other columns</caption>{items}</table>')
    return "".join(parts)


def _sound(sound: Sound, name: str) -> str:
    """A sound to play, and its spectrogram."""
    if not sound.source:
        return f'<p class="mu-words">{escape(str(sound))}: too long to be drawn and played here.</p>'
    words = f"Log-mel spectrogram, {sound.n_mels} bins, {sound.n_frames:,} frames, {sound.seconds:.2f} s"
    drawn = framed_image(
        sound.spectrogram,
        f"{words}, of {name}",
        x_high=sound.seconds,
        x_name="seconds",
        y_high=sound.n_mels,
        y_name="mel bin",
    )
    label = escape(f"Sound of {name}", True)
    return (
        f'<audio class="mu-sound" controls preload="metadata" aria-label="{label}" {KEYS} src="{sound.source}"></audio>'
        f'{drawn}<p class="mu-words">{words}; {sound.rate:,} samples a second, {channels(sound)}.</p>'
    )


def _pieces(shown: OpenRow) -> str:
    """The tokens, and whether they fit the frames of the sound."""
    if shown.pieces is None:
        return ""
    n = len(shown.pieces)
    items = "".join(f'<span class="mu-piece">{escape(piece)}</span>' for piece in shown.pieces[:MOST_PIECES])
    more = f" and {n - MOST_PIECES:,} more" if n > MOST_PIECES else ""
    fit = ""
    if shown.fit is not None:
        mark = "=" if shown.fit.fits else "✕"
        fit = (
            f'<p class="mu-words" data-number="fits" data-value="{shown.fit.fits}">{mark} {escape(str(shown.fit))}.</p>'
        )
    of_first = " of the first" if len(shown.texts) > 1 else ""
    return f'<h4>{cell("tokens", f"{n:,}", n)} tokens{of_first}</h4><p class="mu-pieces">{items}{more}</p>{fit}'


def status(browser: DataBrowser) -> str:
    """What went wrong and what is going on: the live region at the top."""
    parts = [failure_html(browser.failures)]
    catalogue = browser.catalogue
    if catalogue.problem is not None:
        known = f" The {len(catalogue):,} rows before it can be looked at."
        parts.append(f'<div role="alert" class="mu-alert">✕ {escape(str(catalogue.problem))}{known}</div>')
    elif not catalogue.done:
        parts.append(f'<div role="status" class="mu-said">Counting: {len(catalogue):,} rows so far.</div>')
    if browser.checking:
        parts.append(f'<div role="status" class="mu-said">{escape(browser.checking)}</div>')
    if browser.message:
        parts.append(f'<div role="status" class="mu-said">{escape(browser.message)}</div>')
    return "".join(parts)


def tiles(browser: DataBrowser) -> str:
    """How many rows there are, and how many pass the filter."""
    n, catalogue = len(browser.catalogue), browser.catalogue
    values = catalogue.lengths(browser.unit)
    typical = "–" if not len(values) else _length(float(np.median(values)), browser.unit)
    shown = (
        ("rows", cell("rows", f"{n:,}", n), "all" if catalogue.done and catalogue.problem is None else "so far"),
        ("pass the filter", cell("passing", f"{len(browser):,}", len(browser)), _filter_words(browser)),
        (f"{browser.unit}, median", typical, _longest(values, browser.unit)),
    )
    return (
        '<div class="mu-tiles mu-flow">'
        + "".join(
            f'<div class="mu-tile"><div class="mu-name">{name}</div><div class="mu-big">{number}</div>'
            f'<div class="mu-small">{escape(detail)}</div></div>'
            for name, number, detail in shown
        )
        + "</div>"
    )


def splits(browser: DataBrowser) -> str:
    """Rows of each split, as a table with bars."""
    counts = browser.catalogue.splits()
    total = max(1, sum(counts.values()))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{cell(f"split_{escape(name, True)}", f"{n:,}", n)}</td>'
        f'<td>{n / total:.1%}</td><td class="mu-barcell"><i style="width:{100 * n / total:.1f}%"></i></td></tr>'
        for name, n in counts.items()
    )
    return (
        '<table class="mu-table"><caption>Splits</caption><thead><tr><th scope="col">split</th>'
        '<th scope="col">rows</th>'
        f'<th scope="col">share</th><th></th></tr></thead><tbody>{rows}</tbody></table>'
    )


def lengths(browser: DataBrowser) -> str:
    """The histogram of lengths, and the same in words."""
    words = length_words(browser)
    values = browser.catalogue.lengths(browser.unit)
    drawn = histogram(values.tolist(), words, browser.unit) if len(values) else ""
    return f'{drawn}<p class="mu-words">{escape(words)}</p>'


def length_words(browser: DataBrowser) -> str:
    """Shortest, median, 99th percentile and longest."""
    catalogue, unit = browser.catalogue, browser.unit
    values = catalogue.lengths(unit)
    if not len(values):
        return f"Not known in {unit}."
    marks = [float(np.quantile(values, q, method="inverted_cdf")) for q in (0, 0.5, 0.99, 1)]
    least, median, high, most = (_length(value, unit) for value in marks)
    of = f", of {catalogue.n_sampled:,} rows evenly spread" if unit == "seconds" and catalogue.n_sampled else ""
    return f"From {least} to {most} {unit}, half at most {median}, 99 % at most {high}{of}."


def check(browser: DataBrowser) -> str:
    """What the check found: how often each fault occurs, and the first rows of each."""
    checked = browser.checked
    if checked is None:
        return f'<h4>Faults</h4><p class="mu-words">{NOT_CHECKED}</p>'
    faults = _faults(checked)
    words = f"{checked.usable:,} of {checked.rows:,} rows can be used; {'no faults' if not faults else 'faults found'}."
    items = "".join(
        f"<li><b>{mark} {escape(kind)}</b> {cell(escape('fault ' + kind, True), f'{n:,}', n)}"
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in checked.listed.get(kind, []))}</ul></li>"
        for mark, kind, n in faults
    )
    scrolls = f'tabindex="0" role="group" aria-label="Faults found" {KEYS}'
    listed = f'<ul class="mu-faults" {scrolls}>{items}</ul>' if faults else ""
    return f'<h4>Faults</h4><p class="mu-words">{escape(words)}</p>{listed}'


def summary_lines(browser: DataBrowser) -> list[str]:
    """What is known of all rows, as text."""
    catalogue = browser.catalogue
    counts = ", ".join(f"{name} {n:,}" for name, n in catalogue.splits().items())
    whole = "" if catalogue.done else " so far"
    lines = [f"{catalogue.path}: {len(catalogue):,} rows{whole} ({counts})", f"lengths: {length_words(browser)}"]
    if catalogue.problem is not None:
        lines.append(f"✕ {catalogue.problem}")
    checked = browser.checked
    if checked is None:
        return [*lines, "faults: not looked for yet; check() reads every file"]
    lines.append(f"faults: {checked.usable:,} of {checked.rows:,} rows can be used")
    for mark, kind, n in _faults(checked):
        lines += [f"  {mark} {kind} ({n:,})", *(f"    {line}" for line in checked.listed.get(kind, []))]
    return lines


def _faults(checked: Checked) -> list[tuple[str, str, int]]:
    """(mark, kind, how often): errors, then warnings."""
    return [
        (mark, kind, n)
        for mark, counted in (("✕", checked.errors), ("!", checked.warnings))
        for kind, n in counted.items()
    ]


def _filter_words(browser: DataBrowser) -> str:
    conditions = [f"split {browser.split}"] if browser.split else []
    conditions += [f"“{browser.words}”"] if browser.words else []
    return ", ".join(conditions) or "no filter"


def _longest(values: np.ndarray, unit: str) -> str:
    return f"longest {_length(float(values.max()), unit)}" if len(values) else ""


def _length(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit == "seconds" else f"{value:,.0f}"
