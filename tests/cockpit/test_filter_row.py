"""The filter's row: a wrong text stays in it and changes nothing; the sort key has a column."""

from pathlib import Path

import pytest
from cockpit_pilot import opened, shows, text, until

from hdtui.screens.robots.rows import ending_well
from hdtui.widgets.lines import Span, line_width

Filled = tuple[Path, dict[str, int]]


async def test_a_wrong_filter_stays_in_its_row_and_changes_nothing(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"kind:student", "enter")
        await shows(pilot, "Runs · 2 of 13")
        row = pilot.app.screen.filter_row
        await pilot.press("slash", *"retrun", "greater_than_sign", "3")
        await shows(pilot, "did you mean return?", "Runs · 2 of 13")
        await pilot.press("enter")
        await shows(pilot, "did you mean return?", "Runs · 2 of 13", "retrun>3")
        assert row.editing
        assert pilot.app.cockpit.preferences.get("runs.filter", "") == "kind:student"
        await pilot.press(*["backspace"] * 8, *"return", "greater_than_sign", "3", "enter")
        await until(pilot, lambda: not row.editing)
        assert pilot.app.cockpit.preferences.get("runs.filter", "") == "return>3"


async def test_esc_brings_back_the_filter_from_before_a_wrong_one(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"kind:student", "enter")
        await shows(pilot, "Runs · 2 of 13")
        await pilot.press("slash", *"state:x", "enter")
        await shows(pilot, 'no state is "x"', "running", "Runs · 2 of 13")
        await pilot.press("escape")
        await until(pilot, lambda: not pilot.app.screen.filter_row.editing)
        assert "/ kind:student " in text(pilot)
        assert pilot.app.cockpit.preferences.get("runs.filter", "") == "kind:student"


async def test_a_wrong_filter_of_robots_stays_in_its_row(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("3", "slash", *"limbs", "greater_than_sign", "6", "enter")
        await shows(pilot, "/ limbs>6")
        count = len(pilot.app.screen.shown)
        await pilot.press("slash", *"mas", "less_than_sign", "3", "enter")
        await shows(pilot, "did you mean mass?", "mas<3")
        assert pilot.app.screen.filter_row.editing
        assert len(pilot.app.screen.shown) == count
        assert pilot.app.cockpit.preferences.get("robots.filter", "") == "limbs>6"


@pytest.mark.parametrize(("key", "arrow"), [("value_loss", "↑"), ("episode_length", "↓")])
async def test_a_metric_that_sorts_has_a_column_with_values(
    filled: Filled, key: str, arrow: str
) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("s", *key, "enter")
        await shows(pilot, f"{key} {arrow} · not grouped")
        heading, first = text(pilot).splitlines()[3:5]
        assert arrow in heading
        assert key[:6] in heading
        assert first.rstrip(" │").split()[-1].replace(".", "").isdigit()
        await pilot.press("s", *"id", "enter")
        await until(pilot, lambda: key not in text(pilot))


def test_a_cut_line_ends_with_an_ellipsis() -> None:
    line = (Span(" no parent, trained"), Span(" on by 8 runs", "muted"))
    assert ending_well(line, 40) == line
    cut = ending_well(line, 28)
    assert line_width(cut) == 28
    assert "".join(span.text for span in cut) == " no parent, trained on by 8…"
