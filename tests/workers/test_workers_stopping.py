"""Stopping reaches everything a worker started: TERM, a grace, KILL; and stale workers leave."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from database_rows import list_attempts
from waiting import (
    alive,
    kill,
    on_every_database,
    start_long_run,
    supervisor_pid,
    until,
    until_state,
)

from db.machine import boot_id, host_name
from db.queries import attempts, runs
from db.queries.metrics import list_series, read_points
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.config.teacher import named_teacher
from engine.morphology.generation import generate
from engine.workers import robot_library
from engine.workers.commands import queue, request_stop, resume
from engine.workers.process import start_ticks, worker_environment
from engine.workers.states import sources
from engine.workers.supervisor import Settings, SupervisorLoop
from engine.workers.worker import EXIT_STOPPED
from engine.workers.workspace import Workspace

DEAF = """
import os, signal, subprocess, sys, time
folder, generations = sys.argv[1], int(sys.argv[2])
heard = lambda *_: open(os.path.join(folder, f"heard-{os.getpid()}"), "w").close()
signal.signal(signal.SIGTERM, heard)
if generations:
    subprocess.Popen([sys.executable, "-c", sys.argv[3], folder, str(generations - 1), sys.argv[3]])
open(os.path.join(folder, f"pid-{os.getpid()}"), "w").close()
while True:
    time.sleep(600)
"""


@pytest.fixture
def deaf_worker(database: Database, tmp_path: Path) -> Iterator[tuple[Run, list[int]]]:
    """A run whose worker, child and grandchild hear SIGTERM and go on."""
    folder = tmp_path / "pids"
    folder.mkdir()
    run = runs.queue_run(database, NewRun(RunKind.TEACHER, "deaf", {}, seed=1))
    token = secrets.token_hex(4)
    with database.write() as session:
        assert attempts.claim(session, run.id, token, host_name()) == 1
    command = [sys.executable, "-c", DEAF, str(folder), "2", DEAF]
    mark = worker_environment(database.home, run.id)
    worker = subprocess.Popen(command, start_new_session=True, env={**os.environ, **mark})
    until(lambda: len(list(folder.glob("pid-*"))) == 3)
    with database.write() as session:
        process = attempts.Process(worker.pid, 0.0, boot_id(), start_ticks(worker.pid))
        assert attempts.begin(session, run.id, token, process, {})
    pids = [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]
    processes = [psutil.Process(pid) for pid in pids]
    yield runs.get_run(database, run.id), pids
    for each in processes:
        kill(each)
    worker.wait()


def ask_to_stop(database: Database, run: Run) -> None:
    with database.write() as session:
        assert attempts.change_state(
            session,
            run.id,
            RunState.STOPPING,
            sources(RunState.STOPPING),
            stop_requested_at=datetime.now(UTC),
        )


def tick_until(loop: SupervisorLoop, database: Database, run: Run, state: RunState) -> None:
    def reached() -> bool:
        loop.tick()
        return runs.get_run(database, run.id).state is state

    until(reached)


@on_every_database
def test_a_family_deaf_to_the_polite_signal_is_killed_after_the_grace(
    database: Database,
    workspace: Workspace,
    deaf_worker: tuple[Run, list[int]],
    tmp_path: Path,
) -> None:
    run, pids = deaf_worker
    loop = SupervisorLoop(database, workspace, Settings(stop_grace_s=2.0))
    ask_to_stop(database, run)
    asked = time.monotonic()
    loop.tick()
    until((tmp_path / "pids" / f"heard-{run.pid}").exists)
    assert [start_ticks(pid) is not None for pid in pids] == [True] * 3
    tick_until(loop, database, run, RunState.STOPPED)
    assert time.monotonic() - asked >= 2.0
    stopped = runs.get_run(database, run.id)
    assert stopped.reason == "killed, no checkpoint"
    until(lambda: all(start_ticks(pid) is None for pid in pids))
    assert [one.reason for one in list_attempts(database, run.id)] == [stopped.reason]


@on_every_database
def test_what_a_dead_worker_left_running_is_killed(
    database: Database, workspace: Workspace, deaf_worker: tuple[Run, list[int]]
) -> None:
    run, pids = deaf_worker
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: start_ticks(run.pid or 0) is None)
    loop = SupervisorLoop(database, workspace, Settings())
    tick_until(loop, database, run, RunState.LOST)
    until(lambda: all(start_ticks(pid) is None for pid in pids))


@pytest.mark.slow
def test_a_teacher_of_the_published_size_stops_with_a_checkpoint(
    database: Database, workspace: Workspace
) -> None:
    robots = [(robot, "training") for robot in generate(4, seed=3)]
    robot_library.make_set(database, workspace, "robots", robots)
    config = named_teacher("paper").model_dump(mode="json")
    new = NewRun(RunKind.TEACHER, "teacher", config, seed=1, robot_sets=("robots",))
    run = queue(database, new)
    until_state(database, run.id, RunState.RUNNING)
    worker = psutil.Process(runs.get_run(database, run.id).pid or 0)
    # An iteration takes minutes: it is in the middle of something by then.
    until(lambda: worker.cpu_times().user > 15)
    request_stop(database, run.id)
    stopped = until_state(database, run.id, *(state for state in RunState if state.ended))
    assert (stopped.state, stopped.exit_code) == (RunState.STOPPED, EXIT_STOPPED)
    assert stopped.checkpoint_step is not None


@on_every_database
@pytest.mark.slow
def test_a_worker_that_sleeps_through_the_loss_of_its_run_writes_nothing_and_leaves(
    database: Database, workspace: Workspace
) -> None:
    sleeper = start_long_run(database)
    assert sleeper.pid is not None
    kill(supervisor_pid(database))
    os.kill(sleeper.pid, signal.SIGSTOP)
    lost = RunState.LOST
    with database.write() as session:
        assert attempts.end(
            session,
            sleeper.id,
            lost,
            sources(lost),
            attempt=1,
            reason="its machine did not answer",
            exit_code=None,
        )
    resume(database, sleeper.id)
    until(lambda: (runs.get_run(database, sleeper.id).attempt) == 2)
    second = until_state(database, sleeper.id, RunState.RUNNING)
    until(lambda: (runs.get_run(database, sleeper.id).done or 0) > 0)
    os.kill(sleeper.pid, signal.SIGCONT)
    until(lambda: not alive(sleeper))
    log = workspace.log_path(sleeper.id).read_text()
    assert f"Another attempt owns run {sleeper.id} now; this one leaves." in log
    request_stop(database, sleeper.id)
    stopped = until_state(database, sleeper.id, RunState.STOPPED)
    assert (stopped.attempt, stopped.exit_code) == (2, 4)
    assert second.pid != sleeper.pid
    for series in list_series(database, sleeper.id):
        steps = read_points(database, series.id).step
        assert list(steps) == sorted(set(steps))
        # Nothing of the first attempt is left: it had no checkpoint, the second began anew.
        assert steps[0] == 8
    outcomes = [(one.outcome, one.reason) for one in list_attempts(database, sleeper.id)]
    assert outcomes == [("lost", "its machine did not answer"), ("stopped", stopped.reason)]
