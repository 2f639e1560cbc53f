"""How a database is connected to: the journal its file system takes, locks at the start, no waits.

SQLite runs with a write-ahead log on local disks and a rollback journal on network file systems.
Writers take the lock at the start (``BEGIN IMMEDIATE``), so none fails half-way. Only the
supervisor checkpoints the log: before 3.51.3 SQLite can corrupt one that two processes reset.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from db.filesystem import file_identity, file_system
from engine.errors import DatabaseError

BUSY_TIMEOUT_S = 60
"""SQLite's waiters are served in no order: with 16 that never rest the longest wait is 18 s."""
CHECKPOINT_PAGES = 1000


def connect(url: str, *, readonly: bool, checkpointing: bool) -> Engine:
    """An engine for ``url``; DatabaseError where that is no usable address."""
    if url.startswith("sqlite") and not sqlite_path(url).name:
        raise DatabaseError(f"HDTUI_DATABASE_URL cannot be used: {url} names no file.")
    try:
        if not url.startswith("sqlite"):
            return create_engine(url, pool_pre_ping=True)
        # A pool hands every thread its own connection; SQLite's own locks do the rest.
        engine = create_engine(url, poolclass=QueuePool)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DatabaseError(f"HDTUI_DATABASE_URL cannot be used: {error}") from error
    _configure(engine, sqlite_path(url), readonly=readonly, checkpointing=checkpointing)
    return engine


def sqlite_path(url: str) -> Path:
    """The file behind a SQLite address."""
    return Path(make_url(url).database or "")


def journal_mode(folder: Path) -> str:
    """``WAL``, or ``DELETE`` where shared memory does not reach every writer."""
    return "DELETE" if file_system(folder).network else "WAL"


def _configure(engine: Engine, path: Path, *, readonly: bool, checkpointing: bool) -> None:
    journal = journal_mode(path.parent)

    @event.listens_for(engine, "do_connect")
    def open_present(*arguments: Any) -> sqlite3.Connection:
        return _connect_readonly(path) if readonly else _connect(path, "rw")

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = file_identity(path)
        connection.isolation_level = None  # transactions begin where we say so
        connection.execute("PRAGMA foreign_keys=ON")
        if readonly:
            connection.execute("PRAGMA query_only=ON")
            return
        connection.execute(f"PRAGMA journal_mode={journal}")
        synchronous = "NORMAL" if journal == "WAL" else "FULL"
        connection.execute(f"PRAGMA synchronous={synchronous}")
        pages = CHECKPOINT_PAGES if checkpointing else 0
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")

    @event.listens_for(engine, "checkout")
    def same_file(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        del connection, proxy
        # A connection outlives its file: what it wrote would go where nobody looks any more.
        if record.info["file"] != file_identity(path):
            raise DisconnectionError(f"{path} is another file now")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("hdtui_begin", "BEGIN"))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection to a file that exists: none is ever made in passing."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,
    )


def _connect_readonly(path: Path) -> sqlite3.Connection:
    """Read what lies there; a folder that cannot be written has no log to share."""
    connection = _connect(path, "ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        return _connect(path, "ro&immutable=1")
    return connection
