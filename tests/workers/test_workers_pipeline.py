"""A pipeline killed in every stage, and a restart of the machine, change nothing of its results."""

import os
import signal

import pytest
from waiting import restart_of_the_machine, until, until_state

from db.queries.artifacts import list_artifacts
from db.queries.runs import list_runs
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.config.presets import PRESETS
from engine.workers.commands import release_queue, resume
from engine.workers.pipeline import queue_pipeline

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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_pipeline_disturbed_in_every_stage_ends_where_a_calm_one_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waiting.PATIENCE_S", 400.0)
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    _, stages = queue_pipeline(database, PRESETS["smoke"])
    disturbed: set[int] = set()
    while (run := next_at_work(database, disturbed)) is not None:
        disturbed.add(run.id)
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
        resume(database, run.id)
    assert disturbed == {stage.id for stage in stages}
    runs = list_runs(database, newest_first=False)
    assert [run.state for run in runs] == [RunState.FINISHED] * len(stages)
    assert {run.attempt for run in runs} == {2}
    calm, _ = queue_pipeline(database, PRESETS["smoke"])
    until(lambda: all(r.state.ended for r in list_runs(database, pipeline=calm.id)))
    assert results(database, 1) == results(database, calm.id)


def next_at_work(database: Database, disturbed: set[int]) -> Run | None:
    """A run that has a process and was not disturbed yet; None once all have finished."""
    found: list[Run] = []

    def settled() -> bool:
        runs = list_runs(database)
        found[:] = [r for r in runs if r.state.active and r.pid and r.id not in disturbed]
        return bool(found) or all(run.state is RunState.FINISHED for run in runs)

    until(settled)
    return found[0] if found else None
