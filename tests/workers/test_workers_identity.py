"""What things are: machines under any name, folders and databases, copies, moves, other users."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from waiting import (
    alive,
    generation,
    kill,
    release_queue,
    start_long_run,
    supervisor_pid,
    until,
    until_state,
)

from db import machine
from db.models import RunRow
from db.queries import attempts, supervisors
from db.queries.runs import get_run, list_runs, queue_run
from db.records import Run, RunState, Supervisor
from db.session import Database
from engine.errors import DatabaseError, RunError, WorkspaceError
from engine.workers.commands import request_kill, request_stop, write_off
from engine.workers.observed import observed
from engine.workers.process import worker_of
from engine.workers.supervision import ensure_supervisor
from engine.workers.supervisor import stand_in
from engine.workers.supervisor_lock import supervisor_alive
from engine.workers.workspace import Workspace


@pytest.fixture(params=["sqlite", "postgresql"])
def workspace(
    request: pytest.FixtureRequest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    """An empty workspace with a database of each kind."""
    if request.param == "postgresql":
        monkeypatch.setenv("HDTUI_DATABASE_URL", request.getfixturevalue("empty_postgresql"))
    return workspace


@pytest.fixture
def quiet(database: Database) -> Iterator[Database]:
    """A database that no supervisor looks after but this process."""
    lock = stand_in(database)
    yield database
    assert lock is not None
    os.close(lock)


def on(database: Database, boot: str, host: str, state: str = "running") -> Run:
    """A run that works, or waits, on a machine of this boot and name."""
    run = queue_run(database, generation(1), boot_id=boot)
    with database.write() as session:
        row = session.get_one(RunRow, run.id)
        row.host, row.state = host, state
        if state != "queued":
            row.pid, row.pid_ticks, row.boot_id, row.attempt = 1, 1, boot, 1
            row.started_at = datetime.now(UTC)
    return get_run(database, run.id)


def looked_after(database: Database, boot: str, host: str, **facts: object) -> None:
    """That machine has a supervisor, who gave a sign of life now."""
    now = datetime.now(UTC)
    known = Supervisor(host, 1, 0.0, boot, 2, now, now)
    supervisors.register_supervisor(database, replace(known, **facts))  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_machine_is_itself_under_another_name(
    quiet: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = on(quiet, machine.boot_id(), "container-a")
    waiting = on(quiet, machine.boot_id(), "container-a", "queued")
    monkeypatch.setattr(socket, "gethostname", lambda: "container-b")
    assert observed(quiet, [run])[0].state is RunState.LOST
    assert supervisors.work_waits(quiet)
    assert request_stop(quiet, waiting.id).state is RunState.STOPPED
    with pytest.raises(RunError, match="is lost, nothing to kill"):
        request_kill(quiet, run.id)


def test_a_machine_of_the_same_name_is_another_one(quiet: Database) -> None:
    looked_after(quiet, "other", socket.gethostname(), installation="not this one")
    run = on(quiet, "other", socket.gethostname())
    waiting = on(quiet, "other", socket.gethostname(), "queued")
    assert observed(quiet, [run])[0].state is RunState.RUNNING
    assert release_queue(quiet) == []
    looked_after(quiet, "other", socket.gethostname(), installation=machine.installation())
    if machine.installation():
        assert observed(quiet, [run])[0].state is RunState.INTERRUPTED
        assert [each.id for each in release_queue(quiet)] == [waiting.id]


def test_a_machine_that_nobody_hears_is_written_off_by_a_word(quiet: Database) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    looked_after(quiet, "other", "lab-8", heartbeat_at=long_ago)
    run, waiting = on(quiet, "other", "lab-8"), on(quiet, "other", "lab-8", "queued")
    mine = on(quiet, machine.boot_id(), "lab-8", "queued")
    ended = {each.id: each for each in write_off(quiet, "lab-8", watch_s=0.1)}
    assert ended[run.id].state is RunState.LOST
    assert ended[run.id].reason == "its machine lab-8 was written off"
    assert ended[waiting.id].queued_boot_id == machine.boot_id()
    assert mine.id not in ended
    with pytest.raises(RunError, match="No run works on or waits for another machine lab-8"):
        write_off(quiet, "lab-8", watch_s=0.1)


@pytest.mark.parametrize("hours", [-1, 1], ids=["slow clock", "fast clock"])
def test_a_machine_that_lives_is_not_written_off_however_wrong_its_clock_is(
    quiet: Database, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_its_clock = datetime.now(UTC) + timedelta(hours=hours)
    looked_after(quiet, "other", "lab-8", heartbeat_at=by_its_clock)
    run = on(quiet, "other", "lab-8")
    with quiet.write() as session:
        session.get_one(RunRow, run.id).started_at = by_its_clock
    silent = supervisors.silent_s(quiet)["other"]
    assert silent == pytest.approx(3600.0 if hours < 0 else 0.0, abs=60)

    def sign(seconds: float) -> None:
        with quiet.write() as session:
            supervisors.beat(session, "other")

    monkeypatch.setattr("engine.workers.commands.time.sleep", sign)
    with pytest.raises(RunError, match="lab-8 lives: it gave a sign of life just now"):
        write_off(quiet, "lab-8")
    assert get_run(quiet, run.id).state is RunState.RUNNING
    assert supervisors.silent_s(quiet)["other"] < 60.0


def test_a_clock_that_is_set_changes_no_age_of_a_run_at_work(
    quiet: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(quiet, generation(1))
    with quiet.write() as session:
        assert attempts.claim(session, run.id, "token", machine.host_name()) == 1
        attempts.confirm(session, run.id, "token")
    started = get_run(quiet, run.id).started_at
    assert started is not None
    for hours in (1, -2):
        step = timedelta(hours=hours)
        later = datetime.now(UTC) + step
        monkeypatch.setattr("db.queries.run_records.now", lambda later=later: later)
        monkeypatch.setattr("db.queries.attempts.now", lambda later=later: later)
        monkeypatch.setattr(
            "db.queries.run_records.clock_offset_s", lambda hours=hours: 3600.0 * hours
        )
        seen = get_run(quiet, run.id)
        assert seen.started_at is not None
        assert seen.reported_at is not None
        assert abs((seen.started_at - started - step).total_seconds()) < 30
        assert abs((later - seen.reported_at).total_seconds()) < 30
    with quiet.write() as session:
        stopped = RunState.STOPPED
        assert attempts.end(
            session, run.id, stopped, [RunState.STARTING], attempt=1, reason="", exit_code=0
        )
    ended = get_run(quiet, run.id)
    assert ended.started_at is not None
    assert ended.ended_at is not None
    assert 0 <= (ended.ended_at - ended.started_at).total_seconds() < 30


def test_another_database_numbers_its_runs_above_every_folder_there(tmp_path: Path) -> None:
    home = tmp_path / "workspace"
    with closing(Database.open(home)) as first:
        run = queue_run(first, generation(1))
        Workspace(home).own_run_folder(run.id, 1, first.identity)
    (home / "runs" / "1" / "policy").write_text("precious")
    (home / "runs" / "17").mkdir()
    (home / "runs" / "17" / "policy").write_text("precious too")
    before = files(home / "runs")
    for path in home.glob("hdtui.db*"):
        path.unlink()
    with closing(Database.open(home)) as second:
        assert queue_run(second, generation(1)).id == 18
        for number in (1, 17):
            with pytest.raises(WorkspaceError, match="holds the files of a run of another"):
                Workspace(home).own_run_folder(number, 1, second.identity)
        Workspace(home).own_run_folder(18, 1, second.identity)
    assert before.items() <= files(home / "runs").items()


def test_a_database_elsewhere_belongs_to_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared" / "all.db"
    monkeypatch.setenv("HDTUI_DATABASE_URL", f"sqlite:///{shared}")
    one, other = tmp_path / "one", tmp_path / "other"
    Database.open(one).close()
    Database.open(one).close()
    for readonly in (False, True):
        with pytest.raises(DatabaseError, match=f"belongs to the workspace {one}, not to {other}"):
            Database.open(other, readonly=readonly).close()
    shutil.copytree(one, tmp_path / "copy")
    with pytest.raises(DatabaseError, match=f"belongs to the workspace {one}, not to"):
        Database.open(tmp_path / "copy").close()
    moved = one.rename(tmp_path / "moved")
    Database.open(moved).close()
    with pytest.raises(DatabaseError, match=f"belongs to the workspace {moved}, not to {other}"):
        Database.open(other).close()


@pytest.mark.slow
def test_one_folder_keeps_runs_of_two_databases_apart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.file is not None:
        pytest.skip("it takes a server's database beside the folder's own")
    queued = queue_run(database, generation(1), boot_id="before")
    Workspace(database.home).own_run_folder(queued.id, 1, database.identity)
    lock = stand_in(database)
    with monkeypatch.context() as own:
        own.delenv("HDTUI_DATABASE_URL")
        with closing(Database.open(database.home)) as second:
            assert second.identity != database.identity
            assert not supervisor_alive(second)
            run = queue_run(second, generation(1), boot_id=machine.boot_id())
            assert run.id == queued.id + 1
            ensure_supervisor(second)
            assert until_state(second, run.id, RunState.FINISHED).result == 1.0
    assert supervisor_alive(database)
    assert lock is not None
    os.close(lock)
    with closing(Database.open(database.home)) as again:
        assert queue_run(again, generation(1)).id == run.id + 1


def test_nothing_is_read_or_written_through_a_link(tmp_path: Path) -> None:
    workspace, outside = Workspace(tmp_path / "workspace"), tmp_path / "outside"
    outside.mkdir()
    (outside / "policy").write_text("theirs")
    workspace.create()
    (workspace.home / "runs").mkdir()
    (workspace.home / "runs" / "1").symlink_to(outside)
    with pytest.raises(WorkspaceError, match="is a link, and links inside a workspace are not"):
        workspace.resolve("runs/1/policy")
    with pytest.raises(WorkspaceError, match="is a link"):
        workspace.own_run_folder(1, 2, "name")
    (workspace.home / "supervisor.log").symlink_to(outside / "policy")
    with pytest.raises(OSError, match="symbolic links"):
        workspace.open_log(workspace.home / "supervisor.log")
    assert (outside / "policy").read_text() == "theirs"


def test_a_new_workspace_is_its_owners_alone_and_an_open_one_stays_open(tmp_path: Path) -> None:
    Database.open(tmp_path / "new" / "workspace").close()
    assert (tmp_path / "new" / "workspace").stat().st_mode & 0o777 == 0o700
    (tmp_path / "group").mkdir(mode=0o750)
    Database.open(tmp_path / "group").close()
    assert (tmp_path / "group").stat().st_mode & 0o777 == 0o750


@pytest.mark.slow
def test_in_a_copy_nothing_works_and_the_original_goes_on(database: Database) -> None:
    if database.file is None:
        pytest.skip("a server's database is not copied with its folder; the copy is refused it")
    run = start_long_run(database)
    copy = database.home.with_name("copy")
    shutil.copytree(database.home, copy)
    with closing(Database.open(copy)) as copied:
        assert not supervisor_alive(copied)
        seen = observed(copied, [get_run(copied, run.id)])[0]
        assert seen.state is RunState.LOST
        assert "the workspace is a copy, or was moved" in (seen.reason or "")
        with pytest.raises(RunError, match="is lost, nothing to kill"):
            request_kill(copied, run.id)
        own = queue_run(copied, generation(1), boot_id=machine.boot_id())
        request_stop(copied, own.id)  # brings its own supervisor
        until(lambda: supervisor_alive(copied))
        kill(supervisor_pid(copied))
    assert alive(run)
    assert observed(database, [get_run(database, run.id)])[0].state is RunState.RUNNING


@pytest.mark.slow
def test_a_workspace_that_is_renamed_is_left_at_once_and_never_made_anew(
    database: Database, workspace: Workspace
) -> None:
    run = start_long_run(database)
    supervisor = supervisor_pid(database)
    worker = worker_of(run, workspace.home)
    assert worker is not None
    new = workspace.home.rename(workspace.home.with_name("new"))
    until(lambda: not worker.process.alive)
    until(lambda: not Path(f"/proc/{supervisor}").exists())
    assert not workspace.home.exists()
    with closing(Database.open(new)) as moved:
        found = get_run(moved, run.id)
        assert (found.state, found.exit_code) == (RunState.INTERRUPTED, 6)
        assert found.reason == f"the workspace was moved from {workspace.home} while it worked"
    new.rename(workspace.home)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs another user")
def test_a_worker_of_another_user_is_theirs_and_hears_through_the_database(
    database: Database,
) -> None:
    run = start_long_run(database)
    worker = worker_of(run, database.home)
    assert worker is not None
    kill(supervisor_pid(database))
    child = os.fork()
    if child == 0:  # nobody looks at root's worker
        from engine.workers.process import kill_group, other_owner, signal_worker

        os.setgid(65534)
        os.setuid(65534)
        found = (worker.alive, other_owner(worker.pid), signal_worker(worker), kill_group(worker))
        os._exit(0 if found == (True, "root", False, 0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with database.write() as session:  # what somebody's command writes who may not signal
        running = [RunState.RUNNING]
        assert attempts.change_state(session, run.id, RunState.STOPPING, running)
    stopped = until_state(database, run.id, RunState.STOPPED)
    assert stopped.exit_code == 4
    assert len(list_runs(database)) == 1
