"""Runs as they were elsewhere, written down whole: records become rows, curves come in bulk.

For workspaces that a program makes up, such as the demo and that of the benchmark. Workers report
through the recorder instead, which checks that they may.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from db.models import (
    ROLLUP_SIZE,
    EventRow,
    PipelineRow,
    RunInputRow,
    RunRobotSetRow,
    RunRow,
    SeriesRow,
    TagRow,
)
from db.records import Pipeline, Run, RunEvent

_DERIVED = ("progress", "stale", "inputs", "robot_sets", "tags", "pipeline", "group", "kind")


@dataclass(frozen=True)
class WholeCurve:
    """All points of a series, steps ascending; ``robot_digest`` is empty for the whole run's."""

    run_id: int
    name: str
    robot_digest: str
    step: Sequence[int]
    iteration: Sequence[int]
    wall_s: Sequence[float]
    value: Sequence[float]


@dataclass(frozen=True)
class LikeCurve:
    """A series as long as another one, its values times a positive ``factor``."""

    run_id: int
    name: str
    robot_digest: str
    factor: float


def write_runs(session: Session, runs: Iterable[Run]) -> None:
    """Write runs under their own numbers; one that exists becomes as the record says."""
    for run in runs:
        facts = {name: value for name, value in vars(run).items() if name not in _DERIVED}
        facts |= {"config": dict(run.config), "extra": dict(run.extra)}
        facts |= {"versions": dict(run.versions), "state": str(run.state), "kind": str(run.kind)}
        session.merge(RunRow(**facts, pipeline_id=run.pipeline, group_name=run.group, token=None))
        for table in (RunInputRow, RunRobotSetRow, TagRow):
            session.execute(delete(table).where(table.run_id == run.id))
        session.flush()
        session.add_all(
            RunInputRow(run_id=run.id, position=position, input_id=number)
            for position, number in enumerate(run.inputs)
        )
        session.add_all(
            RunRobotSetRow(run_id=run.id, position=position, name=name)
            for position, name in enumerate(run.robot_sets)
        )
        session.add_all(TagRow(run_id=run.id, tag=tag) for tag in run.tags)
    session.flush()


def write_pipelines(session: Session, pipelines: Iterable[Pipeline]) -> None:
    """Write pipelines under their own numbers."""
    session.add_all(PipelineRow(**asdict(pipeline)) for pipeline in pipelines)
    session.flush()


def write_events(session: Session, events: Iterable[RunEvent]) -> None:
    """Write events with their own times, in this order; their numbers are given anew."""
    for event in events:
        facts = {name: value for name, value in vars(event).items() if name != "id"}
        session.add(EventRow(**facts))
    session.flush()


def write_curves(session: Session, curves: Iterable[WholeCurve]) -> None:
    """Write series that no run has yet, with their rollups."""
    for curve in curves:
        _write_curve(session, curve)


def write_alike(session: Session, curve: WholeCurve, others: Iterable[LikeCurve]) -> None:
    """Write a series and others of its shape; the database copies them, ten times as fast."""
    first = _write_curve(session, curve)
    rows = {
        SeriesRow(
            run_id=other.run_id,
            name=other.name,
            robot_digest=other.robot_digest,
            num_points=first.num_points,
            last_step=first.last_step,
            last_value=curve.value[-1] * other.factor,
        ): other.factor
        for other in others
    }
    session.add_all(rows)
    session.flush()
    for row, factor in rows.items():
        for copy in (_COPY_POINTS, _COPY_ROLLUPS):
            session.execute(copy, {"first": first.id, "series": row.id, "factor": factor})


def _write_curve(session: Session, curve: WholeCurve) -> SeriesRow:
    connection = session.connection()
    insert = _INSERT[connection.dialect.paramstyle == "qmark"]
    row = SeriesRow(
        run_id=curve.run_id,
        name=curve.name,
        robot_digest=curve.robot_digest,
        num_points=len(curve.step),
        last_step=curve.step[-1],
        last_value=curve.value[-1],
    )
    session.add(row)
    session.flush()
    columns = (curve.step, curve.iteration, curve.wall_s, curve.value)
    number = row.id
    points = [(number, *values) for values in zip(*columns, strict=True)]
    # Millions of rows: the driver takes tuples five times as fast as the ORM takes objects.
    connection.exec_driver_sql(insert, points)
    session.execute(_ROLL_UP, {"series": number, "size": ROLLUP_SIZE})
    return row


_INSERT = {
    True: "INSERT INTO points (series_id, step, iteration, wall_s, value) VALUES (?, ?, ?, ?, ?)",
    False: "INSERT INTO points (series_id, step, iteration, wall_s, value) "
    "VALUES (%s, %s, %s, %s, %s)",
}

_ROLL_UP = text(
    """
    INSERT INTO rollups (series_id, block, num_points, last_step, last_iteration, last_wall_s,
                         value_sum, low, high)
    SELECT series_id, (number - 1) / :size, count(*), max(step), max(iteration), max(wall_s),
           sum(value), min(value), max(value)
    FROM (SELECT points.*, row_number() OVER (ORDER BY step) AS number
          FROM points WHERE series_id = :series) AS numbered
    GROUP BY series_id, (number - 1) / :size
    """
)

_COPY_POINTS = text(
    """
    INSERT INTO points (series_id, step, iteration, wall_s, value)
    SELECT :series, step, iteration, wall_s, value * :factor FROM points WHERE series_id = :first
    """
)

_COPY_ROLLUPS = text(
    """
    INSERT INTO rollups (series_id, block, num_points, last_step, last_iteration, last_wall_s,
                         value_sum, low, high)
    SELECT :series, block, num_points, last_step, last_iteration, last_wall_s,
           value_sum * :factor, low * :factor, high * :factor
    FROM rollups WHERE series_id = :first
    """
)
