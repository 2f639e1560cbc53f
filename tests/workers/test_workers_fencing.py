"""At most one attempt may write: claims, tokens, and what a stale worker can do."""

import multiprocessing
import secrets
from pathlib import Path
from typing import Any

import psutil
import pytest
from database_rows import list_attempts
from sqlalchemy import text
from waiting import (
    generation,
    is_zombie,
    on_every_database,
    start_long_run,
    supervisor_pid,
    until,
)

from db.machine import boot_id, host_name
from db.migrations import SCHEMA
from db.queries import attempts, runs
from db.queries.artifacts import latest_checkpoint, list_checkpoints
from db.queries.metrics import count_points, list_series, read_points
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.errors import NewerDatabaseError, StaleAttemptError
from engine.events import CheckpointWritten, Event, Metrics, Progress, Result
from engine.workers.commands import queue, resume
from engine.workers.observed import observed
from engine.workers.recorder import CONFIRM_EVERY_S, Recorder
from engine.workers.states import sources
from engine.workers.supervision import ensure_supervisor
from engine.workers.workspace import Workspace


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def run(database: Database) -> Run:
    return runs.queue_run(database, NewRun(RunKind.TEACHER, "t", {}, seed=1))


def claim(database: Database, run: Run) -> tuple[Run, str]:
    token = secrets.token_hex(4)
    with database.write() as session:
        assert attempts.claim(session, run.id, token, host_name()) is not None
        process = attempts.Process(1, 1.0, boot_id())
        assert attempts.begin(session, run.id, token, process, {})
    return runs.get_run(database, run.id), token


def lose(database: Database, run: Run) -> None:
    with database.write() as session:
        lost = RunState.LOST
        assert attempts.end(
            session, run.id, lost, sources(lost), attempt=run.attempt, reason="x", exit_code=None
        )
        assert attempts.requeue(session, run.id, [lost], boot_id(), host_name())


def recorder(
    database: Database, workspace: Workspace, claimed: tuple[Run, str], clock: Clock | None = None
) -> Recorder:
    return Recorder(database, workspace, *claimed, clock=clock or Clock())


def checkpoint(workspace: Workspace, run: Run, step: int) -> CheckpointWritten:
    path = workspace.run_folder(run.id) / f"checkpoint-a{run.attempt}-{step}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return CheckpointWritten(step, path, "0" * 64, 1.5)


def metrics(step: int, value: float = 1.0) -> Metrics:
    return Metrics(step, step, {"return": value})


def curve(database: Database, run: Run) -> dict[int, float]:
    series = list_series(database, run.id)
    if not series:
        return {}
    points = read_points(database, series[0].id)
    return dict(zip(points.step, points.value, strict=True))


def _compete(home: str, run_id: int, barrier: Any, winners: Any) -> None:
    database = Database.open(Path(home))
    barrier.wait()
    with database.write() as session:
        if attempts.claim(session, run_id, secrets.token_hex(4), host_name()) is not None:
            winners.put(1)
    database.close()


@on_every_database
def test_of_eight_that_claim_at_once_one_wins(database: Database, run: Run) -> None:
    context = multiprocessing.get_context("fork")
    barrier, winners = context.Barrier(8), context.Queue()
    arguments = (str(database.home), run.id, barrier, winners)
    claimers = [context.Process(target=_compete, args=arguments) for _ in range(8)]
    for claimer in claimers:
        claimer.start()
    for claimer in claimers:
        claimer.join()
    assert winners.get() == 1
    assert winners.empty()
    assert runs.get_run(database, run.id).attempt == 1


@on_every_database
def test_a_report_is_one_transaction_of_everything(
    database: Database, workspace: Workspace, run: Run
) -> None:
    claimed = claim(database, run)
    writer = recorder(database, workspace, claimed)
    writer.report(Progress(5, 20, "steps", 2.5))
    writer.report(metrics(5, 3.0))
    assert curve(database, run) == {}
    writer.report(checkpoint(workspace, claimed[0], 5))
    now = runs.get_run(database, run.id)
    assert (now.done, now.total, now.unit, now.rate, now.progress) == (5, 20, "steps", 2.5, 0.25)
    assert curve(database, run) == {5: 3.0}
    found = latest_checkpoint(database, run.id)
    assert found is not None
    assert (found.step, found.value, found.size_bytes, now.checkpoint_step) == (5, 1.5, 7, 5)


@on_every_database
@pytest.mark.parametrize("event", [metrics(9), Progress(9, 9, "steps"), Result(9.0, "nine")])
def test_what_a_stale_attempt_writes_is_refused(
    database: Database, workspace: Workspace, run: Run, event: Event
) -> None:
    stale = recorder(database, workspace, claim(database, run))
    lose(database, run := runs.get_run(database, run.id))

    def report_and_write() -> None:
        stale.report(event)
        stale.write()

    with pytest.raises(StaleAttemptError):
        report_and_write()
    second = claim(database, run)
    recorder(database, workspace, second).report(checkpoint(workspace, second[0], 3))
    with pytest.raises(StaleAttemptError):
        stale.write()
    now = runs.get_run(database, run.id)
    assert (now.attempt, now.checkpoint_step, now.result, now.done) == (2, 3, None, None)
    assert curve(database, run) == {}


@on_every_database
def test_a_stale_attempt_that_reports_nothing_hears_of_it_while_it_works(
    database: Database, workspace: Workspace, run: Run
) -> None:
    clock = Clock()
    stale = recorder(database, workspace, claim(database, run), clock)
    lose(database, runs.get_run(database, run.id))
    stale.flush_if_due()
    clock.now += CONFIRM_EVERY_S
    with pytest.raises(StaleAttemptError):
        stale.flush_if_due()


@on_every_database
def test_a_worker_that_comes_late_cannot_begin(database: Database, run: Run) -> None:
    with database.write() as session:
        attempts.claim(session, run.id, "late", host_name())
    lose(database, runs.get_run(database, run.id))
    with pytest.raises(StaleAttemptError), database.write() as session:
        attempts.begin(session, run.id, "late", attempts.Process(1, 1.0, boot_id()), {})


@on_every_database
def test_a_resumed_run_replaces_what_came_after_its_checkpoint(
    database: Database, workspace: Workspace, run: Run
) -> None:
    clock = Clock()
    claimed = claim(database, run)
    writer = recorder(database, workspace, claimed, clock)
    for step in (1, 2):
        clock.now += 10
        writer.report(metrics(step))
    writer.report(checkpoint(workspace, claimed[0], 2))
    clock.now += 10
    writer.report(metrics(3, value=-1.0))
    lose(database, claimed[0])
    again = claim(database, run)
    assert again[0].worked_s == 20.0
    assert curve(database, run) == {1: 1.0, 2: 1.0}
    writer = recorder(database, workspace, again)
    writer.report(metrics(3, value=7.0))
    writer.write()
    assert curve(database, run) == {1: 1.0, 2: 1.0, 3: 7.0}
    assert [attempt.from_step for attempt in list_attempts(database, run.id)] == [None, 2]


def test_reports_wait_while_the_database_is_away(
    database: Database, workspace: Workspace, run: Run
) -> None:
    clock = Clock()
    claimed = claim(database, run)
    writer = recorder(database, workspace, claimed, clock)
    path = database.home / "hdtui.db"
    database.close()
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    clock.now += 10
    writer.report(metrics(1))
    path.rmdir()
    path.with_suffix(".away").rename(path)
    clock.now += 10
    writer.report(metrics(2))
    assert curve(database, run) == {1: 1.0, 2: 1.0}


@pytest.mark.slow
@on_every_database
def test_a_newer_program_takes_the_workspace_from_those_that_work_in_it(
    database: Database, workspace: Workspace
) -> None:
    run = start_long_run(database)
    assert run.pid is not None
    programs = [psutil.Process(pid) for pid in (run.pid, supervisor_pid(database))]
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    kept = [runs.get_run(database, run.id), count_points(database, run.id)]
    until(lambda: all(not each.is_running() or is_zombie(each) for each in programs))
    assert [runs.get_run(database, run.id), count_points(database, run.id)] == kept
    for refused in (lambda: queue(database, generation(1)), lambda: ensure_supervisor(database)):
        with pytest.raises(NewerDatabaseError, match="written by a newer hdtui"):
            refused()
    with database._writer.begin() as connection:
        back = text("UPDATE alembic_version SET version_num = :schema")
        connection.execute(back, {"schema": f"{SCHEMA:04}"})
    (seen,) = observed(database, [run])
    assert seen.state is RunState.LOST
    assert "a newer hdtui has upgraded the workspace" in (seen.reason or "")
    resume(database, run.id)
    until(lambda: (runs.get_run(database, run.id).done or 0) > (run.done or 0))


def test_names_and_texts_from_outside_carry_no_control_characters(
    database: Database, workspace: Workspace, run: Run
) -> None:
    writer = recorder(database, workspace, claim(database, run))
    writer.report(Result(None, "red \x1b[31m and\nmore \u202e"))
    assert runs.get_run(database, run.id).result_text == "red ·[31m and·more ·"


@on_every_database
def test_the_newest_three_checkpoints_are_kept_as_rows_and_as_files(
    database: Database, workspace: Workspace, run: Run
) -> None:
    claimed = claim(database, run)
    recording = recorder(database, workspace, claimed)
    written = [checkpoint(workspace, claimed[0], step) for step in range(5)]
    for event in written:
        recording.report(event)
    assert [row.step for row in list_checkpoints(database, run.id)] == [4, 3, 2]
    assert [event.path.is_file() for event in written] == [False, False, True, True, True]
