"""Has the kernel killed for want of memory? Linux counts it, for containers too."""

import time
from collections.abc import Callable
from pathlib import Path

COUNTERS = Path("/proc/vmstat")
RECENT_S = 30.0
"""A killed process of many gigabytes takes a while to be gone."""


def memory_kills(counters: Path = COUNTERS) -> int | None:
    """How many processes the kernel has killed for want of memory; None where nobody counts."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("oom_kill "))
    return next((int(value) for value in found if value.isdecimal()), None)


class MemoryWatch:
    """Whether the kernel has killed for want of memory lately."""

    def __init__(
        self,
        count: Callable[[], int | None] = memory_kills,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._clock = count, clock
        self._known = count()
        self._rose_at: float | None = None

    def short_lately(self) -> bool | None:
        """True within half a minute of such a kill, None where nobody knows."""
        kills = self._count()
        if kills is None or self._known is None:
            return None
        if kills > self._known:
            self._known, self._rose_at = kills, self._clock()
        return self._rose_at is not None and self._clock() - self._rose_at < RECENT_S
