"""What all screens share: the workspace, marks, the pinned baseline and the preferences."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hdtui.data.error_log import Mistakes
from hdtui.data.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from db.session import Database
    from hdtui.data.run_list import RunsReader

PREFERENCES_KEY = "cockpit"


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


class Cockpit:
    """The state that survives a change of screen; owned by the event loop."""

    def __init__(self, home: Path, readonly: bool = False) -> None:
        self.home = home
        self.readonly = readonly
        self.host = socket.gethostname()
        self.num_cores = os.cpu_count() or 1
        self.store = Store(home, readonly)
        self.mistakes = Mistakes(home, readonly)
        self.preferences = Preferences()
        self.marked_runs: dict[int, None] = {}
        self.marked_robots: dict[str, None] = {}
        self.pinned_run: int | None = None
        self.watched_run: int | None = None
        self.messages: list[str] = []
        self.counted: dict[str, Any] = {}

    @cached_property
    def runs_reader(self) -> RunsReader:
        """Reads the list of runs; what it keeps serves every screen."""
        from hdtui.data.run_list import RunsReader

        return RunsReader()

    def read_ahead(self, database: Database) -> None:
        """Read once what the long lists show, in a thread, so that a key need not wait for it."""
        from hdtui.data.robots import read_robots

        self.runs_reader.read(database, now(), archived=False)
        read_robots(database, None, None)

    def toggle_mark(self, run_id: int) -> None:
        """Mark a run, or take its mark away."""
        if run_id in self.marked_runs:
            del self.marked_runs[run_id]
        else:
            self.marked_runs[run_id] = None

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
