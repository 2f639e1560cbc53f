"""Insert or merge, for both databases."""

from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from db.models import Base


def upsert(session: Session, table: type[Base]) -> tuple[sqlite.Insert, Any]:
    """An insert that takes ``on_conflict_do_update``, and the columns of the refused row."""
    if session.get_bind().dialect.name == "postgresql":
        # It takes 50 ms to load, and most workspaces are SQLite.
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        statement: Any = postgresql.insert(table)
    else:
        statement = sqlite.insert(table)
    return statement, statement.excluded
