"""Studies: what was asked and which runs answer, as documents among what a workspace remembers."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import SettingRow
from db.records import StoredStudy
from db.session import Database
from engine.errors import RunError, UsageError

_KEY = "study:"


def list_studies(database: Database) -> list[StoredStudy]:
    """All studies of the workspace, the newest first."""
    query = select(SettingRow).where(SettingRow.key.startswith(_KEY, autoescape=True))
    with database.read() as session:
        found = [_record(row) for row in session.scalars(query)]
    return sorted(found, key=lambda study: study.created_at, reverse=True)


def find_study(database: Database, name: str) -> StoredStudy | None:
    """The study of this name, None where the workspace has none."""
    with database.read() as session:
        row = session.get(SettingRow, f"{_KEY}{name}")
        return None if row is None else _record(row)


def get_study(database: Database, name: str) -> StoredStudy:
    """The study of this name; UsageError where there is none."""
    found = find_study(database, name)
    if found is None:
        raise UsageError(
            f"no study {name!r} was run in this workspace; `hdtui study list` shows all,"
            " `hdtui study run NAME` begins one"
        )
    return found


def put_study(session: Session, study: StoredStudy, *, instead_of: StoredStudy | None) -> None:
    """Write a study down inside a transaction, in place of what was known of it.

    Raises:
        RunError: Somebody else has written it down since.
    """
    key = f"{_KEY}{study.name}"
    row = session.scalar(select(SettingRow).where(SettingRow.key == key).with_for_update())
    if (None if row is None else _record(row)) != instead_of:
        raise RunError(
            f"study {study.name} was changed by somebody else at the same time; nothing was"
            " queued, ask again"
        )
    session.execute(delete(SettingRow).where(SettingRow.key == key))
    value = {
        "document": dict(study.document),
        "runs": dict(study.runs),
        "made": sorted(study.made),
        "version": study.version,
        "created_at": study.created_at,
    }
    session.add(SettingRow(key=key, value=value))


def _record(row: SettingRow) -> StoredStudy:
    value = row.value
    return StoredStudy(
        name=row.key.removeprefix(_KEY),
        document=value["document"],
        runs=value["runs"],
        made=frozenset(value["made"]),
        version=value["version"],
        created_at=value["created_at"],
    )
