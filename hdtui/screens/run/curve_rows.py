"""The values under a chart, and the few robots beside it."""

import math
from collections.abc import Sequence

from db.records import Run, RunKind
from hdtui.data import curves as curve_data
from hdtui.data import metric_names
from hdtui.data.run_details import CURVELESS, ReturnsByRobot
from hdtui.data.run_list import config_key, config_without_seed
from hdtui.data.smoothing import Path, value_at
from hdtui.formatting import shorten, steps
from hdtui.widgets.chart import CURVE_ROLES, Curve
from hdtui.widgets.lines import BLANK, Line, Span, left_and_right

LETTERS = "abcdefgh"


STEPS_OF = {
    RunKind.STUDENT: "gradient steps",
    RunKind.COLLECTION: "samples",
    RunKind.EVALUATION: "episodes",
}
"""What the steps of a curve count where they are not environment steps."""
MOST_LINES = 3
ROWS_OF_A_CHART = 7
"""A rule, four rows of plot, the axis and its numbers: a chart with fewer says nothing."""
MOST_CHARTS = 4


def stacked_metrics(marked: Sequence[str], cursor: str | None, rows: int) -> list[str]:
    """The marked metrics that have room one above the other, the first ones first.

    Where not all have, the one under the cursor is among them.
    """
    room = min(MOST_CHARTS, max(1, rows // ROWS_OF_A_CHART))
    if cursor is not None and cursor in marked[room:]:
        return [*marked[: room - 1], cursor]
    return list(marked[:room])


def left_out_sentence(marked: Sequence[str], shown: Sequence[str]) -> str:
    """Which of several marked metrics have no chart, and how to see them; else empty."""
    left_out = [metric_names.metric_label(name) for name in marked if name not in shown]
    if len(marked) < 2 or not left_out:
        return ""
    count = len(marked) - len(left_out)
    return f"{count} of {len(marked)} marked fit; j k to see {', '.join(left_out)}"


def curve_facts(
    x_axis: str, log_scale: str, weight: float, *, zoomed: bool, means: bool, clip: bool, live: bool
) -> str:
    """What curves and axes are, what changes their meaning most first: the last give way."""
    words = ["seed means"] if means else []
    words.append(x_axis)
    words += [log_scale] if log_scale else []
    words += ["zoom"] if zoomed else []
    words.append(f"smooth {weight:g}")
    words += ["1 to 99 %"] if clip else []
    words += ["follow"] if live else []
    return " · ".join(words)


def x_text(x_axis: curve_data.XAxis, run: Run | None) -> str:
    """The x axis in words; steps are called by what they count."""
    return STEPS_OF.get(run.kind, x_axis) if run is not None and x_axis == "steps" else x_axis


def lettered(
    curves: Sequence[curve_data.RunCurve], x_axis: curve_data.XAxis, *, means: bool
) -> tuple[Curve, ...]:
    """Curves with their letters and colours: one a run, or the mean of each group of seeds."""
    groups = seed_groups(curves) if means else [[curve] for curve in curves]
    return tuple(
        Curve(
            letter,
            curve_data.seeds_as_band(group, x_axis),
            CURVE_ROLES[index % len(CURVE_ROLES)],
            band=means and len(group) > 1,
        )
        for index, (letter, group) in enumerate(zip(LETTERS, groups, strict=False))
    )


def no_points_sentence(run_id: int, run: Run | None) -> str:
    """Why there is no curve."""
    if run is not None and run.kind in CURVELESS:
        return f"A {run.kind} has no curves."
    if run is not None and run.state.ended:
        return "This run left no points."
    return f"No points yet: {run_id} reports after its first iteration, about 3s after its start."


def seed_groups(curves: Sequence[curve_data.RunCurve]) -> list[list[curve_data.RunCurve]]:
    """Curves of runs that differ by their seeds alone, together; in the order of their first."""
    groups: dict[str, list[curve_data.RunCurve]] = {}
    for curve in curves:
        groups.setdefault(config_key(curve.run), []).append(curve)
    return list(groups.values())


def zoomed(
    window: tuple[float, float] | None, extent: tuple[float, float], factor: float
) -> tuple[float, float] | None:
    """The visible span times ``factor`` around its middle; None where all is visible."""
    low, high = window or extent
    middle, half = (low + high) / 2, (high - low) / 2 * factor
    span = max(extent[0], middle - half), min(extent[1], middle + half)
    return None if span == extent else span


def value_lines(
    metric: str, curves: Sequence[curve_data.RunCurve], run_id: int, pinned: int | None
) -> tuple[str, list[Line]]:
    """A title and a line per curve: its last value, its best, and how far from this run's.

    Where there are more curves than lines, the last line holds the letters and values of the rest.
    """
    drawn = [curve for curve in curves if curve.points.last_step >= 0]
    if not drawn:
        return "Values", [BLANK, BLANK]
    paths = [curve.path("steps") for curve in drawn]
    title = f"Values at {steps(paths[0].end)} {x_text('steps', drawn[0].run)}"
    lines: list[Line] = []
    rest = []
    for index, (letter, curve, path) in enumerate(zip(LETTERS, drawn, paths, strict=False)):
        what = f"{curve.run.id} {_whose(curve.run.id, run_id, pinned)}"
        # Under one title all values are of one step; a curve that ends before says where it does.
        at = min(path.end, paths[0].end)
        shown = metric_names.metric_value(metric, value_at(path, at))
        spans = _letter_value(letter, index, what, shown)
        if at < paths[0].end:
            spans.append(Span(f" at {steps(at)}", "muted"))
        spans.append(Span(f"   {_best(metric, curve)}"))
        broken = curve_data.breaks_text(curve.points)
        if broken:
            spans.append(Span(f"   {broken}", "bad"))
        if index:
            spans.append(Span(f"   {_difference(metric, paths[0], path, letter)}"))
        lines.append(tuple(spans))
        rest.append((letter, index, str(curve.run.id), shown))
    return title, _at_most(lines, rest)


def group_value_lines(
    metric: str, groups: Sequence[Sequence[curve_data.RunCurve]], x_axis: curve_data.XAxis
) -> tuple[str, list[Line]]:
    """A line per group of seeds: the mean with its interval where all its runs still have points.

    A group of one run has its last value.
    """
    lines: list[Line] = []
    rest = []
    for index, (letter, group) in enumerate(zip(LETTERS, groups, strict=False)):
        path = curve_data.seeds_as_band(group, x_axis)
        ids = " ".join(str(curve.run.id) for curve in group)
        words = metric_names.metric_value(metric, value_at(path, path.end))
        if len(group) > 1 and len(path) and path.x[-1] == path.end:
            words += f" ± {metric_names.metric_value(metric, path.high[-1] - path.y[-1])}"
        many = f"{len(group)} seeds: {ids}" if len(group) > 1 else f"one run: {ids}"
        name = shorten(config_without_seed(group[0].run), 24)
        lines.append((*_letter_value(letter, index, name.ljust(24), words), Span(f"   {many}")))
        rest.append((letter, index, name, words))
    return "Means of runs equal but for the seed, 95 % t interval", _at_most(lines, rest)


def _letter_value(letter: str, index: int, what: str, value: str) -> list[Span]:
    role = CURVE_ROLES[index % len(CURVE_ROLES)]
    return [Span(f" {letter} ", f"{role} bold"), Span(what.ljust(18)), Span(value.rjust(9), "bold")]


def _at_most(lines: Sequence[Line], rest: Sequence[tuple[str, int, str, str]]) -> list[Line]:
    """The lines that fit; those that do not are one line of letters, names and values."""
    if len(lines) <= MOST_LINES:
        return [*lines, BLANK][: MOST_LINES + 1]
    shown = list(lines[: MOST_LINES - 1])
    spans: list[Span] = []
    for letter, index, what, value in rest[MOST_LINES - 1 :]:
        role = CURVE_ROLES[index % len(CURVE_ROLES)]
        spans += [Span(f" {letter} ", f"{role} bold"), Span(f"{what} "), Span(value, "bold")]
    return [*shown, tuple(spans)]


def _whose(run_id: int, own: int, pinned: int | None) -> str:
    if run_id == own:
        return "this run"
    return "pinned" if run_id == pinned else "marked"


def _best(metric: str, curve: curve_data.RunCurve) -> str:
    points = curve.points
    if not points.step:
        return ""
    lowest = "loss" in metric or metric in {"falls", "approximate_kl"}
    values = points.low if lowest else points.high
    place = min(range(len(values)), key=lambda i: values[i] if lowest else -values[i])
    word = "lowest" if lowest else "best"
    return (
        f"{word} {metric_names.metric_value(metric, values[place])} at {steps(points.step[place])}"
    )


def _difference(metric: str, own: Path, other: Path, letter: str) -> str:
    """How the first curve stands to another one, in words, as far as both have come."""
    at = min(own.end, other.end)
    first, second = value_at(own, at), value_at(other, at)
    if first is None or second is None or not math.isfinite(first - second):
        return ""
    gap = first - second
    share = f" ({gap / abs(second):+.0%})".replace("%", " %") if second else ""
    where = f" at {steps(at)}" if at < own.end else ""
    word = "above" if gap >= 0 else "below"
    return f"a is {metric_names.metric_value(metric, abs(gap))} {word} {letter}{share}{where}"


def robot_lines(facts: ReturnsByRobot, width: int) -> list[Line]:
    """Robots and their returns, the best first."""
    lines: list[Line] = []
    for robot in facts.robots:
        value = metric_names.metric_value("return", robot.episode_return)
        left: Line = (Span(f" {shorten(robot.name, max(6, width - 11))}"),)
        lines.append(left_and_right(left, (Span(f"{value} "),), width))
    return lines or [(Span(" No returns by robot.", "muted"),)]
