"""Journeys with real training: first start, moving curve, stop and resume, evaluate, watch."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pseudo_terminal import Cockpit

from db.queries.runs import get_run, list_runs
from db.records import Run, RunState
from db.session import Database
from engine.errors import RunError
from engine.workers.commands import request_kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WORK_S = 300.0


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> None:
    """Here work goes on from test to test; the workspace's fixture ends it."""


def read(home: Path, run_id: int) -> Run:
    database = Database.open(home, readonly=True)
    run = get_run(database, run_id)
    database.close()
    return run


def end_all_work(home: Path) -> None:
    """Kill what still works in a workspace, the supervisor included."""
    database = Database.open(home)
    for run in list_runs(database):
        if run.state.active:
            with contextlib.suppress(RunError):  # it ended meanwhile
                request_kill(database, run.id)
    database.close()
    for process in psutil.process_iter(["cmdline"]):
        if str(home) in (process.info["cmdline"] or ()):
            process.terminate()


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace for a quick pipeline, which no test waits for."""
    home = tmp_path_factory.mktemp("quick") / "workspace"
    yield home
    end_all_work(home)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose smoke pipeline, started from the first screen, has finished."""
    home = tmp_path_factory.mktemp("smoke") / "workspace"
    with Cockpit(home) as cockpit:
        cockpit.shows("Welcome. This workspace is empty")
        cockpit.press("down")
        cockpit.shows("hdtui pipeline --preset smoke --detach")
        cockpit.press("enter")
        cockpit.shows("Pipeline 1 · smoke", "100 %", within_s=WORK_S)
        cockpit.until(lambda _: read(home, 7).state is RunState.FINISHED, WORK_S)
    yield home
    end_all_work(home)


def test_two_keys_lead_from_the_first_start_to_a_moving_curve(training: Path) -> None:
    with Cockpit(training) as cockpit:
        cockpit.shows("Welcome. This workspace is empty", "start the quick pipeline")
        cockpit.press("enter")
        cockpit.shows("Pipeline 1 · quick", within_s=WORK_S)
        cockpit.until(lambda text: bool(re.search(r"▌ [◦►] 2 +teacher", text)), WORK_S)
        cockpit.press("enter")
        cockpit.shows("2 teacher", "[Curves]", "┤", within_s=WORK_S)
        first = chart_rows(cockpit.text)
        cockpit.until(lambda text: "┤" in text and chart_rows(text) != first, WORK_S)
        assert "keep" in cockpit.leave()
    assert read(training, 2).state is RunState.RUNNING


def chart_rows(text: str) -> list[str]:
    """What stands right of the metrics."""
    return [row[29:] for row in text.split("\n")[4:18]]


def test_a_run_is_stopped_and_goes_on_where_it_ended(training: Path) -> None:
    with Cockpit(training) as cockpit:
        cockpit.until(lambda text: bool(re.search(r"▌ ► 2 +teacher", text)), WORK_S)
        cockpit.press("X")
        cockpit.shows("Stop 2 teacher", "y stop it")
        cockpit.press("enter")
        cockpit.shows("y stop it")
        cockpit.press("y")
        cockpit.until(lambda text: bool(re.search(r"▌ ▪ 2 +teacher +stopped at", text)), WORK_S)
        stopped = read(training, 2)
        assert stopped.state is RunState.STOPPED
        cockpit.press("R")
        cockpit.until(lambda text: bool(re.search(r"▌ ► 2 +teacher", text)), WORK_S)
        cockpit.press("enter")
        cockpit.shows("[Curves]", "┤", within_s=WORK_S)
    resumed = read(training, 2)
    assert resumed.attempt == stopped.attempt + 1
    assert (resumed.done or 0) >= (stopped.checkpoint_step or 0) > 0
    end_all_work(training)  # the journeys after this one need the cores


def test_five_marked_robots_are_evaluated_beside_the_list(finished: Path) -> None:
    with Cockpit(finished) as cockpit:
        cockpit.shows("Pipeline 1 · smoke")
        cockpit.press("3")
        cockpit.shows("[3 Robots]", "teacher")
        cockpit.press("space", "space", "space", "space", "space")
        cockpit.shows("5 marked")
        cockpit.press("e")
        cockpit.shows("Evaluate", "5: ", "hdtui evaluate --policy")
        cockpit.press("R")
        cockpit.shows("evaluation is queued")
        cockpit.press("1")
        cockpit.until(lambda text: bool(re.search(r"✓ 8 +finished", text)), WORK_S)
    assert read(finished, 8).state is RunState.FINISHED


def test_teacher_and_student_walk_side_by_side(finished: Path) -> None:
    with Cockpit(finished) as cockpit:
        cockpit.shows("Pipeline 1 · smoke")
        cockpit.press("3")
        cockpit.shows("[3 Robots]", "teacher")
        cockpit.press("w")
        cockpit.shows("[4 Watch]", "m/s")
        for _ in range(14):  # robots that both policies were recorded on stand among others
            if "student 5" in cockpit.text and "teacher 2" in cockpit.text:
                break
            cockpit.press("j")
            cockpit.pump(2.0)
        cockpit.shows("teacher 2", "student 5")
        before = cockpit.text
        cockpit.until(lambda text: text != before)
        cockpit.press("space")
        cockpit.shows("space go on")
        cockpit.press(",", ".", "-")
        cockpit.shows("speed 0.5x")
