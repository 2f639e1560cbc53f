"""What the supervisor of one machine and database holds while it lives, and how others ask.

The lock is the proof of a supervisor's life, not a row: a row may be copied with its database.
Machines that share a folder, and databases that share one, have a lock each.
"""

import fcntl
import hashlib
import os
from pathlib import Path

from db.machine import boot_id, kernel_boot_id
from db.queries.supervisors import get_supervisor
from db.session import Database
from engine.workers.workspace import Workspace, open_file


def take_lock(database: Database) -> int | None:
    """An open file that holds the lock until it is closed; None where somebody has it.

    Locks of machines that restarted are cleared away.
    """
    workspace, path = Workspace(database.home), lock_path(database)
    try:
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    except PermissionError:  # another user made it, who is no supervisor any more
        descriptor = open_file(path, os.O_RDONLY)
    # Who cleared the file away between opening and locking left this lock without a name.
    if not _lock(descriptor, fcntl.LOCK_EX) or not _is_at(descriptor, path):
        os.close(descriptor)
        return None
    if _held(workspace.supervisor_lock):
        os.close(descriptor)
        return None
    for other in workspace.home.glob("supervisor.*.held"):
        if other != path:
            _clear(other)
    return descriptor


def supervisor_alive(database: Database) -> bool:
    """A supervisor of this machine looks after this database in this folder.

    One that is about to leave has signed off in the database already, so that who queues a run
    then starts another, which waits for the lock.
    """
    if not any(get_supervisor(database, boot) for boot in (boot_id(), kernel_boot_id())):
        return False
    return _held(lock_path(database)) or _held(Workspace(database.home).supervisor_lock)


def lock_path(database: Database) -> Path:
    """The lock of this machine's supervisor for this database."""
    name = hashlib.sha256(f"{boot_id()} {database.identity}".encode()).hexdigest()[:8]
    return database.home / f"supervisor.{name}.held"


def _held(path: Path) -> bool:
    try:
        descriptor = open_file(path, os.O_RDONLY)
    except PermissionError:
        return True  # another user's, who lets nobody look
    except OSError:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _clear(path: Path) -> None:
    try:
        descriptor = open_file(path, os.O_RDWR)
    except OSError:
        return
    try:
        if _lock(descriptor, fcntl.LOCK_EX):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
