"""The one door of a worker to its database: what does not answer now is asked again later.

A lock, a disk that is full, a file that is put back, a server that restarts: none of them is a
reason to lose hours of work. What is wrong for good (a newer schema, damage) fails at once.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from engine.errors import DatabaseAwayError

PATIENCE_S = 300.0
RETRY_EVERY_S = 1.0
WAIT_S = 2.0
"""How long a worker's connection waits for another's lock: work goes on meanwhile, or a signal."""

Answer = TypeVar("Answer")

logger = logging.getLogger("hdtui.worker")


def patiently(ask: Callable[[], Answer], patience_s: float = PATIENCE_S) -> Answer:
    """What ``ask`` answers, asked again while the database is away.

    ``ask`` is one transaction, or several of which each may be done twice.

    Raises:
        DatabaseAwayError: It stays away for ``patience_s`` seconds.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except DatabaseAwayError as error:
            if time.monotonic() > deadline:
                raise
            logger.warning("waiting for the database: %s", error)
            time.sleep(RETRY_EVERY_S)
