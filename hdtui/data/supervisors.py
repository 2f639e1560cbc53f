"""Somebody must start what waits and notice what is lost: see to it that a supervisor lives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.errors import HdtuiError
from engine.workers.supervision import ensure_supervisor
from engine.workers.supervisor_lock import supervisor_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from hdtui.data.cockpit import Cockpit

LOOK_EVERY_S = 5.0
TRY_EVERY_S = 15.0


class SupervisorWatch:
    """Looks every few seconds; starts a supervisor where work needs one and none lives."""

    def __init__(self, cockpit: Cockpit, clock: Callable[[], float] = time.monotonic) -> None:
        self._cockpit = cockpit
        self._clock = clock
        self._looked_at = float("-inf")
        self._tried_at = float("-inf")
        self.missing = False

    def look(self, work: int) -> str:
        """A sentence where something is to be said; ``work`` counts runs that wait or work."""
        now = self._clock()
        if not work:
            self.missing = False
            return ""
        if now - self._looked_at < LOOK_EVERY_S:
            return ""
        self._looked_at = now
        if self._cockpit.store.ask(supervisor_alive):
            self.missing = False
            return ""
        if self._cockpit.readonly:
            first, self.missing = not self.missing, True
            sentence = "Nothing starts or is noticed as lost: this cockpit only reads. Runs go on."
            return sentence if first else ""
        if now - self._tried_at < TRY_EVERY_S:
            return ""
        self._tried_at = now
        return self._start()

    def _start(self) -> str:
        try:
            self._cockpit.store.ask(ensure_supervisor)
        except HdtuiError as error:
            self.missing = True
            return str(error)
        self.missing = False
        return "Supervisor started; it looks after what waits and works."
