"""A run's log as it grows: a window of bytes at the end, older ones when asked for."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from hdtui.formatting import printable

WINDOW_BYTES = 64 * 1024
MAX_LINES = 20_000
LEVELS = ("all", "info", "warn", "error")
_RANKS = {"debug": 0, "info": 1, "warn": 2, "warning": 2, "error": 3, "critical": 3}


@dataclass(frozen=True)
class LogLine:
    """A line; ``level`` is 0 debug, 1 info or unknown, 2 warning, 3 error."""

    text: str
    level: int
    num_bytes: int = 0


@dataclass
class LogTail:
    """Reads a log from ``start``; ``read`` takes only what is new."""

    path: Path
    start: int = -1
    end: int = 0
    size: int = 0
    lines: list[LogLine] = field(default_factory=list)
    missing: bool = False
    _rest: bytes = b""

    def read(self) -> int:
        """Read what was appended; returns how many lines came. A shorter file is read anew."""
        try:
            size = self.path.stat().st_size
        except OSError:
            self.missing = True
            return 0
        self.missing = False
        if size < self.end:
            self.start, self.end, self._rest = -1, 0, b""
            self.lines = []
        if self.start < 0:
            self.start = self.end = max(0, size - WINDOW_BYTES)
            skip_first = self.start > 0
        else:
            skip_first = False
        self.size = size
        if size == self.end:
            return 0
        return self._take(self._bytes(self.end, size), skip_first)

    def read_older(self) -> bool:
        """Read the window before the first line; False at the beginning of the file."""
        if self.start <= 0:
            return False
        start = max(0, self.start - WINDOW_BYTES)
        data = self._bytes(start, self.start)
        if start > 0:
            cut = data.find(b"\n") + 1
            start += cut
            data = data[cut:]
        self.lines = [_line(raw) for raw in data.split(b"\n")[:-1]] + self.lines
        self.start = start
        return True

    def _take(self, data: bytes, skip_first: bool) -> int:
        self.end += len(data)
        if skip_first:
            cut = data.find(b"\n") + 1
            self.start += cut
            data = data[cut:]
        parts = (self._rest + data).split(b"\n")
        self._rest = parts.pop()
        self.lines.extend(_line(part) for part in parts)
        self._forget_oldest(len(self.lines) - MAX_LINES)
        return len(parts)

    def _forget_oldest(self, num_lines: int) -> None:
        """Lines beyond the most that are kept can be read again as older ones."""
        if num_lines > 0:
            self.start += sum(line.num_bytes for line in self.lines[:num_lines])
            self.lines = self.lines[num_lines:]

    def _bytes(self, start: int, end: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(start, os.SEEK_SET)
                return file.read(end - start)
        except OSError:
            self.missing = True
            return b""


def _line(raw: bytes) -> LogLine:
    text = printable(raw.decode("utf-8", "replace").rstrip("\r").replace("\t", "    "))
    for word in text.split(" ", 4)[:4]:
        rank = _RANKS.get(word.strip("[]:").lower())
        if rank is not None:
            return LogLine(text, rank, len(raw) + 1)
    return LogLine(text, 3 if text.startswith("Traceback") else 1, len(raw) + 1)


def of_level(lines: list[LogLine], level: str) -> list[LogLine]:
    """The lines of a level and above."""
    least = {"all": 0, "info": 1, "warn": 2, "error": 3}[level]
    return [line for line in lines if line.level >= least]
