"""Journeys among 200 runs in a real pseudo-terminal: the best student, three seeds, a clone."""

import shutil
from pathlib import Path

import pytest
import workspace
from pseudo_terminal import Cockpit

from db.queries.runs import list_runs
from db.session import Database

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("runs")
    workspace.fill(home)
    return home


@pytest.fixture
def home(two_hundred: Path, tmp_path: Path) -> Path:
    """A copy of the workspace, the test's own."""
    copy = tmp_path / "workspace"
    shutil.copytree(two_hundred, copy)
    return copy


def test_the_best_student_of_200_runs_is_found_by_filter_and_sort(home: Path) -> None:
    with Cockpit(home) as cockpit:
        cockpit.shows("[1 Home]", "Active 0")
        cockpit.press("2")
        cockpit.shows("Runs · 203")
        cockpit.press("/")
        cockpit.type("kind:student")
        cockpit.press("enter")
        cockpit.shows(f"Runs · {workspace.NUM_STUDENTS} of 203")
        cockpit.press("s")
        cockpit.shows("Sort by")
        cockpit.type("ret")
        cockpit.press("enter")
        cockpit.shows("return ↓")
        cockpit.until(lambda text: f"✓ {workspace.BEST}" in text.split("\n")[4])
        assert "2 400" in cockpit.text.split("\n")[4]
        cockpit.press("S")
        cockpit.shows("return ↑")
        cockpit.until(lambda text: f"✓ {workspace.WORST}" in text.split("\n")[4])
        cockpit.press("s")
        cockpit.type("result")
        cockpit.press("enter")
        cockpit.shows("result ↑")  # a student's result is a loss: the lowest comes first
        cockpit.until(lambda text: f"✓ {workspace.WORST}" not in text.split("\n")[4])
        cockpit.press("s")
        cockpit.type("return")
        cockpit.press("enter")
        cockpit.until(lambda text: f"✓ {workspace.BEST}" in text.split("\n")[4])
        cockpit.press("enter")
        cockpit.shows(f"{workspace.BEST} student setting-", "[Curves]")


@pytest.mark.slow
def test_three_seeds_are_compared_as_mean_and_interval(home: Path) -> None:
    with Cockpit(home) as cockpit:
        cockpit.shows("[1 Home]", "Active 0")
        cockpit.press("2", "/")
        cockpit.type("study:seeds kind:teacher")
        cockpit.press("enter")
        cockpit.shows("Runs · 3 of 203")
        cockpit.press("*")
        cockpit.shows("3 marked")
        cockpit.press("c")
        screen = cockpit.shows("[5 Compare]", "mean and 95 % interval", "laptop")
        assert "1 group of 3 seeds" in screen
        cockpit.press("b")
        cockpit.shows("Groups by study")


@pytest.mark.slow
def test_a_run_is_cloned_with_one_change(home: Path) -> None:
    with Cockpit(home) as cockpit:
        cockpit.shows("[1 Home]", "Active 0")
        cockpit.press("2", "/")
        cockpit.type("name:laptop-s2")
        cockpit.press("enter")
        cockpit.shows("Runs · 1 of 203", "laptop-s2")
        cockpit.press("C")
        cockpit.shows("New run · teacher", "0 changes to run 202")
        cockpit.press("/")
        cockpit.type("learning")
        cockpit.press("enter")
        cockpit.shows("▌     learning_rate")
        cockpit.press("enter")
        cockpit.type("5e-4")
        cockpit.press("enter")
        cockpit.shows("1 change to run 202", "≠")
        cockpit.press("R")
        cockpit.shows("204 teacher", "is queued")
    database = Database.open(home, readonly=True)
    first, second = sorted(list_runs(database, ids={202, 204}), key=lambda run: run.id)
    database.close()
    assert second.config["ppo"]["learning_rate"] == pytest.approx(5e-4)
    unchanged = {**second.config, "ppo": {**second.config["ppo"]}}
    unchanged["ppo"]["learning_rate"] = first.config["ppo"]["learning_rate"]
    assert unchanged == first.config


def test_leaving_an_idle_workspace_names_no_run_and_ends_well(home: Path) -> None:
    with Cockpit(home) as cockpit:
        cockpit.shows("[1 Home]", "Active 0")
        assert "running" not in cockpit.leave()
        assert cockpit.process.returncode == 0
