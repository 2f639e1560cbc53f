"""The demo: made-up runs of every state under names that say so, and walks that move."""

from pathlib import Path

import numpy as np
import pytest
from cockpit_pilot import shows, until

from db.queries.metrics import list_series, read_points
from db.queries.robots import list_robots
from db.queries.runs import get_run, list_runs
from db.records import RunKind, RunState
from db.session import Database
from engine.morphology.generation import candidate
from engine.morphology.poses import PosesHeader
from hdtui.cli.demo import DemoApp
from hdtui.data.efficiency import TASKS, read_efficiency, uncounted
from hdtui.data.watch import list_recordings, load_film
from hdtui.demo.gait import Walk, walking
from hdtui.demo.live_feed import Feed
from hdtui.demo.world import build

HEADER = PosesHeader("", "", "teacher", 1, "flat", 7, 0, 0.0, 0.0, False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo") / "demo"
    build(home)
    return home


def test_every_name_of_the_demo_says_that_it_is_one(demo: Path) -> None:
    database = Database.open(demo, readonly=True)
    runs = list_runs(database, archived=True)
    assert all(run.name.startswith("demo") and "demo" in run.tags for run in runs)
    assert all(run.result_text is None or run.result_text.startswith("demo") for run in runs)
    assert all(robot.name.startswith("demo") for robot in list_robots(database))
    states = {run.state for run in runs}
    assert states >= set(RunState) - {RunState.STARTING, RunState.STOPPING}
    assert {run.kind for run in runs} == set(RunKind)
    database.close()


def test_teacher_and_student_walk_on_the_same_robots(demo: Path) -> None:
    database = Database.open(demo, readonly=True)
    recordings = list_recordings(database, demo)
    database.close()
    assert len(recordings.robots()) == 6
    teacher, student = recordings.pairs(recordings.robots()[0])[0]
    assert (teacher.policy, student.policy) == ("teacher", "student")
    assert load_film(teacher).head[-1, 0] > 1.0


def test_a_made_up_walk_stands_on_the_ground_and_keeps_its_limbs() -> None:
    robot = candidate(11, 1)
    poses = walking(robot, Walk(seed=1, steps=120), HEADER)
    bottom = poses.position[..., 2] - poses.half_length * np.abs(poses.axis[..., 2]) - poses.radius
    assert np.allclose(bottom.min(axis=1), 0.0, atol=1e-5)
    assert np.allclose(np.linalg.norm(poses.axis, axis=2), 1.0, atol=1e-5)
    towards = poses.position + poses.half_length[:, None] * poses.axis
    for row, limb in enumerate(robot.limbs[1:], start=1):
        if limb.parent > 0:  # a limb keeps its place on its parent, whatever the joints do
            gap = np.linalg.norm(towards[:, row] - poses.position[:, limb.parent], axis=1)
            assert np.ptp(gap) < 0.5
    assert np.all(np.diff(poses.position[:, 0, 0]) >= -0.2)


def test_the_running_teacher_of_the_demo_goes_on_reporting(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    build(home)
    database = Database.open(home)
    active = list_runs(database, states=[RunState.RUNNING])
    live = next(run for run in active if run.kind is RunKind.TEACHER)
    series = next(each for each in list_series(database, live.id) if each.name == "return")
    feed = Feed(home)
    feed.start()
    try:
        for _ in range(200):
            points = read_points(database, series.id)
            if points.step[-1] > (series.last_step or 0):
                break
            feed._stop.wait(0.05)
    finally:
        feed.stop()
    assert points.step[-1] > (series.last_step or 0)
    assert (get_run(database, live.id).done or 0) > (live.done or 0)
    database.close()


async def test_the_demo_says_what_it_is_and_only_reads(demo: Path) -> None:
    app = DemoApp(demo, readonly=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app._opened)
        await shows(pilot, "made-up runs and walks", "demo", "►3 ∙9")
        await pilot.press("X")
        await shows(pilot, "read-only")


def test_the_demo_has_the_cost_of_every_policy_in_it(demo: Path) -> None:
    facts = read_efficiency(Database.open(demo, readonly=True))
    assert uncounted(facts, TASKS) == [], "python -m hdtui.bench.demo_costs counts again"
    assert facts.by_limbs


def test_the_runs_of_the_demo_have_numbers_of_their_own(demo: Path) -> None:
    runs = list_runs(Database.open(demo, readonly=True), archived=True)
    assert sorted(run.id for run in runs) == list(range(1, len(runs) + 1))
