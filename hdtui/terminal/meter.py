"""How many bytes go to the terminal, and what a live widget may still spend."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App
    from textual.widget import Widget

Clock = Callable[[], float]
CHART_BYTES_PER_S = 3 * 1024
LONGEST_WAIT_S = 2.0
"""The newest points are on the screen so long after the picture before, whatever that one cost."""


class ByteMeter:
    """Counts bytes written and remembers those of the last seconds."""

    def __init__(self, window_s: float = 5.0, clock: Clock = time.monotonic) -> None:
        self.total_bytes = 0
        self._window_s = window_s
        self._clock = clock
        self._writes: deque[tuple[float, int]] = deque()

    def count(self, num_bytes: int) -> None:
        """Note a write."""
        self.total_bytes += num_bytes
        self._writes.append((self._clock(), num_bytes))
        self._forget()

    def bytes_per_s(self) -> float:
        """The mean rate over the window."""
        self._forget()
        return sum(num_bytes for _, num_bytes in self._writes) / self._window_s

    def _forget(self) -> None:
        oldest = self._clock() - self._window_s
        while self._writes and self._writes[0][0] < oldest:
            self._writes.popleft()


class TokenBucket:
    """Lets through what a rate allows; a frame that cannot be paid waits.

    No debt is longer than what fills the bucket: whatever a frame cost, the wait for the next one
    has an end that a reader may count on.
    """

    def __init__(
        self, bytes_per_s: float, burst_bytes: float, clock: Clock = time.monotonic
    ) -> None:
        self._rate = bytes_per_s
        self.most = burst_bytes
        self._clock = clock
        self._tokens = burst_bytes
        self._at = clock()

    def can_pay(self) -> bool:
        """Whether the last frames are paid for."""
        now = self._clock()
        self._tokens = min(self.most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens > 0

    @property
    def wait_s(self) -> float:
        """Seconds until the last frames are paid for."""
        return 0.0 if self.can_pay() else 1e-3 - self._tokens / self._rate

    def pay(self, num_bytes: float) -> None:
        """Take the cost of a frame; it may leave a debt that later frames wait for."""
        self._tokens = min(self.most, max(-self.most, self._tokens - num_bytes))


def meter_of(app: App[Any]) -> ByteMeter:
    """The meter of the cockpit; another application, in a test, has none and counts nothing."""
    meter: ByteMeter | None = getattr(app, "meter", None)
    return ByteMeter() if meter is None else meter


class LiveDrawing:
    """Draws what changes by itself as often as its own bytes allow.

    A picture that is not paid for yet is drawn when it is, with what is newest by then; what a key
    or another size makes the terminal repaint is no cost of this drawing.
    """

    def __init__(self, widget: Widget, draw: Callable[[], None]) -> None:
        self._widget = widget
        self._draw = draw
        self._bucket = TokenBucket(CHART_BYTES_PER_S, LONGEST_WAIT_S * CHART_BYTES_PER_S)
        self._waits = False

    def changed(self) -> None:
        """Draw now, or as soon as the pictures before are paid for."""
        if self._waits:
            return
        wait_s = self._bucket.wait_s
        if wait_s > 0:
            self._waits = True
            self._widget.set_timer(wait_s, self._paid_for)
        else:
            self.at_once()

    def _paid_for(self) -> None:
        self._waits = False
        if self._widget.screen.is_current:
            self.at_once()

    def forgive(self) -> None:
        """Draw the next change at once: somebody has just come to look."""
        self._bucket.pay(-2 * self._bucket.most)

    def at_once(self) -> None:
        """Draw, whatever it costs: somebody has just asked for it."""
        meter = meter_of(self._widget.app)
        sent = meter.total_bytes
        self._draw()
        self._widget.call_after_refresh(lambda: self._bucket.pay(meter.total_bytes - sent))
