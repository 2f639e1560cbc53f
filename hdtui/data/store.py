"""The workspace's database as the cockpit sees it: opened late, lost, found again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from engine.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from db.session import Database

Answer = TypeVar("Answer")
RETRY_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0)


class NoWorkspaceError(DatabaseError):
    """Nothing was ever run here: no database exists yet."""


class Health:
    """Whether the database answers, since when not, and when the next try is due."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._lost_at = 0.0
        self._next_try_at = 0.0
        self.sentence = ""

    @property
    def lost(self) -> bool:
        """The last try failed."""
        return self._failures > 0

    @property
    def lost_for_s(self) -> float:
        """Seconds since the first failure."""
        return self._clock() - self._lost_at if self.lost else 0.0

    @property
    def next_try_in_s(self) -> float:
        """Seconds until a question goes to the database again."""
        return max(0.0, self._next_try_at - self._clock()) if self.lost else 0.0

    def failed(self, sentence: str) -> None:
        """Note a failure; tries follow after 1, 2, 4, 8, then every 15 seconds."""
        now = self._clock()
        if not self.lost:
            self._lost_at = now
        wait = RETRY_AFTER_S[min(self._failures, len(RETRY_AFTER_S) - 1)]
        self._failures += 1
        self._next_try_at = now + wait
        self.sentence = sentence

    def answered(self) -> None:
        """Note a success."""
        self._failures = 0
        self.sentence = ""


class Store:
    """Asks the database questions from threads; opens it on the first one."""

    def __init__(self, home: Path, readonly: bool) -> None:
        self.home = home
        self.readonly = readonly
        self.health = Health()
        self.upgrade_sentence = ""
        self._database: Database | None = None
        self._seen = False

    def act(self, command: Callable[[Database], Answer]) -> Answer:
        """As ``ask``; what changes the world makes the workspace where there is none.

        Raises:
            WorkspaceError: It cannot be made or written.
            DatabaseError: As ``ask``.
        """
        from engine.workers.workspace import Workspace

        Workspace(self.home).create()
        return self.ask(command, create=True)

    def ask(self, question: Callable[[Database], Answer], create: bool = False) -> Answer:
        """The answer of ``question``, which gets the open database.

        Raises:
            NoWorkspaceError: There is no database yet.
            DatabaseError: It is lost, damaged or newer; while lost, most calls fail at once.
        """
        if self.health.next_try_in_s > 0:
            raise DatabaseError(self.health.sentence)
        try:
            answer = question(self.open(create))
        except NoWorkspaceError:
            raise
        except DatabaseError as error:
            self._forget()
            self.health.failed(str(error))
            raise
        self.health.answered()
        return answer

    def open(self, create: bool = False) -> Database:
        """The open database; ``create`` makes the workspace where there is none.

        Raises:
            NoWorkspaceError: There is none and it may not be created.
            DatabaseError: It cannot be read.
        """
        from db.address import database_address
        from db.session import Database

        file = database_address(self.home).file
        if file is not None and _empty(file):
            # A connection to a path that went away leaves an empty file: that is no workspace.
            if self._seen:
                raise DatabaseError(f"Cannot read {file}: the file is gone.")
            if not create:
                raise NoWorkspaceError(f"There is no workspace at {self.home} yet.")
        if self._database is None:
            database = Database.open(self.home, readonly=self.readonly, create=create)
            if database.upgrade is not None:
                upgrade = database.upgrade
                kept = f", copy kept as {upgrade.copy.name}" if upgrade.copy else ""
                self.upgrade_sentence = (
                    f"Upgraded schema {upgrade.from_schema} to {upgrade.to_schema}{kept}"
                )
            self._database = database
            self._seen = True
        return self._database

    def revision(self) -> int:
        """A number that changes when anybody wrote.

        Raises:
            DatabaseError: The database cannot be read.
        """
        return self.ask(lambda database: database.revision())

    def close(self) -> None:
        """Give the connections back."""
        self._forget()

    def _forget(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def _empty(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except OSError:
        return True
