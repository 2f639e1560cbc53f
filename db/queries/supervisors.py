"""Who starts and watches the workers of a machine, and how long machines have been silent."""

import time
from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.machine import boot_id, host_name, kernel_boot_id, now
from db.models import RunRow, SupervisorRow, record_of
from db.records import RunState, Supervisor
from db.session import Database

ACTIVE = [str(state) for state in RunState if state.active]


def list_supervisors(database: Database) -> list[Supervisor]:
    """The supervisors that registered, of every machine; whether they live is not said."""
    with database.read() as session:
        return [record_of(Supervisor, row) for row in session.scalars(select(SupervisorRow))]


def get_supervisor(database: Database, boot: str) -> Supervisor | None:
    """The supervisor that registered last on a machine; whether it lives is not said."""
    with database.read() as session:
        row = session.get(SupervisorRow, boot)
        return None if row is None else record_of(Supervisor, row)


def register_supervisor(database: Database, supervisor: Supervisor) -> None:
    """Take over a machine; the caller holds the lock file."""
    with database.write() as session:
        session.execute(delete(SupervisorRow).where(SupervisorRow.boot_id == supervisor.boot_id))
        session.add(SupervisorRow(**vars(supervisor)))


def forget_supervisors(session: Session, boots: Collection[str]) -> None:
    """Forget machines that will not come back."""
    session.execute(delete(SupervisorRow).where(SupervisorRow.boot_id.in_(boots)))


def beat(session: Session, boot: str) -> None:
    """Say that the supervisor of this machine lives."""
    session.execute(
        update(SupervisorRow)
        .where(SupervisorRow.boot_id == boot)
        .values(heartbeat_at=_database_now(session), beats=SupervisorRow.beats + 1)
    )


def change_slots(session: Session, boot: str, slots: int) -> None:
    """Say how many runs the supervisor of this machine lets work at once."""
    session.execute(update(SupervisorRow).where(SupervisorRow.boot_id == boot).values(slots=slots))


def silent_s(database: Database) -> dict[str, float]:
    """Seconds since each machine was heard of, by its boot: its supervisor, or a run at work.

    How old a sign of life is when it is first seen, the database's clock says (of SQLite, which
    has none, this machine's). From then on signs are watched by a clock that nobody sets: a clock
    that is wrong by an hour is believed until the next sign and no longer.
    """
    watched: dict[str, tuple[object, float]] = database.memory.setdefault("signs", {})
    steady, found = time.monotonic(), {}
    with database.read() as session:
        wall = _database_now(session)
        signs = _signs(session)
    for boot, (sign, last) in signs.items():
        known = watched.get(boot)
        if known is None:
            watched[boot] = sign, steady - max(0.0, (wall - last).total_seconds())
        elif known[0] != sign:
            watched[boot] = sign, steady
        found[boot] = steady - watched[boot][1]
    return found


def signs_of_life(database: Database) -> dict[str, object]:
    """Per machine what changes with every sign of life."""
    with database.read() as session:
        return {boot: sign for boot, (sign, _) in _signs(session).items()}


def _signs(session: Session) -> dict[str, tuple[object, datetime]]:
    """Per machine what changes with every sign of life, and when the last one was."""
    reports = (
        select(RunRow.boot_id, func.max(func.coalesce(RunRow.reported_at, RunRow.started_at)))
        .where(RunRow.state.in_(ACTIVE), RunRow.boot_id.is_not(None))
        .group_by(RunRow.boot_id)
    )
    signs: dict[str, tuple[object, datetime]] = {
        boot: ((None, last), last) for boot, last in session.execute(reports) if boot and last
    }
    for row in session.scalars(select(SupervisorRow)):
        reported = signs.get(row.boot_id, (None, row.heartbeat_at))[1]
        signs[row.boot_id] = (row.beats, reported), max(reported, row.heartbeat_at)
    return signs


def leave_if_idle(database: Database, pid: int) -> bool:
    """Sign off unless a run of this machine works or could still start; True if signed off.

    In one transaction: who queues a run after it finds no supervisor, and starts one.
    """
    with database.write() as session:
        if _busy(session):
            return False
        session.execute(
            delete(SupervisorRow).where(
                SupervisorRow.boot_id == boot_id(), SupervisorRow.pid == pid
            )
        )
        return True


def work_waits(database: Database) -> bool:
    """A run of this machine works or could start: somebody must watch."""
    with database.read() as session:
        return _busy(session)


def _busy(session: Session) -> bool:
    working = RunRow.state.in_(ACTIVE) & _here(RunRow.boot_id)
    waiting = (RunRow.state == str(RunState.QUEUED)) & _here(RunRow.queued_boot_id)
    return bool(session.scalar(select(func.count()).where(working | waiting)))


def _here(boot: InstrumentedAttribute[str | None]) -> ColumnElement[bool]:
    """As ``db.machine.is_this_machine``, for rows."""
    named = boot.is_(None) | (boot == kernel_boot_id())
    return func.coalesce(boot == boot_id(), False) | (named & (RunRow.host == host_name()))


def _database_now(session: Session) -> datetime:
    """One clock for all machines, where the database has one."""
    if session.get_bind().dialect.name == "postgresql":
        moment = session.scalar(select(func.clock_timestamp()))
        if isinstance(moment, datetime):
            return moment.astimezone(UTC)
    return now()
