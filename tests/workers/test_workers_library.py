"""Robots in the workspace: files by digest, sets by name, whole pipelines by lineage."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from db.queries.robots import get_robot, list_robots, list_sets
from db.queries.runs import list_pipelines, list_runs, queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from engine.errors import RobotError, UnknownRobotSetError, UsageError, WorkspaceError
from engine.events import StageContext
from engine.morphology.generation import generate
from engine.morphology.mjcf import load_robots, read_folder
from engine.morphology.mutation import each_mutant
from engine.workers import robot_library
from engine.workers.jobs.job import Job
from engine.workers.pipeline import queue_pipeline
from engine.workers.workspace import Workspace

ROBOTS = generate(3, seed=5)
MEMBERS = [(robot, "training") for robot in ROBOTS]


def test_robots_come_back_as_the_bodies_they_were(database: Database, workspace: Workspace) -> None:
    robot_library.make_set(database, workspace, "three", MEMBERS)
    loaded = robot_library.load_set(database, workspace, "three")
    assert [robot.digest for robot in loaded] == [robot.digest for robot in ROBOTS]
    assert [robot.name for robot in loaded] == [robot.name for robot in ROBOTS]
    assert [robot.lineage for robot in loaded] == [robot.lineage for robot in ROBOTS]
    record = get_robot(database, ROBOTS[0].name)
    assert record.mass_kg > 1
    assert record.head_height_m == ROBOTS[0].head_height_m


def test_a_file_that_was_changed_or_lost_is_named(database: Database, workspace: Workspace) -> None:
    first, second = robot_library.add_to_library(database, workspace, ROBOTS[:2])
    workspace.resolve(first.path).write_bytes(workspace.resolve(second.path).read_bytes())
    with pytest.raises(RobotError, match=r"mirror|metadata|another body"):
        robot_library.load(workspace, first)
    workspace.resolve(second.path).unlink()
    with pytest.raises(RobotError, match=r"cannot be read"):
        robot_library.load(workspace, second)


def test_a_set_goes_out_and_comes_in_again(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    robot_library.make_set(database, workspace, "three", MEMBERS)
    paths = robot_library.export_set(database, workspace, "three", tmp_path / "out")
    assert [path.stem for path in paths] == [robot.name for robot in ROBOTS]
    assert {robot.digest for robot in load_robots(tmp_path / "out")} == {
        robot.digest for robot in ROBOTS
    }
    files = read_folder(tmp_path / "out").all_valid()
    imported = robot_library.import_files(database, workspace, files, "out", "unseen")
    assert (imported.name, imported.size, imported.role) == ("out", 3, "unseen")
    assert len(list_robots(database)) == 3
    chosen = robot_library.select_into_set(database, "two", [ROBOTS[2].name, ROBOTS[0].digest])
    assert chosen.size == 2


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 101, "\x1b[31m", "é"])
def test_a_set_has_a_name_one_can_type(database: Database, workspace: Workspace, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be named"):
        robot_library.make_set(database, workspace, name, MEMBERS)
    assert list_sets(database) == []


def test_built_in_sets_need_the_folder_they_are_read_from(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HDTUI_UNIMAL_DIR", raising=False)
    with pytest.raises(UnknownRobotSetError, match="HDTUI_UNIMAL_DIR names, and that is not set"):
        robot_library.resolve_set(database, workspace, "unimal8")
    monkeypatch.setenv("HDTUI_UNIMAL_DIR", str(tmp_path))
    with pytest.raises(UnknownRobotSetError, match=r"needs .*floor-5506-3-10"):
        robot_library.resolve_set(database, workspace, "unimal8")


def test_unimal8_is_eight_robots_to_train_on(
    database: Database, workspace: Workspace, unimal_dir: Path
) -> None:
    del unimal_dir
    found = robot_library.resolve_set(database, workspace, "unimal8")
    assert (found.size, found.role) == (8, "training")
    assert robot_library.resolve_set(database, workspace, "unimal8") == found


def test_stored_paths_cannot_leave_the_workspace(workspace: Workspace) -> None:
    assert workspace.resolve("runs/1/x") == workspace.home / "runs/1/x"
    for path in ("../x", "runs/../../x", "/etc/passwd"):
        with pytest.raises(WorkspaceError, match="outside the workspace"):
            workspace.resolve(path)
    with pytest.raises(WorkspaceError, match="outside the workspace"):
        workspace.relative(Path("/etc/passwd"))


def test_a_workspace_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="is a file"):
        Workspace(tmp_path / "file" / "home").create()


@pytest.fixture
def nobody_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued stays so: a supervisor that comes up after the test would outlive it."""
    monkeypatch.setattr("engine.workers.pipeline.ensure_supervisor", lambda _: False)


@pytest.mark.usefixtures("nobody_starts")
def test_a_pipeline_is_queued_whole_with_its_lineage(database: Database) -> None:
    config = PRESETS["smoke"].model_copy(update={"seed": 7})
    pipeline, runs = queue_pipeline(database, config, preset="smoke")
    assert list_pipelines(database) == [pipeline]
    by_kind = {run.kind: run for run in runs}
    numbers = {run.id: run.kind for run in runs}
    kind = RunKind
    reads = {run.kind: {numbers[i] for i in run.inputs} for run in runs}
    assert reads == {
        kind.GENERATION: set(),
        kind.TEACHER: {kind.GENERATION},
        kind.MUTATION: {kind.GENERATION},
        kind.COLLECTION: {kind.TEACHER, kind.MUTATION},
        kind.STUDENT: {kind.COLLECTION},
        kind.EVALUATION: {kind.TEACHER, kind.STUDENT},
        kind.DEPLOYMENT: {kind.STUDENT},
    }
    assert by_kind[kind.COLLECTION].robot_sets == ("pipeline1-training", "pipeline1-mutants")
    assert by_kind[kind.EVALUATION].robot_sets == ("pipeline1-training", "pipeline1-unseen")
    assert {run.seed for run in runs} == {7}
    assert all(json.dumps(run.config) for run in runs)


@pytest.mark.usefixtures("nobody_starts")
def test_a_named_set_is_trained_on_and_only_unseen_robots_are_generated(
    database: Database, workspace: Workspace
) -> None:
    robot_library.make_set(database, workspace, "three", MEMBERS)
    _, runs = queue_pipeline(database, PRESETS["smoke"], robots="three")
    by_kind = {run.kind: run for run in runs}
    assert by_kind[RunKind.TEACHER].inputs == ()
    assert by_kind[RunKind.GENERATION].extra == {"unseen_set": "pipeline1-unseen"}
    assert by_kind[RunKind.GENERATION].id in by_kind[RunKind.EVALUATION].inputs
    mixed = [*MEMBERS[:2], (ROBOTS[2], "unseen")]
    robot_library.make_set(database, workspace, "mixed", mixed)
    _, runs = queue_pipeline(database, PRESETS["smoke"], robots="mixed")
    assert RunKind.GENERATION not in {run.kind for run in runs}


def test_an_unknown_set_queues_nothing(database: Database) -> None:
    with pytest.raises(UnknownRobotSetError, match='no robot set "nobody"'):
        queue_pipeline(database, PRESETS["smoke"], robots="nobody")
    assert list_runs(database) == []
    assert list_pipelines(database) == []


def test_a_body_under_two_names_is_trained_once_and_mutated_under_both(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    twin = replace(ROBOTS[0], name="twin")
    made = robot_library.make_set(database, workspace, "twins", [(ROBOTS[0], None), (twin, None)])
    assert made.size == 2
    new = NewRun(RunKind.MUTATION, "m", {}, seed=1, robot_sets=("twins",))
    context = StageContext(tmp_path, 1, lambda event: None, lambda: False)
    job = Job(queue_run(database, new), (), database, workspace, context, lambda: None)
    assert len(job.robots()) == 1
    assert [robot.name for robot in job.named_robots()] == [ROBOTS[0].name, "twin"]
    found = list(each_mutant(job.named_robots(), 4, seed=1))
    assert len({robot.digest for robot in found}) == len(found) == 8
