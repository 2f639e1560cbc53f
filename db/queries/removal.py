"""Robot sets taken out of the library: what stays for the runs that read them, and what goes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.machine import now
from db.models import EpisodeRow, RobotRow, RobotSetMemberRow, RobotSetRow, RunRobotSetRow, RunRow
from db.queries.robots import existing_set, robot_record
from db.records import Robot, RunKind, RunState
from db.session import Database
from engine.errors import RunError, UnknownRobotSetError

_FILL_SETS = [str(kind) for kind in RunKind if kind.fills_sets]


@dataclass(frozen=True)
class RemovedSet:
    """A set that is gone from the library: the runs it is kept for, or the robots gone with it.

    Those were in no other set, parents of no robot and judged in no evaluation.
    """

    name: str
    kept_for: tuple[int, ...]
    robots: tuple[Robot, ...]


def remove_set(database: Database, name: str, dead: Collection[int] = ()) -> RemovedSet:
    """Take a set out of the library; runs that have read it keep it, under a name of their own.

    ``dead`` are runs that their rows call active although their processes are gone.

    Raises:
        UnknownRobotSetError: There is none of this name.
        RunError: A run that waits or works reads or fills it; nothing was changed.
    """
    with database.write() as session:
        return _remove(session, name, dead)


def _remove(session: Session, name: str, dead: Collection[int]) -> RemovedSet:
    row = existing_set(session, name)
    if row.removed_at is not None:
        raise UnknownRobotSetError(f'The robot set "{name}" was removed already.')
    _check_unused(session, name, dead)
    readers = session.scalars(
        select(RunRobotSetRow.run_id).where(RunRobotSetRow.name == name).distinct()
    ).all()
    if not readers:
        return RemovedSet(name, (), _delete_sets(session, [row]))
    # A name that nobody can give: another set may take the old one.
    row.name, row.removed_at = f"{name} (removed {row.id})", now()
    of_runs = update(RunRobotSetRow).where(RunRobotSetRow.name == name)
    session.execute(of_runs.values(name=row.name))
    return RemovedSet(name, tuple(sorted(readers)), ())


def outlook(database: Database, name: str, dead: Collection[int] = ()) -> RemovedSet:
    """What ``remove_set`` would do, and raise, without doing it."""
    with database.write() as session:
        found = _remove(session, name, dead)
        session.rollback()
        return found


def forget_unread_sets(database: Database) -> tuple[Robot, ...]:
    """Let go of removed sets whose last reader is gone; the robots that went along."""
    unread = RobotSetRow.name.not_in(select(RunRobotSetRow.name))
    with database.write() as session:
        rows = session.scalars(
            select(RobotSetRow).where(RobotSetRow.removed_at.is_not(None), unread)
        ).all()
        return _delete_sets(session, rows)


def _check_unused(session: Session, name: str, dead: Collection[int]) -> None:
    """RunError where a run that is not done reads the set or will fill it."""
    unfinished = RunRow.state.in_([str(state) for state in RunState if not state.ended])
    reading = RunRow.id.in_(select(RunRobotSetRow.run_id).where(RunRobotSetRow.name == name))
    query = select(RunRow).where(unfinished, reading | RunRow.kind.in_(_FILL_SETS))
    reads = set(session.scalars(select(RunRow.id).where(unfinished, reading)))
    busy = [
        run
        for run in session.scalars(query.order_by(RunRow.id))
        if run.id not in dead and (run.id in reads or name in run.extra.values())
    ]
    if busy:
        run, more = busy[0], len(busy) - 1
        others = f", as by {more} more runs" if more > 1 else ", as by 1 more run" if more else ""
        raise RunError(
            f'The robot set "{name}" is in use by run {run.id} ({run.kind} {run.name}, {run.state})'
            f"{others}; stop it first, or remove the set when it has ended."
        )


def _delete_sets(session: Session, rows: Iterable[RobotSetRow]) -> tuple[Robot, ...]:
    """Delete sets, and those of their robots that nothing holds any more."""
    ids = [row.id for row in rows]
    if not ids:
        return ()
    member = RobotSetMemberRow
    robots = set(session.scalars(select(member.robot_id).where(member.set_id.in_(ids))))
    session.execute(delete(member).where(member.set_id.in_(ids)))
    session.execute(delete(RobotSetRow).where(RobotSetRow.id.in_(ids)))
    parents = select(RobotRow.parent_digest).where(RobotRow.parent_digest.is_not(None))
    unheld = session.scalars(
        select(RobotRow).where(
            RobotRow.id.in_(robots),
            RobotRow.id.not_in(select(member.robot_id)),
            RobotRow.digest.not_in(parents),
            RobotRow.digest.not_in(select(EpisodeRow.robot_digest)),
        )
    ).all()
    records = tuple(robot_record(row) for row in unheld)
    session.execute(delete(RobotRow).where(RobotRow.id.in_([row.id for row in unheld])))
    return records
