"""Workers outlive what started them: a terminal, a login, a cockpit, a supervisor."""

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import pytest
from waiting import alive, generation, kill, on_every_database, supervisor_pid, until, until_state

from db.queries.runs import get_run, list_runs, queue_run
from db.records import Run, RunState
from db.session import Database
from engine.workers.commands import request_stop
from engine.workers.supervision import ensure_supervisor

QUEUE_AND_WAIT = """
import pathlib, sys, time
from db.records import NewRun, RunKind
from db.session import Database
from engine.workers.commands import queue
database = Database.open(pathlib.Path(sys.argv[1]))
config = {"train_count": 10_000, "unseen_count": 0}
new = NewRun(RunKind.GENERATION, "robots", config, seed=1, extra={"training_set": "robots"})
queue(database, new)
time.sleep(3600)
"""


def still_working(database: Database, run: Run) -> bool:
    """Steps still rise, in the same process."""
    done = get_run(database, run.id).done or 0
    until(lambda: (get_run(database, run.id).done or 0) > done)
    now = get_run(database, run.id)
    return (now.state, now.attempt, now.pid) == (RunState.RUNNING, 1, run.pid)


@on_every_database
@pytest.mark.slow
def test_work_outlives_the_terminal_it_was_started_in_and_a_killed_supervisor(
    database: Database,
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that nohup began ignore it
        home = str(database.home)
        os.execv(sys.executable, [sys.executable, "-c", QUEUE_AND_WAIT, home])  # noqa: S606
    until(lambda: [run.done or 0 for run in list_runs(database)] > [0])
    run = list_runs(database)[0]
    first = supervisor_pid(database)
    os.close(terminal)
    # Nobody listens any more: the kernel hangs up on everybody in that session.
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGHUP
    assert still_working(database, run)
    assert supervisor_pid(database) == first
    assert run.pid is not None
    for each in (first, run.pid):
        os.kill(each, signal.SIGHUP)
        assert os.getsid(each) != os.getsid(0)
    assert still_working(database, run)
    kill(first)
    assert still_working(database, run)
    ensure_supervisor(database)
    until(lambda: supervisor_pid(database, or_zero=True) not in (0, first))
    request_stop(database, run.id)
    stopped = until_state(database, run.id, RunState.STOPPED)
    assert (stopped.attempt, stopped.exit_code) == (1, 4)
    until(lambda: not alive(run))


class Cockpit:
    """The real one, in a terminal of its own."""

    def __init__(self, home: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "HDTUI_HOME": str(home)}
            os.execve(sys.executable, [sys.executable, "-m", "hdtui"], environment)  # noqa: S606

    def type(self, keys: bytes) -> None:
        """Press keys, and take for a second what it draws."""
        os.write(self.terminal, keys)
        deadline = time.monotonic() + 1.0
        while (left_s := deadline - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left_s)[0]:
                os.read(self.terminal, 65536)

    def end(self, *, kill: bool) -> None:
        """Kill it, or take the terminal away under it; until it is gone."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.terminal)
        until(lambda: os.waitpid(self.pid, os.WNOHANG) != (0, 0))


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["terminal closed", "killed"])
def test_what_a_cockpit_started_outlives_it(kill: bool, database: Database) -> None:
    run_id = queue_run(database, generation(10_000), boot_id="before").id
    cockpit = Cockpit(database.home)

    def works() -> bool:
        # Runs, and resume the first: it waits for a word since another boot.
        if get_run(database, run_id).state is RunState.QUEUED:
            cockpit.type(b"2R")
        else:
            cockpit.type(b"")
        return (get_run(database, run_id).done or 0) > 0

    try:
        until(works)
    finally:
        cockpit.end(kill=kill)
    run = get_run(database, run_id)
    assert still_working(database, run)
    assert os.getsid(run.pid or 0) == run.pid
    assert supervisor_pid(database)
