"""Keys act one after another: those typed ahead of a screen that still opens wait for it."""

import time
from collections import deque
from typing import Any

from textual.app import App
from textual.events import Key
from textual.widget import Widget

PATIENCE_S = 0.5
LOOK_EVERY_S = 0.02


class KeyGate:
    """Holds keys back while the screen opens or the key before is still at work."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._held: deque[Key] = deque()
        self._released: Key | None = None
        self._busy_until = 0.0
        self._waits = False

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
        receiver.call_later(self._handled, key)

    def done(self) -> None:
        """The key came back from all widgets and its action has run."""
        self._busy_until = 0.0

    @property
    def _ready(self) -> bool:
        screen = self._app.screen
        return screen.is_mounted and time.monotonic() >= self._busy_until

    def _handled(self, key: Key) -> None:
        if key._stop_propagation:  # nobody else will see it; Textual has no public word for that
            self.done()

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
