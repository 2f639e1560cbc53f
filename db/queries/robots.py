"""The library: robots by digest, and named, ordered sets of them."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.orm import Session

from db.machine import now
from db.models import RobotRow, RobotSetMemberRow, RobotSetRow, record_of
from db.records import NewRobot, Robot, RobotSet
from db.session import Database
from engine.errors import RobotError, UnknownRobotSetError, UsageError


def list_sets(database: Database, *, removed: bool = False) -> list[RobotSet]:
    """All sets by name; those too that were removed and that runs have read, where asked for."""
    query = _sets()
    if not removed:
        query = query.where(RobotSetRow.removed_at.is_(None))
    with database.read() as session:
        return [_set_record(session, row) for row in session.scalars(query)]


def get_set(database: Database, name: str) -> RobotSet:
    """The set with this name.

    Raises:
        UnknownRobotSetError: There is none.
    """
    with database.read() as session:
        return _set_record(session, existing_set(session, name))


def existing_set(session: Session, name: str) -> RobotSetRow:
    """The row of a set that must exist."""
    row = session.scalar(select(RobotSetRow).where(RobotSetRow.name == name))
    if row is None:
        raise UnknownRobotSetError(
            f'There is no robot set "{name}"; `hdtui robots list` shows all, '
            "`hdtui robots import DIR` and `hdtui robots generate` make one."
        )
    return row


def list_robots(
    database: Database,
    set_name: str | None = None,
    limit: int | None = None,
    offset: int = 0,
    *,
    role: str | None = None,
) -> list[Robot]:
    """Robots of a set in its order (those of ``role`` where given), or all by name.

    Among all are none that removed sets alone still hold.
    """
    with database.read() as session:
        if set_name is None:
            query = select(RobotRow).where(_shown()).order_by(RobotRow.name, RobotRow.id)
        else:
            member = RobotSetMemberRow
            query = (
                select(RobotRow)
                .join(member, member.robot_id == RobotRow.id)
                .where(member.set_id == existing_set(session, set_name).id)
                .order_by(member.position)
            )
            if role is not None:
                query = query.where(member.role == role)
        return [robot_record(row) for row in session.scalars(query.limit(limit).offset(offset))]


def get_robot(database: Database, name_or_digest: str) -> Robot:
    """The robot with this name or digest (its first 7 letters suffice); the newest of a name."""
    wanted = [RobotRow.name == name_or_digest]
    if len(name_or_digest) >= 7 and name_or_digest.isalnum():
        wanted.append(RobotRow.digest.startswith(name_or_digest, autoescape=True))
    query = select(RobotRow).where(or_(*wanted)).order_by(RobotRow.id.desc()).limit(1)
    with database.read() as session:
        row = session.scalar(query)
        if row is None:
            raise RobotError(f'There is no robot "{name_or_digest}" in the library.')
        return robot_record(row)


def robot_sets_of(database: Database, digest: str) -> list[RobotSet]:
    """The sets a robot is in, by name."""
    member = RobotSetMemberRow
    query = (
        _sets()
        .join(member, member.set_id == RobotSetRow.id)
        .join(RobotRow, RobotRow.id == member.robot_id)
        .where(RobotRow.digest == digest)
    )
    with database.read() as session:
        return [_set_record(session, row) for row in session.scalars(query)]


def roles_of(
    database: Database, digests: Collection[str], set_name: str | None = None
) -> dict[str, set[str]]:
    """By digest, the roles that robots have in a set, or in all; none for those without."""
    member = RobotSetMemberRow
    query = (
        select(RobotRow.digest, member.role)
        .join(member, member.robot_id == RobotRow.id)
        .where(RobotRow.digest.in_(digests), member.role.is_not(None))
    )
    found: dict[str, set[str]] = {digest: set() for digest in digests}
    with database.read() as session:
        if set_name is not None:
            query = query.where(member.set_id == existing_set(session, set_name).id)
        for digest, role in session.execute(query).all():
            found[digest].add(str(role))
    return found


def add_robots(database: Database, robots: Iterable[NewRobot]) -> list[Robot]:
    """Add robots that the library lacks; returns all of them in order."""
    with database.write() as session:
        return [robot_record(row) for row in insert_robots(session, robots)]


def insert_robots(session: Session, robots: Iterable[NewRobot]) -> list[RobotRow]:
    """Add robots inside a transaction; the same body may be there under several names."""
    wanted = list(robots)
    query = select(RobotRow).where(RobotRow.digest.in_({robot.digest for robot in wanted}))
    known = {(row.digest, row.name): row for row in session.scalars(query)}
    for robot in wanted:
        key = (robot.digest, robot.name)
        if key not in known:
            known[key] = RobotRow(
                digest=robot.digest,
                name=robot.name,
                family=robot.family,
                num_limbs=robot.num_limbs,
                num_joints=robot.num_joints,
                mass_kg=robot.mass_kg,
                head_height_m=robot.head_height_m,
                parent_digest=robot.parent_digest,
                operations=list(robot.operations),
                seed=robot.seed,
                path=robot.path,
                created_at=now(),
            )
            session.add(known[key])
    session.flush()
    return [known[robot.digest, robot.name] for robot in wanted]


def create_set(
    database: Database,
    name: str,
    members: Sequence[tuple[int, str | None]],
    *,
    run_id: int | None = None,
) -> RobotSet:
    """A named list of (robot id, role) of the library, made by a run where one is named.

    A set that exists with the same members is returned; with others it is an error, unless an
    earlier attempt of the same run made it: what other runs have read is never changed.
    """
    with database.write() as session:
        return insert_set(session, name, members, run_id=run_id)


def insert_set(
    session: Session,
    name: str,
    members: Sequence[tuple[int, str | None]],
    *,
    run_id: int | None = None,
) -> RobotSet:
    """Create a set inside a transaction."""
    members = list(dict(members).items())
    query = select(RobotRow).where(RobotRow.id.in_(dict(members)))
    rows = {robot.id: robot for robot in session.scalars(query)}
    if missing := [str(robot) for robot, _ in members if robot not in rows]:
        raise RobotError(f"Robot {missing[0]} is not in the library; set {name} was not made.")
    digest = set_digest([(robot_record(rows[robot]), role) for robot, role in members])
    row = session.scalar(select(RobotSetRow).where(RobotSetRow.name == name))
    if row is not None:
        if row.digest == digest:
            return _set_record(session, row)
        if run_id is None or row.run_id != run_id:
            raise name_taken(name)
        session.execute(delete(RobotSetMemberRow).where(RobotSetMemberRow.set_id == row.id))
    else:
        row = RobotSetRow(name=name)
        session.add(row)
    row.digest, row.run_id, row.created_at = digest, run_id, now()
    session.flush()
    session.add_all(
        RobotSetMemberRow(set_id=row.id, position=position, robot_id=robot, role=role)
        for position, (robot, role) in enumerate(members)
    )
    session.flush()
    return _set_record(session, row)


class _Body(Protocol):
    """A robot of the library, or one that is still a file."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...


def set_digest(members: Iterable[tuple[_Body, str | None]]) -> str:
    """SHA-256 of what makes two sets one: bodies, names and roles, in order."""
    lines = [f"{robot.digest} {robot.name} {role or ''}" for robot, role in members]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def name_taken(name: str) -> UsageError:
    """The error of a set that would be replaced by one of other robots."""
    return UsageError(f'A robot set "{name}" with other robots exists; choose another name.')


def _sets() -> Select[RobotSetRow]:
    return select(RobotSetRow).order_by(RobotSetRow.name)


def _set_record(session: Session, row: RobotSetRow) -> RobotSet:
    member = RobotSetMemberRow
    roles = dict(
        session.execute(
            select(member.role, func.count()).where(member.set_id == row.id).group_by(member.role)
        ).all()
    )
    role = next(iter(roles)) if len(roles) == 1 else None
    size = sum(roles.values())
    known = tuple(sorted(each for each in roles if each is not None))
    return RobotSet(row.id, row.name, role, size, row.digest, row.created_at, known)


def _shown() -> ColumnElement[bool]:
    """Whether a robot is in a set that is there, or in none at all."""
    member, robot_set = RobotSetMemberRow, RobotSetRow
    held = select(member.robot_id).where(member.robot_id == RobotRow.id)
    there = held.join(robot_set, robot_set.id == member.set_id).where(
        robot_set.removed_at.is_(None)
    )
    return there.exists() | ~held.exists()


def robot_record(row: RobotRow) -> Robot:
    """The record of a row."""
    return record_of(Robot, row, operations=tuple(row.operations))
