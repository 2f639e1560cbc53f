"""A workspace like the one in the wireframes, written through the database's own queries."""

import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from database_rows import create_pipeline

from db.machine import boot_id
from db.models import ArtifactRow, CheckpointRow, RunRow
from db.queries.metrics import NewPoint, append_points
from db.queries.robots import add_robots, create_set
from db.queries.runs import get_run, insert_event, queue_run, set_note, set_tags
from db.records import NewRobot, NewRun, Run, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from engine.workers.process import this_process
from engine.workers.supervisor import stand_in

NOW = datetime.now(UTC)


def change(database: Database, run_id: int, **facts: object) -> Run:
    """Set columns of a run's row."""
    with database.write() as session:
        row = session.get(RunRow, run_id)
        assert row is not None
        for name, value in facts.items():
            setattr(row, name, value)
    return get_run(database, run_id)


def alive() -> dict[str, object]:
    """The identity of this process, for runs that must look alive."""
    return {
        "pid": os.getpid(),
        "pid_ticks": this_process().ticks,
        "boot_id": boot_id(),
        "attempt": 1,
        "token": "t",
    }


def new_run(kind: RunKind, name: str, pipeline: int | None, *inputs: int) -> NewRun:
    """A run with the real configuration of its stage."""
    config = getattr(PRESETS["quick"], kind.value).model_dump(mode="json")
    return NewRun(
        kind=kind,
        name=name,
        config=config,
        seed=1,
        inputs=inputs,
        pipeline=pipeline,
        robot_sets=("unimal8",),
    )


RESULT_KINDS = {"teacher": "sampled_return", "mutation": "mutants", "generation": "robots"}


def finish(database: Database, run_id: int, seconds: float, result: float, text: str) -> None:
    """Make a run look finished."""
    with database.read() as session:
        row = session.get(RunRow, run_id)
        kind = RESULT_KINDS.get(row.kind, "return") if row is not None else None
    start = NOW - timedelta(minutes=30)
    change(
        database,
        run_id,
        state="finished",
        started_at=start,
        attempt=1,
        ended_at=start + timedelta(seconds=seconds),
        result=result,
        result_text=text,
        result_kind=kind,
        done=100.0,
        total=100.0,
        unit="steps",
        exit_code=0,
    )


def add_curves(database: Database, run_id: int, num_points: int = 120, scale: float = 787) -> None:
    """Training curves that look like those of a teacher."""
    points = []
    for iteration in range(num_points):
        share = iteration / max(1, num_points - 1)
        step = 8192 * (iteration + 1)
        noise = math.sin(iteration * 1.7) * 20
        values = {
            "return": scale * share**1.5 + noise * share,
            "episode_length": 200 + 712 * share,
            "falls": 0.9 - 0.59 * share,
            "value_loss": 0.4 * math.exp(-4 * share) + 0.042,
            "approximate_kl": 0.019 + noise / 4000,
            "steps_per_second": 3700 + noise,
            "share_update": 0.61,
            "share_physics": 0.21,
            "share_inference": 0.15,
            "share_observation": 0.02,
        }
        for name, value in values.items():
            points.append(NewPoint(name, "", step, iteration, iteration * 2.2, value))
        for robot in range(8):
            value = scale * share * (1.5 - robot / 6)
            points.append(
                NewPoint("return", f"{robot:064x}", step, iteration, iteration * 2.2, value)
            )
    with database.write() as session:
        append_points(session, run_id, points)


def add_library(database: Database, num_robots: int = 8) -> None:
    """Robots and a set."""
    robots = add_robots(
        database,
        [
            NewRobot(
                digest=f"{index:064x}",
                name=f"floor-1409-{index}-12-01-12-30-07",
                family="unimal",
                num_limbs=5 + index % 6,
                num_joints=8 + index % 6,
                mass_kg=20.0 + index,
                head_height_m=0.5,
                path=f"robots/{index:064x}.xml",
            )
            for index in range(num_robots)
        ],
    )
    create_set(database, "unimal8", [(robot.id, "training") for robot in robots])


def fill(home: Path) -> dict[str, int]:
    """Runs in every state, a pipeline at work, curves, events; run ids by role."""
    database = Database.open(home)
    add_library(database)
    ids: dict[str, int] = {}
    laptop = create_pipeline(database, "seeds", "laptop", "unimal8", 1)
    ids["old teacher"] = queue_run(
        database, new_run(RunKind.TEACHER, "laptop-unimal8-s1", laptop.id)
    ).id
    finish(database, ids["old teacher"], 1432, 741, "return 741")
    add_curves(database, ids["old teacher"], 240, 1300)
    ids["student"] = queue_run(
        database, new_run(RunKind.STUDENT, "laptop-unimal8-s1", laptop.id, ids["old teacher"])
    ).id
    finish(database, ids["student"], 296, 2311, "return 2311")
    set_tags(database, ids["student"], ["paper", "seeds"])
    set_note(database, ids["student"], "best of the week")
    _ended(database, ids)
    _pipeline(database, ids)
    stand_in(database)
    database.close()
    return ids


def _ended(database: Database, ids: dict[str, int]) -> None:
    start = NOW - timedelta(minutes=50)
    facts: dict[str, dict[str, object]] = {
        "stopped": {"done": 1.2e6, "checkpoint_step": 1_200_000},
        "failed": {
            "reason": "value loss is NaN at iteration 118",
            "exit_code": 1,
            "checkpoint_step": 900_000,
            "done": 9.6e5,
        },
        "lost": {"pid": 19120, "checkpoint_step": 1_400_000, "done": 1.4e6},
        "interrupted": {"reason": "the machine restarted at 03:12", "checkpoint_step": 1_400_000},
    }
    for number, (state, more) in enumerate(facts.items()):
        run = queue_run(database, new_run(RunKind.TEACHER, f"mlp-multi-s{number}", None))
        ids[state] = run.id
        change(
            database,
            run.id,
            state=state,
            started_at=start,
            total=2e6,
            unit="steps",
            attempt=1,
            ended_at=start + timedelta(minutes=4),
            **more,
        )
        with database.write() as session:
            insert_event(session, run.id, "error", state, f"{state}: {more.get('reason', 'gone')}")


def _pipeline(database: Database, ids: dict[str, int]) -> None:
    quick = create_pipeline(database, "quick", "quick", "unimal8", 1)
    teacher = queue_run(database, new_run(RunKind.TEACHER, "quick-unimal8-s1", quick.id))
    mutation = queue_run(database, new_run(RunKind.MUTATION, "quick-unimal8-s1", quick.id))
    collection = queue_run(
        database, new_run(RunKind.COLLECTION, "quick-unimal8-s1", quick.id, teacher.id, mutation.id)
    )
    student = queue_run(
        database, new_run(RunKind.STUDENT, "quick-unimal8-s1", quick.id, collection.id)
    )
    queue_run(
        database, new_run(RunKind.EVALUATION, "quick-unimal8-s1", quick.id, teacher.id, student.id)
    )
    queue_run(database, new_run(RunKind.DEPLOYMENT, "quick-unimal8-s1", quick.id, student.id))
    ids["teacher"], ids["collection"] = teacher.id, collection.id
    finish(database, mutation.id, 9, 40, "40 mutants of 8 robots, all valid")
    change(
        database,
        teacher.id,
        state="running",
        started_at=NOW - timedelta(seconds=271),
        reported_at=NOW,
        report_gap_s=3.0,
        done=1_000_000.0,
        total=2_000_000.0,
        unit="steps",
        rate=3700.0,
        result=787.0,
        result_text="return 787",
        result_kind="sampled_return",
        checkpoint_step=1_000_000,
        **alive(),
    )
    add_curves(database, teacher.id)
    other = queue_run(database, new_run(RunKind.EVALUATION, "187-on-50-robots", None))
    ids["evaluation"] = other.id
    change(
        database,
        other.id,
        state="running",
        started_at=NOW - timedelta(seconds=211),
        reported_at=NOW,
        report_gap_s=3.0,
        done=656.0,
        total=800.0,
        unit="episodes",
        rate=3.1,
        result=702.0,
        result_kind="return",
        **alive(),
    )
    with database.write() as session:
        insert_event(session, teacher.id, "info", "started", "started: pid 21904, attempt 1")
        insert_event(session, mutation.id, "info", "finished", "finished in 9s: 40 mutants")
        insert_event(session, teacher.id, "info", "checkpoint", "checkpoint at 1.0M steps")
        session.add(
            CheckpointRow(
                run_id=teacher.id,
                attempt=1,
                step=1_000_000,
                path=f"runs/{teacher.id}/c.safetensors",
                sha256="5d0c9a1e" * 8,
                size_bytes=7_000_000,
                created_at=NOW,
                value=787.0,
                worked_s=270.0,
            )
        )
        session.add(
            ArtifactRow(
                run_id=teacher.id,
                attempt=1,
                kind="config",
                name="config.json",
                path=f"runs/{teacher.id}/config.json",
                sha256="ab" * 32,
                size_bytes=3_000,
                created_at=NOW,
            )
        )
    folder = database.home / "runs" / str(teacher.id)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"14:{31 + index // 60:02d}:{index % 60:02d} info  iteration {index}  steps {index * 8}k"
        for index in range(400)
    ]
    lines[200] = "14:34:20 warn  floor-5506-3-10-01: 1 episode ended by a NaN guard"
    (folder / "log.txt").write_text("\n".join(lines) + "\n")
