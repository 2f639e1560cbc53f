"""Who starts and watches the workers of a host."""

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db.models import RunRow, SupervisorRow
from db.queries.clock import now
from db.records import RunState, Supervisor
from db.session import Database

ACTIVE = [str(state) for state in RunState if state.active]


def get_supervisor(database: Database, host: str) -> Supervisor | None:
    """The supervisor that registered last on a host; whether it lives is the reader's to judge."""
    with database.read() as session:
        row = session.scalar(select(SupervisorRow).where(SupervisorRow.host == host))
        return None if row is None else _record(row)


def register_supervisor(database: Database, supervisor: Supervisor) -> None:
    """Take over a host; the caller holds the lock file."""
    with database.write() as session:
        session.execute(delete(SupervisorRow).where(SupervisorRow.boot_id == supervisor.boot_id))
        session.add(SupervisorRow(**vars(supervisor)))


def beat(session: Session, host: str) -> None:
    """Say that the supervisor of ``host`` lives."""
    session.execute(
        update(SupervisorRow)
        .where(SupervisorRow.host == host)
        .values(heartbeat_at=now(), beats=SupervisorRow.beats + 1)
    )


def leave_if_idle(database: Database, host: str, pid: int, boot_id: str) -> bool:
    """Sign off unless a run of this host works or could still start; True if signed off.

    In one transaction: who queues a run after it finds no supervisor, and starts one.
    """
    with database.write() as session:
        if _busy(session, host, boot_id):
            return False
        session.execute(
            delete(SupervisorRow).where(SupervisorRow.host == host, SupervisorRow.pid == pid)
        )
        return True


def work_waits(database: Database, host: str, boot_id: str) -> bool:
    """A run of this host works or could start: somebody must watch."""
    with database.read() as session:
        return _busy(session, host, boot_id)


def _busy(session: Session, host: str, boot_id: str) -> bool:
    waiting = (RunRow.state == RunState.QUEUED) & func.coalesce(
        RunRow.queued_boot_id == boot_id, True
    )
    busy = select(func.count()).where(RunRow.host == host, RunRow.state.in_(ACTIVE) | waiting)
    return bool(session.scalar(busy))


def _record(row: SupervisorRow) -> Supervisor:
    return Supervisor(
        host=row.host,
        pid=row.pid,
        pid_started_at=row.pid_started_at,
        boot_id=row.boot_id,
        slots=row.slots,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        beats=row.beats,
        installation=row.installation,
    )
