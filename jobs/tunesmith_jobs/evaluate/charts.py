"""Small plots as inline SVG, drawn in the page's own colours, so that they follow light and dark. Pure.

Each is drawn for one width, and the page shows the one that fits: scaled down to a phone, a plot would have
unreadable labels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

# Around the plot area, for the labels.
_LEFT = 46
_RIGHT = 14
_TOP = 14
_BOTTOM = 44
_MOST_DOTS = 30  # more of them hide the line


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
    values: list[float] = []
    while not values or values[-1] < high - step * 1e-9:
        values.append(round((first + len(values)) * step, 12))
    return values


@dataclass(frozen=True)
class _Axes:
    """The plot area of a picture, and the ticks of both axes, which span it."""

    width: int
    height: int
    xs: Sequence[float]
    ys: Sequence[float]

    @property
    def right(self) -> int:
        return self.width - _RIGHT

    @property
    def bottom(self) -> int:
        return self.height - _BOTTOM

    def across(self, x: float) -> float:
        """Where an x lies in the picture."""
        first, last = self.xs[0], self.xs[-1]
        return _LEFT + (x - first) / (last - first) * (self.width - _LEFT - _RIGHT)

    def down(self, y: float) -> float:
        """Where a y lies in the picture, from its top."""
        first, last = self.ys[0], self.ys[-1]
        return self.height - _BOTTOM - (y - first) / (last - first) * (self.height - _TOP - _BOTTOM)


def lines(
    series: Sequence[Series], *, width: int, height: int, x_label: str, y_label: str, title: str
) -> Markup:
    """Lines over common axes, the y axis from zero if that wastes little. `title` is read out, not shown."""
    all_x = [x for line in series for x, _ in line.points]
    all_y = [y for line in series for _, y in line.points]
    top, bottom = max(all_y), min(all_y)
    axes = _Axes(
        width,
        height,
        xs=ticks(min(all_x), max(all_x), max(3, width // 110)),
        ys=ticks(0.0 if bottom < top / 2 else bottom, top, 5),
    )
    parts = [
        f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">',
        *_grid(axes),
        *_labels(axes, x_label, y_label),
    ]
    for line in series:
        parts += _line(axes, line, x_label)
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - numbers, and texts that were escaped


def _grid(axes: _Axes) -> Iterator[str]:
    """A line for each tick of the y axis, the ticks' numbers, and the x axis."""
    for tick in axes.ys:
        y = axes.down(tick)
        yield f'<line class="grid" x1="{_LEFT}" x2="{axes.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>'
    for tick in axes.xs:
        place = f'x="{axes.across(tick):.1f}" y="{axes.bottom + 18}"'
        yield f'<text class="tick" {place} text-anchor="middle">{number(tick)}</text>'
    zero = axes.down(axes.ys[0])
    yield f'<line class="axis" x1="{_LEFT}" x2="{axes.right}" y1="{zero:.1f}" y2="{zero:.1f}"/>'


def _labels(axes: _Axes, x_label: str, y_label: str) -> Iterator[str]:
    middle = (_LEFT + axes.right) / 2
    place = f'x="{middle:.0f}" y="{axes.height - 6}"'
    yield f'<text class="label" {place} text-anchor="middle">{escape(x_label)}</text>'
    centre = (axes.bottom + _TOP) / 2
    place = f'transform="translate(11 {centre:.0f}) rotate(-90)"'
    yield f'<text class="label" {place} text-anchor="middle">{escape(y_label)}</text>'


def _line(axes: _Axes, line: Series, x_label: str) -> Iterator[str]:
    """The line, and dots that show their numbers: on all its points, or on the last one if there are many."""
    path = " ".join(f"{axes.across(x):.1f},{axes.down(y):.1f}" for x, y in line.points)
    yield f'<polyline class="line {line.style}" points="{path}"/>'
    dots = line.points if len(line.points) <= _MOST_DOTS else line.points[-1:]
    for x, y in dots:
        place = f'cx="{axes.across(x):.1f}" cy="{axes.down(y):.1f}"'
        text = f"{escape(line.name)}, {escape(x_label)} {number(x)}: {y:.4g}"
        yield f'<circle class="dot {line.style}" {place} r="3"><title>{text}</title></circle>'


def interval(value: float, low: float, high: float, *, title: str) -> Markup:
    """A gain with its interval, next to zero."""
    width, height, edge = 260, 42, 10
    reach = max(abs(low), abs(high), abs(value)) or 1.0
    left = -reach if low < 0 else 0.0
    right = reach if high > 0 or low >= 0 else 0.0  # no gain and no spread: both are zero

    def across(x: float) -> float:
        return edge + (x - left) / (right - left) * (width - 2 * edge)

    zero, start, end = (f"{across(x):.1f}" for x in (0, low, high))
    return Markup(  # noqa: S704 - numbers, and a text that was escaped
        f'<svg class="interval {_direction(low, high)}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">'
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="4" y2="28"/>'
        f'<text x="{zero}" y="40" text-anchor="middle">0</text>'
        f'<line class="whisker" x1="{start}" x2="{end}" y1="17" y2="17"/>'
        f'<line class="whisker" x1="{start}" x2="{start}" y1="12" y2="22"/>'
        f'<line class="whisker" x1="{end}" x2="{end}" y1="12" y2="22"/>'
        f'<circle cx="{across(value):.1f}" cy="17" r="4.5"/></svg>'
    )


def _direction(low: float, high: float) -> str:
    """The style of a gain: shown to be one, shown to be a loss, or neither."""
    if low > 0:
        return "up"
    return "down" if high < 0 else "flat"


def number(value: float) -> str:
    """A number for an axis: no more digits than it needs."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    text = f"{value:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
