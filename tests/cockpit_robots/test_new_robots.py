"""The dialogs behind n on Robots queue runs and make sets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from test_robot_screens import screen_text, shows, until
from textual.pilot import Pilot

from db.queries.robots import get_set, list_sets
from db.queries.runs import list_runs
from db.records import RobotSet, Run, RunKind, RunState
from db.session import Database
from engine.morphology.mjcf import save_robot
from engine.morphology.tree import Morphology
from engine.workers.robot_library import make_set
from engine.workers.supervisor import stand_in
from engine.workers.workspace import Workspace
from hdtui.app import CockpitApp


@asynccontextmanager
async def robots_screen(home: Path) -> AsyncIterator[tuple[CockpitApp, Pilot[Any]]]:
    """Robots of a workspace that may be written; this process stands for its supervisor."""
    database = Database.open(home)
    stand_in(database, slots=0)
    database.close()
    app = CockpitApp(home, theme="terminal")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app._opened and app.current_mode == "home")
        await pilot.press("3")
        await shows(pilot, "4 000")
        yield app, pilot


def queued(home: Path, kind: RunKind) -> Run:
    database = Database.open(home)
    runs = [run for run in list_runs(database, states=[RunState.QUEUED]) if run.kind is kind]
    database.close()
    return runs[0]


def sets_of(home: Path) -> list[RobotSet]:
    database = Database.open(home)
    sets = list_sets(database)
    database.close()
    return sets


async def choose(pilot: Pilot[Any], word: str) -> None:
    await pilot.press("n")
    await shows(pilot, "New robots")
    await pilot.press(*word, "enter")
    await pilot.pause()


async def confirm(pilot: Pilot[Any], fields: int) -> None:
    await pilot.press(*["enter"] * fields)
    await pilot.pause()


async def test_generate_queues_a_run_that_fills_one_set(workspace: Path) -> None:
    async with robots_screen(workspace) as (_, pilot):
        await choose(pilot, "generate")
        await shows(pilot, "how many robots")
        await confirm(pilot, 4)
        await shows(pilot, "generation is queued")
    run = queued(workspace, RunKind.GENERATION)
    assert run.config["train_count"] == 16
    assert run.extra == {"training_set": "generated16"}


async def test_mutate_queues_a_run_over_a_set(workspace: Path) -> None:
    async with robots_screen(workspace) as (_, pilot):
        await choose(pilot, "mutate")
        await shows(pilot, "mutants of the set")
        await pilot.press("end", *["backspace"] * 20, *"six", "enter", "enter", "enter", "enter")
        await shows(pilot, "mutation is queued")
    run = queued(workspace, RunKind.MUTATION)
    assert run.robot_sets == ("six",)
    assert run.config["mutants_per_robot"] == 5


async def test_import_reads_a_folder_into_a_set(
    workspace: Path, robots: list[Morphology], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "two"
    monkeypatch.chdir(tmp_path)
    for robot in robots[:2]:
        save_robot(robot, folder)
    async with robots_screen(workspace) as (_, pilot):
        await choose(pilot, "import")
        await shows(pilot, "folder with xml/ in it")
        await pilot.press(*"two", "enter", "enter")
        await shows(pilot, "2 robots in the set two")


async def test_import_names_refused_files_and_takes_the_rest_by_a_key(
    workspace: Path, robots: list[Morphology], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_robot(robots[0], tmp_path / "two")
    (tmp_path / "two" / "xml" / "ant.xml").write_text('<mujoco><body name="torso"/></mujoco>')
    async with robots_screen(workspace) as (_, pilot):
        for key in ("n", "i"):
            await choose(pilot, "import")
            await shows(pilot, "folder with xml/ in it")
            await pilot.press(*"two", "enter", "enter")
            await shows(pilot, "1 file is no valid robot: ant.xml.")
            await shows(pilot, "i import the other 1")
            assert "two" not in [each.name for each in sets_of(workspace)]
            await pilot.press(key)
        await shows(pilot, "1 robot in the set two; 1 file left out")
    assert "two" in [each.name for each in sets_of(workspace)]


async def test_select_makes_a_set_of_the_marked(workspace: Path) -> None:
    async with robots_screen(workspace) as (_, pilot):
        await pilot.press("space", "space")
        await choose(pilot, "select")
        await shows(pilot, "Select 2 robots")
        await confirm(pilot, 1)
        await shows(pilot, "2 robots in the set selected")
    database = Database.open(workspace)
    assert get_set(database, "selected").size == 2
    database.close()


@pytest.mark.parametrize("wrong", ["x", "-1"])
async def test_a_number_that_is_none_is_refused_in_the_dialog(workspace: Path, wrong: str) -> None:
    async with robots_screen(workspace) as (app, pilot):
        await choose(pilot, "generate")
        await shows(pilot, "how many robots")
        await pilot.press("end", *["backspace"] * 4, *wrong, *["enter"] * 4)
        await shows(pilot, "needs a whole number")
        assert "queued" not in screen_text(app).split("\n")[22]


async def test_mutants_of_robots_that_are_kept_unseen_need_a_word(
    workspace: Path, robots: list[Morphology]
) -> None:
    database = Database.open(workspace)
    make_set(database, Workspace(workspace), "apart", [(robots[0], "unseen")])
    database.close()
    async with robots_screen(workspace) as (_, pilot):
        await choose(pilot, "mutate")
        await shows(pilot, "mutants of the set")
        await pilot.press("end", *["backspace"] * 20, *"apart", *["enter"] * 4)
        await shows(pilot, "the robots of apart have the role unseen")
        await pilot.press("y")
        await shows(pilot, "mutation is queued")
    assert queued(workspace, RunKind.MUTATION).robot_sets == ("apart",)


async def test_a_key_removes_the_shown_set_after_a_question(workspace: Path) -> None:
    async with robots_screen(workspace) as (app, pilot):
        await pilot.press("D")
        await shows(pilot, "D removes the set that is shown")
        await pilot.press("space", "space")
        await choose(pilot, "select")
        await shows(pilot, "Select 2 robots")
        await confirm(pilot, 1)
        await shows(pilot, "2 robots in the set selected")
        place = [each.name for each in sets_of(workspace)].index("selected")
        await pilot.press(*["right_square_bracket"] * (place + 1))
        await shows(pilot, "Robots · selected · 2")
        for key in ("n", "y"):
            await pilot.press("D")
            await shows(pilot, "Remove the set selected of 2 robots?")
            assert "selected" in [each.name for each in sets_of(workspace)]
            await pilot.press(key)
            await until(pilot, lambda: "keep it" not in screen_text(app))
        await shows(pilot, "set selected is removed; its robots stay in the library")
        await shows(pilot, "Robots · all")
        assert "selected" not in [each.name for each in sets_of(workspace)]
