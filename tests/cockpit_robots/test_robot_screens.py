"""The screens of robots in a headless terminal: what stands where, and what keys do."""

import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from library import add_film, add_run, walking
from textual.binding import Binding
from textual.pilot import Pilot

import hdtui.screens.watch.screen
from db.models import RunRow
from db.queries.runs import list_runs
from db.queries.settings import set_setting
from db.records import RunKind, RunState
from db.session import Database
from engine.config.presets import PRESETS
from engine.morphology.tree import Morphology
from engine.workers.supervisor import stand_in
from hdtui.actions.evaluate import policies_of
from hdtui.app import CockpitApp
from hdtui.data.efficiency import own_shape
from hdtui.screens.new_run.evaluate import EvaluateScreen
from hdtui.screens.robots.robot import RobotScreen
from hdtui.screens.robots.screen import RobotsScreen
from hdtui.screens.watch.screen import WatchScreen

SIZES = [(1, 1), (60, 18), (72, 20), (120, 36), (200, 60)]


def screen_text(app: CockpitApp) -> str:
    """The characters on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Let the application work until something holds."""
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"never held; the screen shows\n{screen_text(pilot.app)}")  # type: ignore[arg-type]


@asynccontextmanager
async def cockpit(
    home: Path, mode: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[CockpitApp, Pilot[Any]]]:
    """The cockpit of a workspace on one of its screens."""
    app = CockpitApp(home, readonly=True, theme="terminal")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app._opened and app.current_mode == "home")
        await pilot.press(mode)
        await pilot.pause()
        yield app, pilot


async def shows(pilot: Pilot[Any], *words: str) -> None:
    app: Any = pilot.app
    await until(pilot, lambda: all(word in screen_text(app) for word in words))


async def test_robots_are_listed_with_returns_and_a_picture(
    workspace: Path, robots: list[Morphology]
) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await shows(pilot, "4 000", "3 600", "1 and 2", "|0 m")
        text = screen_text(app)
        assert all(len(line) == 80 for line in text.split("\n"))
        first = next(line for line in text.split("\n") if line.startswith("▌"))
        assert robots[3].name in first
        assert any("⠀" < letter <= "⣿" for letter in text)


async def test_marks_survive_a_filter_and_stand_in_the_title(workspace: Path) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await shows(pilot, "4 000")
        await pilot.press("space", "space", "slash")
        await pilot.press(*"teacher>1500", "enter")
        await shows(pilot, "3 of 6", "2 marked", "3 more do not pass the filter")
        await pilot.press("escape")
        await shows(pilot, "Marked 2")
        assert len(app.cockpit.marked_robots) == 2


async def test_a_filter_that_cannot_be_read_keeps_the_last_list(workspace: Path) -> None:
    async with cockpit(workspace, "3") as (_, pilot):
        await shows(pilot, "4 000")
        await pilot.press("slash", *"teacher>1", *["backspace"])
        await shows(pilot, "needs a value after it", "4 000", "1 000")


async def test_e_asks_which_policies_evaluate_the_marked_robots(workspace: Path) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await shows(pilot, "4 000")
        await pilot.press("space", "space", "e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateScreen))
        dialog = app.screen
        assert isinstance(dialog, EvaluateScreen)
        assert dialog.wanted.policies == (2, 1)
        assert len(dialog.wanted.robots) == 2
        await pilot.press("space")
        assert dialog.wanted.policies == (1,)
        await pilot.press("down", "down", "space")  # baselines stand below the runs
        assert dialog.wanted.policies == (1, "random")
        await pilot.press("space", *["down"] * 5, "right")
        assert (dialog.wanted.policies, dialog.wanted.episodes) == ((1,), 64)
        await pilot.press("R")
        await shows(pilot, "read-only")


async def test_turning_and_drawing_change_the_picture(workspace: Path) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await shows(pilot, "4 000", "|0 m")
        before = screen_text(app)
        await pilot.press("r")
        await until(pilot, lambda: screen_text(app) != before)
        await pilot.press("d", "d")
        await shows(pilot, "______")
        assert app.cockpit.preferences.get("drawing", "") == "ascii"


async def test_enter_opens_the_page_of_a_robot_and_esc_returns(
    workspace: Path, robots: list[Morphology]
) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await shows(pilot, "4 000")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RobotScreen))
        await shows(pilot, "joints: axis, range", "1 teacher", "no parent", "head")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RobotsScreen))


async def watch(pilot: Any, app: Any, robot: Morphology) -> None:
    """From Robots, go to the robot's row and watch it."""
    await shows(pilot, "4 000")
    place = [entry.robot.digest for entry in app.screen.shown].index(robot.digest)
    await pilot.press(*["j"] * place, "w")


async def test_w_plays_teacher_and_student_and_says_who_fell(
    workspace: Path, robots: list[Morphology]
) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await watch(pilot, app, robots[0])
        await until(pilot, lambda: isinstance(app.screen, WatchScreen))
        await shows(pilot, "teacher 1", "student 2", "of 4.0 s", "m/s")
        stage: Any = app.screen
        await pilot.press("right", "right", "right", "right")
        await shows(pilot, "fell at 4.0 s", "held at 4.0 of 4.0 s" if stage.player.held else "4.0")
        await pilot.press("0", "space", "full_stop", "full_stop")
        held_at = stage.player.time_s
        await pilot.press("comma")
        assert stage.player.held
        assert stage.player.time_s == pytest.approx(held_at - 0.02)


async def test_tab_shows_one_policy_alone_then_the_other_then_both(
    workspace: Path, robots: list[Morphology]
) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await watch(pilot, app, robots[0])
        await shows(pilot, "teacher 1", "student 2")
        for alone, gone in (("teacher 1", "student 2"), ("student 2", "teacher 1")):
            await pilot.press("tab")
            await shows(pilot, alone, "m/s")
            await until(pilot, lambda gone=gone: gone not in screen_text(app))
        await pilot.press("tab")
        await shows(pilot, "teacher 1", "student 2")


async def test_views_speeds_and_the_standing_camera_are_in_the_title(workspace: Path) -> None:
    async with cockpit(workspace, "4") as (_, pilot):
        await shows(pilot, "teacher 1")
        await pilot.press("v", "minus", "f")
        await shows(pilot, "three-quarter", "speed 0.5x", "camera stands")


async def test_watch_says_why_there_is_nothing_to_see(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    Database.open(home).close()
    async with cockpit(home, "4") as (_, pilot):
        await pilot.press("escape")
        await pilot.press("4")
        await shows(pilot, "Nothing to watch yet.")


WATCH_KEYS = [
    key
    for binding in WatchScreen.BINDINGS
    if isinstance(binding, Binding)
    for key in binding.key.split(",")
]


async def press_every_key(pilot: Pilot[Any], app: Any) -> None:
    """Each key of Watch twice; an error of any would end the cockpit and the test."""
    assert {"v", "d", "0", "tab", "left", "R"} <= set(WATCH_KEYS)
    for key in [*WATCH_KEYS, *WATCH_KEYS]:
        await pilot.press(key)
        assert app.cockpit.mistakes.count == 0, key
        assert isinstance(app.screen, WatchScreen), key


async def test_no_key_of_watch_breaks_an_empty_workspace(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    Database.open(home).close()
    async with cockpit(home, "4") as (app, pilot):
        await pilot.press("escape", "4")
        await shows(pilot, "Nothing to watch yet.")
        await press_every_key(pilot, app)
        await shows(pilot, "Nothing to watch yet.")


@pytest.mark.slow
async def test_no_key_of_watch_breaks_a_robot_without_recordings(
    workspace: Path, robots: list[Morphology]
) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await watch(pilot, app, robots[1])
        await shows(pilot, "Nothing to watch on this robot yet.")
        for key in WATCH_KEYS:
            app.screen.watch_robot(robots[1].digest, robots[1].name)  # j and k have left it
            await until(pilot, lambda: not app.screen.films)
            await pilot.press(key)
            assert app.cockpit.mistakes.count == 0, key


@pytest.mark.slow
async def test_no_key_of_watch_breaks_a_run_without_recordings(workspace: Path) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        await shows(pilot, "4 000")
        app.cockpit.watched_run = 99
        await pilot.press("4")
        await shows(pilot, "No episode of 99 is recorded yet.")
        await press_every_key(pilot, app)
        await shows(pilot, "No episode of 99 is recorded yet.")


@pytest.mark.parametrize("what", ["list_recordings", "load_films"])
@pytest.mark.slow
async def test_no_key_of_watch_breaks_while_it_loads(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Neither while the list is read nor while the files are."""
    asked, goes_on = threading.Event(), threading.Event()
    original = getattr(hdtui.screens.watch.screen, what)

    def slow(*facts: Any) -> Any:
        asked.set()
        goes_on.wait(60)
        return original(*facts)

    monkeypatch.setattr(hdtui.screens.watch.screen, what, slow)
    async with cockpit(workspace, "4") as (app, pilot):
        try:
            await until(pilot, asked.is_set)
            await press_every_key(pilot, app)
            assert not app.screen.films  # type: ignore[attr-defined]
        finally:
            goes_on.set()
        await shows(pilot, "teacher 1", "m/s")


async def test_a_film_that_was_left_while_it_loaded_is_not_played(
    workspace: Path, robots: list[Morphology], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, goes_on, done = threading.Event(), threading.Event(), threading.Event()
    original = hdtui.screens.watch.screen.load_films

    def slow(*facts: Any) -> Any:
        asked.set()
        goes_on.wait(60)
        done.set()
        return original(*facts)

    monkeypatch.setattr(hdtui.screens.watch.screen, "load_films", slow)
    async with cockpit(workspace, "4") as (app, pilot):
        await until(pilot, asked.is_set)
        app.screen.watch_robot(robots[1].digest, robots[1].name)  # type: ignore[attr-defined]
        await shows(pilot, "Nothing to watch on this robot yet.")
        goes_on.set()
        await until(pilot, done.is_set)
        await pilot.pause(0.3)
        assert not app.screen.films  # type: ignore[attr-defined]
        await shows(pilot, "Nothing to watch on this robot yet.")


async def test_a_damaged_film_is_named_and_not_played(
    workspace: Path, robots: list[Morphology]
) -> None:
    database = Database.open(workspace)
    path = add_film(database, 3, walking(robots[1]), 1)
    database.close()
    path.write_bytes(path.read_bytes() + b"\x00")
    async with cockpit(workspace, "4") as (app, pilot):
        watch: Any = app.screen
        await until(pilot, lambda: watch.recordings is not None)
        watch.watch_robot(robots[1].digest, robots[1].name)
        await shows(pilot, "does not match its SHA-256")


async def test_compare_says_how_to_mark_and_shows_marked_runs(workspace: Path) -> None:
    async with cockpit(workspace, "5") as (app, pilot):
        await shows(pilot, "Nothing is marked.")
        app.cockpit.marked_runs.update({1: None, 2: None})
        await pilot.press("6", "5")
        await shows(pilot, "1 2 reported no curves yet.")


async def test_efficiency_shows_what_was_counted_and_the_claims(workspace: Path) -> None:
    sizes = {"transformer": (1_660_000, 19_900_000), "base-mlp": (124_400, 123_900)}
    rows = [
        {"policy": name, "limbs": 12, "parameters": size, "macs": macs, "latency_us": None}
        for name, (size, macs) in sizes.items()
    ]
    database = Database.open(workspace)
    network = PRESETS["quick"].teacher.network
    with database.write() as session:
        row = session.get(RunRow, 1)
        assert row is not None
        row.config = {"network": network.model_dump(mode="json")}
        student = session.get(RunRow, 2)
        assert student is not None
        student.config = {"network": PRESETS["laptop"].student.network.model_dump(mode="json")}
    ours = own_shape(network)
    rows.append({**rows[0], "policy": ours, "parameters": 82_500, "macs": 1_000_000})
    at = "2026-11-22T10:00:00+00:00"
    documents = {"flat": {"rows": rows, "at": at}}
    documents |= {task: {"rows": [], "at": at} for task in ("variable", "obstacles")}
    set_setting(database, "efficiency", documents)
    database.close()
    async with cockpit(workspace, "6") as (app, pilot):
        await shows(pilot, "1.66M", "13.3x", "160.6x", "not counted: variable")
        await shows(pilot, "teacher 1", "82.5k", "1.00M", "8.1x")  # a shape of ours
        await pilot.press("v")
        await shows(
            pilot, "return on trained robots", "a* teacher 1: 2 500", "b* base mlp of 2: 2 250"
        )
        await shows(pilot, "* bold: none costs less and earns more", "200k", "500k", "1M")
        assert "Claims of the paper" not in screen_text(app)
        await pilot.press("tab", "tab")  # the focus stays on what is shown
        assert app.focused is app.screen.query_one("#costs")
        await pilot.press("v", "v")
        await shows(pilot, "Claims of the paper")
        await pilot.press("tab", "v", "v")  # from the claims: bars, then Pareto
        await shows(pilot, "a* teacher 1: 2 500")
        assert app.focused is app.screen.query_one("#costs")
        await pilot.press("right_square_bracket")
        await shows(pilot, "[variable]")


@pytest.mark.slow
async def test_no_size_of_the_terminal_breaks_a_screen(workspace: Path) -> None:
    async with cockpit(workspace, "3") as (app, pilot):
        for mode in ("3", "4", "5", "6", "7"):
            await pilot.press(mode)
            for size in SIZES:
                await pilot.resize_terminal(*size)
                assert screen_text(app)
            await pilot.press("tab")
            await pilot.pause()


async def test_r_records_the_policies_on_the_screen_not_the_newest(
    workspace: Path, robots: list[Morphology]
) -> None:
    """Runs 1 and 2 are shown; a newer teacher and a newer student have finished since."""
    database = Database.open(workspace)
    lock = stand_in(database, slots=0)
    teacher = add_run(database, RunKind.TEACHER, "newer-s1", sets=("six",))
    add_run(database, RunKind.STUDENT, "newer-s1", inputs=(teacher,))
    app = CockpitApp(workspace, theme="terminal")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app._opened and app.current_mode == "home")
        await pilot.press("4")
        await until(pilot, lambda: getattr(app.screen, "films", ()))
        shown = [film.poses.header.policy_run_id for film in app.screen.films]  # type: ignore[attr-defined]
        assert shown == [1, 2]
        await pilot.press("R")
        await shows(pilot, "evaluation is queued", "of 1 and 2")
    queued = list_runs(database, states=[RunState.QUEUED])
    assert [run.inputs for run in queued] == [(1, 2)]
    assert queued[0].config["seed"] != 7, "the walk that is on the screen already"
    database.close()
    if lock is not None:
        os.close(lock)


def test_a_recording_without_films_is_of_policies_that_belong_together(workspace: Path) -> None:
    database = Database.open(workspace)
    stranger = add_run(database, RunKind.TEACHER, "stranger-s1", sets=("six",))
    assert policies_of(database, None) == (1, 2), "the latest student, and its own teacher"
    assert policies_of(database, 2) == (1, 2)
    assert policies_of(database, 3) == (1, 2)
    assert policies_of(database, stranger) == (stranger,)
    database.close()
