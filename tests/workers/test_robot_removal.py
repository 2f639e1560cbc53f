"""A robot set is removed whole, or not at all, and never from under a run."""

import json
from pathlib import Path

import pytest

from db.models import RunRow
from db.queries.robots import get_set, list_robots, list_sets
from db.queries.runs import get_run, list_runs, queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.errors import RunError, UnknownRobotSetError
from engine.morphology.generation import generate
from engine.morphology.mutation import mutate
from engine.workers import commands, robot_library
from engine.workers.lineage import Ancestry
from engine.workers.workspace import Workspace
from hdtui.cli.main import run as hdtui

ROBOTS = generate(3, seed=5)


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "ensure_supervisor", lambda database: None)


@pytest.fixture
def filled(database: Database, workspace: Workspace) -> Database:
    """Two sets that share a robot."""
    for name, robots in (("first", ROBOTS[:2]), ("second", ROBOTS[1:])):
        robot_library.make_set(database, workspace, name, [(robot, "training") for robot in robots])
    return database


def reading(database: Database, name: str, state: str, kind: RunKind = RunKind.TEACHER) -> Run:
    run = queue_run(database, NewRun(kind, "r", {}, 1, robot_sets=(name,)))
    with database.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.state = state
    return get_run(database, run.id)


def names(database: Database) -> list[str]:
    return [one.name for one in list_sets(database)]


def files(workspace: Workspace) -> set[str]:
    return {path.stem for path in workspace.robots_folder.rglob("*.xml")}


def test_robots_that_nothing_else_holds_go_with_their_set(
    filled: Database, workspace: Workspace
) -> None:
    removed = robot_library.remove_set(filled, workspace, "first")
    assert [robot.name for robot in removed.robots] == [ROBOTS[0].name]
    assert removed.kept_for == ()
    assert names(filled) == ["second"]
    assert files(workspace) == {robot.name for robot in ROBOTS[1:]}
    assert {robot.name for robot in list_robots(filled)} == files(workspace)
    assert not (workspace.robots_folder / ROBOTS[0].digest).exists()
    with pytest.raises(UnknownRobotSetError):
        get_set(filled, "first")
    robot_library.make_set(filled, workspace, "first", [(ROBOTS[0], None)])
    assert robot_library.load_set(filled, workspace, "first") == [ROBOTS[0]]


def test_the_parents_of_robots_stay(filled: Database, workspace: Workspace) -> None:
    robot_library.make_set(filled, workspace, "mutants", [(mutate(ROBOTS[0], seed=1), None)])
    assert robot_library.remove_set(filled, workspace, "first").robots == ()
    assert ROBOTS[0].name in files(workspace)


@pytest.mark.parametrize("state", ["queued", "starting", "running", "stopping"])
def test_a_set_that_a_run_still_needs_is_refused(
    filled: Database, workspace: Workspace, state: str
) -> None:
    run = reading(filled, "first", state)
    with pytest.raises(RunError, match=rf"in use by run {run.id} \(teacher r, {state}\)"):
        robot_library.remove_set(filled, workspace, "first")
    assert names(filled) == ["first", "second"]
    assert len(robot_library.load_set(filled, workspace, "first")) == 2


def test_a_set_that_a_run_is_about_to_fill_is_refused(
    filled: Database, workspace: Workspace
) -> None:
    extra = {"mutant_set": "second"}
    queue_run(filled, NewRun(RunKind.MUTATION, "m", {}, 1, robot_sets=("first",), extra=extra))
    with pytest.raises(RunError, match="in use by run 1"):
        robot_library.remove_set(filled, workspace, "second")


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_runs_that_ended_keep_the_robots_that_they_read(
    filled: Database, workspace: Workspace, state: str
) -> None:
    run = reading(filled, "first", state)
    before = Ancestry(filled).knowledge(run)
    assert before.known == {robot.digest for robot in ROBOTS[:2]}
    removed = robot_library.remove_set(filled, workspace, "first")
    assert removed.kept_for == (run.id,)
    assert names(filled) == ["second"]
    assert ROBOTS[0].name not in [robot.name for robot in list_robots(filled)]
    # Another set of the same name is not taken for the one that the run has read.
    robot_library.make_set(filled, workspace, "first", [(ROBOTS[2], None)])
    after = get_run(filled, run.id)
    assert Ancestry(filled).knowledge(after) == before
    (kept,) = after.robot_sets
    assert kept.startswith("first (removed")
    assert [robot.digest for robot in robot_library.load_set(filled, workspace, kept)] == [
        robot.digest for robot in ROBOTS[:2]
    ]
    commands.delete(filled, workspace, [run.id])
    with pytest.raises(UnknownRobotSetError):
        get_set(filled, kept)
    assert ROBOTS[0].name not in files(workspace)
    assert get_set(filled, "first").size == 1


def test_the_command_says_what_goes_and_wants_a_word(
    filled: Database, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["robots", "remove", "first", "--home", str(filled.home)]
    assert hdtui(words) == 1
    told = capsys.readouterr().err
    assert "1 robot that nothing else holds" in told
    assert "say --yes" in told.lower()
    assert names(filled) == ["first", "second"]
    assert files(workspace) == {robot.name for robot in ROBOTS}
    assert hdtui([*words, "--yes", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "removed": "first",
        "kept_for_runs": [],
        "robots": [ROBOTS[0].name],
    }
    assert hdtui([*words, "--yes"]) == 2
    assert 'no robot set "first"' in capsys.readouterr().err


def test_what_a_dead_run_read_may_go(
    filled: Database, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    run = reading(filled, "first", "running")
    with filled.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.pid, row.pid_started_at, row.boot_id = 2**22 - 3, 1.0, "another boot"
    assert hdtui(["robots", "remove", "first", "--yes", "--home", str(filled.home)]) == 0
    assert f"run {run.id} keeps the robots" in capsys.readouterr().err
    assert list_runs(filled)[0].robot_sets[0].startswith("first (removed")
    assert Path(filled.home).is_dir()
