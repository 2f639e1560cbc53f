"""Lists of runs: groups of seeds, archived ones, lineage; keys that act on them."""

from dataclasses import replace
from pathlib import Path

import pytest
from cockpit_pilot import opened, shows, text, until
from cockpit_story import NOW, add_curves, change, finish, new_run

from db.queries.runs import archive, get_run, queue_run
from db.records import Run, RunKind
from db.session import Database
from hdtui.data.run_details import read_lineage
from hdtui.data.run_list import RunList, grouped_runs
from hdtui.data.run_states import RunView
from hdtui.data.run_views import views
from hdtui.screens.run.lineage import lineage_tree

Filled = tuple[Path, dict[str, int]]


def queue_seeds(database: Database, *settings: tuple[float, int, float]) -> list[int]:
    """Finished teachers, one for each learning rate, seed and return."""
    ids = []
    for rate, seed, reached in settings:
        new = new_run(RunKind.TEACHER, f"rate-s{seed}", None)
        config = {**new.config, "seed": seed, "ppo": {**new.config["ppo"], "learning_rate": rate}}
        run = queue_run(database, replace(new, config=config, seed=seed))
        finish(database, run.id, 60, reached, f"return {reached:.0f}")
        ids.append(run.id)
    return ids


@pytest.fixture
def seeds(tmp_path: Path) -> tuple[Database, list[Run]]:
    """Two settings under one name: three seeds of the first, two of the second."""
    database = Database.open(tmp_path)
    ids = queue_seeds(
        database,
        *((3e-4, seed, 1000.0 + seed) for seed in (1, 2, 3)),
        *((9e-4, seed, 2000.0 + seed) for seed in (1, 2)),
    )
    return database, [get_run(database, run_id) for run_id in ids]


def as_views(database: Database, runs: list[Run]) -> list[RunView]:
    return views(database, runs, NOW)


def test_runs_are_grouped_by_their_settings_not_by_their_names(
    seeds: tuple[Database, list[Run]],
) -> None:
    database, runs = seeds
    shown = as_views(database, runs)
    groups = grouped_runs(RunList(tuple(shown), {}, NOW), shown, "config")
    assert [len(group.views) for group in groups] == [3, 2]
    assert [group.title for group in groups] == ["teacher rate", "teacher rate, other settings 2"]
    over = groups[0].over_runs
    assert over is not None
    assert over.mean == pytest.approx(1002.0)
    assert over.half_width == pytest.approx(4.303 / 3**0.5, rel=1e-3)


def test_runs_of_several_kinds_have_no_mean(filled: Filled) -> None:
    home, ids = filled
    database = Database.open(home)
    runs = [get_run(database, ids[role]) for role in ("old teacher", "student")]
    shown = as_views(database, runs)
    (group,) = grouped_runs(RunList(tuple(shown), {}, NOW), shown, "study")
    assert group.over_runs is None


async def test_a_group_is_folded_by_enter_and_marked_by_space(
    seeds: tuple[Database, list[Run]],
) -> None:
    database, runs = seeds
    async with opened(database.home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 5")
        await pilot.press("b", "b", "home")
        await shows(pilot, "grouped by config", "- teacher rate · 2 runs · mean 2 002 ± 6")
        await pilot.press("enter")
        await shows(pilot, "+ teacher rate · 2 runs")
        await until(pilot, lambda: f"✓ {runs[4].id} " not in text(pilot))
        await pilot.press("space")
        await shows(pilot, "2 marked: c compares them")
        assert set(pilot.app.cockpit.marked_runs) == {runs[3].id, runs[4].id}


async def test_archived_runs_are_found_by_the_filter_and_brought_back(filled: Filled) -> None:
    home, ids = filled
    database = Database.open(home)
    archive(database, ids["failed"], archived=True)
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 12")
        await pilot.press("slash", *"archived:yes", "enter")
        await shows(pilot, f"✗ {ids['failed']}", "Runs · 1 of 13")
        await pilot.press("A")
        await shows(pilot, "back in the lists", "Runs · 0 of")
    assert not get_run(database, ids["failed"]).archived


def test_a_run_stands_below_the_last_of_what_it_was_made_from(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    ids = {}
    for name, kind, inputs in (
        ("teacher", RunKind.TEACHER, ()),
        ("first data", RunKind.COLLECTION, ("teacher",)),
        ("second data", RunKind.COLLECTION, ("teacher",)),
        ("first student", RunKind.STUDENT, ("first data",)),
        ("second student", RunKind.STUDENT, ("second data",)),
        ("judged", RunKind.EVALUATION, ("teacher", "first student")),
    ):
        new = new_run(kind, name, None, *(ids[each] for each in inputs))
        ids[name] = queue_run(database, new).id
    tree = lineage_tree(read_lineage(database, ids["teacher"], NOW))
    names = {run_id: name for name, run_id in ids.items()}
    assert [f"{branch}{names[run_id]}" for run_id, branch in tree] == [
        "teacher",
        "├─ first data",
        "│  └─ first student",
        "│     └─ judged",
        "└─ second data",
        "   └─ second student",
    ]


async def test_marked_runs_equal_but_for_the_seed_become_a_mean_with_an_interval(
    seeds: tuple[Database, list[Run]],
) -> None:
    database, runs = seeds
    for place, run in enumerate(runs):
        add_curves(database, run.id, 40, 700.0 + 10 * place)
    async with opened(database.home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 5")
        await pilot.press("asterisk", "enter")
        await shows(pilot, "[Curves]", f"a {runs[4].id} this run")
        await shows(pilot, f"d {runs[1].id} ")  # five curves have three lines and no one is lost
        await pilot.press("b")
        await shows(pilot, "Means of runs equal but for the seed", "2 seeds", "3 seeds", " ± ")


async def test_returns_by_robot_are_sorted_marked_and_drawn_as_curves(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter", "right_square_bracket")
        await shows(pilot, "Return by robot · 8", "return of floor-1409-0", "┤")
        await pilot.press("space", "space")
        await shows(pilot, "return by robot, marked", "a floor", "b floor")
        assert len(pilot.app.cockpit.marked_robots) == 2
        await pilot.press("s", "s")
        await shows(pilot, "length ↓", "length")
        await pilot.press("s")
        await shows(pilot, "speed ↓", "m/s")
        await pilot.press("s")
        await shows(pilot, "robot ↑")
        await pilot.press("enter")
        assert pilot.app.screen.tab.has_class("-curves")


async def test_a_run_says_reading_until_its_points_are_there(filled: Filled) -> None:
    home, ids = filled
    database = Database.open(home)
    change(database, ids["failed"], state="failed")
    async with opened(home) as pilot:
        tab_words = []
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        from hdtui.screens.run.screen import RunScreen

        screen = RunScreen(pilot.app.cockpit, ids["failed"])
        curves = screen.tabs[0]
        tab_words.append(curves._empty_sentence())
        pilot.app.push_screen(screen)
        await shows(pilot, "This run left no points.")
        assert tab_words == ["reading"]


async def test_an_upgraded_workspace_says_so_once_it_is_open(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        app = pilot.app
        app.on_cockpit_app_opened(app.Opened(False, upgrade="Upgraded schema 11 to 12"))
        await shows(pilot, "Upgraded schema 11 to 12")
