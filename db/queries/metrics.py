"""Curves: append points to series, read them back whole or rolled up.

A point that is not finite, or beyond ``LARGEST``, is an extreme one. They have a table of their
own: means, lowest and highest values of all others stay numbers, and none is ever lost.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from db.models import ROLLUP_SIZE, ExtremePointRow, PointRow, RollupRow, SeriesRow, record_of
from db.queries.run_records import MANY
from db.queries.upsert import upsert
from db.records import Point, Points, Series
from db.session import Database
from engine.errors import RunError

LARGEST = 1e300
"""Numbers beyond this are extreme: the sums of a hundred million of them stay finite."""
EXACT_FACTOR = 16
"""Points are read one by one up to this multiple of what is asked for, then by rollups."""


Row = tuple[int, int, float, float, float, float]


@dataclass(frozen=True)
class NewPoint:
    """A number to append to the series of this name and robot (empty: of the whole run)."""

    name: str
    robot_digest: str
    step: int
    iteration: int
    wall_s: float
    value: float


def list_series(database: Database, run_id: int) -> list[Series]:
    """The curves of a run: its own first, then those of robots, by name."""
    query = (
        select(SeriesRow, ExtremePointRow.value)
        .outerjoin(ExtremePointRow, _is_last)
        .where(SeriesRow.run_id == run_id)
        .order_by(SeriesRow.robot_digest, SeriesRow.name)
    )
    with database.read() as session:
        return [
            record_of(
                Series,
                row,
                robot_digest=row.robot_digest or None,
                last_value=row.last_value if extreme is None else _number(extreme),
            )
            for row, extreme in session.execute(query)
        ]


_is_last = (ExtremePointRow.series_id == SeriesRow.id) & (
    ExtremePointRow.step == SeriesRow.last_step
)


def last_values(database: Database, run_ids: Collection[int]) -> dict[int, dict[str, float]]:
    """Per run the last value of each curve of its own, by name; robots' curves are left out."""
    columns = (SeriesRow.run_id, SeriesRow.name, SeriesRow.last_value, ExtremePointRow.value)
    query = select(*columns).outerjoin(ExtremePointRow, _is_last)
    query = query.where(SeriesRow.robot_digest == "", SeriesRow.last_step.is_not(None))
    if len(run_ids) <= MANY:
        query = query.where(SeriesRow.run_id.in_(run_ids))
    values: dict[int, dict[str, float]] = {run_id: {} for run_id in run_ids}
    with database.read() as session:
        for run_id, name, value, extreme in session.execute(query.order_by(SeriesRow.id)):
            last = value if extreme is None else _number(extreme)
            if run_id in values and last is not None:
                values[run_id][name] = last
    return values


def count_points(database: Database, run_id: int) -> dict[int, tuple[int, int, int]]:
    """Per curve of a run: points counted as they came, points stored, points in its blocks.

    Extreme ones are left out. The three are equal unless a point was lost or written twice.
    """
    stored = select(func.count()).where(PointRow.series_id == SeriesRow.id).scalar_subquery()
    summed = (
        select(func.coalesce(func.sum(RollupRow.num_points), 0))
        .where(RollupRow.series_id == SeriesRow.id)
        .scalar_subquery()
    )
    query = select(SeriesRow.id, SeriesRow.num_points, stored, summed)
    with database.read() as session:
        rows = session.execute(query.where(SeriesRow.run_id == run_id))
        return {key: (int(came), int(kept), int(total)) for key, came, kept, total in rows}


def read_several(
    database: Database, series_ids: Collection[int], max_points: int
) -> dict[int, Points]:
    """What ``read_points`` says of each of these series, by one query; unknown ones are left out.

    Only for series of at most ``EXACT_FACTOR * max_points`` points, such as those of robots;
    longer ones are read one by one.
    """
    point, series = PointRow, SeriesRow
    longest = EXACT_FACTOR * max_points
    width: Any = func.max(1, (series.num_points + max_points - 1) // max_points)
    if database.dialect == "postgresql":
        width = func.greatest(1, (series.num_points + max_points - 1) // max_points)
    number = func.row_number().over(partition_by=point.series_id, order_by=point.step) - 1
    parts = (
        select(point, (number // width).label("part"))
        .join(series, series.id == point.series_id)
        .where(point.series_id.in_(series_ids), series.num_points <= longest)
        .subquery()
    )
    part = parts.c
    query = (
        select(part.series_id, *_group_columns(part))
        .group_by(part.series_id, part.part)
        .order_by(part.series_id, part.part)
    )
    rows: dict[int, list[Row]] = {}
    with database.read() as session:
        for series_id, *row in map(tuple, session.execute(query)):
            rows.setdefault(series_id, []).append(tuple(row))
        long = select(series.id).where(series.id.in_(series_ids), series.num_points > longest)
        one_by_one = session.scalars(long).all()
        extremes = _extremes(session, series_ids, -1, max_points)
    found = {
        key: _points(key, rows.get(key, []), extremes.get(key, ()))
        for key in (*rows, *(key for key in extremes if key not in rows))
        if key not in one_by_one
    }
    return found | {key: read_points(database, key, max_points=max_points) for key in one_by_one}


def read_points(
    database: Database, series_id: int, after_step: int = -1, max_points: int = 4000
) -> Points:
    """Points of a series after a step, ascending; beyond ``max_points`` in groups.

    A group is as wide as needed; it carries the mean, the lowest and highest value of its points,
    and the step, iteration and time of its last one. Nothing is left out of any group; extreme
    points stand beside the groups.
    """
    with database.read() as session:
        series = session.get(SeriesRow, series_id)
        if series is None:
            raise RunError(f"There is no curve {series_id}.")
        block, block_end = _block_after(session, series_id, after_step)
        remaining = series.num_points - block * ROLLUP_SIZE
        if remaining > EXACT_FACTOR * max_points:
            # The first block may begin before the step that was asked for.
            rows = _grouped_points(session, series_id, (after_step, block_end), ROLLUP_SIZE)
            rows += _grouped_blocks(session, series_id, block, max(1, max_points - 1))
        else:
            width = math.ceil(remaining / max_points)
            rows = _grouped_points(session, series_id, (after_step, series.last_step or 0), width)
        extremes = _extremes(session, [series_id], after_step, max_points)
    return _points(series_id, rows, extremes.get(series_id, ()))


def _number(text: str) -> float:
    """The number that a text is; NaN is one object, so that records read twice are equal."""
    value = float(text)
    return math.nan if math.isnan(value) else value


def _points(series_id: int, rows: Sequence[Row], extremes: Sequence[Point]) -> Points:
    columns: Sequence[Any] = list(zip(*rows, strict=True)) or [()] * 6
    return replace(Points(series_id, *columns), extremes=tuple(extremes))


def _extremes(
    session: Session, series_ids: Collection[int], after_step: int, most: int
) -> dict[int, list[Point]]:
    """The newest extreme points of each series after a step, ascending, so many at most."""
    extreme = ExtremePointRow
    number = func.row_number().over(partition_by=extreme.series_id, order_by=extreme.step.desc())
    numbered = (
        select(extreme, number.label("number"))
        .where(extreme.series_id.in_(series_ids), extreme.step > after_step)
        .subquery()
    )
    part = numbered.c
    query = select(part.series_id, part.step, part.iteration, part.wall_s, part.value)
    query = query.where(part.number <= most).order_by(part.series_id, part.step)
    found: dict[int, list[Point]] = {}
    for series_id, step, iteration, wall_s, value in session.execute(query):
        found.setdefault(series_id, []).append(Point(step, iteration, wall_s, _number(value)))
    return found


def _block_after(session: Session, series_id: int, step: int) -> tuple[int, int]:
    """The first block with a point after ``step`` (or one past the last), and its last step."""
    query = (
        select(RollupRow.block, RollupRow.last_step)
        .where(RollupRow.series_id == series_id, RollupRow.last_step > step)
        .order_by(RollupRow.block)
        .limit(1)
    )
    found = session.execute(query).first()
    return found or (0, step)


def _grouped_points(
    session: Session, series_id: int, steps: tuple[int, int], width: int
) -> list[Row]:
    point = PointRow
    after, until = steps
    if width <= 1:
        value = point.value
        plain = select(point.step, point.iteration, point.wall_s, value, value, value)
        here = (point.series_id == series_id, point.step > after, point.step <= until)
        return list(session.execute(plain.where(*here).order_by(point.step)))
    numbered = (
        select(
            point.step,
            point.iteration,
            point.wall_s,
            point.value,
            ((func.row_number().over(order_by=point.step) - 1) // max(1, width)).label("part"),
        )
        .where(point.series_id == series_id, point.step > after, point.step <= until)
        .subquery()
    )
    part = numbered.c
    query = select(*_group_columns(part)).group_by(part.part).order_by(part.part)
    return list(session.execute(query))


def _group_columns(part: Any) -> tuple[Any, ...]:
    """Step, iteration and time of the last point of a group; mean, lowest and highest value."""
    last = (func.max(part.step), func.max(part.iteration), func.max(part.wall_s))
    return (*last, func.avg(part.value), func.min(part.value), func.max(part.value))


def _grouped_blocks(
    session: Session, series_id: int, after_block: int, max_points: int
) -> list[Row]:
    mine = (RollupRow.series_id == series_id, RollupRow.block > after_block)
    blocks = session.scalar(select(func.count()).where(*mine)) or 0
    part = (RollupRow.block - after_block - 1) // max(1, math.ceil(blocks / max_points))
    query = (
        select(
            func.max(RollupRow.last_step),
            func.max(RollupRow.last_iteration),
            func.max(RollupRow.last_wall_s),
            func.sum(RollupRow.value_sum) / func.sum(RollupRow.num_points),
            func.min(RollupRow.low),
            func.max(RollupRow.high),
        )
        .where(*mine)
        .group_by(part)
        .order_by(part)
    )
    return list(session.execute(query))


def append_points(session: Session, run_id: int, points: Sequence[NewPoint]) -> None:
    """Append points; a step a series already has, or has passed, is not written again."""
    if not points:
        return
    series = _series_by_key(session, run_id, {(point.name, point.robot_digest) for point in points})
    fresh: dict[int, list[NewPoint]] = {}
    for point in points:
        row = series[point.name, point.robot_digest]
        taken = fresh.setdefault(row.id, [])
        last = taken[-1].step if taken else row.last_step
        if last is None or point.step > last:
            taken.append(point)
    measured = {key: [each for each in own if _is_plain(each)] for key, own in fresh.items()}
    rows = [_stored(key, point, point.value) for key, own in measured.items() for point in own]
    if rows:
        session.execute(insert(PointRow), rows)
    rollups = [
        rollup
        for row in series.values()
        for rollup in _new_rollups(row.id, row.num_points, measured.get(row.id, []))
    ]
    if rollups:
        _merge_rollups(session, rollups)
    extremes = [
        _stored(key, point, repr(point.value))
        for key, own in fresh.items()
        for point in own
        if not _is_plain(point)
    ]
    if extremes:
        session.execute(insert(ExtremePointRow), extremes)
    _update_series(session, list(series.values()), fresh, measured)


def _is_plain(point: NewPoint) -> bool:
    return abs(point.value) <= LARGEST  # False of NaN as well


def _stored(series_id: int, point: NewPoint, value: float | str) -> dict[str, object]:
    return {
        "series_id": series_id,
        "step": point.step,
        "iteration": point.iteration,
        "wall_s": point.wall_s,
        "value": value,
    }


def _update_series(
    session: Session,
    series: Sequence[SeriesRow],
    fresh: dict[int, list[NewPoint]],
    measured: dict[int, list[NewPoint]],
) -> None:
    changed = [row for row in series if fresh.get(row.id)]
    if not changed:
        return
    session.execute(
        update(SeriesRow),
        [
            {
                "id": row.id,
                "num_points": row.num_points + len(measured[row.id]),
                "last_step": fresh[row.id][-1].step,
                "last_value": fresh[row.id][-1].value if _is_plain(fresh[row.id][-1]) else None,
            }
            for row in changed
        ],
    )


def _series_by_key(
    session: Session, run_id: int, keys: set[tuple[str, str]]
) -> dict[tuple[str, str], SeriesRow]:
    query = select(SeriesRow).where(SeriesRow.run_id == run_id)
    found = {(row.name, row.robot_digest): row for row in session.scalars(query)}
    for name, digest in sorted(keys - found.keys()):
        row = SeriesRow(run_id=run_id, name=name, robot_digest=digest, num_points=0)
        session.add(row)
        found[name, digest] = row
    session.flush()
    return {key: found[key] for key in keys}


def _new_rollups(
    series_id: int, num_points: int, points: Sequence[NewPoint]
) -> list[dict[str, object]]:
    """One row per block that the points reach; a block that exists is merged later."""
    rollups: list[dict[str, object]] = []
    start = 0
    while start < len(points):
        block, filled = divmod(num_points + start, ROLLUP_SIZE)
        part = points[start : start + ROLLUP_SIZE - filled]
        values = [point.value for point in part]
        rollups.append(
            {
                "series_id": series_id,
                "block": block,
                "num_points": len(part),
                "last_step": part[-1].step,
                "last_iteration": part[-1].iteration,
                "last_wall_s": part[-1].wall_s,
                "value_sum": math.fsum(values),
                "low": min(values),
                "high": max(values),
            }
        )
        start += len(part)
    return rollups


def _merge_rollups(session: Session, rollups: list[dict[str, object]]) -> None:
    statement, new = upsert(session, RollupRow)
    lower = func.min if session.get_bind().dialect.name == "sqlite" else func.least
    higher = func.max if session.get_bind().dialect.name == "sqlite" else func.greatest
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[RollupRow.series_id, RollupRow.block],
            set_={
                "num_points": RollupRow.num_points + new.num_points,
                "last_step": new.last_step,
                "last_iteration": new.last_iteration,
                "last_wall_s": new.last_wall_s,
                "value_sum": RollupRow.value_sum + new.value_sum,
                "low": lower(RollupRow.low, new.low),
                "high": higher(RollupRow.high, new.high),
            },
        ),
        rollups,
    )


def delete_points_after(session: Session, run_id: int, step: int | None) -> None:
    """Take every curve of a run back to ``step``; with None to before its first point."""
    rows = session.scalars(select(SeriesRow).where(SeriesRow.run_id == run_id)).all()
    for row in rows:
        if row.last_step is None or (step is not None and row.last_step <= step):
            continue
        _cut(session, row, -1 if step is None else step)


def _cut(session: Session, series: SeriesRow, step: int) -> None:
    here = RollupRow.series_id == series.id
    for table in (PointRow, ExtremePointRow):
        session.execute(delete(table).where(table.series_id == series.id, table.step > step))
    session.execute(delete(RollupRow).where(here, RollupRow.last_step > step))
    whole = session.execute(select(func.count(), func.max(RollupRow.last_step)).where(here)).one()
    series.num_points = int(whole[0]) * ROLLUP_SIZE
    series.last_step = whole[1]
    series.last_value = None
    # Points between the last whole block and the step make the new unfinished block.
    rest = session.scalars(
        select(PointRow)
        .where(
            PointRow.series_id == series.id,
            PointRow.step > (-1 if series.last_step is None else series.last_step),
        )
        .order_by(PointRow.step)
    ).all()
    points = [
        NewPoint(series.name, series.robot_digest, p.step, p.iteration, p.wall_s, p.value)
        for p in rest
    ]
    rollups = _new_rollups(series.id, series.num_points, points)
    if rollups:
        session.execute(insert(RollupRow), rollups)
    series.num_points += len(points)
    if points:
        series.last_step = points[-1].step
    extreme = select(func.max(ExtremePointRow.step)).where(ExtremePointRow.series_id == series.id)
    last_steps = (series.last_step, session.scalar(extreme))
    series.last_step = max((each for each in last_steps if each is not None), default=None)
    if series.last_step is not None:
        series.last_value = session.scalar(
            select(PointRow.value).where(
                PointRow.series_id == series.id, PointRow.step == series.last_step
            )
        )
    session.flush()
