"""The driver of the terminal: counts what is written, hears whole keys at once, outlives it."""

import contextlib
import os
import selectors
import shutil
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver

from hdtui.terminal.keyboard import Keyboard
from hdtui.terminal.meter import meter_of

if TYPE_CHECKING:
    from textual.app import App

UNKNOWN_SIZE = (80, 25)
_LOOK_EVERY_S = 0.1
_READ_BYTES = 4096
_KITTY_KEYS_OFF = "\x1b[<u"


def forget_exported_size() -> None:
    """Where the terminal knows its size, what was exported of an older one is not believed.

    Some shells, and every program that uses readline, export COLUMNS and LINES. Textual and Rich
    take those before the terminal's own, and so would never follow a window that changes.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if all(os.get_terminal_size(sys.__stdout__.fileno())):  # type: ignore[union-attr]
            for name in ("COLUMNS", "LINES"):
                os.environ.pop(name, None)


class MeteredDriver(LinuxDriver):
    """The terminal driver with a meter on its writes, which outlives its terminal."""

    def __init__(self, app: "App[Any]", **options: Any) -> None:
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


class LastingFile:
    """A text file that takes writing also when nothing is behind it any more.

    Textual's writing thread ends at its first error, and thirty writes later the interface waits
    for it for ever: a cockpit whose connection dropped would stay, out of everybody's reach.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> None:
        """Write ``text``, or forget it where the terminal is gone."""
        if self._gone:
            return
        try:
            self._file.write(text)
        except OSError:
            self._gone = True

    def flush(self) -> None:
        """Send what was written."""
        if self._gone:
            return
        try:
            self._file.flush()
        except OSError:
            self._gone = True

    def fileno(self) -> int:
        """The terminal's number for the operating system."""
        return self._file.fileno()
