"""A run's log as it grows: a window of bytes at the end, older ones when asked for."""

import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.files import open_file
from hdtui.formatting import printable

WINDOW_BYTES = 64 * 1024
MAX_LINES = 20_000
LEVELS = ("all", "info", "warn", "error")
_RANKS = {"debug": 0, "info": 1, "warn": 2, "warning": 2, "error": 3, "critical": 3}
_LEAST = {"all": 0, "info": 1, "warn": 2, "error": 3}
_USUAL = 1
_TIME = re.compile(r"\[?(\d{4}-\d\d-\d\d|\d\d:\d\d)")
"""How a line that says its own level begins."""


@dataclass(frozen=True)
class LogLine:
    """A line; ``level`` is 0 debug, 1 info or unknown, 2 warning, 3 error.

    One that ``continues`` the line above, such as those of a traceback, has its level.
    """

    text: str
    level: int
    num_bytes: int = 0
    continues: bool = False


@dataclass
class LogTail:
    """Reads a log from ``start``; ``read`` takes only what is new.

    While it ``keeps`` lines, none are forgotten: somebody looks at old ones.
    """

    path: Path
    start: int = -1
    end: int = 0
    size: int = 0
    lines: list[LogLine] = field(default_factory=list)
    missing: bool = False
    keeps: bool = False
    _rest: bytes = b""
    _reading: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def read(self) -> int:
        """Read what was appended; returns how many lines came. A shorter file is read anew."""
        with self._reading:
            return self._read()

    def _read(self) -> int:
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
        with self._reading:
            if self.start <= 0:
                return False
            self._prepend(*self._window_before(self.start))
            return True

    def find_older(self, wanted: str, level: str) -> bool:
        """Read back to the next older window with a matching line; False where there is none.

        What lies between stays read too. Where lines that were read match, nothing happens.
        """
        with self._reading:
            if matching(of_level(self.lines, level), wanted):
                return True
            place = self.start
            while place > 0:
                start, data = self._window_before(place)
                if not data:
                    return False
                if matching(of_level(_lines(data, _USUAL), level), wanted):
                    self._prepend(start, self._bytes(start, self.start))
                    return True
                place = start
            return False

    def _window_before(self, end: int) -> tuple[int, bytes]:
        """Where the window of whole lines before a place begins, and its bytes."""
        start = max(0, end - WINDOW_BYTES)
        data = self._bytes(start, end)
        cut = data.find(b"\n") + 1 if start > 0 else 0
        cut = cut if cut < len(data) else 0  # one line is longer than a window
        return start + cut, data[cut:]

    def _prepend(self, start: int, data: bytes) -> None:
        older = _lines(data, _USUAL)
        level = older[-1].level if older else _USUAL
        for place, line in enumerate(self.lines):
            if not line.continues:
                break
            self.lines[place] = replace(line, level=level)
        self.lines = older + self.lines
        self.start = start

    def _take(self, data: bytes, skip_first: bool) -> int:
        self.end += len(data)
        if skip_first:
            cut = data.find(b"\n") + 1
            self.start += cut
            data = data[cut:]
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        fresh = _lines(whole + newline, self.lines[-1].level if self.lines else _USUAL)
        self.lines.extend(fresh)
        if not self.keeps:
            self._forget_oldest(len(self.lines) - MAX_LINES)
        return len(fresh)

    def _forget_oldest(self, num_lines: int) -> None:
        """Lines beyond the most that are kept can be read again as older ones."""
        if num_lines > 0:
            self.start += sum(line.num_bytes for line in self.lines[:num_lines])
            self.lines = self.lines[num_lines:]

    def _bytes(self, start: int, end: int) -> bytes:
        try:
            with open_file(self.path) as file:
                file.seek(start, os.SEEK_SET)
                return file.read(end - start)
        except OSError:
            self.missing = True
            return b""


def _lines(data: bytes, level: int) -> list[LogLine]:
    """Whole lines; ``level`` is that of the line above the first."""
    lines = []
    for raw in data.split(b"\n")[:-1]:
        line = _line(raw, level)
        level = line.level
        lines.append(line)
    return lines


def _line(raw: bytes, above: int) -> LogLine:
    text = printable(raw.decode("utf-8", "replace").rstrip("\r").replace("\t", "    "))
    num_bytes = len(raw) + 1
    if text.startswith("Traceback"):
        return LogLine(text, 3, num_bytes)
    timed = _TIME.match(text) is not None
    for word in text.split(" ", 4)[: 4 if timed else 1]:
        rank = _RANKS.get(word.strip("[]:").lower())
        if rank is not None:
            return LogLine(text, rank, num_bytes)
    return LogLine(text, _USUAL if timed else above, num_bytes, continues=not timed)


def of_level(lines: Iterable[LogLine], level: str) -> list[LogLine]:
    return [line for line in lines if line.level >= _LEAST[level]]


def matching(lines: Sequence[LogLine], wanted: str) -> list[int]:
    """The places of lines that hold the words; none for no words."""
    low = wanted.casefold()
    return [place for place, line in enumerate(lines) if low in line.text.casefold()] if low else []
