"""Errors that nobody expected: written to a log once each, and told in one sentence."""

import contextlib
import os
import stat
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path

from hdtui.formatting import printable, shorten

LOG_NAME = "cockpit.log"
AGAIN_AFTER_S = 60.0
"""An error that comes again is written and told again after so long: a widget that fails at every
redraw must fill neither the disk nor the screen."""
MOST_LOG_BYTES = 8 * 1024 * 1024
MOST_WORDS = 160


class Mistakes:
    """What went wrong in this cockpit; threads may note mistakes too."""

    def __init__(self, home: Path, readonly: bool = False) -> None:
        self.count = 0
        self.log: Path | None = None
        self._home = None if readonly else home
        self._noted_at: dict[tuple[object, ...], float] = {}
        self._lock = threading.Lock()

    def note(self, doing: str, error: BaseException) -> str:
        """Write the error down; the sentence that tells of it."""
        self.is_news(doing, error)
        return self.sentence(doing, error)

    def sentence(self, doing: str, error: BaseException) -> str:
        """What was done, what came of it, and the log that says more."""
        words = shorten(printable(" ".join(str(error).split())), MOST_WORDS)
        sentence = f"A mistake in hdtui while {doing}: {type(error).__name__}: {words}"
        return f"{sentence}. More in {self.log}" if self.log is not None else sentence

    def is_news(self, doing: str, error: BaseException) -> bool:
        """Write the error down, unless it was written a moment ago; whether it was not."""
        with self._lock:
            self.count += 1
            now, place = time.monotonic(), _place(doing, error)
            if now - self._noted_at.get(place, -AGAIN_AFTER_S) < AGAIN_AFTER_S:
                return False
            self._noted_at[place] = now
            self.log = self._write(doing, error)
        return True

    def _write(self, doing: str, error: BaseException) -> Path | None:
        """The log that took the traceback: the workspace's, else the user's; None where neither."""
        import platformdirs

        now = datetime.now().astimezone().isoformat()
        text = f"{now} {doing}\n{''.join(traceback.format_exception(error))}"
        own = self._home / LOG_NAME if self._home is not None else None
        if own is not None and _appended(own, text):
            return own
        log = platformdirs.user_log_path("hdtui") / LOG_NAME
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
        return log if _appended(log, text) else None


def _place(doing: str, error: BaseException) -> tuple[object, ...]:
    """What makes two errors the same one: what was done, the kind, and the line that raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = (last.tb_frame.f_code.co_filename, last.tb_lineno) if last is not None else ()
    return (doing, type(error), *where)


def _appended(path: Path, text: str) -> bool:
    """Whether the file took the text: a real one of bearable size, which a pipe or a link is not.

    A workspace comes from anywhere, and opening a pipe that nobody reads would wait for ever.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(path, flags, 0o600)
    except (OSError, ValueError):
        return False
    with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MOST_LOG_BYTES:
            return False
        try:
            file.write(text)
            file.flush()
        except OSError:
            return False
    return True
