"""What a workspace remembers: small JSON values by key."""

from typing import Any

from sqlalchemy import delete, select

from db.models import SettingRow
from db.session import Database


def get_setting(database: Database, key: str) -> Any:
    """The value, or None where it was never set."""
    with database.read() as session:
        return session.scalar(select(SettingRow.value).where(SettingRow.key == key))


def set_setting(database: Database, key: str, value: Any) -> None:
    """Remember a JSON value; the one written last stays, None forgets."""
    with database.write() as session:
        session.execute(delete(SettingRow).where(SettingRow.key == key))
        if value is not None:
            session.add(SettingRow(key=key, value=value))
