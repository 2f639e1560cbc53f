"""The process that lets open searches go on; a supervisor starts it where there are some."""

import logging
import os
import time

from db.session import Database
from engine.errors import ConfigError, RunError, UsageError
from engine.workers.patience import WAIT_S
from engine.workers.searching import ASK_EVERY_S, open_searches
from engine.workers.studies.running import pause_search
from engine.workers.studies.search import advance
from engine.workers.workspace import Workspace

LOOK_EVERY_S = 1.0
logger = logging.getLogger("hdtui.supervisor")


def let_searches_go_on(workspace: Workspace) -> None:
    """Let every open search go on until none is, or the supervisor that started this is gone."""
    parent = os.getppid()
    database = Database.open(workspace.home, create=False, wait_s=WAIT_S)
    try:
        revision, asked = None, float("-inf")
        while os.getppid() == parent and (names := open_searches(database)):
            if time.monotonic() - asked >= ASK_EVERY_S and revision != database.revision():
                revision, asked = database.revision(), time.monotonic()
                for name in names:
                    _go_on(database, name)
            time.sleep(LOOK_EVERY_S)
    finally:
        database.close()


def _go_on(database: Database, name: str) -> None:
    try:
        advance(database, name)
    except RunError as error:  # somebody else let it go on
        logger.info("%s", error)
    except (UsageError, ConfigError) as error:  # a robot set is gone, or a setting
        logger.warning("study %s is paused: %s", name, error)
        pause_search(database, name, paused=True)
