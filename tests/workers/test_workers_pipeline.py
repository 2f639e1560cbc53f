"""A pipeline killed in every stage, and a restart of the machine, change nothing of its results."""

import os
import signal
from pathlib import Path

import pytest
from waiting import on_every_database, release_queue, restart_of_the_machine, until, until_state

from db.queries.artifacts import list_artifacts
from db.queries.runs import list_runs
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.config.presets import PRESETS
from engine.workers.commands import request_stop, resume
from engine.workers.pipeline import queue_pipeline
from engine.workers.workspace import Workspace

ENDED = [state for state in RunState if state.ended]


def results(database: Database, pipeline: int) -> dict[str, set[str]]:
    """Hashes of what teachers, students and deployments left."""
    kept = (RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT)
    return {
        run.kind: {file.sha256 for file in list_artifacts(database, run.id) if file.kind in FILES}
        for run in list_runs(database, pipeline=pipeline)
        if run.kind in kept
    }


FILES = ("policy", "student", "deployed_policy")


@on_every_database
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_pipeline_disturbed_twice_in_every_stage_ends_where_a_calm_one_ends(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waiting.PATIENCE_S", 400.0)
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    for number in FAILING:
        workspace.run_folder(number).parent.mkdir(exist_ok=True)
        workspace.own_run_folder(number, 1, database.identity)
        in_the_way(workspace, number).mkdir()
    _, stages = queue_pipeline(database, PRESETS["smoke"])
    while (run := next_to_disturb(database)) is not None:
        if run.state is RunState.FAILED:
            assert (run.reason or "").startswith("Is a directory: ")
            assert_dependants_say_why(database, run)
            in_the_way(workspace, run.id).rmdir()
        elif run.attempt == 1:
            request_stop(database, run.id)
            ended = until_state(database, run.id, *ENDED)
            assert ended.state is RunState.STOPPED, ended.reason
        else:
            cut_off(database, run)
        resume(database, run.id)
    runs = list_runs(database, newest_first=False)
    assert [run.state for run in runs] == [RunState.FINISHED] * len(stages)
    assert {run.attempt for run in runs} == {LAST_ATTEMPT}
    calm, _ = queue_pipeline(database, PRESETS["smoke"])
    until(lambda: all(r.state.ended for r in list_runs(database, pipeline=calm.id)))
    assert results(database, 1) == results(database, calm.id)


FAILING = (1, 3, 5, 7)
"""Every other stage fails at first, the others are stopped; then each is killed, then let be."""
LAST_ATTEMPT = 3


def in_the_way(workspace: Workspace, run_id: int) -> Path:
    """A folder where a worker writes a file."""
    return workspace.run_folder(run_id) / "config.json"


def next_to_disturb(database: Database) -> Run | None:
    """A run that has failed, or works and will be disturbed; None once all have finished."""
    found: list[Run] = []

    def settled() -> bool:
        runs = list_runs(database)
        failed = [run for run in runs if run.state is RunState.FAILED]
        working = [run for run in runs if run.state.active and run.pid]
        # One that is about to fail is waited for.
        open_to = [r for r in working if r.attempt == 2 or (r.attempt == 1 and r.id not in FAILING)]
        found[:] = failed or open_to
        return bool(found) or all(run.state is RunState.FINISHED for run in runs)

    until(settled)
    return found[0] if found else None


def assert_dependants_say_why(database: Database, failed: Run) -> None:
    for run in list_runs(database):
        if failed.id in run.inputs:
            stopped = until_state(database, run.id, RunState.STOPPED)
            assert stopped.reason == f"not started: its input {failed.id} {failed.kind} failed"


def cut_off(database: Database, run: Run) -> None:
    """Kill its worker; that of a teacher by a restart of the machine, after which all wait."""
    expected = RunState.LOST
    if run.kind is RunKind.TEACHER:
        expected = RunState.INTERRUPTED
        restart_of_the_machine(database, run)
        release_queue(database)
    else:
        assert run.pid
        os.kill(run.pid, signal.SIGKILL)
    ended = until_state(database, run.id, *ENDED)
    assert ended.state is expected, ended.reason
