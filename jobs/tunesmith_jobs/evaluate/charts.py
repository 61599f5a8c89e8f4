"""Small plots as inline SVG, drawn in the page's own colours, so that they follow light and dark. Pure.

Each is drawn for one width: the page shows the one that fits, since a scaled plot has unreadable labels on a phone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 14, 44  # around the plot area, for the labels


@dataclass(frozen=True)
class Series:
    """A line: points of (x, y) in the order of x. `style`: a class of the style sheet."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that cover a range."""
    if not high > low:
        low, high = low - 0.5, low + 0.5
    raw = (high - low) / count
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(scale * factor for factor in (1, 2, 2.5, 5, 10) if scale * factor >= raw * 0.999)
    first = math.floor(low / step)
    found: list[float] = []
    while not found or found[-1] < high - step * 1e-9:
        found.append(round((first + len(found)) * step, 12))
    return found


def lines(
    series: Sequence[Series], *, width: int, height: int, x_label: str, y_label: str, title: str
) -> Markup:
    """Lines over common axes, the y axis from zero if that wastes little. `title` is read out, not shown."""
    points = [point for one in series for point in one.points]
    top = max(y for _, y in points)
    bottom = min(y for _, y in points)
    ys = ticks(0.0 if bottom < top / 2 else bottom, top, 5)
    xs = ticks(min(x for x, _ in points), max(x for x, _ in points), max(3, width // 110))
    x0, x1 = xs[0], xs[-1]

    def across(x: float) -> float:
        return _LEFT + (x - x0) / (x1 - x0) * (width - _LEFT - _RIGHT)

    def up(y: float) -> float:
        return height - _BOTTOM - (y - ys[0]) / (ys[-1] - ys[0]) * (height - _TOP - _BOTTOM)

    parts = [
        f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
    ]
    for tick in ys:
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{up(tick) + 4:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    parts += [
        f'<text class="tick" x="{across(tick):.1f}" y="{height - _BOTTOM + 18}" text-anchor="middle">{number(tick)}</text>'
        for tick in xs
    ]
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{up(ys[0]):.1f}" y2="{up(ys[0]):.1f}"/>'
    )
    middle = (_LEFT + width - _RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    centre = (height - _BOTTOM + _TOP) / 2
    parts.append(
        f'<text class="label" transform="translate(11 {centre:.0f}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    for one in series:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in one.points)
        parts.append(f'<polyline class="line {one.style}" points="{path}"/>')
        shown = one.points if len(one.points) <= 30 else one.points[-1:]  # more dots hide the line
        parts += [
            f'<circle class="dot {one.style}" cx="{across(x):.1f}" cy="{up(y):.1f}" r="3"><title>{escape(one.name)}, '
            f"{escape(x_label)} {number(x)}: {y:.4g}</title></circle>"
            for x, y in shown
        ]
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - numbers, and texts that were escaped


def interval(value: float, low: float, high: float, *, title: str) -> Markup:
    """A gain with its interval beside zero."""
    width, height, edge = 260, 42, 10
    reach = max(abs(low), abs(high), abs(value)) or 1.0
    left = -reach if low < 0 else 0.0
    right = reach if high > 0 or low >= 0 else 0.0  # no gain and no spread: both are zero

    def across(x: float) -> float:
        return edge + (x - left) / (right - left) * (width - 2 * edge)

    style = "up" if low > 0 else "down" if high < 0 else "flat"
    return Markup(  # noqa: S704 - numbers, and a text that was escaped
        f'<svg class="interval {style}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f'<line class="zero" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="4" y2="28"/>'
        f'<text x="{across(0):.1f}" y="40" text-anchor="middle">0</text>'
        f'<line class="whisker" x1="{across(low):.1f}" x2="{across(high):.1f}" y1="17" y2="17"/>'
        f'<line class="whisker" x1="{across(low):.1f}" x2="{across(low):.1f}" y1="12" y2="22"/>'
        f'<line class="whisker" x1="{across(high):.1f}" x2="{across(high):.1f}" y1="12" y2="22"/>'
        f'<circle cx="{across(value):.1f}" cy="17" r="4.5"/></svg>'
    )


def number(value: float) -> str:
    """A number for an axis: no more digits than it needs."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    text = f"{value:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
