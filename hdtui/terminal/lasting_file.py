"""A terminal that may go away: what is written afterwards is forgotten, and nobody waits."""

from typing import IO


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
