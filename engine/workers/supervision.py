"""Who watches the watcher: whoever queues, works or looks starts a supervisor where none lives."""

import logging
import os
import subprocess
import time
from collections.abc import Callable

from db.queries.supervisors import work_waits
from db.session import Database
from engine.errors import DatabaseAwayError, DatabaseError, RunError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment
from engine.workers.searching import open_searches
from engine.workers.supervisor_lock import supervisor_alive, take_lock
from engine.workers.workspace import Workspace

START_TIMEOUT_S = 120
"""Python on a machine full of work; whoever gives up sooner kills the start and never gets one."""
LOOK_EVERY_S = 5.0
TRY_EVERY_S = 15.0
LOG_BYTES = 64 << 20
"""How long SQLite's log may grow while no supervisor moves it into the database."""

logger = logging.getLogger("hdtui.worker")


def ensure_supervisor(database: Database) -> bool:
    """Start a supervisor for this workspace and machine unless one lives; True if one started.

    Call it after the work was committed: a supervisor signs off only when it sees none.

    Raises:
        RunError: It cannot be started; runs that work go on without it.
        NewerDatabaseError: A newer program has upgraded the workspace: its supervisor is wanted.
    """
    if supervisor_alive(database):
        return False
    database.check_schema()
    start_supervisor(Workspace(database.home))
    return True


def start_supervisor(workspace: Workspace) -> None:
    """Start a supervisor in its own session; a second one finds the lock taken and leaves."""
    home = str(workspace.home.absolute())
    try:
        with workspace.open_log(workspace.supervisor_log) as log:
            # It forks at once and the first process ends, so nobody has to wait for the second.
            subprocess.run(
                child_command("engine.workers", "supervisor", "--home", home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=NEUTRAL_FOLDER,
                env=child_environment(),
                start_new_session=True,
                check=True,
                timeout=START_TIMEOUT_S,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise RunError(
            f"Nothing starts or is noticed as lost: the supervisor did not start ({error}); "
            f"its log is {workspace.supervisor_log}. Runs go on."
        ) from error


def attend(database: Database) -> bool:
    """Start a supervisor where runs wait or work here, or a search is open, and none lives.

    True if one was started.

    Raises:
        RunError: It cannot be started; runs that work go on without it.
    """
    if database.readonly or not (work_waits(database) or open_searches(database)):
        return False
    return ensure_supervisor(database)


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
        except (RunError, DatabaseError) as error:
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
