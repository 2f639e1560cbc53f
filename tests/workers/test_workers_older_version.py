"""What version 0.1.0 began goes on: a workspace as it was when a pipeline was cut off."""

import tarfile
from pathlib import Path

import pytest
from sqlalchemy import update
from waiting import until_state

from db.machine import boot_id, host_name
from db.models import RunRow
from db.queries.robots import list_robots
from db.queries.runs import get_run, list_runs
from db.records import RunKind, RunState
from db.session import Database
from engine.workers.commands import request_stop, resume
from engine.workers.observed import observed
from engine.workers.workspace import Workspace

HALF_RUN = Path(__file__).with_name("half_run_pipeline.tar.xz")
"""A smoke pipeline of one robot; its teacher was killed after a checkpoint, the rest waits."""
CHECKPOINT = 32
"""The control steps of the teacher's checkpoint."""


@pytest.fixture
def half_run(workspace: Workspace, request: pytest.FixtureRequest) -> Database:
    """The old workspace on this machine, where its supervisor and its worker were just killed."""
    with tarfile.open(HALF_RUN) as archive:
        archive.extractall(workspace.home, filter="data")
    database: Database = request.getfixturevalue("database")
    here = {"host": host_name(), "queued_boot_id": boot_id()}
    with database.write() as session:
        session.execute(update(RunRow).values(**here))
        session.execute(update(RunRow).where(RunRow.attempt > 0).values(boot_id=boot_id()))
    return database


def test_a_run_that_the_version_before_left_is_seen_as_lost(half_run: Database) -> None:
    seen = {run.kind: run for run in observed(half_run, list_runs(half_run))}
    assert seen[RunKind.GENERATION].state is RunState.FINISHED
    assert seen[RunKind.TEACHER].state is RunState.LOST
    assert seen[RunKind.TEACHER].checkpoint_step == CHECKPOINT
    assert {run.state for run in seen.values()} - {RunState.FINISHED, RunState.LOST} == {
        RunState.QUEUED
    }


@pytest.mark.slow
def test_a_pipeline_that_the_version_before_began_finishes(half_run: Database) -> None:
    runs = {run.kind: run for run in list_runs(half_run, newest_first=False)}
    # What a student saw in 32 samples varies so little that folding it rounds more than is allowed.
    request_stop(half_run, runs.pop(RunKind.DEPLOYMENT).id)
    teacher = runs[RunKind.TEACHER]
    resume(half_run, teacher.id)
    over = [state for state in RunState if state.ended]
    ended = [until_state(half_run, run.id, *over) for run in runs.values()]
    assert [(run.kind, run.state, run.reason) for run in ended] == [
        (kind, RunState.FINISHED, None) for kind in runs
    ]
    assert get_run(half_run, teacher.id).attempt == 2
    assert all(list_robots(half_run, name) for run in ended for name in run.robot_sets)
