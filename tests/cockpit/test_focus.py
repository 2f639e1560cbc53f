"""What is shown has the focus, whatever the terminal was resized to meanwhile."""

from pathlib import Path

import cockpit_story
import pytest
from cockpit_pilot import opened, shows, until

from db.queries.runs import list_runs
from db.session import Database

Filled = tuple[Path, dict[str, int]]
SMALL, LARGE = (50, 15), (120, 40)
JOURNEYS = (
    ("2", SMALL, LARGE),
    ("2", SMALL, "question_mark", "escape", LARGE),
    ("2", SMALL, "3", "2", LARGE),
    (SMALL, "2", LARGE),
    (SMALL, "2", "question_mark", LARGE, "escape"),
    ("2", SMALL, "enter", "escape", LARGE),
    ("2", SMALL, "ctrl+p", "escape", LARGE),
    ("3", SMALL, "question_mark", "escape", LARGE),
    ("2", "question_mark", SMALL, LARGE, "escape"),
    ("2", SMALL, "n", "escape", LARGE),
    ("2", "slash", "k", SMALL, LARGE, "escape"),
    ("2", "slash", SMALL, "3", LARGE, "2", "escape"),
)


@pytest.mark.parametrize(
    "half", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
async def test_after_a_terminal_that_was_too_small_keys_are_heard(
    filled: Filled, half: int
) -> None:
    async with opened(filled[0], size=LARGE) as pilot:
        for steps in JOURNEYS[half::3]:
            await pilot.press("1")
            for step in steps:
                if isinstance(step, str):
                    await pilot.press(step)
                else:
                    await pilot.resize_terminal(*step)
            screen = pilot.app.screen
            table = screen.table
            await until(pilot, lambda screen=screen, table=table: screen.focused is table)
            await pilot.press("4")
            await shows(pilot, "[4 Watch]")


async def test_what_is_not_shown_has_no_focus(filled: Filled) -> None:
    async with opened(filled[0], size=LARGE) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: pilot.app.focused is None)
        await shows(pilot, "hdtui needs 60x18")


async def test_a_field_that_is_opened_unseen_has_the_focus_once_it_is_seen(
    filled: Filled,
) -> None:
    async with opened(filled[0], size=LARGE) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.resize_terminal(*SMALL)
        await pilot.press("slash")
        field = pilot.app.screen.filter_row.field
        await until(pilot, lambda: not field.closed and pilot.app.focused is None)
        await pilot.resize_terminal(*LARGE)
        await until(pilot, lambda: pilot.app.focused is field)


async def test_a_filter_that_is_edited_goes_on_after_a_small_terminal(filled: Filled) -> None:
    async with opened(filled[0], size=LARGE) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("slash", *"kind")
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: pilot.app.focused is None)
        await pilot.resize_terminal(*LARGE)
        field = pilot.app.screen.filter_row.field
        await until(pilot, lambda: pilot.app.focused is field)
        await pilot.press(*":student", "enter")
        await shows(pilot, "kind:student", "2 of 13")


async def test_a_filter_field_that_is_left_by_tab_is_closed(filled: Filled) -> None:
    async with opened(filled[0], size=LARGE) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("slash", *"kind", "tab")
        row = pilot.app.screen.filter_row
        await until(pilot, lambda: row.field.closed and not row.editing)
        await pilot.press("3")
        await shows(pilot, "[3 Robots]")


async def test_where_nothing_is_active_the_keys_of_home_work_on_the_events(
    filled: Filled,
) -> None:
    home, ids = filled
    database = Database.open(home)
    for run in list_runs(database):
        if run.state.active or str(run.state) in ("queued", "lost", "failed", "interrupted"):
            cockpit_story.change(database, run.id, state="finished")
    async with opened(home) as pilot:
        screen = pilot.app.screen
        await shows(pilot, "Nothing runs.")
        await until(pilot, lambda: screen.events.has_focus)
        assert screen.current_run() is not None
        await pilot.press("j", "k", "enter")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await pilot.press("escape")
        cockpit_story.change(database, ids["teacher"], state="running", **cockpit_story.alive())
        database.close()
        await until(pilot, lambda: screen.active.keys and screen.active.has_focus)
