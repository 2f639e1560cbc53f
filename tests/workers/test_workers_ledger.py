"""Kills at random moments: no number up to a checkpoint is lost, none is doubled."""

import multiprocessing
import random
import signal
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from ledger_writer import number, report_for_ever
from waiting import on_every_database

from db.machine import boot_id, host_name
from db.queries import attempts, runs
from db.queries.artifacts import list_checkpoints
from db.queries.metrics import count_points, list_series, read_points
from db.records import NewRun, RunKind, RunState
from db.session import Database
from engine.files import file_sha256
from engine.workers.workspace import Workspace

FORK = multiprocessing.get_context("fork")


def _curve(database: Database, run_id: int) -> dict[int, float]:
    series = list_series(database, run_id)
    if not series:
        return {}
    points = read_points(database, series[0].id, max_points=1_000_000)
    return dict(zip(points.step, points.value, strict=True))


def _promised(ledger: Path) -> int:
    """The step of the last checkpoint that a worker saw written down."""
    steps = ledger.read_text().split() if ledger.exists() else []
    return int(steps[-1]) if steps else 0


def _until_longer(ledger: Path, worker: ForkProcess) -> None:
    """Wait for the next checkpoint in the ledger."""
    known = _promised(ledger)
    while _promised(ledger) == known:
        assert worker.is_alive()
        time.sleep(0.002)


def _kill_again_and_again(database: Database, workspace: Workspace, kills: int) -> None:
    run = runs.queue_run(database, NewRun(RunKind.TEACHER, "t", {}, seed=1))
    chance = random.Random(kills)
    ledger = workspace.home / "ledger"
    curve: dict[int, float] = {}
    for kill in range(kills):
        token = f"token{kill}"
        with database.write() as session:
            assert attempts.claim(session, run.id, token, host_name()) == kill + 1
        start = max((c.step for c in list_checkpoints(database, run.id)), default=0)
        kept = {step: value for step, value in curve.items() if step <= start}
        assert _curve(database, run.id) == kept
        assert list(kept) == list(range(1, start + 1))
        arguments = (workspace.home, run.id, token)
        worker = FORK.Process(target=report_for_ever, args=arguments)
        worker.start()
        if kill % 4:
            _until_longer(ledger, worker)
            time.sleep(chance.uniform(0.0, 0.1))
        else:  # any moment of its life, before it says who it is as well
            time.sleep(chance.uniform(0.0, 0.2))
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
        curve = _curve(database, run.id)
        promised = _promised(ledger)
        assert list(curve) == list(range(1, len(curve) + 1))
        assert len(curve) >= promised
        # What an earlier attempt reported after the checkpoint would show: so would a double.
        own = {step: number(kill + 1, step) for step in curve if step > start}
        assert curve == kept | own
        for came, stored, summed in count_points(database, run.id).values():
            assert came == stored == summed == len(curve)
        assert (runs.get_run(database, run.id).checkpoint_step or 0) in (promised, promised + 7)
        with database.write() as session:
            lost, attempt = RunState.LOST, kill + 1
            active = [state for state in RunState if state.active]
            assert attempts.end(
                session, run.id, lost, active, attempt=attempt, reason="", exit_code=None
            )
            assert attempts.requeue(session, run.id, [lost], boot_id(), host_name())
    for checkpoint in list_checkpoints(database, run.id):
        assert file_sha256(workspace.resolve(checkpoint.path)) == checkpoint.sha256
    assert database.problems() == []


@on_every_database
def test_numbers_survive_kills(database: Database, workspace: Workspace) -> None:
    _kill_again_and_again(database, workspace, 4)


@on_every_database
@pytest.mark.slow
def test_numbers_survive_a_hundred_kills(database: Database, workspace: Workspace) -> None:
    _kill_again_and_again(database, workspace, 100)
