"""A workspace of 200 runs: students of several settings, each with three seeds."""

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from db.models import RunRow
from db.queries.metrics import NewPoint, append_points
from db.queries.robots import add_robots, create_set
from db.queries.runs import queue_run
from db.queries.supervisors import register_supervisor
from db.records import NewRobot, NewRun, RunKind, Supervisor
from db.session import Database
from engine.config.presets import PRESETS
from engine.workers.liveness import boot_id

NUM_RUNS = 200
BEST = 137
_KINDS = (RunKind.TEACHER, RunKind.STUDENT)


def fill(home: Path) -> None:
    """Finished teachers and students; run ``BEST`` is the best student."""
    database = Database.open(home)
    _add_robots(database)
    for number in range(1, NUM_RUNS + 1):
        _add_run(database, number)
    _add_seeds(database)
    _keep_supervisors_away(database)
    database.close()


def _add_robots(database: Database) -> None:
    robots = [
        NewRobot(
            digest=f"{index:064x}",
            name=f"robot-{index}",
            family="unimal",
            num_limbs=5,
            num_joints=8,
            mass_kg=20.0,
            head_height_m=0.5,
            path=f"robots/{index:064x}.xml",
        )
        for index in range(8)
    ]
    members = [(robot.id, "training") for robot in add_robots(database, robots)]
    create_set(database, "eight", members)


def _add_run(database: Database, number: int) -> None:
    kind = _KINDS[number % 2]
    run = queue_run(database, _new(kind, f"setting-{number % 9}-s{number}", number, ()))
    value = 2400.0 if run.id == BEST else 500.0 + (number * 37) % 1500
    _finish(database, run.id, value)


def _add_seeds(database: Database) -> None:
    for seed in (1, 2, 3):
        run = queue_run(database, _new(RunKind.TEACHER, f"laptop-s{seed}", seed, ("seeds",)))
        _finish(database, run.id, 1500.0 + 20 * seed)
        points = [
            NewPoint("return", "", 1000 * step, step, 2.0 * step, step * (10.0 + seed))
            for step in range(1, 101)
        ]
        with database.write() as session:
            append_points(session, run.id, points)


def _new(kind: RunKind, name: str, seed: int, tags: tuple[str, ...]) -> NewRun:
    config = getattr(PRESETS["quick"], kind.value).model_dump(mode="json")
    return NewRun(
        kind=kind,
        name=name,
        config={**config, "seed": seed},
        seed=seed,
        robot_sets=("eight",),
        group=tags[0] if tags else None,
    )


def _finish(database: Database, run_id: int, value: float) -> None:
    start = datetime.now(UTC) - timedelta(hours=3)
    with database.write() as session:
        row = session.get(RunRow, run_id)
        assert row is not None
        row.state = "finished"
        row.attempt, row.exit_code = 1, 0
        row.started_at, row.ended_at = start, start + timedelta(minutes=5)
        row.result, row.result_text = value, f"return {value:.0f}"
        row.done, row.total, row.unit = 1e5, 1e5, "steps"


def _keep_supervisors_away(database: Database) -> None:
    """Say that this process looks after the queue, so that nothing really starts."""
    now = datetime.now(UTC)
    supervisor = Supervisor(
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_started_at=psutil.Process().create_time(),
        boot_id=boot_id(),
        slots=2,
        started_at=now,
        heartbeat_at=now,
    )
    register_supervisor(database, supervisor)
