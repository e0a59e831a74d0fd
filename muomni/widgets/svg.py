"""Small pictures as SVG text: a line chart and a memory bar. No plotting library, so a slider can redraw them.

Colours come from the page's theme through CSS classes (`panel.css`); every line also differs by its dashes, every
segment by its pattern. Each picture is described in its `aria-label`, and its caller puts the same facts in text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart. `style` names its CSS class: main, second, faint, marks."""

    name: str
    points: Sequence[Point]
    style: str = "main"


@dataclass(frozen=True)
class Level:
    """A horizontal line that the others are held against."""

    name: str
    value: float


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) between `low` and `high`, at most about `most` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def short(number: float, among: float = 0.0) -> str:
    """A tick's label: 1200000 → 1.2M, 0.0003 → 3e-4. `among`: the largest label beside it, whose unit it shares."""
    size = abs(number)
    for limit, scale, mark in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if max(size, among) >= limit and number:
            return f"{number / scale:.4g}{mark}"
    if 0 < size < 1e-3:
        digits, power = f"{number:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{number:.4g}"


def thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """At most about `most` of the points, the first and last among them."""
    if len(points) <= most:
        return points
    stride = -(-len(points) // most)
    return [*points[:-1:stride], points[-1]]


def chart(
    lines: Sequence[Line],
    label: str,
    *,
    width: int = 340,
    height: int = 170,
    x_name: str = "step",
    levels: Sequence[Level] = (),
    y_range: tuple[float, float] | None = None,
    x_high: float | None = None,
) -> str:
    """A line chart. `label` says in words what it shows; `y_range` defaults to all that is drawn."""
    points = [point for line in lines for point in line.points]
    if not points:
        return (
            f'<svg class="mu-svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, True)}"></svg>'
        )
    heights = [y for _, y in points] + [level.value for level in levels]
    low, high = y_range or (min(heights), max(heights))
    high = high if high > low else low + (abs(low) or 1.0)
    left, right, top, bottom = 44, 14, 10, 30
    x_low, x_high = 0.0, max(x_high or 0.0, max(x for x, _ in points), 1e-9)
    across, up = (width - left - right) / (x_high - x_low), (height - top - bottom) / (high - low)

    def place(x: float, y: float) -> str:
        y = min(max(y, low), high)
        return f"{left + (x - x_low) * across:.1f},{height - bottom - (y - low) * up:.1f}"

    parts = [f'<svg class="mu-svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, True)}">']
    for tick in nice_ticks(low, high, 4):
        y = place(0, tick).split(",")[1]
        parts.append(
            f'<line class="mu-grid" x1="{left}" x2="{width - right}" y1="{y}" y2="{y}"/>'
            f'<text class="mu-tick" x="{left - 6}" y="{y}" dy=".32em" text-anchor="end">{short(tick)}</text>'
        )
    for tick in nice_ticks(x_low, x_high, 5):
        x = place(tick, low).split(",")[0]
        anchor = "end" if float(x) > width - right - 10 else "middle"  # the last one must not leave the picture
        label = short(tick, x_high)
        parts.append(f'<text class="mu-tick" x="{x}" y="{height - bottom + 14}" text-anchor="{anchor}">{label}</text>')
    parts.append(
        f'<text class="mu-tick" x="{width - right}" y="{height - 3}" text-anchor="end">{escape(x_name)}</text>'
    )
    parts.append(
        f'<line class="mu-axis" x1="{left}" x2="{width - right}" y1="{height - bottom}" y2="{height - bottom}"/>'
    )
    for line in lines:
        if not line.points:
            continue
        path = " ".join(place(x, y) for x, y in line.points)
        parts.append(
            f'<polyline class="mu-line mu-{line.style}" points="{path}"><title>{escape(line.name)}</title></polyline>'
        )
        if line.style == "marks":
            dots = "".join(
                f'<circle class="mu-dot" cx="{x}" cy="{y}" r="3"/>'
                for x, y in (place(*point).split(",") for point in line.points)
            )
            parts.append(dots)
    for level in levels:
        y = place(0, level.value).split(",")[1]
        below = 13 if float(y) < height - bottom - 14 else -5
        parts.append(
            f'<line class="mu-level" x1="{left}" x2="{width - right}" y1="{y}" y2="{y}"/>'
            f'<text class="mu-leveltext" x="{width - right - 2}" y="{y}" dy="{below}" text-anchor="end">'
            f"{escape(level.name)} {short(level.value)}</text>"
        )
    parts.append("</svg>")
    return "".join(parts)


def legend(lines: Sequence[Line]) -> str:
    """What each line of a chart is, as a list with a sample of its stroke."""
    items = "".join(
        f'<li><svg viewBox="0 0 30 10" aria-hidden="true"><polyline class="mu-line mu-{line.style}" points="0,5 30,5"/>'
        + ('<circle class="mu-dot" cx="15" cy="5" r="3"/>' if line.style == "marks" else "")
        + f"</svg>{escape(line.name)}</li>"
        for line in lines
        if line.points
    )
    return f'<ul class="mu-legend">{items}</ul>'


def histogram(values: Sequence[float], label: str, x_name: str, bins: int = 24, width: int = 440) -> str:
    """How often each length occurs, as bars from 0 to the largest. `label` says in words what it shows."""
    height, left, right, top, bottom = 150, 44, 14, 10, 30
    high = max(max(values, default=0.0), 1e-9)
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / high * bins))] += 1
    most = max(1, max(counts))
    across, up = (width - left - right) / bins, (height - top - bottom) / most
    floor_y = height - bottom
    parts = [f'<svg class="mu-svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, True)}">']
    for tick in nice_ticks(0, most, 3):
        y = floor_y - tick * up
        parts.append(
            f'<line class="mu-grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="mu-tick" x="{left - 6}" y="{y:.1f}" dy=".32em" text-anchor="end">{short(tick, most)}</text>'
        )
    for index, count in enumerate(counts):
        if count:
            parts.append(
                f'<rect class="mu-used" x="{left + index * across + 0.5:.1f}" y="{floor_y - max(1.0, count * up):.1f}" '
                f'width="{across - 1:.1f}" height="{max(1.0, count * up):.1f}"><title>{high * index / bins:.4g} to '
                f"{high * (index + 1) / bins:.4g} {escape(x_name)}: {count:,}</title></rect>"
            )
    parts.append(_below(0.0, high, x_name, left, width - right, height))
    return "".join([*parts, "</svg>"])


def framed_image(
    source: str, label: str, *, x_high: float, x_name: str, y_high: int, y_name: str, width: int = 640
) -> str:
    """A picture (an address) as the ground of a chart that goes from 0 to `x_high` and, upwards, to `y_high`."""
    height, left, right, top, bottom = 210, 44, 14, 10, 30
    inner = height - top - bottom
    parts = [
        f'<svg class="mu-svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, True)}">',
        f'<image class="mu-mel" x="{left}" y="{top}" width="{width - left - right}" height="{inner}" '
        f'preserveAspectRatio="none" href="{escape(source, True)}"/>',
    ]
    for tick in nice_ticks(0, y_high, 4):
        y = height - bottom - tick / y_high * inner
        parts.append(
            f'<text class="mu-tick" x="{left - 6}" y="{y:.1f}" dy=".32em" text-anchor="end">{short(tick)}</text>'
        )
    parts.append(f'<text class="mu-tick" x="0" y="{height - 3}">{escape(y_name)}</text>')
    parts.append(_below(0.0, x_high, x_name, left, width - right, height))
    return "".join([*parts, "</svg>"])


def _below(low: float, high: float, name: str, left: float, right: float, height: int) -> str:
    """The axis below a picture, its ticks and what they count."""
    parts = [f'<line class="mu-axis" x1="{left}" x2="{right}" y1="{height - 30}" y2="{height - 30}"/>']
    for tick in nice_ticks(low, high, 5):
        x = left + (tick - low) / (high - low) * (right - left)
        anchor = "end" if x > right - 10 else "middle"
        parts.append(
            f'<text class="mu-tick" x="{x:.1f}" y="{height - 16}" text-anchor="{anchor}">{short(tick, high)}</text>'
        )
    parts.append(f'<text class="mu-tick" x="{right}" y="{height - 3}" text-anchor="end">{escape(name)}</text>')
    return "".join(parts)


@dataclass(frozen=True)
class Segment:
    """One part of a stacked bar; `kind` is the index of its colour and pattern."""

    name: str
    size: float
    kind: int


PATTERNS = (
    "",
    '<path d="M0 0L6 6M-1 5L1 7M5 -1L7 1"/>',
    '<path d="M0 6L6 0M-1 1L1 -1M5 7L7 5"/>',
    '<path d="M3 0V6"/>',
    '<circle cx="3" cy="3" r="1"/>',
)


def pattern_definitions(prefix: str) -> str:
    """The five fill patterns; `prefix` keeps one panel's apart from another's."""
    return (
        "<defs>"
        + "".join(
            f'<pattern id="{prefix}{index}" width="6" height="6" patternUnits="userSpaceOnUse">{marks}</pattern>'
            for index, marks in enumerate(PATTERNS)
        )
        + "</defs>"
    )


def swatch(kind: int, prefix: str) -> str:
    """A small sample of a segment's fill, for a table."""
    return (
        f'<svg class="mu-swatch" viewBox="0 0 14 14" aria-hidden="true"><rect class="mu-fill{kind}" width="14" '
        f'height="14" rx="3"/><rect class="mu-pattern" fill="url(#{prefix}{kind})" width="14" height="14" rx="3"/>'
        "</svg>"
    )


def budget_bar(segments: Sequence[Segment], budget: float, label: str, prefix: str, width: int = 340) -> str:
    """What is used of a budget (upper bar), and what that consists of, enlarged (lower bar).

    Where more is needed than the budget has, the upper bar's part beyond the budget's mark is hatched.
    """
    total = sum(segment.size for segment in segments) or 1.0
    scale = width / max(total, budget)
    used, mark = total * scale, budget * scale
    over = total > budget
    parts = [
        f'<svg class="mu-svg" viewBox="0 0 {width} 82" role="img" aria-label="{escape(label, True)}">',
        pattern_definitions(prefix),
        f'<rect class="mu-free" x="0" y="1" width="{width}" height="16" rx="4"/>',
        f'<rect class="mu-used" x="0" y="1" width="{max(2.0, min(used, mark)):.1f}" height="16" rx="4"/>',
    ]
    if over:
        parts.append(
            f'<rect class="mu-over" x="{mark:.1f}" y="1" width="{used - mark:.1f}" height="16"/>'
            f'<rect class="mu-pattern" fill="url(#{prefix}1)" x="{mark:.1f}" y="1" '
            f'width="{used - mark:.1f}" height="16"/>'
            f'<line class="mu-axis" x1="{mark:.1f}" x2="{mark:.1f}" y1="0" y2="22"/>'
        )
    parts.append(f'<path class="mu-fan" d="M0 18L0 40L{width} 40L{max(2.0, used):.1f} 18Z"/>')
    x = 0.0
    for segment in segments:
        wide = segment.size / total * width
        shape = f'x="{x:.1f}" y="40" width="{max(0.0, wide - 1.5):.1f}" height="38"'
        parts.append(
            f'<rect class="mu-fill{segment.kind}" {shape} rx="3"/>'
            f'<rect class="mu-pattern" fill="url(#{prefix}{segment.kind})" {shape} rx="3"/>'
        )
        if wide > 7.2 * len(segment.name) + 8:
            parts.append(
                f'<text class="mu-inbar" x="{x + wide / 2:.1f}" y="59" dy=".32em" text-anchor="middle">'
                f"{escape(segment.name)}</text>"
            )
        x += wide
    parts.append("</svg>")
    return "".join(parts)
