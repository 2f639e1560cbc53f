"""A workspace of 200 runs: students of several settings, three seeds, and who judged them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from database_rows import record_episodes

from db.models import RunRow
from db.queries.evaluations import set_policies
from db.queries.metrics import NewPoint, append_points
from db.queries.robots import add_robots, create_set
from db.queries.runs import queue_run
from db.records import NewRobot, NewRun, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from engine.events import Episode
from engine.workers.supervisor import stand_in

NUM_STUDENTS = 98
NUM_TRAINED = 2 * NUM_STUDENTS
JUDGED_TOGETHER = 25
BEST, WORST = 138, 62
_BEST_RETURN, _WORST_RETURN = 2400.0, 90.0


def fill(home: Path) -> None:
    """Finished teachers, a student of each, and evaluations; ``BEST`` has the highest return.

    A student's result is its held-out loss: the highest is that of ``WORST``. With four
    evaluations they are 200; three seeds of a teacher come last.
    """
    database = Database.open(home)
    digests = _add_robots(database)
    for number in range(1, NUM_TRAINED + 1):
        _add_run(database, number)
    students = range(2, NUM_TRAINED + 1, 2)
    for place in range(0, len(students), JUDGED_TOGETHER):
        _judge(database, students[place : place + JUDGED_TOGETHER], digests)
    _add_seeds(database)
    _keep_supervisors_away(database)
    database.close()


def _add_robots(database: Database) -> list[str]:
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
    return [robot.digest for robot in robots]


def _add_run(database: Database, number: int) -> None:
    name = f"setting-{number % 9}-s{number}"
    if number % 2:
        run = queue_run(database, _new(RunKind.TEACHER, name, number, ()))
        value = 500.0 + (number * 37) % 1500
        _finish(database, run.id, value, f"return {value:.0f}")
        return
    run = queue_run(database, _new(RunKind.STUDENT, name, number, (), (number - 1,)))
    loss = 0.9 if number == WORST else 0.02 + (number * 53) % 700 / 1000
    _finish(database, run.id, loss, f"held-out loss {loss:.4f} after 4000 gradient steps")


def _judge(database: Database, students: Sequence[int], digests: Sequence[str]) -> None:
    """An evaluation of students beside the teacher of the first one."""
    teacher = students[0] - 1
    labels = {f"student {number}": number for number in students} | {"teacher": teacher}
    name = f"judged-{students[0]}-to-{students[-1]}"
    new = _new(RunKind.EVALUATION, name, 1, (), tuple(labels.values()))
    run = queue_run(database, new)
    _finish(database, run.id, 0.9, "student keeps of its teacher's return: 0.90 on training robots")
    episodes = [
        Episode(label, digest, "flat", 7, 0, _return(number), 1000, False, 20.0, 1.0, 9.0)
        for label, number in labels.items()
        for digest in digests
    ]
    record_episodes(database, run.id, episodes)
    with database.write() as session:
        set_policies(session, run.id, labels)


def _return(number: int) -> float:
    fixed = {BEST: _BEST_RETURN, WORST: _WORST_RETURN}
    return fixed.get(number, 300.0 + (number * 37) % 1500)


def _add_seeds(database: Database) -> None:
    for seed in (1, 2, 3):
        run = queue_run(database, _new(RunKind.TEACHER, f"laptop-s{seed}", seed, ("seeds",)))
        _finish(database, run.id, 1500.0 + 20 * seed, f"return {1500 + 20 * seed}")
        points = [
            NewPoint("return", "", 1000 * step, step, 2.0 * step, step * (10.0 + seed))
            for step in range(1, 101)
        ]
        with database.write() as session:
            append_points(session, run.id, points)


def _new(
    kind: RunKind, name: str, seed: int, tags: tuple[str, ...], inputs: tuple[int, ...] = ()
) -> NewRun:
    config = getattr(PRESETS["quick"], kind.value).model_dump(mode="json")
    return NewRun(
        kind=kind,
        name=name,
        config={**config, "seed": seed},
        seed=seed,
        inputs=inputs,
        robot_sets=("eight",),
        group=tags[0] if tags else None,
    )


def _finish(database: Database, run_id: int, value: float, words: str) -> None:
    start = datetime.now(UTC) - timedelta(hours=3)
    with database.write() as session:
        row = session.get(RunRow, run_id)
        assert row is not None
        row.state = "finished"
        row.attempt, row.exit_code = 1, 0
        row.started_at, row.ended_at = start, start + timedelta(minutes=5)
        row.result, row.result_text = value, words
        row.result_kind = {"teacher": "sampled_return", "student": "loss"}.get(row.kind, "return")
        row.done, row.total, row.unit = 1e5, 1e5, "steps"


def _keep_supervisors_away(database: Database) -> None:
    """Say that this process looks after the queue, so that nothing really starts."""
    stand_in(database)
