"""The list of robots: sorted, with the columns that one wants to see, and who fills them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cockpit_pilot import opened, shows, text, until
from cockpit_story import alive, change, new_run

from db.queries.robots import add_robots, create_set, list_robots
from db.queries.runs import queue_run
from db.records import NewRobot, RunKind
from db.session import Database
from engine.morphology.poses import PosesHeader
from hdtui.data.robots import ScoredRobot, evaluations_at_work, filling_sentence
from hdtui.data.watch import RecordedEpisodes
from hdtui.screens.robots.rows import DEFAULT_COLUMNS, column_answer, robot_columns
from hdtui.screens.watch.rows import title_words
from hdtui.widgets.table import fitting_columns

Filled = tuple[Path, dict[str, int]]
AT_80_COLUMNS = 47
"""Cells of the list beside the picture."""


def seen(names: tuple[str, ...], *kept: str) -> list[str]:
    columns = robot_columns(names, (184, 187), kept, AT_80_COLUMNS)
    return [column.key for _, column, _ in fitting_columns(columns, AT_80_COLUMNS)]


def test_the_column_that_sorts_and_the_one_just_chosen_have_a_place() -> None:
    assert seen(DEFAULT_COLUMNS) == ["name", "limbs", "teacher", "student"]
    assert seen(DEFAULT_COLUMNS, "mass", "") == ["name", "mass", "teacher", "student"]
    wide = (*DEFAULT_COLUMNS, "op")
    assert seen(wide, "mass", "op") == ["name", "limbs", "mass", "op"]
    columns = robot_columns(wide, (184, 187), ("mass", "op"), AT_80_COLUMNS)
    fitted = fitting_columns(columns, AT_80_COLUMNS)
    assert sum(width + column.gap for _, column, width in fitted) - 1 <= AT_80_COLUMNS


def test_a_chosen_column_says_what_became_of_it() -> None:
    assert column_answer("mass", ["limbs"], ["mass"]) == "v: mass is shown in the place of limbs"
    assert column_answer("mass", ["mass"], ["limbs"]) == "v: mass is hidden"
    assert column_answer("op", ["mass"], ["mass"]) == "v: op has no room here"


async def test_sorting_goes_to_the_top_of_the_new_order(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("3")
        await shows(pilot, "Robots · all · 8")
        await pilot.press("s", *"mass", "enter")
        screen = pilot.app.screen_stack[0]
        await shows(pilot, "mass ↓", "27.0")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.current_robot() == (f"{7:064x}", "floor-1409-7-12-01-12-30-07")
        await pilot.press("j", "j", "S")
        await shows(pilot, "mass ↑")
        assert screen.current_robot() == (f"{0:064x}", "floor-1409-0-12-01-12-30-07")
        await pilot.press("v", *"falls", "enter")
        await shows(pilot, "v: falls is shown")
        assert "falls" in text(pilot).splitlines()[3]


@pytest.fixture
def working(tmp_path: Path) -> tuple[Database, int]:
    """An evaluation of policies 1 and 2 on the one robot of a set, which works."""
    database = Database.open(tmp_path)
    facts = {"num_limbs": 5, "num_joints": 4, "mass_kg": 9.0, "head_height_m": 0.5}
    for name in "ab":
        new = NewRobot(name * 64, name, "unimal", path=f"{name}.xml", **facts)
        create_set(database, f"set-{name}", [(add_robots(database, [new])[0].id, None)])
    for kind in (RunKind.TEACHER, RunKind.STUDENT):
        queue_run(database, new_run(kind, "policy", None))
    run = replace(new_run(RunKind.EVALUATION, "e", None, 1, 2), robot_sets=("set-a",))
    run = replace(run, config={**run.config, "record_poses": 1})
    run_id = queue_run(database, run).id
    at = datetime.now(UTC)
    reports = {"state": "running", "started_at": at, "reported_at": at, "report_gap_s": 3.0}
    change(database, run_id, **reports, **alive())
    return database, run_id


def test_an_evaluation_fills_columns_of_its_own_policies_and_robots(
    working: tuple[Database, int],
) -> None:
    database, run_id = working
    at_work = evaluations_at_work(database)
    first, second = ([ScoredRobot(one, None, None)] for one in list_robots(database))
    filling = f"{run_id} evaluation is filling these columns"
    assert filling_sentence(at_work, first, "flat", {1, None}) == filling
    assert filling_sentence(at_work, second, "flat", {1, 2}) == ""
    assert filling_sentence(at_work, first, "flat", {7, 8}) == ""
    assert filling_sentence(at_work, first, "obstacles", {1, 2}) == ""
    recordings = RecordedEpisodes((), (), tuple(at_work))
    assert recordings.recorder_of("a" * 64) == run_id
    assert recordings.recorder_of("b" * 64) is None
    assert recordings.of_run(2).recorder_of(None) == run_id
    assert recordings.of_run(7).recorder_of(None) is None


def test_a_stalled_or_dead_evaluation_fills_nothing(working: tuple[Database, int]) -> None:
    database, run_id = working
    at = datetime.now(UTC)
    long_ago = at - timedelta(minutes=5)
    change(database, run_id, reported_at=long_ago, started_at=long_ago)
    assert evaluations_at_work(database) == []
    change(database, run_id, reported_at=at, pid=2**22 - 1, pid_started_at=1.0)
    assert evaluations_at_work(database) == []


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_title_of_watch_is_never_cut_inside_a_word(width: int) -> None:
    name = "floor-1409-0-12-01-12-30-07-m3-567dac-and-more"
    header = PosesHeader(name, "a" * 64, "teacher", 1, "obstacles", 7, 0, 0.02, 0.2, False)
    for unusual in ([], ["34 is recording"], ["34 is recording", "three-quarter", "camera stands"]):
        title, facts = title_words(header, unusual, "episode 1 of 2", width)
        assert len(title) + len(facts) <= width - 7
        assert title.startswith("floor")
        assert title.endswith(("more", "obstacles", "seed 7"))
        assert facts.endswith("episode 1 of 2")
