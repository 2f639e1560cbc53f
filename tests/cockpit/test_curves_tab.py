"""The tab Curves: several metrics at once on a small terminal, and what its facts keep saying."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cockpit_pilot import opened, shows, text, until
from textual.pilot import Pilot

from hdtui.screens.run.curve_rows import curve_facts, left_out_sentence, stacked_metrics
from hdtui.screens.run.curves import CurvesTab
from hdtui.screens.run.screen import RunScreen
from hdtui.widgets.chart import Chart

Filled = tuple[Path, dict[str, int]]


@asynccontextmanager
async def curves_of(
    filled: Filled, role: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[Any], CurvesTab]]:
    """The cockpit on the curves of a run."""
    home, ids = filled
    async with opened(home, size) as pilot:
        await until(pilot, lambda: pilot.app.current_mode == "home")
        pilot.app.push_screen(RunScreen(pilot.app.cockpit, ids[role]))  # type: ignore[attr-defined]
        await shows(pilot, "[Curves]", "Values at", "┤")
        yield pilot, pilot.app.screen.query_one(CurvesTab)


def drawn(tab: CurvesTab) -> list[tuple[str, int]]:
    """Titles of the charts that are on the screen and show an axis, with their heights."""
    charts = [
        chart
        for chart in tab.query(Chart)
        if chart.region.height
        and chart.spec is not None
        # Between a new size and the next drawing a chart has no axis: it is not drawn yet.
        and any("┤" in span.text for line in chart.lines for span in line)
    ]
    return [(chart.parent.rule.title, chart.size.height) for chart in charts]  # type: ignore[union-attr]


async def test_two_marked_metrics_are_both_drawn_at_80x24(filled: Filled) -> None:
    async with curves_of(filled, "teacher") as (pilot, tab):
        assert [title for title, _ in drawn(tab)] == ["return"]
        await pilot.press("space", "j", "j", "space")
        await shows(pilot, "─ return ─", "─ falls ─")
        assert drawn(tab) == [("return", 6), ("falls", 7)]
        assert "marked fit" not in text(pilot)
        await pilot.press("j")  # an unmarked one: its values are named, the marked stay
        await shows(pilot, "value loss ─")
        assert [title for title, _ in drawn(tab)] == ["return", "falls"]


async def test_what_has_no_room_is_said_and_comes_under_the_cursor(filled: Filled) -> None:
    async with curves_of(filled, "teacher") as (pilot, tab):
        await pilot.press("space", "j", "space", "j", "space")
        await shows(pilot, "2 of 3 marked fit; j k to see episode length")
        assert [title for title, _ in drawn(tab)] == ["return", "falls"]
        await pilot.press("k")
        await shows(pilot, "2 of 3 marked fit; j k to see falls")
        assert [title for title, _ in drawn(tab)] == ["return", "episode length"]


async def test_a_metric_alone_has_the_whole_place_again(filled: Filled) -> None:
    async with curves_of(filled, "teacher") as (pilot, tab):
        await pilot.press("space", "j", "space")
        await until(pilot, lambda: len(drawn(tab)) == 2)
        await pilot.press("enter")
        await until(pilot, lambda: drawn(tab) == [("episode length", 14)])


async def test_more_rows_draw_more_metrics_and_fewer_rows_fewer(filled: Filled) -> None:
    async with curves_of(filled, "teacher") as (pilot, tab):
        await pilot.press("space", "j", "space", "j", "space")
        await until(pilot, lambda: len(drawn(tab)) == 2)
        await pilot.resize_terminal(80, 40)
        await until(pilot, lambda: len(drawn(tab)) == 3)
        await pilot.resize_terminal(80, 18)
        await until(pilot, lambda: [title for title, _ in drawn(tab)] == ["falls"])
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: len(drawn(tab)) == 3)


async def test_the_facts_say_that_seeds_are_averaged_at_80_columns(filled: Filled) -> None:
    async with curves_of(filled, "teacher") as (pilot, tab):
        await pilot.press("b")
        await shows(pilot, "seed means · steps · smooth 0.6")
        await pilot.press("g", "g", "g", "o", "x")
        await shows(pilot, "seed means · wall time")
        assert tab.caption().startswith("seed means · wall time · log x and y · smooth 0.6")
        await pilot.press("b")
        await until(pilot, lambda: "seed means" not in text(pilot))


def test_as_many_marked_metrics_are_stacked_as_rows_allow() -> None:
    marked = ["a", "b", "c", "d", "e"]
    assert stacked_metrics(marked, "a", 16) == ["a", "b"]
    assert stacked_metrics(marked, "other", 16) == ["a", "b"]
    assert stacked_metrics(marked, "d", 16) == ["a", "d"]
    assert stacked_metrics(marked, "d", 9) == ["d"]
    assert stacked_metrics(marked, "a", 0) == ["a"]
    assert stacked_metrics(marked, "a", 90) == ["a", "b", "c", "d"]


def test_only_several_marked_metrics_are_missed() -> None:
    assert left_out_sentence(["falls"], ["return"]) == ""
    assert left_out_sentence(["falls", "return"], ["return", "falls"]) == ""
    assert left_out_sentence(["return", "approximate_kl"], ["return"]) == (
        "1 of 2 marked fit; j k to see KL"
    )


def test_the_mean_of_seeds_is_the_last_word_to_give_way() -> None:
    words = curve_facts("steps", "log y", 0.9, zoomed=True, means=True, clip=True, live=True)
    assert words.split(" · ")[0] == "seed means"
    plain = curve_facts("steps", "", 0.6, zoomed=False, means=False, clip=False, live=True)
    assert plain == "steps · smooth 0.6 · follow"
