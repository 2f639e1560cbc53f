"""The cockpit in a pseudo-terminal of its own: type keys, read what a terminal would show."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import pyte

KEYS: Mapping[str, str] = {
    "enter": "\r",
    "escape": "\x1b",
    "space": " ",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~",
    "end": "\x1b[F",
    "home": "\x1b[H",
    "ctrl+c": "\x03",
    "ctrl+p": "\x10",
    "ctrl+u": "\x15",
}
PATIENCE_S = 60.0


class Cockpit:
    """``hdtui`` in a terminal; leaves with ``q`` or by force when the block ends."""

    def __init__(
        self,
        home: Path,
        size: tuple[int, int] = (80, 24),
        arguments: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        self.home = home
        self.columns, self.rows = size
        self.screen = pyte.Screen(self.columns, self.rows)
        self.stream = pyte.ByteStream(self.screen)
        self.num_bytes = 0
        self.written = b""
        self._arguments = arguments
        self._environment = environment

    def __enter__(self) -> "Cockpit":
        self._master, slave = pty.openpty()
        packed = struct.pack("HHHH", self.rows, self.columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, packed)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "HDTUI_HOME": str(self.home),
            "OMP_NUM_THREADS": "1",
            **self._environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hdtui", *self._arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    def pump(self, seconds: float = 0.0) -> None:
        """Take what the cockpit writes, for ``seconds`` or until it is silent."""
        deadline = time.monotonic() + seconds
        while True:
            wait = max(0.0, deadline - time.monotonic()) if seconds else 0.02
            ready, _, _ = select.select([self._master], [], [], wait)
            if not ready:
                return
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self.num_bytes += len(data)
            self.written += data
            # pyte takes the private forms of a few sequences for their public ones.
            data = data.replace(b"\x1b[>", b"\x1b[?").replace(b"\x1b[=", b"\x1b[?")
            self.stream.feed(data)

    def press(self, *keys: str) -> None:
        """Type keys: names of ``KEYS`` or characters; a pause parts Esc from what follows."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())
            self.pump(0.25 if key == "escape" else 0.06)

    def type(self, text: str) -> None:
        """Type the characters of a text."""
        self.press(*text)

    @property
    def text(self) -> str:
        """What the terminal shows."""
        return "\n".join(self.screen.display)

    def shows(self, *words: str, within_s: float = PATIENCE_S) -> str:
        """Wait until the terminal shows all of the words; what it shows then."""
        self.until(lambda text: all(word in text for word in words), within_s)
        return self.text

    def until(self, holds: Callable[[str], bool], within_s: float = PATIENCE_S) -> None:
        """Wait until something holds of the text; the screen is part of the failure."""
        deadline = time.monotonic() + within_s
        while not holds(self.text):
            if time.monotonic() > deadline:
                raise AssertionError(f"this never came true on:\n{self.text}")
            if self.process.poll() is not None:
                self.pump()
                raise AssertionError(f"the cockpit left with {self.process.returncode}:{self.text}")
            self.pump(0.1)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal as a dragged window does."""
        self.columns, self.rows = columns, rows
        self.screen.resize(rows, columns)
        packed = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, packed)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGWINCH)

    def leave(self) -> str:
        """Press ``q`` and return what the cockpit says when it is gone."""
        self.press("q")
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self.pump(0.1)
        self.pump()
        return self.text
