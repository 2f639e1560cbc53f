"""A terminal for measurements: the cockpit on a pty, its bytes with the time they came."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from db.address import URL_VARIABLE
from engine.workers.child_process import child_command, child_environment

_ESCAPES = re.compile(rb"\x1b\[[0-9;?>=$]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78]")
_CHUNK = 65_536
_SAME_BURST_S = 0.02
_OURS = (URL_VARIABLE, "NO_COLOR", "COLORTERM")
_PLAIN: Mapping[str, str] = {}


@dataclass(frozen=True)
class Burst:
    """Bytes that came together, and when their first did, from the start of the observation."""

    at_s: float
    data: bytes


class Terminal:
    """Runs ``hdtui --home HOME`` in 80x24; ``started_at`` is when its process was started."""

    def __init__(self, home: Path, environment: Mapping[str, str] = _PLAIN) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        inherited = {
            name: value for name, value in child_environment().items() if name not in _OURS
        }
        self.started_at = time.perf_counter()
        self._process = subprocess.Popen(
            child_command("hdtui", "--home", str(home)),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**inherited, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment},
            start_new_session=True,
        )
        os.close(theirs)

    def press(self, key: str) -> float:
        """Send a key; the time it was sent."""
        os.write(self._ours, key.encode())
        return time.perf_counter()

    def read(self, seconds: float) -> bytes:
        """What comes first within so many seconds, empty where nothing does."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, seconds))
        if not ready:
            return b""
        with contextlib.suppress(OSError):  # the process left: Linux says EIO
            return os.read(self._ours, _CHUNK)
        return b""

    def cpu_s(self) -> float:
        """Seconds of CPU the cockpit has used so far, all threads, those that ended included."""
        # How Linux names the CPU clock of another process; psutil counts in hundredths of a second.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def bursts(self, seconds: float) -> list[Burst]:
        """What comes within so many seconds, in pieces that silence parts."""
        start = time.perf_counter()
        found: list[Burst] = []
        last_at = -1.0
        while (left := start + seconds - time.perf_counter()) > 0:
            data = self.read(left)
            at_s = time.perf_counter() - start
            if data and at_s - last_at < _SAME_BURST_S:
                found[-1] = Burst(found[-1].at_s, found[-1].data + data)
            elif data:
                found.append(Burst(at_s, data))
            last_at = at_s
        return found

    def read_for(self, seconds: float) -> bytes:
        """Everything that comes within so many seconds."""
        end = time.perf_counter() + seconds
        found = b""
        while (left := end - time.perf_counter()) > 0:
            found += self.read(left)
        return found

    def settle(self, quiet_s: float = 0.15, longest_s: float = 4.0) -> bytes:
        """Everything until nothing has come for a moment."""
        end = time.perf_counter() + longest_s
        found = b""
        while time.perf_counter() < end and (chunk := self.read(quiet_s)):
            found += chunk
        return found

    def wait_for(
        self, words: tuple[str, ...], longest_s: float = 30.0, num_braille: int = 0
    ) -> float | None:
        """When all words, and so much braille, had been written since this call; None for never.

        Only what changed is written: words that take the place of others may come in part.
        """
        end = time.perf_counter() + longest_s
        found = b""
        while time.perf_counter() < end:
            found += self.read(0.5)
            text = plain(found)
            if all(word in text for word in words) and braille_cells(found) >= num_braille:
                return time.perf_counter()
        return None

    def close(self) -> None:
        """Leave the cockpit; kill it where it does not."""
        self.press("q")
        end = time.perf_counter() + 5
        while self._process.poll() is None and time.perf_counter() < end:
            self.read(0.1)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)


def braille_cells(data: bytes) -> int:
    """How many cells of a braille picture were written."""
    return sum("\u2801" <= letter <= "\u28ff" for letter in plain(data))


def plain(data: bytes) -> str:
    """The text among escape sequences."""
    return _ESCAPES.sub(b"", data).decode("utf-8", "replace")
