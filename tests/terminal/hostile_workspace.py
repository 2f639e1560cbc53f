"""A workspace in which everything that has a name or a text tries to draw, jump or break out."""

from datetime import UTC, datetime
from pathlib import Path

from database_rows import create_pipeline

from db.models import EventRow, RobotRow, RunRow
from db.queries.artifacts import NewFile, insert_artifact
from db.queries.metrics import NewPoint, append_points
from db.queries.robots import add_robots, create_set
from db.queries.runs import queue_run, set_note, set_tags
from db.records import NewRobot, NewRun, RunKind
from db.session import Database
from engine.morphology.generation import generate
from engine.workers import robot_library
from engine.workers.workspace import Workspace

MARKUP = "[red]m[/] [/x] [@click=app.exit]k[/]"
ESCAPES = "\x1b[31;46;7mE\x1b]0;owned\x07\x1bPq\x1b\\\x9b2J\x9d0;owned\x9c\u202e"
HOSTILE = f"{MARKUP}{ESCAPES}../../x"
FORBIDDEN = (
    b"\x1b[31;46;7m",
    b"\x1b]0;owned",
    b"\x1bPq",
    b"\xc2\x9b",
    b"\xc2\x9d",
    "\u202e".encode(),
)
"""What no byte stream to a terminal may hold."""


def fill(home: Path) -> int:
    """A failed teacher, its robots and events under hostile names; its id."""
    database, workspace = Database.open(home), Workspace(home)
    robot_library.make_set(
        database, workspace, "real", [(robot, None) for robot in generate(2, seed=3)]
    )
    _add_robots(database)
    pipeline = create_pipeline(database, HOSTILE, HOSTILE, HOSTILE, 1)
    new = NewRun(
        RunKind.TEACHER,
        HOSTILE,
        {"preset": HOSTILE, HOSTILE: [HOSTILE, {HOSTILE: 1.0}]},
        seed=1,
        robot_sets=("real", HOSTILE),
        group=HOSTILE,
        pipeline=pipeline.id,
        tags=(HOSTILE,),
    )
    run = queue_run(database, new, boot_id="before")
    # Past every check of ours: as another program, or a hand, might have written it.
    with database.write() as session:
        row = session.get_one(RunRow, run.id)
        row.name = row.group_name = row.reason = row.result_text = row.unit = HOSTILE
        row.state, row.attempt, row.exit_code = "failed", 1, 1
        row.started_at = row.ended_at = datetime.now(UTC)
        row.done, row.total, row.result = 1.0, 2.0, 3.0
        row.versions = {"torch": HOSTILE}
        for kind in ("note", HOSTILE):
            session.add(
                EventRow(
                    run_id=run.id, at=datetime.now(UTC), level="error", kind=kind, text=HOSTILE
                )
            )
        points = [NewPoint(HOSTILE, "", step, step, 1.0, 0.5 * step) for step in range(1, 30)]
        points += [NewPoint("return", "", step, step, 1.0, 0.5 * step) for step in range(1, 30)]
        append_points(session, run.id, points)
        insert_artifact(session, run.id, NewFile(1, HOSTILE, "0" * 64, 3), HOSTILE, HOSTILE)
    set_tags(database, run.id, [HOSTILE])
    set_note(database, run.id, HOSTILE)
    log = workspace.log_path(run.id)
    log.parent.mkdir(parents=True)
    log.write_bytes((HOSTILE + "\n").encode() * 30 + b"\xff\xfe\x00\n")
    database.close()
    return run.id


def _add_robots(database: Database) -> None:
    robots = [
        NewRobot(
            digest=f"{index:064x}",
            name=f"robot{index}",
            family="unimal",
            num_limbs=5,
            num_joints=8,
            mass_kg=20.0,
            head_height_m=0.5,
            path="../../../etc/passwd",
        )
        for index in range(2)
    ]
    members = [(robot.id, None) for robot in add_robots(database, robots)]
    create_set(database, "hostile", members)
    with database.write() as session:
        for row in session.query(RobotRow).filter(RobotRow.path.like("..%")):
            row.name = f"{row.id}{HOSTILE}"
