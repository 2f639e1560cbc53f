"""How the costs of policies are written: a table, bars, Pareto, by limbs; and the claims."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from db.records import RunKind
from hdtui.formatting import UNKNOWN, amount, duration, episode_return, grouped
from hdtui.services.claims import Claim, Verdict
from hdtui.services.efficiency import BASE, TEACHER, Cost, EfficiencyFacts, Reached
from hdtui.services.smoothing import Path
from hdtui.widgets.bars import block_bar
from hdtui.widgets.chart import CURVE_ROLES, ChartSpec, Curve
from hdtui.widgets.lines import Line, Span, muted
from hdtui.widgets.table import Column, TableRow

COST_COLUMNS = (
    Column("policy", "policy", 23, gap=1),
    Column("parameters", "parameters", 10, True, gap=1),
    Column("parameters_ratio", "", 6, True, gap=1, leaves_first=2),
    Column("macs", "MACs", 7, True, gap=1),
    Column("macs_ratio", "", 7, True, gap=1, leaves_first=2),
    Column("latency", "latency", 8, True, gap=1, leaves_first=1),
    Column("return", "return", 11, True, gap=0),
)
CLAIM_COLUMNS = (
    Column("glyph", "", 1, gap=1),
    Column("claim", "claim", 26, gap=1),
    Column("target", "target", 10, gap=1),
    Column("here", "here", 21, grow=True, gap=1),
    Column("verdict", "verdict", 16, gap=0),
)
_GLYPHS = {
    Verdict.REPRODUCED: ("✓", "good"),
    Verdict.NOT_REPRODUCED: ("✗", "bad"),
    Verdict.NOT_MEASURED: ("∙", "muted"),
}
_BAR_START = 1e5


@dataclass(frozen=True)
class CostLine:
    """A row of the table: a counted policy, or a run of ours with the cost of its shape."""

    key: Hashable
    name: str
    cost: Cost | None
    reached: Reached | None


def cost_lines(facts: EfficiencyFacts, task: str) -> list[CostLine]:
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
        *(line for line in counted if line.key == TEACHER),
        *best[RunKind.TEACHER],
        *(line for line in counted if line.key in ("mlp", BASE)),
        *best[RunKind.STUDENT],
    ]
    return [*first, *(line for line in (*counted, *ours) if line not in first)]


def _first_of(lines: Sequence[CostLine], kind: RunKind) -> list[CostLine]:
    return [line for line in lines if line.reached and line.reached.run.kind is kind][:1]


def cost_row(line: CostLine, facts: EfficiencyFacts, task: str) -> TableRow:
    """A row with its ratios to the base MLP."""
    cost = line.cost
    cells = [
        line.name,
        amount(cost.parameters) if cost else UNKNOWN,
        times(facts.ratio(task, cost.policy, "parameters")) if cost else "",
        amount(cost.macs) if cost else UNKNOWN,
        times(facts.ratio(task, cost.policy, "macs")) if cost else "",
        latency_words(cost.latency_us if cost else None),
        _return_words(line.reached),
    ]
    muted_columns = (2, 4)
    return TableRow(
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


def latency_words(microseconds: float | None) -> str:
    """A latency: 2.24 ms, 12 µs."""
    if microseconds is None:
        return UNKNOWN
    if microseconds < 100:
        return f"{microseconds:.0f} µs"
    if microseconds < 10_000:
        return f"{microseconds / 1e3:.2f} ms"
    return duration(microseconds / 1e6)


def _return_words(reached: Reached | None) -> str:
    if reached is None:
        return UNKNOWN
    over = reached.over_robots
    return episode_return(over.mean, over.half_width)


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
            (Span(f" {cost.name:<25}"), Span(bar, "accent"), Span(f" {amount(cost.macs)}"))
        )
    return drawn


def _macs(cost: Cost) -> int:
    return cost.macs


def limbs_chart(costs: Sequence[Cost]) -> tuple[ChartSpec, str]:
    """MACs against limbs, a curve per policy on a log scale, and the legend."""
    by_policy: dict[str, list[Cost]] = {}
    for cost in costs:
        by_policy.setdefault(cost.policy, []).append(cost)
    curves, legend = [], []
    for place, (policy, own) in enumerate(by_policy.items()):
        ordered = sorted(own, key=lambda cost: cost.limbs)
        macs = tuple(float(cost.macs) for cost in ordered)
        path = Path(tuple(float(cost.limbs) for cost in ordered), macs, macs, macs)
        letter = chr(ord("a") + place)
        curves.append(Curve(letter, path, CURVE_ROLES[place % len(CURVE_ROLES)]))
        legend.append(f"{letter} {policy}")
    return ChartSpec(tuple(curves), weight=0.0, log_y=True), "  ".join(legend)


def pareto_chart(lines: Sequence[CostLine]) -> tuple[ChartSpec, str]:
    """Return against MACs (log), a point per evaluated run whose cost is known, and the legend."""
    known = [line for line in lines if line.cost is not None and line.reached is not None]
    curves, legend = [], []
    for place, line in enumerate(known):
        if line.cost is None or line.reached is None:
            continue
        mean = line.reached.over_robots.mean
        point = Path((float(line.cost.macs),), (mean,), (mean,), (mean,))
        letter = chr(ord("a") + place % 26)
        curves.append(Curve(letter, point, CURVE_ROLES[place % len(CURVE_ROLES)]))
        legend.append(f"{letter} {line.name} {grouped(mean)}")
    return ChartSpec(tuple(curves), weight=0.0, log_x=True), "  ".join(legend)


def claim_row(claim: Claim) -> TableRow:
    """A claim with its verdict as glyph and words."""
    glyph, role = _GLYPHS[claim.verdict]
    return TableRow(
        (
            (Span(glyph, role),),
            (Span(claim.name),),
            (muted(claim.target),),
            (Span(claim.here),),
            (Span(claim.verdict, role if claim.verdict is not Verdict.NOT_MEASURED else "muted"),),
        )
    )


def markdown(facts: EfficiencyFacts, task: str) -> str:
    """Costs and claims as two Markdown tables."""
    rows = ["| policy | parameters | ratio | MACs | ratio | latency | return |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for line in cost_lines(facts, task):
        cells = cost_row(line, facts, task).cells
        rows.append("| " + " | ".join(cell[0].text for cell in cells) + " |")
    rows += ["", "| claim | target | here | verdict |", "| --- | --- | --- | --- |"]
    rows += [f"| {c.name} | {c.target} | {c.here} | {c.verdict} |" for c in facts.claims]
    return "\n".join(rows) + "\n"
