"""Who watches the watcher: every worker, and whoever looks, brings a lost supervisor back."""

import logging
import os
import time
from collections.abc import Callable

from db.queries.supervisors import work_waits
from db.session import Database
from engine.errors import DatabaseAwayError, RunError
from engine.workers.spawn import start_supervisor
from engine.workers.supervisor_lock import supervisor_alive, take_lock
from engine.workers.workspace import Workspace

LOOK_EVERY_S = 5.0
TRY_EVERY_S = 15.0
LOG_BYTES = 64 << 20
"""How long SQLite's log may grow while no supervisor moves it into the database."""

logger = logging.getLogger("hdtui.worker")


def attend(database: Database) -> bool:
    """Start a supervisor where runs of this machine wait or work and none lives; True if started.

    RunError where it cannot be started; runs that work go on without it.
    """
    if database.readonly or supervisor_alive(database):
        return False
    if not work_waits(database):
        return False
    start_supervisor(Workspace(database.home))
    return True


class Supervision:
    """A worker's look at its supervisor, now and then."""

    def __init__(
        self,
        database: Database,
        workspace: Workspace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._workspace, self._clock = database, workspace, clock
        self._next_look = clock() + LOOK_EVERY_S

    def look(self, *, at_once: bool = False) -> None:
        """Bring the supervisor back if it is due to look and there is none; never raises."""
        now = self._clock()
        if now < self._next_look and not at_once:
            return
        self._next_look = now + LOOK_EVERY_S
        try:
            if attend(self._database):
                logger.info("the supervisor was gone; another is started")
        except (RunError, DatabaseAwayError) as error:
            self._next_look = now + TRY_EVERY_S
            logger.warning("%s", error)
            self._bound_log()

    def _bound_log(self) -> None:
        """Do what the supervisor does for SQLite's log, if nobody else does.

        One process at a time may: a log that two reset at once can be damaged by SQLite before
        3.51.3. Whoever holds the supervisor's lock is that one.
        """
        if self._database.file is None:
            return
        log = self._database.file.with_name(f"{self._database.file.name}-wal")
        try:
            if log.stat().st_size < LOG_BYTES:
                return
            lock = take_lock(self._database)
            if lock is None:
                return
            try:
                self._database.checkpoint_log()
            finally:
                os.close(lock)
        except (OSError, DatabaseAwayError) as error:  # the log grows on; the disk says when
            logger.warning("SQLite's log is %s and cannot be moved: %s", log, error)
