"""A run's life inside transactions: claim, begin, report, end, requeue.

Callers pass the states a change may start from; a change that finds another state does nothing
and says so. Every write of a worker carries its attempt's token, and the first statement of the
transaction both checks it and holds the row: a stale attempt writes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.machine import boot_id, is_this_machine, now, uptime_s
from db.models import AttemptRow, CheckpointRow, EpisodeRow, RunInputRow, RunRow
from db.queries.metrics import delete_points_after
from db.queries.runs import dependant_ids, insert_event
from db.records import RunState
from engine.errors import StaleAttemptError


@dataclass(frozen=True)
class Process:
    """The process behind an attempt, as the operating system names it.

    ``started_at`` is for readers of version 0.1 that are still at work; ``ticks`` is what counts.
    """

    pid: int
    started_at: float
    boot_id: str
    ticks: int | None = None


def change_state(
    session: Session,
    run_id: int,
    to: RunState,
    allowed: Collection[RunState],
    *,
    attempt: int | None = None,
    **facts: Any,
) -> bool:
    """Move a run to ``to`` if its state is allowed (and its attempt is this one); True if moved."""
    statement = update(RunRow).where(
        RunRow.id == run_id, RunRow.state.in_([str(state) for state in allowed])
    )
    if attempt is not None:
        statement = statement.where(RunRow.attempt == attempt)
    result = session.execute(
        statement.values(state=str(to), **facts).execution_options(synchronize_session="fetch")
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def claim(session: Session, run_id: int, token: str, host: str) -> int | None:
    """Give a queued run its next attempt on this machine; None if it is not queued.

    The attempt alone may write from now on.

    Curves are taken back to the checkpoint the attempt goes on from, in the same transaction.
    Episodes stay: each is whole, unless its policy is another one now.
    """
    fresh: dict[str, Any] = dict.fromkeys(
        ("pid", "pid_started_at", "pid_ticks", "reason", "blocked_by", "exit_code", "ended_at")
    )
    fresh |= dict.fromkeys(("rate", "result", "result_text", "result_kind", "stop_requested_at"))
    fresh |= dict.fromkeys(("kill_requested_at", "reported_at", "report_gap_s"))
    fresh |= dict.fromkeys(("stop_requested_uptime_s", "reported_uptime_s"))
    moved = change_state(
        session,
        run_id,
        RunState.STARTING,
        [RunState.QUEUED],
        attempt=None,
        token=token,
        host=host,
        boot_id=boot_id(),
        started_at=now(),
        started_uptime_s=uptime_s(),
        **fresh,
    )
    if not moved:
        return None
    row = session.get_one(RunRow, run_id)
    row.attempt += 1
    checkpoint = session.scalar(
        select(CheckpointRow)
        .where(CheckpointRow.run_id == run_id)
        .order_by(CheckpointRow.step.desc(), CheckpointRow.id.desc())
        .limit(1)
    )
    step = checkpoint.step if checkpoint else None
    row.worked_s = checkpoint.worked_s if checkpoint else 0.0
    row.checkpoint_step = step
    if checkpoint is None:
        row.done = row.total = None
    delete_points_after(session, run_id, step)
    _read_inputs(session, run_id)
    session.add(
        AttemptRow(
            run_id=run_id,
            number=row.attempt,
            token=token,
            host=host,
            from_step=step,
            started_at=now(),
        )
    )
    session.flush()
    return row.attempt


def _read_inputs(session: Session, run_id: int) -> None:
    """Note which attempts of its inputs a run reads; what it found of others does not hold."""
    others = False
    for read in session.scalars(select(RunInputRow).where(RunInputRow.run_id == run_id)):
        attempt = session.get_one(RunRow, read.input_id).attempt
        others |= read.input_attempt not in (None, attempt)
        read.input_attempt = attempt
    if others:
        session.execute(delete(EpisodeRow).where(EpisodeRow.run_id == run_id))


def record_process(session: Session, run_id: int, token: str, process: Process) -> bool:
    """Say which process works on the claimed attempt; False where the token is stale."""
    facts = {
        "pid": process.pid,
        "pid_started_at": process.started_at,
        "boot_id": process.boot_id,
    }
    result = session.execute(
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.token == token)
        .values(**facts, pid_ticks=process.ticks)
    )
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.run_id == run_id, AttemptRow.token == token)
        .values(**facts)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def begin(
    session: Session, run_id: int, token: str, process: Process, versions: Mapping[str, str]
) -> bool:
    """A worker takes its claimed run up; False where it was asked to stop before.

    Raises:
        StaleAttemptError: The token may not write, so that a worker that comes late leaves.
    """
    confirm(session, run_id, token)
    record_process(session, run_id, token, process)
    return change_state(
        session, run_id, RunState.RUNNING, [RunState.STARTING], versions=dict(versions)
    )


def confirm(session: Session, run_id: int, token: str, **facts: Any) -> bool:
    """Hold the run's row for this transaction; True where the run is asked to stop.

    Raises:
        StaleAttemptError: Unless the token may write.
    """
    state = session.scalar(
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.token == token)
        .values(reported_at=now(), reported_uptime_s=uptime_s(), **facts)
        .returning(RunRow.state)
        .execution_options(synchronize_session=False)
    )
    return _asked_to_stop(run_id, state)


def is_asked_to_stop(session: Session, run_id: int, token: str) -> bool:
    """As ``confirm``, without a sign of life: somebody wants the run to save and leave."""
    query = select(RunRow.state).where(RunRow.id == run_id, RunRow.token == token)
    return _asked_to_stop(run_id, session.scalar(query))


def _asked_to_stop(run_id: int, state: str | None) -> bool:
    if state is None:
        raise StaleAttemptError(f"Another attempt owns run {run_id} now; this one leaves.")
    return state == RunState.STOPPING


def end(
    session: Session,
    run_id: int,
    to: RunState,
    allowed: Collection[RunState],
    *,
    attempt: int,
    reason: str | None,
    exit_code: int | None,
) -> bool:
    """Close an attempt: nobody may write for it any more. False where it was closed already."""
    _set_start_by_todays_clock(session, run_id)
    moved = change_state(
        session,
        run_id,
        to,
        allowed,
        attempt=attempt,
        token=None,
        reason=reason,
        exit_code=exit_code,
        ended_at=now(),
        rate=None,
    )
    if moved:
        session.execute(
            update(AttemptRow)
            .where(AttemptRow.run_id == run_id, AttemptRow.number == attempt)
            .values(ended_at=now(), outcome=str(to), reason=reason or str(to), exit_code=exit_code)
        )
    return moved


def _set_start_by_todays_clock(session: Session, run_id: int) -> None:
    """So that the run lasted as long as it did, if the clock was set while it worked."""
    row = session.get(RunRow, run_id)
    if row is None or not is_this_machine(row.boot_id, row.host):
        return
    if row.started_at is None or row.started_uptime_s is None:
        return
    start = now() - timedelta(seconds=uptime_s() - row.started_uptime_s)
    if RunState(row.state).active and abs((start - row.started_at).total_seconds()) > 1.0:
        row.started_at = start
        session.flush()


def block(session: Session, blocked: Mapping[int, int]) -> None:
    """Stop queued runs whose input (the value) ended unfinished; a resumed input frees them."""
    for run_id, input_id in blocked.items():
        broken = session.get(RunRow, input_id)
        what = f"{input_id} {broken.kind} {_ended_how(broken.state)}" if broken else str(input_id)
        reason = f"not started: its input {what}"
        if change_state(
            session,
            run_id,
            RunState.STOPPED,
            [RunState.QUEUED],
            blocked_by=input_id,
            reason=reason,
            ended_at=now(),
        ):
            insert_event(session, run_id, "warning", "blocked", reason)


def requeue(
    session: Session, run_id: int, allowed: Collection[RunState], boot: str, host: str
) -> bool:
    """Queue an ended run again, on ``host``, and with it everything that stopped for its sake."""
    moved = change_state(
        session,
        run_id,
        RunState.QUEUED,
        allowed,
        queued_boot_id=boot,
        host=host,
        reason=None,
        blocked_by=None,
        ended_at=None,
        pid=None,
        rate=None,
    )
    if moved:
        for waiting in sorted(dependant_ids(session, [run_id])):
            row = session.get_one(RunRow, waiting)
            if row.state == RunState.STOPPED and row.blocked_by is not None:
                row.state, row.blocked_by = str(RunState.QUEUED), None
                row.reason, row.ended_at = None, None
            if row.state == RunState.QUEUED:
                row.queued_boot_id, row.host = boot, host
    return moved


def _ended_how(state: str) -> str:
    return {"stopped": "was stopped", "interrupted": "was interrupted", "lost": "was lost"}.get(
        state, state
    )


def stamp(session: Session, run_ids: Collection[int], boot: str) -> None:
    """Say in which boot of the machine runs were queued; after another they wait for a word."""
    session.execute(
        update(RunRow)
        .where(RunRow.id.in_(run_ids), RunRow.queued_boot_id.is_(None))
        .values(queued_boot_id=boot)
    )
