"""Line plots as SVG text, for reports: a frame, ticks, a band and a line per curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hdtui.formatting import amount, measure

_WIDTH, _HEIGHT = 720.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 16.0, 36.0, 44.0
# Okabe and Ito's colours: told apart by everybody.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_SMALLEST = 1e-300  # distance, and number on a logarithmic axis
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A curve by name: equal lengths, ascending ``x``; low and high bound what was measured."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    breaks: Sequence[tuple[float, float]] = ()
    """Places and values of points that are not finite, or too large to be drawn."""


@dataclass(frozen=True)
class _Scale:
    """Maps values to pixels, by their logarithm where asked to."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        value, low, high = (self._scaled(each) for each in (value, self.low, self.high))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def ticks(self) -> list[float]:
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step)
        last = math.floor(self.high / step + 1e-9)
        return [place * step for place in range(first, last + 1)]


def _round_step(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)


@dataclass(frozen=True)
class Measured:
    """A value at a named place: its interval, and the values of single seeds around it."""

    name: str
    x: float
    value: float
    low: float | None
    high: float | None
    seeds: Sequence[float]


def interval_plot(title: str, x_label: str, measured: Sequence[Measured], *, log_x: bool) -> str:
    """Values with intervals and their seeds as dots, at the places that ``x`` says, named below."""
    values = [v for m in measured for v in (m.value, m.low, m.high, *m.seeds) if v is not None]
    values = [value for value in values if math.isfinite(value)]
    margin = 60.0  # names are wider than numbers
    places = [each.x for each in measured]
    x_axis = _scale(places, _LEFT + margin, _WIDTH - _RIGHT - margin, log_x)
    y_axis = _scale(values, _HEIGHT - _BOTTOM - 8, _TOP + 8)
    parts = [*_frame(title, x_label), *_y_ticks(y_axis)]
    for each in measured:
        x = x_axis.place(each.x)
        parts.append(_stroke(f"M{x:.1f} {_HEIGHT - _BOTTOM:g}v5", "#000000", 1))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, "middle", each.name))
        parts += [_dot(x + 10, y_axis.place(seed), _COLOURS[1], 2.5) for seed in each.seeds]
        if each.low is not None and each.high is not None:
            low, high = y_axis.place(each.low), y_axis.place(each.high)
            ends = f"M{x - 5:.1f} {low:.1f}h10M{x - 5:.1f} {high:.1f}h10"
            bar = f"M{x:.1f} {low:.1f}V{high:.1f}{ends}"
            parts.append(_stroke(bar, _COLOURS[0], 1.5))
        parts.append(_dot(x, y_axis.place(each.value), _COLOURS[0], 4))
    return "\n".join([*parts, "</svg>"]) + "\n"


def scatter_plot(
    title: str, x_label: str, points: Sequence[tuple[float, float]], *, log_x: bool
) -> str:
    """Points, each a dot."""
    x_axis = _scale([x for x, _ in points], _LEFT + 8, _WIDTH - _RIGHT - 8, log_x)
    y_axis = _scale([y for _, y in points], _HEIGHT - _BOTTOM - 8, _TOP + 8)
    dots = [_dot(x_axis.place(x), y_axis.place(y), _COLOURS[0], 3.5) for x, y in points]
    parts = [*_frame(title, x_label), *_grid(x_axis, y_axis, ()), *dots]
    return "\n".join([*parts, "</svg>"]) + "\n"


def line_plot(
    title: str,
    x_label: str,
    lines: Sequence[Line],
    *,
    x_ticks: Sequence[float] = (),
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """The curves in one plot; an empty frame where there is nothing finite to draw.

    ``x_ticks`` are where numbers stand below, else round ones do.
    """
    values = [v for line in lines for v in (*line.low, *line.high) if math.isfinite(v)]
    values = [value for value in values if value >= _SMALLEST or not log_y]
    places = [v for line in lines for v in (*line.x, *(x for x, _ in line.breaks))]
    x_axis = _scale(places, _LEFT, _WIDTH - _RIGHT, log_x)
    y_axis = _scale(values, _HEIGHT - _BOTTOM, _TOP, log_y)
    parts = [*_frame(title, x_label), *_grid(x_axis, y_axis, x_ticks)]
    for place, line in enumerate(lines):
        parts += _curve(line, x_axis, y_axis, _COLOURS[place % len(_COLOURS)])
        parts += _breaks(line, x_axis, _COLOURS[place % len(_COLOURS)])
    if len(lines) > 1:
        parts += _legend(lines)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _scale(values: Sequence[float], start: float, end: float, logarithmic: bool = False) -> _Scale:
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    if high - low < _SMALLEST:
        low, high = (low / 2, high * 2) if logarithmic else (low - 0.5, high + 0.5)
    return _Scale(low, high, start, end, logarithmic)


def _frame(title: str, x_label: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="#ffffff"/>',
        f'<text x="{_LEFT:g}" y="20" font-weight="bold">{escape(title)}</text>',
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "middle", x_label),
        _stroke(f"M{_LEFT:g} {_TOP:g}V{_HEIGHT - _BOTTOM:g}H{_WIDTH - _RIGHT:g}", "#000000", 1),
    ]


def _y_ticks(y_axis: _Scale) -> list[str]:
    parts = []
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        parts.append(_stroke(f"M{_LEFT:g} {y:.1f}H{_WIDTH - _RIGHT:g}", "#dddddd", 1))
        parts.append(_text(_LEFT - 6, y + 4, "end", measure(tick)))
    return parts


def _grid(x_axis: _Scale, y_axis: _Scale, x_ticks: Sequence[float]) -> list[str]:
    parts = _y_ticks(y_axis)
    for tick in x_ticks or x_axis.ticks():
        x = x_axis.place(tick)
        parts.append(_stroke(f"M{x:.1f} {_HEIGHT - _BOTTOM:g}v5", "#000000", 1))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, "middle", amount(tick)))
    return parts


def _curve(line: Line, x_axis: _Scale, y_axis: _Scale, colour: str) -> list[str]:
    points = [
        (x_axis.place(x), *(y_axis.place(value) for value in (y, low, high)))
        for x, y, low, high in zip(line.x, line.y, line.low, line.high, strict=True)
        if all(
            math.isfinite(v) and (v >= _SMALLEST or not y_axis.logarithmic) for v in (y, low, high)
        )
    ]
    if not points:
        return []
    upper = [f"{x:.1f} {high:.1f}" for x, _, _, high in points]
    lower = [f"{x:.1f} {low:.1f}" for x, _, low, _ in reversed(points)]
    drawn = [_stroke("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in points), colour, 1.5)]
    if line.low != line.high:
        band = "M" + "L".join([*upper, *lower]) + "Z"
        drawn.insert(0, f'<path d="{band}" fill="{colour}" fill-opacity="0.18"/>')
    if len(points) == 1:
        x, y, _, _ = points[0]
        drawn.append(_dot(x, y, colour, 3))
    return drawn


def _breaks(line: Line, x_axis: _Scale, colour: str) -> list[str]:
    """A cross on the upper edge (the lower for minus infinity), its value as its title."""
    parts = []
    for place, value in line.breaks:
        x, y = x_axis.place(place), _HEIGHT - _BOTTOM - 4 if value < 0 else _TOP + 4
        cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8M{x + 4:.1f} {y - 4:.1f}l-8 8"
        parts.append(
            f'<path d="{cross}" fill="none" stroke="{colour}" stroke-width="2">'
            f"<title>{value} at {place:g}</title></path>"
        )
    return parts


def _legend(lines: Sequence[Line]) -> list[str]:
    return [
        f'<text x="{_LEFT + 8:g}" y="{_TOP + 14 + 15 * place:g}"'
        f' fill="{_COLOURS[place % len(_COLOURS)]}">{escape(line.name)}</text>'
        for place, line in enumerate(lines)
    ]


def _text(x: float, y: float, anchor: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _dot(x: float, y: float, colour: str, radius: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>'


def _stroke(path: str, colour: str, width: float) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'
