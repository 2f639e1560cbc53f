"""A and D act on runs that the user sees; marks that a filter hides are told of."""

from pathlib import Path

from cockpit_pilot import opened, shows, text, until

from db.queries.runs import get_run
from db.session import Database
from hdtui.screens.run.screen import RunScreen

Filled = tuple[Path, dict[str, int]]


def archived(home: Path, ids: dict[str, int]) -> set[str]:
    """The roles of the runs that are archived."""
    database = Database.open(home)
    found = {role for role, run_id in ids.items() if get_run(database, run_id).archived}
    database.close()
    return found


async def test_a_page_of_a_run_archives_that_run_alone(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        pilot.app.cockpit.marked_runs.update({ids["failed"]: None, ids["lost"]: None})
        pilot.app.push_screen(RunScreen(pilot.app.cockpit, ids["stopped"]))
        await shows(pilot, f"{ids['stopped']} teacher", "[Curves]")
        await pilot.press("A")
        await shows(pilot, f"{ids['stopped']} archived")
    assert archived(home, ids) == {"stopped"}


async def test_home_deletes_the_run_under_its_cursor_alone(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        pilot.app.cockpit.marked_runs.update({ids["failed"]: None, ids["lost"]: None})
        current = pilot.app.screen.current_run()
        await pilot.press("D")
        await shows(pilot, f"Delete {current} ", f"Type {current}, the id of the run")


async def test_marks_that_the_filter_hides_are_not_archived(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        roles = ("failed", "lost", "stopped")
        pilot.app.cockpit.marked_runs.update({ids[role]: None for role in roles})
        await pilot.press("slash", *"state:failed|lost", "enter")
        await shows(pilot, "Runs · 2 of 13", "3 marked, 1 hidden")
        await pilot.press("A")
        shown = await shows(pilot, "Archive 2 runs:", "y archive them")
        assert f"{ids['stopped']} teacher" not in shown
        await pilot.press("n")
        await until(pilot, lambda: "Archive 2 runs" not in text(pilot))
        assert archived(home, ids) == set()
        await pilot.press("A", "y")
        await shows(pilot, "Runs · 0 of 11")
    assert archived(home, ids) == {"failed", "lost"}


async def test_several_archived_runs_are_brought_back_after_a_question(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("slash", *"state:failed|lost", "enter", "asterisk", "A", "y")
        await shows(pilot, "Runs · 0 of 11")
        await pilot.press("slash", *"archived:yes", "enter", "A")
        await shows(pilot, "Bring 2 runs back")
        await pilot.press("y")
        await shows(pilot, "back in the lists")
    assert archived(home, ids) == set()


async def test_compare_says_which_marks_the_filter_hides(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        marks = pilot.app.cockpit.marked_runs
        marks.update({ids["old teacher"]: None, ids["teacher"]: None})
        await pilot.press("slash", *f"id:{ids['teacher']}", "enter")
        await shows(pilot, "2 marked, 1 hidden")
        await pilot.press("c")
        told = "1 of the 2 marked runs is hidden by the filter of Runs"
        await shows(pilot, "[5 Compare]", told)
        await pilot.press("2")
        await shows(pilot, "Runs · 1 of 13")
        marks.pop(ids["old teacher"])
        await pilot.press("5")
        await shows(pilot, "[5 Compare]")
        await until(pilot, lambda: told not in text(pilot))
