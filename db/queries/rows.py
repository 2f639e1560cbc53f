"""Runs as they leave the database: rows in, frozen records out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import RunInputRow, RunRobotSetRow, RunRow, TagRow
from db.records import Run, RunKind, RunState


def run_records(session: Session, rows: Sequence[RunRow]) -> list[Run]:
    """The rows as records, in the same order, with inputs, robot sets and tags."""
    ids = [row.id for row in rows]
    inputs = _inputs(session, ids)
    names = _grouped(
        session.execute(
            select(RunRobotSetRow.run_id, RunRobotSetRow.name)
            .where(RunRobotSetRow.run_id.in_(ids))
            .order_by(RunRobotSetRow.run_id, RunRobotSetRow.position)
        )
    )
    tags = _grouped(
        session.execute(
            select(TagRow.run_id, TagRow.tag).where(TagRow.run_id.in_(ids)).order_by(TagRow.tag)
        )
    )
    return [_record(row, inputs[row.id], names[row.id], tags[row.id]) for row in rows]


def _inputs(session: Session, ids: Sequence[int]) -> dict[int, list[tuple[int, bool]]]:
    """Per run its inputs in order, each with whether it worked again since it was read."""
    found: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    query = (
        select(RunInputRow.run_id, RunInputRow.input_id, RunInputRow.input_attempt, RunRow.attempt)
        .join(RunRow, RunRow.id == RunInputRow.input_id)
        .where(RunInputRow.run_id.in_(ids))
        .order_by(RunInputRow.run_id, RunInputRow.position)
    )
    for run_id, input_id, read_attempt, attempt in session.execute(query):
        found[run_id].append((input_id, read_attempt is not None and read_attempt != attempt))
    return found


def _grouped(pairs: Iterable[tuple[int, str]]) -> dict[int, tuple[str, ...]]:
    groups: dict[int, tuple[str, ...]] = defaultdict(tuple)
    for key, value in pairs:
        groups[key] = (*groups[key], value)
    return groups


def _record(
    row: RunRow, inputs: list[tuple[int, bool]], robot_sets: tuple[str, ...], tags: tuple[str, ...]
) -> Run:
    known = row.done is not None and row.total is not None and row.total > 0
    return Run(
        id=row.id,
        kind=RunKind(row.kind),
        name=row.name,
        state=RunState(row.state),
        pipeline=row.pipeline_id,
        group=row.group_name,
        host=row.host,
        device=row.device,
        attempt=row.attempt,
        pid=row.pid,
        pid_started_at=row.pid_started_at,
        boot_id=row.boot_id,
        seed=row.seed,
        config=row.config,
        inputs=tuple(input_id for input_id, _ in inputs),
        robot_sets=robot_sets,
        folder=row.folder,
        versions=row.versions,
        reason=row.reason,
        exit_code=row.exit_code,
        progress=min(1.0, row.done / row.total)
        if known and row.done and row.total
        else (0.0 if known else None),
        done=row.done,
        total=row.total,
        unit=row.unit,
        rate=row.rate,
        result=row.result,
        result_text=row.result_text,
        report_gap_s=row.report_gap_s,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reported_at=row.reported_at,
        checkpoint_step=row.checkpoint_step,
        archived=row.archived,
        note=row.note,
        tags=tags,
        extra=row.extra,
        blocked_by=row.blocked_by,
        queued_boot_id=row.queued_boot_id,
        stop_requested_at=row.stop_requested_at,
        kill_requested_at=row.kill_requested_at,
        worked_s=row.worked_s,
        stale=any(stale for _, stale in inputs),
    )
