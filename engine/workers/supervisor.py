"""The process that starts and watches the workers of one workspace on one host.

It holds a lock while it lives, and leaves when it has had nothing to do for a while.
"""

import fcntl
import logging
import os
import time
from datetime import UTC, datetime
from typing import TextIO

from db.queries import supervisors
from db.queries.settings import get_setting
from db.records import Supervisor
from db.session import Database
from engine.errors import DatabaseError
from engine.workers.liveness import host_name, this_process
from engine.workers.patience import WAIT_S
from engine.workers.spawn import supervisor_alive
from engine.workers.supervisor_loop import DEFAULT_SLOTS, WATCH_EVERY_S, Settings, SupervisorLoop
from engine.workers.workspace import Workspace

TICK_S = 0.25
LOCK_TIMEOUT_S = 5.0
SLOTS_VARIABLE = "HDTUI_SLOTS"

logger = logging.getLogger("hdtui.supervisor")


def supervise(workspace: Workspace) -> None:
    """Be this host's supervisor until there is nothing to do; return at once if there is one."""
    database = Database.open(workspace.home, checkpointing=True, wait_s=WAIT_S)
    with workspace.supervisor_lock.open("w") as lock:
        if not _take(lock, database):
            return
        settings = Settings(slots=read_slots(database))
        me = this_process()
        now = datetime.now(UTC)
        supervisors.register_supervisor(
            database,
            Supervisor(host_name(), me.pid, me.started_at, me.boot_id, settings.slots, now, now),
        )
        logger.info("supervisor %d: %d slots", me.pid, settings.slots)
        loop = SupervisorLoop(database, workspace, settings)
        while _try_tick(loop, workspace):
            time.sleep(TICK_S)
        if workspace.home.is_dir():
            database.checkpoint_log(truncate=True)
            logger.info("supervisor %d: nothing to do, leaves", me.pid)
    database.close()


def read_slots(database: Database) -> int:
    """How many workers may run at once: HDTUI_SLOTS, else the workspace's setting, else two."""
    wanted = os.environ.get(SLOTS_VARIABLE) or get_setting(database, "slots")
    try:
        return max(1, int(wanted)) if wanted is not None else DEFAULT_SLOTS
    except (TypeError, ValueError):
        logger.warning("slots %r is no number; %d are used", wanted, DEFAULT_SLOTS)
        return DEFAULT_SLOTS


def _try_tick(loop: SupervisorLoop, workspace: Workspace) -> bool:
    try:
        return loop.tick()
    except DatabaseError as error:
        if not workspace.home.is_dir():
            logger.warning("%s is gone; its supervisor leaves", workspace.home)
            return False
        # Workers go on; whoever reads judges liveness meanwhile.
        logger.warning("the database does not answer: %s", error)
        time.sleep(WATCH_EVERY_S)
        return True


def _take(lock: TextIO, database: Database) -> bool:
    """Take the lock; wait a moment for one that is about to leave, not for one that stays."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            registered = supervisors.get_supervisor(database, host_name())
            if supervisor_alive(registered) or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True
