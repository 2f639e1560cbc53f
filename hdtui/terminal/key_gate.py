"""Keys act one after another: those typed ahead of a screen that still opens wait for it."""

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.events import Key
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.screen import Screen

PATIENCE_S = 0.5
LOOK_EVERY_S = 0.02


class KeyGate:
    """Holds keys back while the screen opens and first reads, or the key before is at work.

    While it is ``closed`` it holds all of them.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._held: deque[Key] = deque()
        self._released: Key | None = None
        self._busy_until = 0.0
        self._at_work: Key | None = None
        self._waits = False
        self.closed = False
        self._unfilled: Screen[Any] | None = None
        self._filled_by = 0.0

    def admits(self, key: Key) -> bool:
        """Whether the key may act now; one that may not comes again by itself."""
        if key is self._released or (not self._held and self._ready):
            return True
        self._held.append(key)
        self._wait()
        return False

    def passed(self, key: Key, receiver: Widget) -> None:
        """A key went to a widget: the next one waits until it was handled there, or in the end."""
        self._busy_until = time.monotonic() + PATIENCE_S
        self._at_work = key
        receiver.call_later(self._handled, key)

    def forget(self) -> None:
        """Drop the keys that wait: what stands there now is nothing anybody expected."""
        self._held.clear()

    def done(self, key: Key) -> None:
        """The key came back from all widgets and its action has run."""
        if key is self._at_work:
            self._busy_until = 0.0

    @property
    def _ready(self) -> bool:
        screen = self._app.screen
        if self.closed or not screen.is_mounted or time.monotonic() < self._busy_until:
            return False
        # A screen is to show what it first read, unless a key has waited for that long enough.
        if getattr(screen, "filled", True):
            return True
        if self._unfilled is not screen:
            self._unfilled = screen
            self._filled_by = time.monotonic() + PATIENCE_S
        return time.monotonic() >= self._filled_by

    def _handled(self, key: Key) -> None:
        if key._stop_propagation:  # nobody else will see it; Textual has no public word for that
            self.done(key)

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self._app.set_timer(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._waits = False
        if self._held and self._ready:
            self._released = self._held.popleft()
            self._busy_until = time.monotonic() + PATIENCE_S
            self._app.post_message(self._released)
        if self._held:
            self._wait()
