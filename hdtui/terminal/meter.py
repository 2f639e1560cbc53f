"""How many bytes go to the terminal, and what a live widget may still spend."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver

from hdtui.terminal.keyboard import Keyboard
from hdtui.terminal.lasting_file import LastingFile

if TYPE_CHECKING:
    from textual.app import App
    from textual.widget import Widget

Clock = Callable[[], float]
UNKNOWN_SIZE = (80, 25)
CHART_BYTES_PER_S = 3 * 1024
LONGEST_WAIT_S = 2.0
"""The newest points are on the screen so long after the picture before, whatever that one cost."""
_LOOK_EVERY_S = 0.1
_READ_BYTES = 4096
_KITTY_KEYS_OFF = "\x1b[<u"


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


class MeteredDriver(LinuxDriver):
    """The terminal driver with a meter on its writes, which outlives its terminal."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = LastingFile(self._file)
        self._meter = meter_of(app)

    def _get_terminal_size(self) -> tuple[int, int]:
        """Where the terminal does not know its size, the one that Rich takes.

        Textual takes another here, and each makes the screen be laid out for the other, for ever.
        """
        return shutil.get_terminal_size(UNKNOWN_SIZE)

    def write(self, data: str) -> None:
        self._meter.count(len(data.encode("utf-8", "replace")))
        super().write(data)

    def _sigcont_application(self, *_: object) -> None:
        """Go on in the event loop: a signal may have come in the middle of a write."""
        if self._auto_restart:
            self._in_loop(self.resume_application_mode)

    def start_application_mode(self) -> None:
        """Take the terminal; also again, where a signal halted the process without notice.

        Such a process goes on with its threads: Textual would start a second reader of keys, which
        takes them from the first and keeps the process from ending.
        """
        keys, before = self._key_thread, self.attrs_before
        halted = keys is not None and keys.is_alive()
        if keys is not None and halted:
            self.exit_event.set()
            keys.join()
            self.exit_event.clear()
            self.write(_KITTY_KEYS_OFF)
            self.close()
            self._must_signal_resume = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if halted:  # what is set now may be our own
            self.attrs_before = before

    def run_input_thread(self) -> None:
        """Read keys until the application leaves.

        Textual looks whether a lone esc has waited long enough every tenth of a second; here it is
        heard as soon as it has.
        """
        keyboard = Keyboard(XTermParser(self._debug))
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = selector.select(ESCAPE_DELAY if keyboard.waiting else _LOOK_EVERY_S)
                data = os.read(self.fileno, _READ_BYTES) if ready else b""
                if ready and not data:  # nothing comes where the terminal was taken away
                    self.exit_event.wait(_LOOK_EVERY_S)
                try:
                    for event in keyboard.heard(data):
                        self.process_message(event)
                except Exception as error:  # noqa: BLE001 -- whatever came, the next key is heard
                    keyboard = Keyboard(XTermParser(self._debug))
                    self._tell("reading keys", error)

    def _run_input_thread(self) -> None:
        """Read keys; without a terminal to read from there is no cockpit."""
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody hears keys any more
            self._in_loop(getattr(self._app, "end_with", self._app._handle_exception), error)

    def _tell(self, doing: str, error: Exception) -> None:
        outlive = getattr(self._app, "outlive", None)
        if outlive is not None:
            self._in_loop(outlive, doing, error)

    def _in_loop(self, act: Callable[..., object], *facts: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: the cockpit is leaving
            self._loop.call_soon_threadsafe(act, *facts)
