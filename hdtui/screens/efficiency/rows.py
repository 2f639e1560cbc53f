"""How the costs of policies are written: a table, bars, Pareto, by limbs."""

from __future__ import annotations

import math
import string
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from db.records import RunKind
from hdtui import formatting
from hdtui.data import efficiency
from hdtui.data.smoothing import Path
from hdtui.exports import formats
from hdtui.widgets import chart as charts
from hdtui.widgets import table as tables
from hdtui.widgets.bars import block_bar
from hdtui.widgets.lines import Line, Span, line_width, muted

if TYPE_CHECKING:
    from engine.statistics import Interval

COST_COLUMNS = (
    tables.Column("policy", "policy", 23, grow=True, gap=1, middle=True),
    tables.Column("parameters", "parameters", 10, True, gap=1),
    tables.Column("parameters_ratio", "", 6, True, gap=1, leaves_first=3),
    tables.Column("macs", "MACs", 7, True, gap=1),
    tables.Column("macs_ratio", "", 7, True, gap=1, leaves_first=1),
    tables.Column("latency", "latency", 8, True, gap=1, leaves_first=2),
    tables.Column("trained", "trained", 9, True, gap=1),
    tables.Column("unseen", "unseen", 9, True, gap=0, leaves_first=2),
)
_BAR_START = 1e5
_LETTERS = string.ascii_letters
FRONT_WORDS: Line = (Span("*", "accent bold"), muted(" bold: none costs less and earns more"))


@dataclass(frozen=True)
class CostLine:
    """A row of the table: a counted policy, or a run of ours with the cost of its shape."""

    key: Hashable
    name: str
    cost: efficiency.PolicyCost | None
    reached: efficiency.Reached | None


def cost_lines(facts: efficiency.EfficiencyFigures, task: str) -> list[CostLine]:
    """Counted policies and evaluated runs; what the paper compares comes first.

    That is the transformer, our best teacher, the MLP, the base MLP and our best student.
    """
    costs = facts.costs.get(task, ())
    by_policy = {cost.policy: cost for cost in costs}
    ours = [
        CostLine(each.run.id, each.name, by_policy.get(each.shaped_like or ""), each)
        for each in facts.reached
        if each.task == task
    ]
    counted = [CostLine(cost.policy, cost.name, cost, None) for cost in costs if not cost.own]
    best = {kind: _first_of(ours, kind) for kind in (RunKind.TEACHER, RunKind.STUDENT)}
    first = [
        *(line for line in counted if line.key == efficiency.TEACHER),
        *best[RunKind.TEACHER],
        *(line for line in counted if line.key in ("mlp", efficiency.BASE)),
        *best[RunKind.STUDENT],
    ]
    return [*first, *(line for line in (*counted, *ours) if line not in first)]


def _first_of(lines: Sequence[CostLine], kind: RunKind) -> list[CostLine]:
    return [line for line in lines if line.reached and line.reached.run.kind is kind][:1]


def cost_row(line: CostLine, facts: efficiency.EfficiencyFigures, task: str) -> tables.TableRow:
    """A row with its ratios to the base MLP."""
    cost = line.cost
    cells = [
        line.name,
        formatting.amount(cost.parameters) if cost else formatting.UNKNOWN,
        times(facts.ratio(task, cost.policy, "parameters")) if cost else "",
        formatting.amount(cost.macs) if cost else formatting.UNKNOWN,
        times(facts.ratio(task, cost.policy, "macs")) if cost else "",
        latency_text(cost.latency_us if cost else None),
        _return_text(line.reached.over_robots if line.reached else None),
        _return_text(line.reached.unseen if line.reached else None),
    ]
    muted_columns = (2, 4)
    return tables.TableRow(
        tuple(
            (Span(words, "muted" if place in muted_columns else "text"),)
            for place, words in enumerate(cells)
        )
    )


def times(value: float | None) -> str:
    """A ratio to the base MLP: 13.3x, 1.9x, 1."""
    if value is None:
        return ""
    return "1" if value == 1 else f"{value:.1f}x"


def latency_text(microseconds: float | None) -> str:
    """A latency: 2.24 ms, 12 µs."""
    if microseconds is None:
        return formatting.UNKNOWN
    if microseconds < 100:
        return f"{microseconds:.0f} µs"
    if microseconds < 10_000:
        return f"{microseconds / 1e3:.2f} ms"
    return formatting.duration(microseconds / 1e6)


def cost_columns(lines: Sequence[CostLine]) -> list[tables.Column]:
    """The columns for these rows: returns as wide as their widest, unseen where there are any.

    A latency that nobody measured gives way first.
    """
    reached = [line.reached for line in lines if line.reached is not None]
    returns = {
        "trained": [each.over_robots for each in reached],
        "unseen": [each.unseen for each in reached],
    }
    measured = any(line.cost is not None and line.cost.latency_us for line in lines)
    columns = []
    for column in COST_COLUMNS:
        width, leaves = column.width, column.leaves_first
        if column.key in returns:
            width = max(width, *(len(_return_text(each)) for each in returns[column.key]), 0)
        if column.key == "policy":
            width = max(width, *(len(each.name) for each in reached if each.apart), 0)
        if column.key == "latency" and not measured:
            leaves = 4
        if column.key != "unseen" or any(returns["unseen"]):
            columns.append(replace(column, width=width, leaves_first=leaves))
    return columns


def _return_text(over: Interval | None) -> str:
    return (
        formatting.UNKNOWN
        if over is None
        else formatting.episode_return(over.mean, over.half_width)
    )


def bar_lines(lines: Sequence[CostLine], width: int, rows: int) -> list[Line]:
    """MACs of policies, ours too, as bars on a log scale from 100k, dearest first."""
    # A run of a published shape costs what that shape does: one bar stands for both.
    costs = sorted(
        {line.cost.policy: line.cost for line in lines if line.cost is not None}.values(), key=_macs
    )
    if not costs:
        return []
    shown = [costs[0], *reversed(costs[1:][-(rows - 1) :])]
    room = max(4, width - 26 - 9)
    decades = max(1.0, math.log(_macs(costs[-1]) / _BAR_START))
    drawn: list[Line] = []
    for cost in (*shown[1:], shown[0]):
        share = max(0.0, math.log(_macs(cost) / _BAR_START)) / decades
        bar = block_bar(share, room).rstrip()
        drawn.append(
            (
                Span(f" {formatting.shorten(cost.name, 25):<25}"),
                Span(bar, "accent"),
                Span(f" {formatting.amount(cost.macs)}"),
            )
        )
    return drawn


def _macs(cost: efficiency.PolicyCost) -> int:
    return cost.macs


def limbs_chart(costs: Sequence[efficiency.PolicyCost]) -> tuple[charts.ChartSpec, list[Line]]:
    """MACs against limbs, a curve per policy on a log scale, and the entries of the legend."""
    by_policy: dict[str, list[efficiency.PolicyCost]] = {}
    for cost in costs:
        by_policy.setdefault(cost.policy, []).append(cost)
    curves: list[charts.Curve] = []
    legend: list[Line] = []
    for place, (policy, own) in enumerate(by_policy.items()):
        ordered = sorted(own, key=lambda cost: cost.limbs)
        macs = tuple(float(cost.macs) for cost in ordered)
        path = Path(tuple(float(cost.limbs) for cost in ordered), macs, macs, macs)
        letter, role = (
            _LETTERS[place % len(_LETTERS)],
            charts.CURVE_ROLES[place % len(charts.CURVE_ROLES)],
        )
        curves.append(charts.Curve(letter, path, role))
        legend.append((Span(letter, f"{role} bold"), Span(f" {policy}")))
    return charts.ChartSpec(tuple(curves), weight=0.0, log_y=True), legend


def pareto_chart(lines: Sequence[CostLine]) -> tuple[charts.ChartSpec, list[Line]]:
    """Return against MACs (log), a point per evaluated run whose cost is known, and the legend.

    Letters of the front are bold, and come first; the legend begins by saying so.
    """
    known = [
        (line.name, float(line.cost.macs), line.reached.over_robots.mean)
        for line in lines
        if line.cost is not None and line.reached is not None and line.reached.over_robots
    ]
    if not known:
        return charts.ChartSpec((), weight=0.0, log_x=True), []
    best = front([(macs, mean) for _, macs, mean in known])
    ordered = sorted(zip(best, known, strict=True), key=lambda each: not each[0])
    curves: list[charts.Curve] = []
    legend: list[Line] = [FRONT_WORDS]
    for place, (on_front, (name, macs, mean)) in enumerate(ordered):
        letter = _LETTERS[place % len(_LETTERS)]
        role, look = ("accent", "accent bold") if on_front else ("muted", "muted")
        curves.append(
            charts.Curve(letter, Path((macs,), (mean,), (mean,), (mean,)), role, False, look)
        )
        words = f"{'*' if on_front else ''} {name}: {formatting.grouped(mean)}"
        legend.append((Span(letter, look), Span(words, "text" if on_front else "muted")))
    window = _with_margin([math.log10(macs) for _, macs, _ in known])
    return charts.ChartSpec(tuple(curves), weight=0.0, log_x=True, x_window=window), legend


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of (cost, return) no other one beats: by costing less, or earning more at no cost."""
    return [
        not any(
            other != point and other[0] <= point[0] and other[1] >= point[1] for other in points
        )
        for point in points
    ]


def _with_margin(values: Sequence[float]) -> tuple[float, float]:
    """Limits that leave a tenth free at both ends, so that letters stand beside their points."""
    margin = max(0.1, (max(values) - min(values)) / 10)
    return min(values) - margin, max(values) + margin


def legend_lines(entries: Sequence[Line], width: int, most_rows: int) -> list[Line]:
    """Entries side by side, wrapped to the width; the last row says how many have no room."""
    rows: list[list[Line]] = [[]]
    for entry in entries:
        if rows[-1] and _row_width([*rows[-1], entry]) > width:
            rows.append([])
        rows[-1].append(entry)
    if len(rows) > most_rows:
        left_out = sum(len(row) for row in rows[most_rows - 1 :])
        rows = [*rows[: most_rows - 1], [(muted(f"and {left_out} more"),)]]
    return [tuple(span for entry in row for span in (Span("  "), *entry)) for row in rows]


def _row_width(entries: Sequence[Line]) -> int:
    return sum(2 + line_width(entry) for entry in entries)


def markdown(facts: efficiency.EfficiencyFigures, task: str) -> str:
    """Costs and claims as two Markdown tables."""
    measured = ("parameters", "ratio", "MACs", "ratio", "latency", "trained", "unseen")
    costs = [cost_row(line, facts, task).cells for line in cost_lines(facts, task)]
    rows = tuple(tuple(cell[0].text for cell in cells) for cells in costs)
    claims = tuple((c.name, c.target, c.here, c.verdict, c.reason) for c in facts.claims)
    headings = ("claim", "target", "here", "verdict", "reason")
    return "\n".join(
        formats.as_markdown(table)
        for table in (
            formats.DataTable(("policy", *measured), rows),
            formats.DataTable(headings, claims),
        )
    )
