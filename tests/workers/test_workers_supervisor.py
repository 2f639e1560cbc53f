"""Real supervisors, real workers, real signals."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from waiting import (
    alive,
    generation,
    kill,
    on_every_database,
    release_queue,
    start_long_run,
    supervisor_pid,
    until,
    until_state,
)

from db.machine import boot_id, host_name
from db.queries import attempts
from db.queries.robots import list_robots
from db.queries.runs import get_run, list_events, list_runs, queue_run
from db.queries.supervisors import get_supervisor
from db.records import NewRun, RunKind, RunState
from db.session import Database
from engine.errors import RunError
from engine.workers.commands import delete, queue, request_kill, request_stop, resume
from engine.workers.observed import observed
from engine.workers.supervision import ensure_supervisor
from engine.workers.workspace import Workspace


def mutation(*inputs: int) -> NewRun:
    return NewRun(
        RunKind.MUTATION,
        "mutants",
        {"mutants_per_robot": 1},
        seed=1,
        inputs=inputs,
        robot_sets=("robots",),
        extra={"mutant_set": "mutants"},
    )


@on_every_database
def test_a_queued_line_of_runs_is_worked_through(database: Database, workspace: Workspace) -> None:
    first = queue(database, generation(2))
    second = queue(database, mutation(first.id))
    run = until_state(database, second.id, *(state for state in RunState if state.ended))
    assert run.state is RunState.FINISHED, run.reason
    assert (run.result, run.exit_code, run.progress) == (2.0, 0, 1.0)
    assert run.versions["mujoco"]
    assert len(list_robots(database, "mutants")) == 2
    assert (workspace.run_folder(run.id) / "config.json").is_file()
    assert "finished: 2 mutants" in workspace.log_path(run.id).read_text()
    kinds = [event.kind for event in list_events(database, run_id=run.id)]
    assert kinds == ["started", "finished"]


@on_every_database
def test_a_killed_supervisor_loses_no_worker_and_the_next_one_adopts_it(
    database: Database,
) -> None:
    run = start_long_run(database)
    first_one = get_supervisor(database, boot_id())
    assert first_one is not None
    kill(first_one.pid)
    done = get_run(database, run.id).done or 0
    until(lambda: (get_run(database, run.id).done or 0) > done)
    assert ensure_supervisor(database)
    until(lambda: (get_supervisor(database, boot_id()) or first_one).pid != first_one.pid)
    request_stop(database, run.id)
    stopped = until_state(database, run.id, RunState.STOPPED)
    assert (stopped.attempt, stopped.exit_code) == (1, 4)


@on_every_database
@pytest.mark.slow
def test_many_that_ask_at_once_get_one_supervisor(database: Database) -> None:
    queue_run(database, generation(10_000))
    threads = [threading.Thread(target=ensure_supervisor, args=(database,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: get_supervisor(database, boot_id()) is not None)
    until_state(database, 1, RunState.RUNNING)
    log = Workspace(database.home).supervisor_log.read_text()
    assert log.count("slots") == 1
    assert log.count("started, pid") == 1


@on_every_database
def test_a_killed_worker_is_lost_judged_at_once_and_written_down_soon(
    database: Database,
) -> None:
    run = start_long_run(database)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: not alive(run))
    dead_since = time.monotonic()
    assert observed(database, [run])[0].state is RunState.LOST
    lost = until_state(database, run.id, RunState.LOST)
    # Promised are five seconds, one is usual; a machine busy with trainings gets six times that.
    assert time.monotonic() - dead_since < 30.0
    gone = f"process {run.pid} was ended by SIGKILL and left no exit record"
    # A kill that nobody ordered is told from one for want of memory where the kernel counts those.
    assert (lost.reason or "").startswith(f"{gone}; ")
    assert "want of memory" in (lost.reason or "")
    assert lost.exit_code == 137
    assert lost.ended_at is not None


@on_every_database
@pytest.mark.slow
def test_without_a_supervisor_a_dead_worker_can_be_resumed_at_once(database: Database) -> None:
    run = start_long_run(database)
    assert run.pid is not None
    kill(supervisor_pid(database))
    kill(run.pid)
    assert resume(database, run.id).state in (RunState.QUEUED, RunState.STARTING)
    again = until_state(database, run.id, RunState.RUNNING)
    assert again.attempt == 2


@on_every_database
@pytest.mark.slow
def test_a_stopped_run_ends_by_itself_and_its_dependants_wait_for_its_return(
    database: Database,
) -> None:
    run = start_long_run(database)
    waiting = queue(database, mutation(run.id))
    request_stop(database, run.id)
    stopped = until_state(database, run.id, RunState.STOPPED)
    assert "of 10k robots" in (stopped.reason or "")
    until(lambda: not alive(run))
    blocked = until_state(database, waiting.id, RunState.STOPPED)
    assert blocked.reason == f"not started: its input {run.id} generation was stopped"
    assert blocked.blocked_by == run.id
    with pytest.raises(RunError, match=f"resume {run.id} and this one goes on after it"):
        resume(database, waiting.id)
    resume(database, run.id)
    assert get_run(database, waiting.id).state is RunState.QUEUED
    again = until_state(database, run.id, RunState.RUNNING)
    assert again.attempt == 2
    until(lambda: get_run(database, run.id).pid != run.pid)


@pytest.mark.slow
def test_killing_now_leaves_nothing_of_the_worker(database: Database) -> None:
    run = start_long_run(database)
    request_kill(database, run.id)
    stopped = until_state(database, run.id, RunState.STOPPED)
    assert stopped.reason == "killed, no checkpoint"
    until(lambda: not alive(run))


@pytest.mark.slow
def test_slots_bound_how_many_work(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    first = start_long_run(database)
    second = queue(database, generation(10_000, name="others"))
    request_stop(database, first.id)
    until_state(database, second.id, RunState.RUNNING)
    assert get_run(database, first.id).state is RunState.STOPPED
    supervisor = get_supervisor(database, boot_id())
    assert supervisor is not None
    assert supervisor.slots == 1


@pytest.mark.slow
def test_a_free_slot_is_used_while_others_work(database: Database) -> None:
    first = start_long_run(database)
    second = queue(database, generation(1, name="others"))
    until_state(database, second.id, RunState.FINISHED)
    assert get_run(database, first.id).state is RunState.RUNNING
    request_stop(database, first.id)
    until_state(database, first.id, RunState.STOPPED)


@pytest.mark.slow
def test_a_failure_is_told_with_its_reason_and_retried(database: Database) -> None:
    run = queue(database, mutation())
    failed = until_state(database, run.id, RunState.FAILED)
    assert 'no robot set "robots"' in (failed.reason or "")
    assert failed.exit_code == 1
    first = queue(database, generation(1))
    until_state(database, first.id, RunState.FINISHED)
    resume(database, run.id)
    assert until_state(database, run.id, RunState.FINISHED).attempt == 2


@on_every_database
@pytest.mark.slow
def test_after_a_restart_of_the_machine_runs_are_interrupted_and_the_queue_waits_for_a_word(
    database: Database,
) -> None:
    working = queue_run(database, generation(2), boot_id="before")
    waiting = queue_run(database, generation(2, name="others"), boot_id="before")
    with database.write() as session:
        attempts.claim(session, working.id, "token", host_name())
        process = attempts.Process(os.getpid(), 1.0, "before")
        assert attempts.begin(session, working.id, "token", process, {})
    assert observed(database, [get_run(database, working.id)])[0].state is RunState.INTERRUPTED
    ensure_supervisor(database)
    interrupted = until_state(database, working.id, RunState.INTERRUPTED)
    assert interrupted.reason == "the machine restarted"
    assert get_run(database, waiting.id).state is RunState.QUEUED
    assert [run.id for run in release_queue(database)] == [waiting.id]
    until_state(database, waiting.id, RunState.FINISHED)
    assert get_run(database, waiting.id).queued_boot_id == boot_id()
    resume(database, working.id)
    assert until_state(database, working.id, RunState.FINISHED).attempt == 2


@pytest.mark.slow
def test_what_makes_no_sense_is_refused_with_a_sentence(database: Database) -> None:
    run = queue(database, generation(1))
    until_state(database, run.id, RunState.FINISHED)
    for command in (request_stop, request_kill, resume):
        with pytest.raises(RunError, match=f"Run {run.id} is finished, nothing to"):
            command(database, run.id)
    with pytest.raises(RunError, match="There is no run 99"):
        request_stop(database, 99)


def test_a_queued_run_is_stopped_without_ever_starting(database: Database) -> None:
    run = queue_run(database, generation(1), boot_id="before")
    assert request_stop(database, run.id).state is RunState.STOPPED
    assert get_run(database, run.id).attempt == 0


@pytest.mark.slow
def test_a_deleted_run_leaves_no_folder(database: Database, workspace: Workspace) -> None:
    run = queue(database, generation(1))
    until_state(database, run.id, RunState.FINISHED)
    assert workspace.run_folder(run.id).is_dir()
    delete(database, workspace, [run.id])
    assert not workspace.run_folder(run.id).exists()
    assert list_runs(database) == []


@on_every_database
@pytest.mark.slow
def test_a_worker_whose_claim_is_gone_leaves_without_a_trace(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    run = start_long_run(database)
    assert run.pid is not None
    kill(supervisor_pid(database))
    with database.write() as session:
        lost = RunState.LOST
        assert attempts.end(
            session, run.id, lost, [RunState.RUNNING], attempt=1, reason="", exit_code=None
        )
    until(lambda: not alive(run))
    now = get_run(database, run.id)
    assert (now.state, now.exit_code) == (RunState.LOST, None)
    assert "Another attempt owns run" in workspace.log_path(run.id).read_text()
