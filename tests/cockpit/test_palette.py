"""The palette offers what can be done on the screen beneath, and to the run under its cursor."""

from pathlib import Path

from cockpit_pilot import opened, shows, until
from cockpit_story import finish, new_run

from db.queries.runs import get_run, queue_run
from db.queries.settings import get_setting
from db.records import RunKind
from db.session import Database

Filled = tuple[Path, dict[str, int]]


async def test_what_can_be_done_to_the_run_under_the_cursor_is_offered(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *f"id:{ids['old teacher']}", "enter")
        await shows(pilot, "Runs · 1 of 13")
        await pilot.press("ctrl+p")
        name = f"{ids['old teacher']} teacher"
        await shows(pilot, f"watch {name}", f"clone {name}", f"evaluate {name}", f"delete {name}")
        words = [entry.words for entry in pilot.app.screen.entries]
        assert not [each for each in words if each.startswith(("stop", "resume", "compare"))]
        assert "sort by" in words
        assert "choose columns" in words
        await pilot.press(*"archive", "enter")
        await shows(pilot, "Runs · 0 of 12", "archived:yes")
    assert get_run(Database.open(home), ids["old teacher"]).archived


async def test_a_running_run_is_stopped_from_the_palette(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("ctrl+p", *"stop")
        await shows(pilot, f"stop {ids['teacher']} teacher")
        await pilot.press("enter")
        await shows(pilot, f"Stop {ids['teacher']} teacher")


async def test_keys_of_the_screen_and_the_doctor_are_found_by_their_words(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("ctrl+p", *"choose col", "enter")
        await shows(pilot, "Columns: choose to show or hide")
        await pilot.press("escape", "ctrl+p", *"doctor", "enter")
        await shows(pilot, "Doctor", "Good:")
        await pilot.press("escape")
        await shows(pilot, "things are good")


async def test_a_cockpit_that_only_reads_offers_no_change(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    run = queue_run(database, new_run(RunKind.TEACHER, "mlp", None))
    finish(database, run.id, 60, 700, "return 700")
    async with opened(tmp_path, readonly=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 1")
        await pilot.press("ctrl+p")
        await shows(pilot, f"watch {run.id} teacher")
        words = [entry.words for entry in pilot.app.screen.entries]
        assert not [each for each in words if each.startswith(("archive", "delete", "clone"))]


async def test_slots_are_changed_and_the_disk_is_weighed_from_home(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    run = queue_run(database, new_run(RunKind.TEACHER, "mlp", None))
    finish(database, run.id, 60, 700, "return 700")
    async with opened(tmp_path) as pilot:
        await shows(pilot, "slots 0 of 2")
        await pilot.press("a")
        await shows(pilot, "Slots", "hdtui slots N")
        await pilot.press("backspace", "0", "enter")
        await shows(pilot, "found 0, expected a whole number from 1")
        await pilot.press("backspace", "5", "enter")
        await shows(pilot, "slots 5: so many runs work at once", "slots 0 of 5")
        await pilot.press("ctrl+p", *"work at once", "enter")
        await shows(pilot, "hdtui slots N")
        await pilot.press("escape", "ctrl+p", *"disk use", "enter")
        await shows(pilot, "in this workspace", "hdtui runs du")
    assert get_setting(database, "slots") == 5
