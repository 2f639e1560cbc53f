"""How a database is connected to: the journal its file system takes, locks at the start, no waits.

SQLite runs with a write-ahead log on local disks and a rollback journal on network file systems.
Writers take the lock at the start (``BEGIN IMMEDIATE``), so none fails half-way. Only the
supervisor checkpoints the log: before 3.51.3 SQLite can corrupt one that two processes reset.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from db.address import URL_VARIABLE, Address
from db.filesystem import file_identity, file_system
from engine.errors import DatabaseError

BUSY_TIMEOUT_S = 60
"""SQLite's waiters are served in no order: with 16 that never rest the longest wait is 18 s."""
CHECKPOINT_PAGES = 1000
LOG_PARTS = ("-wal", "-shm")
"""What SQLite puts beside the file: the write-ahead log, and the memory that finds pages in it."""
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A server that is up answers at once; one behind a dead link never does, and is given up after
half a minute: libpq's own two hours (seconds; the last one in milliseconds)."""


def connect(address: Address, *, readonly: bool, checkpointing: bool, wait_s: float) -> Engine:
    """An engine for ``address`` that waits ``wait_s`` seconds for another's lock.

    Raises:
        DatabaseError: That is no usable address.
    """
    try:
        if address.file is None:
            return _server(address.url, wait_s)
        # A pool hands every thread its own connection; SQLite's own locks do the rest.
        engine = create_engine(address.url, poolclass=QueuePool)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError, TypeError) as error:
        reason = address.without_secrets(str(error))
        raise DatabaseError(f"{URL_VARIABLE} cannot be used: {reason}") from None
    _configure(engine, address.file, readonly=readonly, checkpointing=checkpointing, wait_s=wait_s)
    return engine


def _server(url: URL, wait_s: float) -> Engine:
    """A server that does not answer, or whose row somebody holds, is an error after a while."""
    engine = create_engine(
        url.difference_update_query(list(PATIENCE)),
        pool_pre_ping=True,
        connect_args={name: url.query.get(name, usual) for name, usual in PATIENCE.items()},
    )
    engine.dialect.create_connect_args(engine.url)  # it reads parts that nobody looked at

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: ConnectionPoolEntry) -> None:
        del record
        connection.execute(f"SET lock_timeout = {int(wait_s * 1000)}")
        connection.commit()

    return engine


def journal_mode(folder: Path) -> str:
    """``WAL``, or ``DELETE`` where shared memory does not reach every writer."""
    return "DELETE" if file_system(folder).network else "WAL"


def _configure(
    engine: Engine, path: Path, *, readonly: bool, checkpointing: bool, wait_s: float
) -> None:
    journal = journal_mode(path.parent)

    @event.listens_for(engine, "do_connect")
    def open_present(*arguments: Any) -> sqlite3.Connection:
        return _connect_readonly(path, wait_s) if readonly else _connect(path, "rw", wait_s)

    settings = ["foreign_keys=ON"]
    if readonly:
        settings += ["query_only=ON"]
    else:
        settings += [f"journal_mode={journal}"]
        settings += [f"synchronous={'NORMAL' if journal == 'WAL' else 'FULL'}"]
        settings += [f"wal_autocheckpoint={CHECKPOINT_PAGES if checkpointing else 0}"]

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        try:
            for setting in settings:
                connection.execute(f"PRAGMA {setting}")
            record.info["files"] = _opened(connection, path)
        except sqlite3.Error:
            # Else whoever tells of the error keeps the file open, and its log with it.
            connection.close()
            raise

    @event.listens_for(engine, "checkout")
    def same_files(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        del connection, proxy
        # A connection outlives its files: what it wrote would go where nobody looks any more,
        # and whoever opens them anew beside it would write over what it wrote.
        if record.info["files"] != database_files(path):
            # The pool stays: a new one would leave this connection, made anew, open in the old one.
            engine.pool.dispose()
            raise DisconnectionError(f"{path} is another file now")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("hdtui_begin", "BEGIN"))


def database_files(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """What names the database and the two files that SQLite keeps beside it, as they lie there."""
    return tuple(file_identity(path.with_name(path.name + part)) for part in ("", *LOG_PARTS))


def _opened(connection: sqlite3.Connection, path: Path) -> tuple[tuple[int, int] | None, ...]:
    """The files behind a connection; its first question makes those that are not there yet."""
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return database_files(path)


def _connect(path: Path, mode: str, wait_s: float) -> sqlite3.Connection:
    """A connection to a file that exists: none is ever made in passing."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=wait_s,
        check_same_thread=False,
    )


def _connect_readonly(path: Path, wait_s: float) -> sqlite3.Connection:
    """Read what lies there; a folder that cannot be written has no log to share."""
    connection = _connect(path, "ro", wait_s)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        return _connect(path, "ro&immutable=1", wait_s)
    return connection
