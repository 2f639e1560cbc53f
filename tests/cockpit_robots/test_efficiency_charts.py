"""The chart of returns against costs: which policies stand on its front, and its legend."""

from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from db.queries.runs import get_run
from db.records import Run
from db.session import Database
from engine.statistics import Interval
from hdtui.data.efficiency import PolicyCost, Reached
from hdtui.screens.efficiency.rows import (
    CostLine,
    front,
    legend_lines,
    pareto_chart,
)
from hdtui.widgets.lines import Line, Span, line_width


def a_line(run: Run, number: int, macs: int, mean: float) -> CostLine:
    """A counted and evaluated teacher."""
    return CostLine(
        number,
        f"teacher {number}",
        PolicyCost("transformer", 12, 1_000, macs, None),
        Reached(run, "flat", Interval(mean, 1.0, 3), None),
    )


def words(line: Line) -> str:
    return "".join(span.text for span in line)


def test_the_front_is_what_no_other_policy_beats() -> None:
    points = [(1.0, 10.0), (2.0, 10.0), (2.0, 20.0), (3.0, 15.0), (1.0, 10.0)]
    assert front(points) == [True, False, True, False, True]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1))
def test_the_cheapest_and_the_best_have_one_on_the_front(points: list[tuple[int, int]]) -> None:
    chosen = [point for point, on_front in zip(points, front(points), strict=True) if on_front]
    assert min(cost for cost, _ in chosen) == min(cost for cost, _ in points)
    assert max(gain for _, gain in chosen) == max(gain for _, gain in points)


def test_the_legend_names_every_letter_and_marks_the_front(workspace: Path) -> None:
    with closing(Database.open(workspace, readonly=True)) as database:
        run = get_run(database, 1)
    counted = [(1_000_000, 2_000.0), (1_000_000, 2_500.0), (100_000, 900.0)]
    lines = [a_line(run, number, *each) for number, each in enumerate(counted, start=1)]
    spec, legend = pareto_chart(lines)
    assert [words(entry) for entry in legend] == [
        "* bold: none costs less and earns more",
        "a* teacher 2: 2 500",
        "b* teacher 3: 900",
        "c teacher 1: 2 000",
    ]
    looks = {curve.letter: curve.letter_role for curve in spec.curves}
    assert looks == {"a": "accent bold", "b": "accent bold", "c": "muted"}
    assert [entry[0].role for entry in legend[1:]] == ["accent bold", "accent bold", "muted"]
    assert spec.x_window is not None
    assert spec.x_window[0] < 5.0 < 6.0 < spec.x_window[1]


def test_without_an_evaluated_policy_there_is_neither_chart_nor_legend() -> None:
    spec, legend = pareto_chart([CostLine("mlp", "mlp", None, None)])
    assert spec.curves == ()
    assert legend == []


def test_a_legend_is_wrapped_and_says_how_many_entries_have_no_room() -> None:
    entries: list[Line] = [(Span("a", "bold"), Span(f" policy number {n}")) for n in range(1, 8)]
    rows = legend_lines(entries, 44, 9)
    assert [words(row).count("policy") for row in rows] == [2, 2, 2, 1]
    assert all(line_width(row) <= 44 for row in rows)
    few = legend_lines(entries, 44, 2)
    assert [words(row).strip() for row in few][1] == "and 5 more"
