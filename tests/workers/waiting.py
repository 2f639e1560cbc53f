"""Wait for facts about real processes, and kill them."""

import contextlib
import os
import time
from collections.abc import Callable

import psutil
import pytest

from db.machine import boot_id
from db.models import RunRow
from db.queries.runs import get_run, list_runs
from db.queries.supervisors import get_supervisor
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.errors import RunError
from engine.workers.commands import queue, resume
from engine.workers.machines import Machines
from engine.workers.process import ProcessIdentity
from engine.workers.supervisor_lock import supervisor_alive

on_every_database = pytest.mark.parametrize("workspace", ["sqlite", "postgresql"], indirect=True)
"""The test's workspace has a database of each kind in turn."""
PATIENCE_S = float(os.environ.get("HDTUI_TEST_PATIENCE_S", "240"))
"""How long a fact may take to come; more for a machine whose cores belong to others."""


def kill(process: int | psutil.Process) -> None:
    """SIGKILL, and wait until the process is no more.

    A process object names one process for ever; a number must be known to be that of one alive.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(process) if isinstance(process, int) else process
        found.kill()
        until(lambda: not found.is_running() or is_zombie(found))


def is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(true: Callable[[], bool]) -> None:
    """Wait for a fact; the test fails when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def until_state(database: Database, run_id: int, *states: RunState) -> Run:
    """The run once it is in one of these states."""
    until(lambda: get_run(database, run_id).state in states)
    return get_run(database, run_id)


def release_queue(database: Database) -> list[Run]:
    """Let every run go on that waits for a word since the machine restarted."""
    queued = list_runs(database, states=[RunState.QUEUED], newest_first=False)
    machines = Machines.of(database, queued)
    released = []
    for run in queued:
        # One whose input has stopped is refused, and goes on with that input.
        with contextlib.suppress(RunError):
            released += [resume(database, run.id)] if machines.restarted(run) else []
    return released


def generation(train_count: int, *inputs: int, name: str = "robots") -> NewRun:
    """A real and cheap job: so many robots; thousands take minutes."""
    config = {"train_count": train_count, "unseen_count": 0}
    extra = {"training_set": name}
    return NewRun(RunKind.GENERATION, name, config, seed=1, inputs=inputs, extra=extra)


def alive(run: Run) -> bool:
    """The run's recorded process still lives."""
    assert run.pid is not None
    assert run.boot_id is not None
    return ProcessIdentity(run.pid, run.pid_ticks, run.boot_id).alive


def supervisor_pid(database: Database, *, or_zero: bool = False) -> int:
    """The process of this host's supervisor, which must live unless zero is an answer."""
    supervisor = get_supervisor(database, boot_id())
    if supervisor is not None and supervisor_alive(database):
        return supervisor.pid
    assert or_zero
    return 0


def start_long_run(database: Database) -> Run:
    """A run that works until it is stopped, after its first report."""
    run = queue(database, generation(10_000))
    until(lambda: (get_run(database, run.id).done or 0) > 0)
    return get_run(database, run.id)


def restart_of_the_machine(database: Database, working: Run) -> None:
    """All processes are gone, and what is written down was another boot."""
    kill(supervisor_pid(database))
    assert working.pid is not None
    kill(working.pid)
    until(lambda: not alive(working))
    with database.write() as session:
        for row in session.query(RunRow):
            row.queued_boot_id = "before"
            if RunState(row.state).active:
                row.boot_id = "before"
