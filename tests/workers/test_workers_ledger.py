"""Kills at random moments: no number up to a checkpoint is lost, none is doubled."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from db.queries import attempts, runs
from db.queries.artifacts import list_checkpoints
from db.queries.metrics import list_series, read_points
from db.records import NewRun, RunKind, RunState
from db.session import Database
from engine.files import file_sha256
from engine.workers.liveness import boot_id, host_name
from engine.workers.workspace import Workspace

WRITER = Path(__file__).with_name("ledger_writer.py")


def _curve(database: Database, run_id: int) -> dict[int, float]:
    series = list_series(database, run_id)
    if not series:
        return {}
    points = read_points(database, series[0].id, max_points=1_000_000)
    return dict(zip(points.step, points.value, strict=True))


def _kill_again_and_again(database: Database, workspace: Workspace, kills: int) -> None:
    run = runs.queue_run(database, NewRun(RunKind.TEACHER, "t", {}, seed=1))
    chance = random.Random(kills)
    ledger = workspace.home / "ledger"
    for kill in range(kills):
        token = f"token{kill}"
        with database.write() as session:
            assert attempts.claim(session, run.id, token, host_name()) == kill + 1
        start = max((c.step for c in list_checkpoints(database, run.id)), default=0)
        expected = {step: step * 0.5 for step in range(1, start + 1)}
        assert _curve(database, run.id) == expected
        known = ledger.stat().st_size if ledger.exists() else 0
        command = [sys.executable, str(WRITER), str(workspace.home), str(run.id), token]
        worker = subprocess.Popen(command)
        while not (ledger.exists() and ledger.stat().st_size > known):
            assert worker.poll() is None
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.1))
        worker.kill()
        worker.wait()
        curve = _curve(database, run.id)
        promised = int(ledger.read_text().split()[-1])
        assert list(curve)[:promised] == list(range(1, promised + 1))
        assert all(value == step * 0.5 for step, value in curve.items())
        assert runs.get_run(database, run.id).checkpoint_step in (promised, promised + 7)
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


def test_numbers_survive_kills(database: Database, workspace: Workspace) -> None:
    _kill_again_and_again(database, workspace, 4)


@pytest.mark.slow
def test_numbers_survive_a_hundred_kills(database: Database, workspace: Workspace) -> None:
    _kill_again_and_again(database, workspace, 100)
