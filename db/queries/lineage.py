"""What belongs to a robot: its ancestors and children, who trained on it, who recorded it."""

from collections.abc import Collection

from sqlalchemy import select

from db.models import ArtifactRow, RobotRow, RunRobotSetRow, RunRow
from db.queries.robots import robot_record
from db.queries.runs import list_runs
from db.records import Artifact, Robot, Run, RunKind
from db.session import Database


def ancestors(database: Database, robot: Robot) -> list[Robot]:
    """Parent, grandparent and so on, as far as the library knows them."""
    chain: list[Robot] = []
    seen = {robot.digest}
    with database.read() as session:
        parent = robot.parent_digest
        while parent and parent not in seen:
            seen.add(parent)
            row = session.scalars(
                select(RobotRow).where(RobotRow.digest == parent).order_by(RobotRow.id).limit(1)
            ).first()
            if row is None:
                break
            chain.append(robot_record(row))
            parent = row.parent_digest
    return chain


def children(database: Database, digest: str) -> list[Robot]:
    """The robots whose parent has this digest, by name."""
    query = select(RobotRow).where(RobotRow.parent_digest == digest).order_by(RobotRow.name)
    with database.read() as session:
        return [robot_record(row) for row in session.scalars(query)]


def names(database: Database, digest: str) -> list[Robot]:
    """The robots with this body, the newest last."""
    query = select(RobotRow).where(RobotRow.digest == digest).order_by(RobotRow.id)
    with database.read() as session:
        return [robot_record(row) for row in session.scalars(query)]


def trainers(database: Database, set_names: Collection[str]) -> list[int]:
    """The teachers that work on one of these sets, oldest first."""
    query = (
        select(RunRow.id)
        .join(RunRobotSetRow, RunRobotSetRow.run_id == RunRow.id)
        .where(RunRobotSetRow.name.in_(set_names), RunRow.kind == str(RunKind.TEACHER))
        .where(RunRow.archived.is_(False))
        .distinct()
        .order_by(RunRow.id)
    )
    with database.read() as session:
        return list(session.scalars(query))


def adopted(database: Database, kind: RunKind) -> list[Run]:
    """Runs of a kind that were taken over from files and are not archived, oldest first."""
    query = select(RunRow.id, RunRow.extra).where(
        RunRow.kind == str(kind), RunRow.archived.is_(False)
    )
    with database.read() as session:
        ids = [run_id for run_id, extra in session.execute(query) if "file" in extra]
    return list_runs(database, ids=ids) if ids else []


def artifacts_of_kind(database: Database, kind: str, max_runs: int) -> list[Artifact]:
    """The files of a kind of the latest runs that have any, newest run first, as written."""
    latest = (
        select(ArtifactRow.run_id)
        .join(RunRow, RunRow.id == ArtifactRow.run_id)
        .where(ArtifactRow.kind == kind, RunRow.archived.is_(False))
        .distinct()
        .order_by(ArtifactRow.run_id.desc())
        .limit(max_runs)
        .subquery()
    )
    query = (
        select(ArtifactRow)
        .join(latest, latest.c.run_id == ArtifactRow.run_id)
        .where(ArtifactRow.kind == kind)
        .order_by(ArtifactRow.run_id.desc(), ArtifactRow.id)
    )
    fields = ("id", "run_id", "attempt", "kind", "name", "path", "sha256")
    with database.read() as session:
        return [
            Artifact(
                **{name: getattr(row, name) for name in fields},
                size_bytes=row.size_bytes,
                created_at=row.created_at,
            )
            for row in session.scalars(query)
        ]


def robot_names(database: Database, digests: Collection[str]) -> dict[str, str]:
    """A name for each of these bodies; of several the last in the alphabet."""
    query = select(RobotRow.digest, RobotRow.name).where(RobotRow.digest.in_(digests))
    with database.read() as session:
        rows = session.execute(query.order_by(RobotRow.name, RobotRow.id)).all()
        return {digest: name for digest, name in rows}  # noqa: C416 -- rows are no pairs to mypy
