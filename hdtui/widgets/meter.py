"""How many bytes go to the terminal, and what a live widget may still spend."""

import contextlib
import os
import selectors
import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual import constants
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from hdtui.widgets.lasting_file import LastingFile

if TYPE_CHECKING:
    from textual.app import App

Clock = Callable[[], float]
CHART_BYTES_PER_S = 3 * 1024
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
    """Lets through what a rate allows; a frame that cannot be paid is skipped."""

    def __init__(
        self, bytes_per_s: float, burst_bytes: float, clock: Clock = time.monotonic
    ) -> None:
        self._rate = bytes_per_s
        self._burst = burst_bytes
        self._clock = clock
        self._tokens = burst_bytes
        self._paid_up_to: int | None = None
        self._at = clock()

    def can_pay(self) -> bool:
        """Whether the last frames are paid for."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens > 0

    def affords(self, total_bytes: int) -> bool:
        """Pay for what a meter counted since the last call, and say whether more may be sent."""
        if self._paid_up_to is not None:
            self.pay(total_bytes - self._paid_up_to)
        self._paid_up_to = total_bytes
        return self.can_pay()

    def pay(self, num_bytes: float) -> None:
        """Take the cost of a frame; it may leave a debt that later frames wait for."""
        self._tokens -= num_bytes


class MeteredDriver(LinuxDriver):
    """The terminal driver with a meter on its writes, which outlives its terminal."""

    def __init__(self, app: "App[Any]", **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = LastingFile(self._file)
        self._meter: ByteMeter | None = getattr(app, "meter", None)

    def write(self, data: str) -> None:
        if self._meter is not None:
            self._meter.count(len(data.encode("utf-8", "replace")))
        super().write(data)

    def _sigcont_application(self, *_: object) -> None:
        """Go on in the event loop: a signal may have come in the middle of a write."""
        if self._auto_restart:
            with contextlib.suppress(RuntimeError):  # the loop has ended: the cockpit is leaving
                self._loop.call_soon_threadsafe(self.resume_application_mode)

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
        heard as soon as it has. The parser and its clock have no public names.
        """
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")().decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                waiting = parser._timeout_time is not None
                ready = selector.select(constants.ESCAPE_DELAY if waiting else _LOOK_EVERY_S)
                text = decode(os.read(self.fileno, _READ_BYTES)) if ready else ""
                if text:  # nothing may come where the terminal was taken away
                    for event in parser.feed(text):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
