"""Runs as they leave the database: rows in, frozen records out.

Making a record of a row costs ten times as much as reading it: settings are parsed, times
converted. A list of a thousand runs is read every few seconds and few of them change, so records
are kept, and made anew where any stored value differs.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVarTuple

from sqlalchemy import Select, Table, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import NULLTYPE

from db.machine import clock_offset_s, is_this_machine, now, uptime_s
from db.models import Base, RunInputRow, RunRobotSetRow, RunRow, TagRow, record_of
from db.records import CHECKPOINTS, Run, RunKind, RunState

STEP_S = 1.0
"""By less than this a clock is not set, only steered."""
MANY = 300
"""From so many runs on, reading all rows of a table beats naming those that are wanted."""

Related = tuple[tuple[Any, ...], ...]
Columns = TypeVarTuple("Columns")


def as_stored(table: type[Base]) -> list[Any]:
    """The columns of a table as the database holds them, neither parsed nor converted."""
    mapped = table.__table__
    if not isinstance(mapped, Table):
        raise TypeError(f"{table.__name__} is no table")
    return [type_coerce(column, NULLTYPE) for column in mapped.columns]


class RunMemory:
    """Records of runs as they were read last, with the stored values they were made of."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[tuple[Any, ...], Run]] = {}
        self._offset_s = clock_offset_s()

    def records(self, session: Session, chosen: Select[Any]) -> list[Run]:
        """The records of the runs whose id, stored values and order ``chosen`` selects."""
        if abs(clock_offset_s() - self._offset_s) > STEP_S:  # the clock was set
            self._offset_s = clock_offset_s()
            self._kept.clear()
        rows = {row[0]: tuple(row) for row in session.execute(chosen)}
        inputs, names, tags = _related(session, list(rows))
        stored = {
            run_id: (row, inputs[run_id], names[run_id], tags[run_id])
            for run_id, row in rows.items()
        }
        kept = {key: self._kept[key] for key in stored if key in self._kept}
        changed = [key for key, value in stored.items() if key not in kept or kept[key][0] != value]
        for row in _typed(session, changed):
            if row.id in stored:
                kept[row.id] = stored[row.id], _record(row, *stored[row.id][1:])
        self._kept.update((key, kept[key]) for key in changed)
        return [kept[run_id][1] for run_id in rows]


def choose_runs() -> Select[Any]:
    """Selects runs as ``RunMemory.records`` wants them."""
    return select(*as_stored(RunRow))


def run_records(session: Session, rows: Sequence[RunRow]) -> list[Run]:
    """The rows as records, in the same order, with inputs, robot sets and tags."""
    inputs, names, tags = _related(session, [row.id for row in rows])
    return [_record(row, inputs[row.id], names[row.id], tags[row.id]) for row in rows]


def _typed(session: Session, ids: Sequence[int]) -> Sequence[Any]:
    if not ids:
        return []
    mapped: Any = RunRow.__table__
    return session.execute(_only(select(*mapped.columns), RunRow.id, ids)).all()


def _only(
    query: Select[*Columns], column: InstrumentedAttribute[int], ids: Sequence[int]
) -> Select[*Columns]:
    return query if len(ids) > MANY else query.where(column.in_(ids))


def _related(
    session: Session, ids: Sequence[int]
) -> tuple[dict[int, Related], dict[int, Related], dict[int, Related]]:
    """Per run its inputs (and whether each worked again since it was read), its sets, its tags."""
    inputs = (
        select(
            RunInputRow.run_id,
            RunInputRow.input_id,
            RunInputRow.input_attempt.is_not(None) & (RunInputRow.input_attempt != RunRow.attempt),
        )
        .join(RunRow, RunRow.id == RunInputRow.input_id)
        .order_by(RunInputRow.run_id, RunInputRow.position)
    )
    names = select(RunRobotSetRow.run_id, RunRobotSetRow.name).order_by(
        RunRobotSetRow.run_id, RunRobotSetRow.position
    )
    tags = select(TagRow.run_id, TagRow.tag).order_by(TagRow.run_id, TagRow.tag)
    return (
        _grouped(session, _only(inputs, RunInputRow.run_id, ids)),
        _grouped(session, _only(names, RunRobotSetRow.run_id, ids)),
        _grouped(session, _only(tags, TagRow.run_id, ids)),
    )


def _grouped(session: Session, query: Select[*Columns]) -> dict[int, Related]:
    groups: dict[int, Related] = defaultdict(tuple)
    for row in session.execute(query):
        values: tuple[Any, ...] = tuple(row)
        groups[values[0]] = (*groups[values[0]], values[1:])
    return groups


def _progress(row: Any) -> float | None:
    """A share of the total; 1 of a finished run, also where it was done before its last unit."""
    if row.done is None or not row.total or row.total < 0:
        return None
    return 1.0 if row.state == RunState.FINISHED else min(1.0, row.done / row.total)


def _by_todays_clock(row: Any, stored: datetime | None, uptime: float | None) -> datetime | None:
    """When something happened to a run at work here, however the clock was set since.

    So what is reckoned from it, by whomever, is as long as it lasted.
    """
    if stored is None or uptime is None or not RunState(row.state).active:
        return stored
    if not is_this_machine(row.boot_id, row.host):
        return stored
    ago_s = uptime_s() - uptime
    today = now() - timedelta(seconds=ago_s)
    return today if abs((today - stored).total_seconds()) > STEP_S else stored


def _record(row: Any, inputs: Related, robot_sets: Related, tags: Related) -> Run:
    read = row.extra.get(CHECKPOINTS, {})
    return record_of(
        Run,
        row,
        kind=RunKind(row.kind),
        state=RunState(row.state),
        pipeline=row.pipeline_id,
        group=row.group_name,
        inputs=tuple(input_id for input_id, _ in inputs),
        robot_sets=tuple(name for (name,) in robot_sets),
        tags=tuple(tag for (tag,) in tags),
        progress=_progress(row),
        started_at=_by_todays_clock(row, row.started_at, row.started_uptime_s),
        reported_at=_by_todays_clock(row, row.reported_at, row.reported_uptime_s),
        stop_requested_at=_by_todays_clock(row, row.stop_requested_at, row.stop_requested_uptime_s),
        stale=any(stale for number, stale in inputs if str(number) not in read),
    )
