"""Open the database of a workspace: one transaction to read, one to write, upgraded when needed."""

import fcntl
import itertools
import os
import re
import shutil
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session as Session

from db import binding
from db.address import Address, database_address
from db.connections import BUSY_TIMEOUT_S, LOG_PARTS, connect, database_files
from db.copies import copy_sqlite, restore_sqlite
from db.filesystem import (
    holds_anything,
    make_file,
    make_private_folder,
    writable,
)
from db.migrations import SCHEMA
from engine.errors import DatabaseAwayError, DatabaseError, NewerDatabaseError

_VERSION = "SELECT version_num FROM alembic_version"
_UNKNOWN = re.compile("no such (column|table)|(column|relation) .* does not exist")
_KNOWN_REASONS = (
    (
        re.compile("database is locked|lock timeout"),
        "locked by another process, which did not let go.",
    ),
    (
        re.compile("not a database|malformed"),
        "the file is damaged ({reason}). `hdtui db check` says more; `hdtui db restore FILE` "
        "puts a backup in its place.",
    ),
    (re.compile("disk is full"), "{reason}. Free some space on the disk and go on."),
    (
        _UNKNOWN,
        "it is not the database this hdtui knows ({reason}). `hdtui db upgrade` brings an older "
        "one up; otherwise open another with --home DIR.",
    ),
)
_AWAY = re.compile("database is locked|unable to open|disk is full|disk I/O")
"""What SQLite says of a file that may answer again; a server may whenever it does not answer."""
_WATCHERS = itertools.count(1)
"""SQLite's version of the data is a number of each connection: another one may say the same."""
ROOM_BYTES = 1 << 20
"""With so much free space a disk that fails is not a full one."""
NO_WRITING = "its folder or its disk takes no writing; choose another with --home DIR"


@dataclass(frozen=True)
class Upgrade:
    """What opening did to an older database: from which schema, and where the copy lies."""

    from_schema: int
    to_schema: int
    copy: Path | None


class Database:
    """The facts of one workspace. Safe to share between threads; not to carry over a fork."""

    def __init__(
        self, home: Path, address: Address, *, readonly: bool, checkpointing: bool, wait_s: float
    ) -> None:
        self.home = home
        self.readonly = readonly
        self.checkpointing = checkpointing
        self.upgrade: Upgrade | None = None
        self.memory: dict[str, Any] = {}
        """What queries keep between calls; each of them looks whether it still holds."""
        self.identity = ""
        """The database's own name, which folders of its runs carry."""
        self._address = address
        self._location = address.shown
        self._engine = connect(
            address, readonly=readonly, checkpointing=checkpointing, wait_s=wait_s
        )
        self._writer = self._engine.execution_options(hdtui_begin="BEGIN IMMEDIATE")
        self._watcher: Connection | None = None
        self._watcher_number = 0
        self._watcher_lock = threading.RLock()

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        readonly: bool = False,
        create: bool = True,
        checkpointing: bool = False,
        wait_s: float = BUSY_TIMEOUT_S,
    ) -> Self:
        """The database of ``home``, or that of HDTUI_DATABASE_URL, at the newest schema.

        Without ``create`` an absent database is an error and nothing is made, and one that cannot
        be written is opened for reading. ``wait_s`` is how long it waits for another's lock.
        Raises DatabaseError where it is absent, damaged, locked for too long, or written by a
        newer program.
        """
        address = database_address(home)
        file = address.file
        if create and not readonly:
            make_private_folder(home)  # runs and logs lie there, wherever the database is
        if file is not None and (readonly or not create):
            if not holds_anything(file):
                raise DatabaseAwayError(
                    f"There is no workspace at {home} yet; nothing was created."
                )
            # What cannot be written can be read: listings work, commands are refused by name.
            readonly = readonly or not writable(file)
        elif file is not None:
            make_file(file)
            if not writable(file):
                raise DatabaseError(f"Cannot write {file}: {NO_WRITING}.")
        database = cls(home, address, readonly=readonly, checkpointing=checkpointing, wait_s=wait_s)
        try:
            database._check_schema()
            database._bind()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The SQLite file; None where a server keeps the database."""
        return self._address.file

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view; what it reads does not change while it is open."""
        with self._named_errors("read"), Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, committed at the end or not at all.

        Raises:
            NewerDatabaseError: A newer program has upgraded the database since it was opened;
                nobody can while the transaction lasts.
        """
        if self.readonly:
            reason = "it is open for reading only"
            if self.dialect == "sqlite" and not writable(Path(self._location)):
                reason = NO_WRITING
            raise DatabaseError(f"Cannot write {self._location}: {reason}.")
        with self._named_errors("write"), Session(self._writer) as session, session.begin():
            schema = _hold_schema(session.connection())
            if schema != SCHEMA:
                self._refuse_other(schema)
            yield session

    def revision(self) -> int:
        """A number that differs when anybody else wrote since the last call; costs microseconds."""
        with self._watcher_lock, self._named_errors("read"):
            if self._watcher is not None and self._watcher_is_stale():
                self._watcher.close()
                self._watcher = None
            if self._watcher is None:
                self._watcher = self._engine.connect()
                self._watcher_number = next(_WATCHERS)
            with self._watcher.begin():
                if self.dialect == "sqlite":
                    version = self._watcher.exec_driver_sql("PRAGMA data_version").scalar_one()
                    return self._watcher_number << 32 | int(version)
                snapshot = self._watcher.exec_driver_sql("SELECT pg_current_snapshot()::text")
                return zlib.crc32(str(snapshot.scalar_one()).encode())

    def _watcher_is_stale(self) -> bool:
        """The file it watches is not the one that lies there now."""
        if self._watcher is None or self.dialect != "sqlite":
            return False
        return bool(self._watcher.info["files"] != database_files(Path(self._location)))

    def schema(self) -> int | None:
        """The schema the database is at, None where it holds no tables of ours."""
        with self._named_errors("read"), self._engine.connect() as connection:
            return _schema(connection)

    def checkpoint_log(self, *, truncate: bool = False) -> None:
        """Move SQLite's write-ahead log into the database; for the supervisor alone."""
        if self.dialect == "sqlite":
            mode = "TRUNCATE" if truncate else "PASSIVE"
            with self._named_errors("write"), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute(f"PRAGMA wal_checkpoint({mode})")

    def spare_bytes(self) -> int:
        """Bytes of SQLite's file that hold nothing any more; 0 on PostgreSQL, which keeps house."""
        if self.dialect != "sqlite":
            return 0
        with self._named_errors("read"), self._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the file; empty when it is sound."""
        if self.dialect != "sqlite":
            return []
        try:
            with self._named_errors("read"), self._engine.connect() as connection:
                checked = connection.exec_driver_sql("PRAGMA integrity_check").all()
                keys = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        except DatabaseError as error:  # too damaged to be checked to its end
            return [str(error)]
        found = [str(row[0]) for row in checked if row[0] != "ok"]
        return found + [f"dangling row: {row}" for row in keys]

    def backup(self, to: Path) -> None:
        """A copy that is consistent although others write; SQLite only."""
        if self.file is None:
            raise DatabaseError("Back a PostgreSQL database up with pg_dump.")
        copy_sqlite(self.file, to)

    @staticmethod
    def restore(home: Path, copy: Path, *, last_run: int = 0) -> Path | None:
        """Put a backup in the database's place; where the present one is kept, if there was one."""
        file = database_address(home).file
        if file is None:
            raise DatabaseError("Restore a PostgreSQL database with pg_restore.")
        make_private_folder(file.parent)
        return restore_sqlite(copy, file, last_run=last_run)

    def close(self) -> None:
        """Give all connections back."""
        with self._watcher_lock:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self._engine.dispose()

    @contextmanager
    def _named_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            reason = (str(error.orig) or str(error)).splitlines()[0]
            reason = self._address.without_secrets(reason)
            if _UNKNOWN.search(reason):
                self._refuse_newer()
            if "disk I/O" in reason and self.dialect == "sqlite":
                # A log that was removed is made anew, empty, and the index beside it, which all
                # that have it open share, names pages that it lacks: they fail until nobody has.
                self.close()
            away = isinstance(error, OperationalError | InterfaceError) and (
                self.dialect != "sqlite" or bool(_AWAY.search(reason))
            )
            kind = DatabaseAwayError if away else DatabaseError
            raise kind(_sentence(verb, self._location, reason)) from error
        except OverflowError as error:
            reason = "a number is larger than any that is kept."
            raise DatabaseError(_sentence(verb, self._location, reason)) from error
        except UnicodeDecodeError as error:  # SQLite names what it cannot read in its own words
            reason = "malformed text"
            raise DatabaseError(_sentence(verb, self._location, reason)) from error

    def _refuse_newer(self) -> None:
        """As ``check_schema``, where a question has failed: this one may fail as well."""
        with suppress(DBAPIError), self._engine.connect() as connection:
            schema = _schema(connection)
            if schema is not None and schema > SCHEMA:
                self._refuse_other(schema)

    def check_schema(self) -> None:
        """See that no newer program has upgraded the database.

        Raises:
            NewerDatabaseError: One has.
        """
        schema = self.schema()
        if schema is not None and schema > SCHEMA:
            self._refuse_other(schema)

    def _refuse_other(self, schema: int | None, why: str = "") -> NoReturn:
        if schema is not None and schema > SCHEMA:
            raise NewerDatabaseError(
                f"This workspace was written by a newer hdtui (schema {schema}, this one reads "
                f"{SCHEMA}). Nothing was changed. Update hdtui, or open another: hdtui --home DIR."
            )
        raise DatabaseError(
            f"{self._location} has schema {schema or 0}, this hdtui reads {SCHEMA}{why}. Nothing "
            "was changed. `hdtui db upgrade` brings it up (a copy is kept); where it cannot be "
            "written, copy the workspace first."
        )

    def _check_schema(self) -> None:
        schema = self.schema()
        if schema == SCHEMA:
            return
        if self.readonly or (schema or 0) > SCHEMA:
            self._refuse_other(schema, ", and it was opened for reading only")
        with _upgrade_lock(self.file), self._named_errors("write"):
            self._upgrade()

    def _bind(self) -> None:
        """See that folder and database belong together, and that both know it from now on."""
        home, write = self.home, not self.readonly
        with self.read() as session:
            if self.file is None or self.file.parent != home:
                binding.check(binding.remembered(session), home)
            write = write and home.is_dir() and binding.needs_binding(session, home)
        if write:
            with self.write() as session:
                binding.bind(session, home)
        with self.read() as session:
            known = binding.remembered(session)
        self.identity = known.database if known else ""

    def _upgrade(self) -> None:
        # Alembic takes 0.1 s to load and most starts have nothing to upgrade.
        from db.migrations.upgrade import upgrade  # noqa: PLC0415

        schema = self.schema()
        if schema == SCHEMA:  # somebody else did it while we waited for the lock
            return
        copy = None
        source = self.file
        if schema is not None and source is not None:
            copy = source.with_name(f"{source.name}.{schema}")
            copy_sqlite(source, copy)
        with self._writer.begin() as connection:
            if self.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7341987)"))
                if _schema(connection) == SCHEMA:
                    return
                if schema is not None:
                    # Who writes ends first; who comes later waits here, not for another table.
                    _hold_schema(connection, "UPDATE")
            upgrade(connection)
        self.upgrade = None if schema is None else Upgrade(schema, SCHEMA, copy)


def _schema(connection: Connection) -> int | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.execute(text(_VERSION)).scalar()
    return None if version is None else int(version)


def _hold_schema(connection: Connection, lock: str = "KEY SHARE") -> int | None:
    """The schema, which stays until the transaction ends; SQLite's writer is alone anyway."""
    held = f"{_VERSION} FOR {lock}" if connection.dialect.name == "postgresql" else _VERSION
    version = connection.execute(text(held)).scalar()
    return None if version is None else int(version)


@contextmanager
def _upgrade_lock(database: Path | None) -> Iterator[None]:
    if database is None:  # the upgrade takes an advisory lock inside its transaction
        yield
        return
    path = database.with_name(f"{database.name}.upgrade-lock")
    # What lies there may be a link to somebody's file or a pipe.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise DatabaseError(f"Cannot write {path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sentence(verb: str, location: str, reason: str) -> str:
    return f"Cannot {verb} {location}: {_explained(location, reason)}"


def _explained(location: str, reason: str) -> str:
    """What SQLite or PostgreSQL said, with what to do about it where we know."""
    if "unable to open" in reason:
        return _unopened(Path(location), reason)
    if "disk I/O" in reason:
        return _unreadable(Path(location), reason)
    for words, sentence in _KNOWN_REASONS:
        if words.search(reason):
            return sentence.format(reason=reason)
    return reason


def _unreadable(path: Path, reason: str) -> str:
    """Why the disk seems to fail: a full one, a part that is gone, or really the disk."""
    if shutil.disk_usage(path.parent).free < ROOM_BYTES:
        return f"{reason}. Free some space on the disk and go on."
    beside = [path.with_name(path.name + part) for part in LOG_PARTS]
    gone = [part.name for part in beside if not part.exists()]
    if gone:
        return (
            f"{' and '.join(gone)} beside it {'was' if len(gone) == 1 else 'were'} removed while "
            "it was in use. It answers again once all that had it open let go of it, and lacks "
            "what was written last; `hdtui db check` says whether it is sound."
        )
    return (
        f"{reason}. Where a part of it was removed and made anew just now, it answers again in a "
        "moment; else the disk or what lies on it is damaged: the system's log says more, "
        "`hdtui db check` whether the database is sound."
    )


def _unopened(path: Path, reason: str) -> str:
    if not path.is_file():
        return "the file is gone. Put it back, or restore a backup."
    if not writable(path):
        return (
            "its folder takes no writing, and what was written last still lies in the log beside "
            "it. Copy both to a disk that can be written."
        )
    return reason
