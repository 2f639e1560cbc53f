"""Copies of a SQLite database: taken while others write, and put back."""

import sqlite3
from contextlib import closing
from pathlib import Path

from db.migrations import SCHEMA
from engine.errors import DatabaseError


def copy_sqlite(source: Path, to: Path) -> None:
    """Copy one consistent state of ``source``; ``to`` is complete or absent."""
    partial = to.with_name(to.name + ".partial")
    try:
        _copy_pages(source, partial)
        partial.replace(to)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"Cannot copy {source} to {to}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def restore_sqlite(copy: Path, target: Path, *, last_run: int = 0) -> Path | None:
    """Put ``copy`` in the place of ``target``; where what was there is kept, None if nothing was.

    Runs queued from now on get numbers above ``last_run``: folders of later runs may lie there.
    Others who have ``target`` open go on with the new content. DatabaseError where ``copy`` is no
    sound database of this program; nothing was changed then.
    """
    _check_copy(copy)
    prepared = target.with_name(target.name + ".restoring")
    try:
        _copy_pages(copy, prepared)
        with closing(sqlite3.connect(prepared)) as connection, connection:
            _raise_sequence(connection, last_run)
        return _replace(prepared, target)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"Cannot restore {copy} to {target}: {error}") from error
    finally:
        prepared.unlink(missing_ok=True)


def _copy_pages(source: Path, to: Path) -> None:
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(to)) as copy:
        original.backup(copy)


def _check_copy(copy: Path) -> None:
    if not copy.is_file():
        raise DatabaseError(f"There is no file {copy} to restore.")
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            found = [row[0] for row in opened.execute("PRAGMA integrity_check")]
            schema = int(opened.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise DatabaseError(f"{copy} is no copy of a workspace's database: {error}.") from error
    if found != ["ok"]:
        raise DatabaseError(f"{copy} is damaged: {found[0]}. Nothing was changed.")
    if schema > SCHEMA:
        raise DatabaseError(
            f"{copy} was written by a newer hdtui (schema {schema}, this one reads {SCHEMA}). "
            "Nothing was changed."
        )


def _raise_sequence(connection: sqlite3.Connection, last_run: int) -> None:
    updated = connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'runs'", (last_run,)
    )
    if not updated.rowcount:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('runs', ?)", (last_run,))


def _replace(prepared: Path, target: Path) -> Path | None:
    """One transaction where the present file can be read, else another file in its place."""
    if not target.exists():
        prepared.replace(target)
        return None
    kept = _unused(target.with_name(target.name + ".replaced"))
    try:
        _copy_pages(target, kept)
        _copy_pages(prepared, target)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, full: nothing was replaced
            kept.unlink(missing_ok=True)
            raise
        target.replace(kept)
        for suffix in ("-wal", "-shm", "-journal"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        prepared.replace(target)
    return kept


def _unused(path: Path) -> Path:
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate
