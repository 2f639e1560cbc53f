"""Curves drawn by plotext: raw points as dots, the smoothed value as line, letters at the ends."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hdtui.data.smoothing import (
    Break,
    Path,
    bucketed,
    logarithmic,
    percentile_limits,
    smoothed,
    within,
)
from hdtui.widgets.chart_scale import (
    log_ticks,
    log_ticks_in_columns,
    nice_limits,
    nice_step,
    tick_label,
    ticks,
    time_label,
    time_step,
)
from hdtui.widgets.lines import BLANK, Line, Lines, Span, fit, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual_plotext.plot import Plot

    from hdtui.data.curves import RunCurve

CODES = {"text": 7, "accent": 6, "warn": 3, "odd": 5, "good": 2, "bad": 1, "muted": 8}
CURVE_ROLES = ("accent", "warn", "odd", "good", "bad", "text")
_ROLES = {code: role for role, code in CODES.items()}
_ANSI = re.compile(r"\x1b\[([\d;]*)m")
_MIN_SIZE = (16, 5)
BREAK_MARK = "×"
"""Stands where a curve is not a number, in charts and sparklines."""


@dataclass(frozen=True)
class Curve:
    """One curve: its letter stands at its right end and in the legend."""

    letter: str
    path: Path
    role: str = "accent"
    band: bool = False
    letter_role: str = ""
    """The letter's own look; the curve's colour in bold where there is none."""
    points: str = ""
    """What each point is drawn as, where they are not joined by a line."""


@dataclass(frozen=True)
class ChartSpec:
    """What to draw; ``x_end`` is the planned end, so the empty right part is the work ahead."""

    curves: tuple[Curve, ...]
    weight: float = 0.6
    log_x: bool = False
    log_y: bool = False
    clip_outliers: bool = False
    x_end: float | None = None
    x_window: tuple[float, float] | None = None
    x_seconds: bool = False
    x_ticks: tuple[tuple[float, str], ...] = ()
    """Places on the x axis and their names, instead of round numbers."""
    y_limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Drawn:
    """A chart as lines, with the y limits it used (they only grow while live)."""

    lines: tuple[Line, ...]
    y_limits: tuple[float, float] | None


def draw_chart(spec: ChartSpec, width: int, height: int) -> Drawn:
    """Draw a chart into ``width`` x ``height`` cells; too small a place draws nothing."""
    if width < _MIN_SIZE[0] or height < _MIN_SIZE[1]:
        return Drawn((), spec.y_limits)
    curves = [_prepared(curve, spec) for curve in spec.curves]
    drawn = [(curve, raw, line) for curve, raw, line in curves if len(raw) or raw.breaks]
    if not drawn:
        return Drawn((), spec.y_limits)
    x_low, x_high = _x_limits([raw for _, raw, _ in drawn], spec)
    y_low, y_high, y_step = _y_limits([raw for _, raw, _ in drawn], spec, height)
    y_ticks = _y_ticks(y_low, y_high, y_step, spec, height)
    largest = max(abs(y_low), abs(y_high))
    y_labels = [_y_label(value, y_step, largest, spec.log_y) for value in y_ticks]
    label_width = max(5, *(len(label) for label in y_labels))
    columns = width - label_width - 1
    plot = _plot(width, height)
    for curve, raw, line in drawn:
        _add(plot, curve, within(raw, x_low, x_high), within(line, x_low, x_high), columns)
    _set_axes(plot, (x_low, x_high), (y_low, y_high), spec, columns)
    plot.yticks(y_ticks, [label.rjust(label_width) for label in y_labels])
    lines = _with_letters(
        _lines(plot.build(), width, height),
        [(curve, line) for curve, _, line in drawn],
        (x_low, x_high),
        (y_low, y_high),
        label_width + 1,
    )
    breaks = [each for _, raw, _ in drawn for each in raw.breaks]
    lines = _with_breaks(lines, breaks, (x_low, x_high), label_width + 1)
    return Drawn(tuple(lines), (y_low, y_high))


def _prepared(curve: Curve, spec: ChartSpec) -> tuple[Curve, Path, Path]:
    """The curve with its measured path and its smoothed one, on the chart's scales."""
    raw = curve.path
    if spec.log_x:
        raw = _log_x(raw)
    line = replace(raw, y=tuple(smoothed(raw.y, spec.weight)))
    if spec.log_y:
        return curve, logarithmic(raw), logarithmic(line)
    return curve, raw, line


def _log_x(path: Path) -> Path:
    """Base-10 logarithms of x; points that have none are left out."""
    kept = [index for index, x in enumerate(path.x) if x > 0]
    y, low, high = (
        tuple(column[index] for index in kept) for column in (path.y, path.low, path.high)
    )
    x = tuple(math.log10(path.x[index]) for index in kept)
    return Path(
        x, y, low, high, tuple(Break(math.log10(e.x), e.value) for e in path.breaks if e.x > 0)
    )


def _x_limits(paths: Sequence[Path], spec: ChartSpec) -> tuple[float, float]:
    if spec.x_window is not None:
        return spec.x_window
    low = min(x for path in paths for x in (*path.x[:1], *(each.x for each in path.breaks[:1])))
    high = max(path.end for path in paths)
    if spec.log_x:
        return low, max(high, low + 0.1)
    if spec.x_end is not None:
        high = max(high, spec.x_end)
    return 0.0 if low >= 0 else low, high if high > 0 else 1.0


def _y_limits(paths: Sequence[Path], spec: ChartSpec, height: int) -> tuple[float, float, float]:
    """Limits of y on readable steps; never narrower than those of the last picture."""
    lows = [value for path in paths for value in path.low]
    highs = [value for path in paths for value in path.high]
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    if spec.clip_outliers and lows:
        low, high = percentile_limits([*lows, *highs], 0.01, 0.99)
    if spec.y_limits is not None:
        low, high = min(low, spec.y_limits[0]), max(high, spec.y_limits[1])
    most = max(2, (height - 3) // 4 + 1)
    return nice_limits(low, high, most)


def _y_ticks(low: float, high: float, step: float, spec: ChartSpec, height: int) -> list[float]:
    """Ticks on the axis: on a log scale at 1, 2 and 5 times powers of ten where decades are few."""
    most = max(2, (height - 3) // 4 + 1)
    return log_ticks(low, high, most) if spec.log_y else ticks(low, high, step)


def _y_label(value: float, step: float, largest: float, log_y: bool) -> str:
    return _log_label(value) if log_y else tick_label(value, step, largest)


def _log_label(value: float) -> str:
    """The number whose logarithm stands on the axis, in as few digits as it has, three at most."""
    power = math.floor(value + 1e-9)
    first = 10.0 ** (value - power)
    more = next((n for n in (0, 1) if abs(first * 10**n - round(first * 10**n)) < 1e-6), 2)
    return tick_label(10.0**value, 10.0 ** (power - more))


def _plot(width: int, height: int) -> Plot:
    from textual_plotext.plot import Plot

    plot = Plot()
    plot._limit_size(False, False)  # type: ignore[attr-defined]
    plot._set_size(width, height)
    plot.plotsize(width, height)
    plot.theme("clear")
    plot.xaxes(True, False)
    plot.yaxes(True, False)
    return plot


def _add(plot: Plot, curve: Curve, raw: Path, line: Path, columns: int) -> None:
    """Band and raw points as dots, then the line: two points a column, lowest and highest."""
    if curve.points:
        plot.scatter(list(raw.x), list(raw.y), marker=curve.points, color=CODES[curve.role])
        return
    dots = bucketed(raw, columns)
    if curve.band or dots.low != dots.y or raw.y != line.y:
        xs = [x for x in dots.x for _ in (0, 1)]
        ys = [y for pair in zip(dots.low, dots.high, strict=True) for y in pair]
        plot.scatter(xs, ys, marker="braille", color=CODES["muted"])
    shape = bucketed(line, columns * 2)
    if len(shape) == 1:
        plot.scatter(list(shape.x), list(shape.y), marker="braille", color=CODES[curve.role])
    elif len(shape):
        plot.plot(list(shape.x), list(shape.y), marker="braille", color=CODES[curve.role])


def _set_axes(
    plot: Plot,
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
    spec: ChartSpec,
    columns: int,
) -> None:
    low, high = x_limits
    most = max(1, columns // 10)
    if spec.x_ticks:
        ticks_here = [(math.log10(x) if spec.log_x else x, word) for x, word in spec.x_ticks]
        plot.xticks([x for x, _ in ticks_here], [word for _, word in ticks_here])
    elif spec.log_x:
        places = log_ticks_in_columns(low, high, columns)
        plot.xticks(places, [_log_label(place) for place in places])
    else:
        step = time_step(high - low, most) if spec.x_seconds else nice_step(high - low, most)
        first = -(-low // step) * step
        places = [first + step * index for index in range(int((high - first) / step + 1e-9) + 1)]
        words = [time_label(x) if spec.x_seconds else tick_label(x, step, high) for x in places]
        plot.xticks(places, words)
    plot.xlim(low, high)
    plot.ylim(*y_limits)


def _lines(built: str, width: int, height: int) -> list[Line]:
    """The text of plotext as spans with roles."""
    lines: list[Line] = []
    for row in built.split("\n")[:height]:
        spans: list[Span] = []
        role, at = "muted", 0
        for found in _ANSI.finditer(row):
            if found.start() > at:
                spans.append(Span(row[at : found.start()], role))
            codes = found.group(1).split(";")
            role = _ROLES.get(int(codes[-1]), "muted") if len(codes) == 3 else "muted"
            at = found.end()
        spans.append(Span(row[at:], role))
        lines.append(fit(tuple(span for span in spans if span.text), width))
    return lines


def _with_letters(
    lines: list[Line],
    curves: Sequence[tuple[Curve, Path]],
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
    left: int,
) -> list[Line]:
    """Put every curve's letter just behind its last point."""
    rows = len(lines) - 2
    columns = sum(len(span.text) for span in lines[0]) - left if lines else 0
    taken: set[tuple[int, int]] = set()
    for curve, path in curves:
        inside = [i for i, x in enumerate(path.x) if x_limits[0] <= x <= x_limits[1]]
        if not inside or rows < 1 or not curve.letter:
            continue
        share_x = (path.x[inside[-1]] - x_limits[0]) / (x_limits[1] - x_limits[0])
        share_y = (path.y[inside[-1]] - y_limits[0]) / (y_limits[1] - y_limits[0])
        column = left + min(columns - 1, round(share_x * (columns - 1)) + 1)
        wanted = min(rows - 1, max(0, round((1 - share_y) * (rows - 1))))
        # Curves that end together would hide each other's letters: the next free row takes it.
        row = min(range(rows), key=lambda row: ((row, column) in taken, abs(row - wanted)))
        taken.add((row, column))
        lines[row] = _replaced(
            lines[row], column, Span(curve.letter, curve.letter_role or f"{curve.role} bold")
        )
    return lines


def _with_breaks(
    lines: list[Line],
    breaks: Sequence[Break],
    x_limits: tuple[float, float],
    left: int,
) -> list[Line]:
    """Mark where curves have no height: × for NaN and ↑ on the first row, ↓ on the last."""
    rows = len(lines) - 2
    columns = sum(len(span.text) for span in lines[0]) - left if lines else 0
    low, high = x_limits
    for each in breaks:
        if rows < 1 or not low <= each.x <= high:
            continue
        column = left + min(columns - 1, round((each.x - low) / (high - low) * (columns - 1)))
        row = rows - 1 if each.value < 0 else 0
        mark = BREAK_MARK if math.isnan(each.value) else "↑" if each.value > 0 else "↓"
        lines[row] = _replaced(lines[row], column, Span(mark, "bad bold"))
    return lines


def _replaced(spans: Line, column: int, letter: Span) -> Line:
    """The line with one cell replaced."""
    before: list[Span] = []
    at = 0
    for index, span in enumerate(spans):
        if at + len(span.text) > column:
            cut = column - at
            rest = Span(span.text[cut + 1 :], span.role)
            return (*before, Span(span.text[:cut], span.role), letter, rest, *spans[index + 1 :])
        before.append(span)
        at += len(span.text)
    return spans


def headline_chart(curves: Sequence[RunCurve]) -> ChartSpec:
    """A run's headline curve up to its planned end, and the curves it is shown with."""
    run = curves[0].run if curves else None
    planned = run.total if run is not None and "steps" in (run.unit or "") else None
    return ChartSpec(
        curves=tuple(
            Curve(letter, curve.path("steps"), role)
            for letter, role, curve in zip("ab", CURVE_ROLES, curves, strict=False)
        ),
        x_end=planned,
    )


class Chart(Lines):
    """A chart; only rows that differ from the last picture are sent."""

    DEFAULT_CSS = "Chart { height: 1fr; width: 1fr; }"

    def __init__(self, *, empty: str = "", widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self.spec: ChartSpec | None = None
        self.empty = empty
        self._limits: tuple[float, float] | None = None
        self._identity: object = None
        self._drawn: tuple[ChartSpec, int, int] | None = None

    def show_chart(self, spec: ChartSpec, identity: object = None) -> None:
        """Draw; while ``identity`` stays the same the y limits only grow."""
        if identity != self._identity:
            self._identity, self._limits = identity, None
        self.spec = spec
        self.redraw()

    def show_sentence(self, sentence: str) -> None:
        """Say why there is no chart."""
        self.spec = None
        self.empty = sentence
        self.redraw()

    def redraw(self) -> None:
        """Draw the chart for the present size; what stands there already is not drawn again."""
        width, height = self.size
        lines: tuple[Line, ...] = ()
        if self.spec is not None and width and height:
            wanted = (replace(self.spec, y_limits=self._limits), width, height)
            if wanted == self._drawn:
                return
            drawn = draw_chart(*wanted)
            lines, self._limits = drawn.lines, drawn.y_limits
            self._drawn = (replace(self.spec, y_limits=self._limits), width, height)
        else:
            self._drawn = None
        if not lines and self.empty:
            rows = wrapped(self.empty, width - 4)
            lines = (BLANK, *[(Span(f"  {row}", "muted"),) for row in rows])
        self.show(lines)

    def on_resize(self) -> None:
        self._limits = None
        self.redraw()
