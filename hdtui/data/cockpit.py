"""What all screens share: the workspace, marks, the pinned baseline and the preferences."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from hdtui.data.error_log import Mistakes
from hdtui.data.store import Store
from hdtui.data.threads import Threads

if TYPE_CHECKING:
    from pathlib import Path

    from db.session import Database
    from hdtui.data.run_list import RunsReader
    from hdtui.data.study_views import StudyReader
    from hdtui.messages import Counts

PREFERENCES_KEY = "cockpit"
Marked = TypeVar("Marked", bound=Hashable)


def now() -> datetime:
    """The time of the reader's clock, in the reader's zone."""
    return datetime.now().astimezone()


@dataclass
class Preferences:
    """What persists per workspace: theme, drawing, refresh, smoothing, sorts and filters."""

    values: dict[str, Any] = field(default_factory=dict)
    changed: bool = False

    def get(self, key: str, default: Any) -> Any:
        """The stored value where its type is that of the default."""
        value = self.values.get(key, default)
        fits = default is None or isinstance(value, type(default))
        return value if fits else default

    def set(self, key: str, value: Any) -> None:
        """Keep a value; it is written with the next pulse."""
        if self.values.get(key) != value:
            self.values[key] = value
            self.changed = True


class Marks(dict[Marked, None]):
    """What the user has marked, in the order of marking."""

    def toggle(self, *marked: Marked) -> None:
        """Mark all of them; where all are marked, take their marks away."""
        if all(each in self for each in marked):
            self.drop(marked)
        else:
            self.update(dict.fromkeys(marked))

    def drop(self, marked: Iterable[Marked]) -> None:
        """Take marks away, where there are any."""
        for each in marked:
            self.pop(each, None)


class Cockpit:
    """The state that survives a change of screen; owned by the event loop."""

    def __init__(self, home: Path, readonly: bool = False) -> None:
        self.home = home
        self.readonly = readonly
        self.host = socket.gethostname()
        self.num_cores = os.cpu_count() or 1
        self.store = Store(home, readonly)
        self.mistakes = Mistakes(home, readonly)
        self.threads = Threads()
        self.preferences = Preferences()
        self.marked_runs: Marks[int] = Marks()
        self.marked_robots: Marks[str] = Marks()
        self.pinned_run: int | None = None
        self.watched_run: int | None = None
        self.messages: list[str] = []
        self.counts: Counts | None = None
        self.counted: dict[str, Any] = {}

    @cached_property
    def runs_reader(self) -> RunsReader:
        """Reads the list of runs; what it keeps serves every screen."""
        from hdtui.data.run_list import RunsReader

        return RunsReader()

    @cached_property
    def studies_reader(self) -> StudyReader:
        """Reads studies; what it keeps serves every screen."""
        from hdtui.data.study_views import StudyReader

        return StudyReader()

    def read_ahead(self, database: Database) -> None:
        """Read once what the long lists show, in a thread, so that a key need not wait for it."""
        from hdtui.data.robots import read_robots

        self.runs_reader.read(database, now(), archived=False)
        read_robots(database, None, None)

    def pin(self, run_id: int | None) -> None:
        """Take a run as the baseline of curves and differences, in this workspace from now on."""
        self.pinned_run = run_id
        self.preferences.set("pinned_run", run_id)

    def load_preferences(self) -> None:
        """Read the preferences of the workspace; called in a thread."""
        from db.queries.settings import get_setting

        stored = self.store.ask(lambda database: get_setting(database, PREFERENCES_KEY))
        if isinstance(stored, dict):
            self.preferences.values = {**stored, **self.preferences.values}
            pinned = stored.get("pinned_run")
            if isinstance(pinned, int) and self.pinned_run is None:
                self.pinned_run = pinned

    def save_preferences(self) -> None:
        """Write the preferences where they changed; called in a thread."""
        if not self.preferences.changed or self.readonly:
            return
        from db.queries.settings import set_setting

        self.preferences.changed = False
        values = json.loads(json.dumps(self.preferences.values))
        self.store.ask(lambda database: set_setting(database, PREFERENCES_KEY, values))
