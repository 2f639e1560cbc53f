"""The process that starts and watches the workers of one workspace on one machine.

It holds a lock while it lives, and leaves when it has had nothing to do for a while.
"""

import logging
import os
import time
from datetime import UTC, datetime

from db.machine import host_name, installation
from db.queries import supervisors
from db.records import Supervisor
from db.session import Database
from engine.errors import DatabaseError
from engine.workers.liveness import started_at, this_process
from engine.workers.patience import WAIT_S
from engine.workers.slots import read_slots
from engine.workers.supervisor_lock import supervisor_alive, take_lock
from engine.workers.supervisor_loop import WATCH_EVERY_S, Settings, SupervisorLoop
from engine.workers.workspace import Workspace

TICK_S = 0.25
LOCK_TIMEOUT_S = 5.0

logger = logging.getLogger("hdtui.supervisor")


def supervise(workspace: Workspace) -> None:
    """Be this machine's supervisor until there is nothing to do; return at once if there is one."""
    database = Database.open(workspace.home, create=False, checkpointing=True, wait_s=WAIT_S)
    lock = _take(database)
    if lock is not None:
        slots = read_slots(database)
        register(database, slots)
        logger.info("supervisor %d: %d slots", os.getpid(), slots)
        loop = SupervisorLoop(database, workspace, Settings())
        while _try_tick(loop):
            time.sleep(TICK_S)
        os.close(lock)
    database.close()


def stand_in(database: Database, slots: int = 2) -> int | None:
    """Count as the supervisor of this machine, for a demonstration, until this process ends.

    Or until the open file that comes back is closed; None where a real one is at work.
    """
    lock = take_lock(database)
    if lock is not None:
        register(database, slots)
    return lock


def register(database: Database, slots: int) -> None:
    """Write this process down as the supervisor of its machine; the caller holds the lock."""
    me, now = this_process(), datetime.now(UTC)
    supervisors.register_supervisor(
        database,
        Supervisor(
            host=host_name(),
            pid=me.pid,
            pid_started_at=started_at(me.pid),
            boot_id=me.boot_id,
            slots=slots,
            started_at=now,
            heartbeat_at=now,
            installation=installation() or None,
        ),
    )


def _try_tick(loop: SupervisorLoop) -> bool:
    try:
        if loop.tick():
            return True
        loop.sign_off()
    except DatabaseError as error:
        # Workers go on; whoever reads judges liveness meanwhile.
        logger.warning("the database does not answer: %s", error)
        time.sleep(WATCH_EVERY_S)
        return True
    return False


def _take(database: Database) -> int | None:
    """Take the lock; wait a moment for one that is about to leave, not for one that stays."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while (lock := take_lock(database)) is None:
        if supervisor_alive(database) or time.monotonic() > deadline:
            return None
        time.sleep(0.05)
    return lock
