"""The database goes away while runs work: nothing is lost, and nothing stands still for it."""

import fcntl
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from postgresql_server import Server
from waiting import (
    alive,
    generation,
    is_zombie,
    kill,
    on_every_database,
    start_long_run,
    supervisor_pid,
    until,
    until_state,
)

from db.queries.metrics import count_points, list_series, read_points
from db.queries.robots import get_set
from db.queries.runs import get_run, queue_run
from db.queries.settings import set_setting
from db.records import Run, RunState
from db.session import Database
from engine.errors import DatabaseAwayError, DatabaseError, RunError
from engine.events import StageContext
from engine.workers.commands import queue, request_stop
from engine.workers.jobs import generation as generation_job
from engine.workers.jobs.job import Job
from engine.workers.patience import patiently
from engine.workers.supervision import Supervision, ensure_supervisor
from engine.workers.supervisor import STOP_GRACE_S
from engine.workers.supervisor_lock import lock_path
from engine.workers.worker import EXIT_STOPPED
from engine.workers.workspace import Workspace


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_question_is_asked_until_it_is_answered_and_what_is_wrong_for_good_fails_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.workers.patience.RETRY_EVERY_S", 0.0)
    asked: list[int] = []

    def answers_third() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise DatabaseAwayError("locked")
        return "yes"

    assert (patiently(answers_third), len(asked)) == ("yes", 3)
    for error in (DatabaseError("newer schema"), DatabaseAwayError("gone")):

        def fails(error: DatabaseError = error) -> None:
            raise error

        with pytest.raises(DatabaseError, match=str(error)):
            patiently(fails, patience_s=-1.0)


def test_a_job_at_its_end_waits_for_a_database_that_comes_back(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(database, generation(1))
    written: list[str] = []
    context = StageContext(workspace.run_folder(run.id), 1, lambda event: None, lambda: False)
    job = Job(run, (), database, workspace, context, lambda: written.append("reports"))
    path, away = workspace.database_path, workspace.home / "away"
    path.rename(away)

    def put_back(seconds: float) -> None:  # whoever waits has asked in vain
        if away.exists():
            away.rename(path)

    with monkeypatch.context() as waiting:
        waiting.setattr("engine.workers.patience.time.sleep", put_back)
        generation_job.run(job)
    assert path.exists()
    assert get_set(database, "robots").size == 1
    assert written, "what was reported is written before a question is asked"


def working(database: Database, run: Run) -> None:
    """The run is at work: it goes on to report."""
    done = get_run(database, run.id).done or 0
    until(lambda: (get_run(database, run.id).done or 0) > done)


@pytest.mark.slow
def test_a_lock_stops_neither_the_work_nor_a_stop(database: Database, workspace: Workspace) -> None:
    run = start_long_run(database)
    began_s = run.worked_s
    with locked(workspace.database_path):
        time.sleep(10)
    working(database, run)
    series = list_series(database, run.id)[0]
    wall_s = read_points(database, series.id).wall_s
    # A batch of candidates takes about a second, on a machine full of work three.
    assert sum(began_s + 1 < each < began_s + 10 for each in wall_s) >= 2
    request_stop(database, run.id)
    with locked(workspace.database_path):
        assert get_run(database, run.id).state is RunState.STOPPING
        time.sleep(STOP_GRACE_S + 3)
        assert alive(run), "its grace does not run while it cannot write its end"
    stopped = until_state(database, run.id, RunState.STOPPED, RunState.LOST)
    assert (stopped.state, stopped.exit_code) == (RunState.STOPPED, EXIT_STOPPED)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_part_of_the_database_that_is_removed_is_missed_by_all_and_work_goes_on(
    database: Database, workspace: Workspace, parts: tuple[str, ...]
) -> None:
    run = start_long_run(database)
    done = run.done or 0
    # What the supervisor has moved into the file stays; what lay in the log alone is gone.
    until(lambda: moved(workspace.database_path, run.id))
    for part in parts:
        Path(f"{workspace.database_path}{part}").unlink()
    # Somebody who comes now finds the one log and index that those who work go on with.
    until(lambda: stopped_by_command(workspace, run.id))
    stopped = until_state(database, run.id, RunState.STOPPED, RunState.LOST, RunState.FAILED)
    assert (stopped.state, stopped.exit_code) == (RunState.STOPPED, EXIT_STOPPED)
    assert (stopped.done or 0) > done
    assert database.problems() == []


@pytest.mark.slow
@pytest.mark.parametrize("workspace", ["postgresql"], indirect=True)
def test_a_server_that_is_gone_while_a_job_ends_costs_it_nothing(
    database: Database, workspace: Workspace, postgresql_server: Server
) -> None:
    run = queue(database, generation(60))
    until(lambda: (get_run(database, run.id).done or 0) >= 20)
    postgresql_server.stop("immediate")
    try:
        until(lambda: "waiting for the database" in workspace.log_path(run.id).read_text())
    finally:
        postgresql_server.start()
    ended = until_state(database, run.id, *(state for state in RunState if state.ended))
    assert (ended.state, ended.attempt, ended.result) == (RunState.FINISHED, 1, 60.0), ended.reason
    assert get_set(database, "robots").size == 60
    for came, stored, summed in count_points(database, run.id).values():
        assert came == stored == summed


def moved(path: Path, run_id: int) -> bool:
    """The run's start stands in the database file itself."""
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as alone:
        try:
            row = alone.execute("SELECT state FROM runs WHERE id = ?", (run_id,)).fetchone()
        except sqlite3.DatabaseError:  # a page was being written
            return False
    return row == ("running",)


def stopped_by_command(workspace: Workspace, run_id: int) -> bool:
    """The command to stop a run was taken; until then it says what became of the database."""
    words = ["runs", "stop", str(run_id), "--home", str(workspace.home)]
    program = "from hdtui.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        assert re.search("removed while|removed and made anew|locked", done.stderr), done.stderr
    return done.returncode == 0


@on_every_database
@pytest.mark.slow
def test_whoever_kills_the_supervisor_gets_another_from_the_worker_and_the_queue_goes_on(
    database: Database,
) -> None:
    run = start_long_run(database)
    queued = queue(database, generation(1, name="others"))
    until_state(database, queued.id, RunState.FINISHED)
    killed = supervisor_pid(database)
    kill(killed)
    until(lambda: supervisor_pid(database, or_zero=True) not in (0, killed))
    # A worker that ends looks as well, however short it was.
    brief = queue(database, generation(40, name="brief"))
    after = queue(database, generation(1, brief.id, name="after"))
    until_state(database, brief.id, RunState.RUNNING)
    request_stop(database, run.id)
    until_state(database, run.id, RunState.STOPPED)
    kill(supervisor_pid(database))
    until_state(database, after.id, RunState.FINISHED)


def test_without_a_supervisor_a_worker_keeps_the_log_short(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(workspace: Workspace) -> None:
        raise RunError("nothing can be started")

    monkeypatch.setattr("engine.workers.supervision.start_supervisor", cannot)
    monkeypatch.setattr("engine.workers.supervision.LOG_BYTES", 4096)
    queue_run(database, generation(1))
    worker = Database.open(workspace.home, create=False)
    for number in range(50):
        set_setting(worker, "text", f"{number}" * 1000)
    file = workspace.database_path
    assert b"49" * 100 not in file.read_bytes()
    with lock_path(database).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Supervision(worker, workspace).look(at_once=True)
        assert b"49" * 100 not in file.read_bytes(), "whoever holds the lock does it"
    Supervision(worker, workspace).look(at_once=True)
    assert b"49" * 100 in file.read_bytes()
    worker.close()


@pytest.mark.slow
def test_a_supervisor_whose_workspace_is_gone_leaves(
    database: Database, workspace: Workspace
) -> None:
    ensure_supervisor(database)
    until(lambda: supervisor_pid(database, or_zero=True) != 0)
    supervisor = psutil.Process(supervisor_pid(database))
    workspace.home.rename(workspace.home.with_name("elsewhere"))
    until(lambda: not supervisor.is_running() or is_zombie(supervisor))
    assert not workspace.home.exists(), "and does not make it anew"
    workspace.home.with_name("elsewhere").rename(workspace.home)
