"""The values under a chart, and the few robots beside it."""

from collections.abc import Sequence

from hdtui.formatting import shorten, steps
from hdtui.services.curves import RunCurve
from hdtui.services.metric_names import metric_value
from hdtui.services.run_details import RobotsFacts
from hdtui.widgets.chart import CURVE_ROLES
from hdtui.widgets.lines import BLANK, Line, Span, left_and_right

LETTERS = "abcdefgh"


def value_lines(
    metric: str, curves: Sequence[RunCurve], run_id: int, pinned: int | None
) -> tuple[str, list[Line]]:
    """A title and a line per curve: its last value, its best, and how far from this run's."""
    drawn = [curve for curve in curves if curve.points.step]
    if not drawn:
        return "Values", [BLANK, BLANK]
    title = f"Values at {steps(drawn[0].points.step[-1])}"
    own = drawn[0].points.value[-1]
    lines = []
    for index, (letter, curve) in enumerate(zip(LETTERS, drawn, strict=False)):
        role = CURVE_ROLES[index % len(CURVE_ROLES)]
        what = _whose(curve.run.id, run_id, pinned)
        value = curve.points.value[-1]
        spans = [
            Span(f" {letter} ", f"{role} bold"),
            Span(f"{curve.run.id} {what}".ljust(18)),
            Span(metric_value(metric, value).rjust(9), "bold"),
            Span(f"   {_best(metric, curve)}"),
        ]
        if index:
            spans.append(Span(f"   {_difference(metric, own, value, letter)}"))
        lines.append(tuple(spans))
    return title, [*lines, BLANK][:4]


def _whose(run_id: int, own: int, pinned: int | None) -> str:
    if run_id == own:
        return "this run"
    return "pinned" if run_id == pinned else "marked"


def _best(metric: str, curve: RunCurve) -> str:
    points = curve.points
    lowest = "loss" in metric or metric in {"falls", "approximate_kl"}
    values = points.low if lowest else points.high
    place = min(range(len(values)), key=lambda i: values[i] if lowest else -values[i])
    word = "lowest" if lowest else "best"
    return f"{word} {metric_value(metric, values[place])} at {steps(points.step[place])}"


def _difference(metric: str, own: float, other: float, letter: str) -> str:
    """How the first curve stands to another one, in words."""
    gap = own - other
    share = f" ({gap / abs(other):+.0%})".replace("%", " %") if other else ""
    word = "above" if gap >= 0 else "below"
    return f"a is {metric_value(metric, abs(gap))} {word} {letter}{share}"


def robot_lines(facts: RobotsFacts, width: int) -> list[Line]:
    """Robots and their returns, the best first."""
    lines: list[Line] = []
    for robot in facts.robots:
        value = metric_value("return", robot.episode_return)
        left: Line = (Span(f" {shorten(robot.name, max(6, width - 11))}"),)
        lines.append(left_and_right(left, (Span(f"{value} "),), width))
    return lines or [(Span(" No robot reported yet.", "muted"),)]
