"""A teacher that was stopped, killed or cut off by a restart ends where an undisturbed one ends."""

import os
import signal

import pytest
from database_rows import list_attempts
from waiting import on_every_database, release_queue, restart_of_the_machine, until, until_state

from db.queries.artifacts import list_artifacts
from db.queries.metrics import list_series, read_points
from db.queries.runs import get_run
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.config.teacher import named_teacher
from engine.morphology.generation import generate
from engine.workers import robot_library
from engine.workers.commands import queue, request_stop, resume
from engine.workers.supervision import ensure_supervisor
from engine.workers.workspace import Workspace


def teacher(name: str) -> NewRun:
    config = named_teacher("smoke").model_dump(mode="json")
    config |= {"total_env_steps": 40_000, "checkpoint_every_s": 0.5}
    return NewRun(RunKind.TEACHER, name, config, seed=1, robot_sets=("robots",))


def curves(database: Database, run: Run) -> dict[tuple[str, str | None], dict[int, float]]:
    """Every number the run reported at every step, but how fast it was."""
    found = {}
    for series in list_series(database, run.id):
        if not series.name.startswith(("share_", "steps_per_second")):
            points = read_points(database, series.id)
            steps = dict(zip(points.step, points.value, strict=True))
            found[series.name, series.robot_digest] = steps
    assert ("return", None) in found
    return found


def policy_sha256(database: Database, run: Run) -> str:
    return next(a.sha256 for a in list_artifacts(database, run.id) if a.kind == "policy")


@on_every_database
@pytest.mark.slow
def test_a_stopped_and_killed_teacher_ends_where_an_undisturbed_one_ends(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    robots = [(robot, "training") for robot in generate(2, seed=3)]
    robot_library.make_set(database, workspace, "robots", robots)
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
    # Begun by the attempt before, which did not live to say so.
    unnamed = workspace.run_folder(disturbed.id) / f"checkpoint-a2-{kept + 1}.safetensors"
    unnamed.write_bytes(b"half")
    resume(database, disturbed.id)
    ended = until_state(database, disturbed.id, RunState.FINISHED, RunState.FAILED)
    assert (ended.state, ended.attempt) == (RunState.FINISHED, 3), ended.reason
    assert not unnamed.exists()
    assert ended.result_text == f"mean return {ended.result:.0f} on 2 robots"
    calm = queue(database, teacher("calm"))
    until_state(database, calm.id, RunState.FINISHED)
    assert curves(database, ended) == curves(database, calm)
    assert policy_sha256(database, ended) == policy_sha256(database, calm)


@pytest.mark.slow
def test_a_teacher_cut_off_by_a_restart_of_the_machine_ends_where_an_undisturbed_one_ends(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    robots = [(robot, "training") for robot in generate(2, seed=3)]
    robot_library.make_set(database, workspace, "robots", robots)
    cut_off = queue(database, teacher("cut off"))
    calm = queue(database, teacher("calm"))
    until(lambda: get_run(database, cut_off.id).checkpoint_step is not None)
    restart_of_the_machine(database, get_run(database, cut_off.id))
    ensure_supervisor(database)
    interrupted = until_state(database, cut_off.id, RunState.INTERRUPTED)
    assert interrupted.reason == "the machine restarted"
    kept = interrupted.checkpoint_step
    assert kept is not None
    resume(database, cut_off.id)
    ended = until_state(database, cut_off.id, RunState.FINISHED, RunState.FAILED)
    assert (ended.state, ended.attempt) == (RunState.FINISHED, 2), ended.reason
    assert list_attempts(database, cut_off.id)[1].from_step == kept
    # A slot has been free since; what waited before the restart still waits for a word.
    assert get_run(database, calm.id).state is RunState.QUEUED
    assert [run.id for run in release_queue(database)] == [calm.id]
    until_state(database, calm.id, RunState.FINISHED)
    assert get_run(database, calm.id).attempt == 1
    assert curves(database, ended) == curves(database, calm)
    assert policy_sha256(database, ended) == policy_sha256(database, calm)
