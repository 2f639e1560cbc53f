"""A teacher that is stopped, killed and resumed ends where an undisturbed one ends."""

import os
import signal

import pytest
from waiting import until, until_state

from db.queries.artifacts import list_artifacts
from db.queries.metrics import list_series, read_points
from db.queries.runs import get_run
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.config.teacher import named_teacher
from engine.morphology.generation import generate
from engine.workers import library
from engine.workers.commands import queue, request_stop, resume
from engine.workers.workspace import Workspace


def teacher(name: str) -> NewRun:
    config = named_teacher("smoke").model_dump(mode="json")
    config |= {"total_env_steps": 40_000, "checkpoint_every_s": 0.5}
    return NewRun(RunKind.TEACHER, name, config, seed=1, robot_sets=("robots",))


def returns(database: Database, run: Run) -> dict[int, float]:
    series = [
        one
        for one in list_series(database, run.id)
        if one.robot_digest is None and one.name == "return"
    ]
    points = read_points(database, series[0].id)
    return dict(zip(points.step, points.value, strict=True))


def policy_sha256(database: Database, run: Run) -> str:
    return next(a.sha256 for a in list_artifacts(database, run.id) if a.kind == "policy")


@pytest.mark.slow
def test_a_stopped_and_killed_teacher_ends_where_an_undisturbed_one_ends(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    robots = [(robot, "training") for robot in generate(2, seed=3)]
    library.make_set(database, workspace, "robots", robots)
    disturbed = queue(database, teacher("disturbed"))
    until(lambda: get_run(database, disturbed.id).checkpoint_step is not None)
    request_stop(database, disturbed.id)
    stopped = until_state(database, disturbed.id, RunState.STOPPED, RunState.FINISHED)
    assert stopped.state is RunState.STOPPED
    assert "checkpoint kept" in (stopped.reason or "")
    kept = stopped.checkpoint_step
    assert kept is not None
    resume(database, disturbed.id)
    until(lambda: (get_run(database, disturbed.id).checkpoint_step or 0) > kept)
    pid = get_run(database, disturbed.id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until_state(database, disturbed.id, RunState.LOST)
    resume(database, disturbed.id)
    ended = until_state(database, disturbed.id, RunState.FINISHED, RunState.FAILED)
    assert (ended.state, ended.attempt) == (RunState.FINISHED, 3), ended.reason
    assert ended.result_text == f"mean return {ended.result:.0f} on 2 robots"
    calm = queue(database, teacher("calm"))
    until_state(database, calm.id, RunState.FINISHED)
    assert returns(database, ended) == returns(database, calm)
    assert policy_sha256(database, ended) == policy_sha256(database, calm)
