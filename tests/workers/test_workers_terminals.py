"""Workers outlive what started them: a terminal, a login, a cockpit, a supervisor."""

import os
import pty
import signal
import subprocess
import sys

from waiting import alive, kill, supervisor_pid, until, until_state

from db.queries.runs import get_run, list_runs
from db.records import Run, RunState
from db.session import Database
from engine.workers.commands import request_stop
from engine.workers.spawn import ensure_supervisor

QUEUE_AND_WAIT = """
import pathlib, sys, time
from db.records import NewRun, RunKind
from db.session import Database
from engine.workers.commands import queue
database = Database.open(pathlib.Path(sys.argv[1]))
config = {"train_count": 10_000, "unseen_count": 0}
new = NewRun(RunKind.GENERATION, "robots", config, seed=1, extra={"training_set": "robots"})
queue(database, new)
time.sleep(600)
"""


def still_working(database: Database, run: Run) -> bool:
    """Steps still rise, in the same process."""
    done = get_run(database, run.id).done or 0
    until(lambda: (get_run(database, run.id).done or 0) > done)
    now = get_run(database, run.id)
    return (now.state, now.attempt, now.pid) == (RunState.RUNNING, 1, run.pid)


def test_work_outlives_the_terminal_it_was_started_in_and_a_killed_supervisor(
    database: Database,
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
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
    ensure_supervisor(database.home)
    until(lambda: supervisor_pid(database, or_zero=True) not in (0, first))
    request_stop(database, run.id)
    stopped = until_state(database, run.id, RunState.STOPPED)
    assert (stopped.attempt, stopped.exit_code) == (1, 4)
    until(lambda: not alive(run))


def test_a_killed_cockpit_takes_no_worker_with_it(database: Database) -> None:
    command = [sys.executable, "-c", QUEUE_AND_WAIT, str(database.home)]
    cockpit = subprocess.Popen(command)
    until(lambda: [run.done or 0 for run in list_runs(database)] > [0])
    cockpit.kill()
    cockpit.wait()
    assert still_working(database, list_runs(database)[0])
