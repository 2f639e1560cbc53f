"""Who lets searches go on: a process that lives while one is open, and who sees that it lives.

Trials follow from earlier ones, so they cannot be queued at once as other runs of studies are. The
supervisor starts this process and stays while it is needed; it knows nothing that is not in the
database, so both may die at any moment. `studies.open_searches` is what it does; that loads Optuna.
"""

import logging
import subprocess
import time
from importlib.util import find_spec
from typing import Any

from db.queries.runs import list_runs
from db.queries.studies import list_studies
from db.records import StoredStudy
from db.session import Database
from engine.config.study import TRIAL
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment
from engine.workers.workspace import Workspace

ASK_EVERY_S = 3.0
AGAIN_AFTER_S = 30.0
logger = logging.getLogger("hdtui.supervisor")


def open_searches(database: Database) -> list[str]:
    """The studies of this workspace that have trials to ask for, or some that may be left out.

    None where Optuna is not installed: nobody here could ask.
    """
    if find_spec("optuna") is None:
        return []
    return [study.name for study in list_studies(database) if _is_open(database, study)]


def _is_open(database: Database, study: StoredStudy) -> bool:
    document: Any = study.document
    if not document.get("ranges") or document["search"]["paused"]:
        return False
    if len(document["factors"].get(TRIAL, {})) < document["search"]["trials"]:
        return True
    runs = list_runs(database, ids=set(study.runs.values()))
    return bool(document["search"]["halving"]) and any(not run.state.ended for run in runs)


class Searches:
    """A supervisor's look at the process that lets searches go on."""

    def __init__(self, database: Database, workspace: Workspace) -> None:
        self._database, self._workspace = database, workspace
        self._child: subprocess.Popen[bytes] | None = None
        self._next = time.monotonic()
        self._failed = False

    def look(self) -> bool:
        """Start the process where a search is open and none lives.

        True while one does, or is to be started again after it failed.
        """
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return True
            self._child = None
            self._failed = bool(code)
            if code:
                self._next = time.monotonic() + AGAIN_AFTER_S
        if time.monotonic() < self._next:
            return self._failed
        self._failed = False
        self._next = time.monotonic() + ASK_EVERY_S
        if not open_searches(self._database):
            return False
        home = str(self._workspace.home.absolute())
        try:
            with self._workspace.open_log(self._workspace.supervisor_log) as log:
                self._child = subprocess.Popen(
                    child_command("engine.workers", "search", "--home", home),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=NEUTRAL_FOLDER,
                    env=child_environment(),
                )
        except OSError as error:
            logger.warning("searches do not go on: their process did not start: %s", error)
        return self._child is not None
