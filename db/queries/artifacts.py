"""Files that runs left: checkpoints to go on from, and results."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.machine import now
from db.models import ArtifactRow, CheckpointRow, RunInputRow, RunRow, record_of
from db.records import CHECKPOINTS, Artifact, Checkpoint
from db.session import Database


@dataclass(frozen=True)
class NewFile:
    """A file (or folder) that is complete on disk; ``path`` is relative to the workspace."""

    attempt: int
    path: str
    sha256: str
    size_bytes: int


def insert_checkpoint(
    session: Session, run_id: int, file: NewFile, step: int, value: float | None, worked_s: float
) -> None:
    """Make a checkpoint exist, inside a transaction; ``worked_s`` is the work it stands for."""
    session.add(
        CheckpointRow(
            run_id=run_id, step=step, value=value, worked_s=worked_s, created_at=now(), **vars(file)
        )
    )


def forget_checkpoints(session: Session, run_id: int, keep: int) -> list[str]:
    """Let all but a run's newest ``keep`` checkpoints go, inside a transaction; their paths.

    Those stay that another run reads as its policy.
    """
    readers = select(RunRow.extra).join(RunInputRow, RunInputRow.run_id == RunRow.id)
    readers = readers.where(RunInputRow.input_id == run_id)
    read = [extra.get(CHECKPOINTS, {}).get(str(run_id)) for extra in session.scalars(readers)]
    kept = {each["path"] for each in read if each}
    query = (
        select(CheckpointRow)
        .where(CheckpointRow.run_id == run_id)
        .order_by(CheckpointRow.step.desc(), CheckpointRow.id.desc())
        .offset(keep)
    )
    old = [row for row in session.scalars(query) if row.path not in kept]
    for row in old:
        session.delete(row)
    return [row.path for row in old]


def insert_artifact(session: Session, run_id: int, file: NewFile, kind: str, name: str) -> None:
    """Make an artifact exist, inside a transaction; it replaces that of an earlier attempt."""
    same = (ArtifactRow.run_id == run_id, ArtifactRow.kind == kind, ArtifactRow.name == name)
    session.execute(delete(ArtifactRow).where(*same))
    session.add(ArtifactRow(run_id=run_id, kind=kind, name=name, created_at=now(), **vars(file)))


def list_artifacts(database: Database, run_id: int) -> list[Artifact]:
    """The result files of a run, in the order they were written."""
    query = select(ArtifactRow).where(ArtifactRow.run_id == run_id).order_by(ArtifactRow.id)
    with database.read() as session:
        return [record_of(Artifact, row) for row in session.scalars(query)]


def list_checkpoints(database: Database, run_id: int) -> list[Checkpoint]:
    """The checkpoints of a run, newest first: by step, then by attempt."""
    with database.read() as session:
        return _checkpoints(session, run_id)


def latest_checkpoint(database: Database, run_id: int) -> Checkpoint | None:
    """What a resumed run goes on from, None where it starts again."""
    with database.read() as session:
        return next(iter(_checkpoints(session, run_id)), None)


def _checkpoints(session: Session, run_id: int) -> list[Checkpoint]:
    query = (
        select(CheckpointRow)
        .where(CheckpointRow.run_id == run_id)
        .order_by(CheckpointRow.step.desc(), CheckpointRow.id.desc())
    )
    return [record_of(Checkpoint, row) for row in session.scalars(query)]
