"""``hdtui`` without words: the cockpit, or what to use where there is no terminal."""

import os
import signal
import sys
from pathlib import Path

from engine.errors import HdtuiError
from hdtui.cli.home import home_folder
from hdtui.cli.output import refuse, say

NO_TERMINAL = (
    "hdtui: the cockpit needs a terminal, and this is none. Without one, use the commands: "
    "`hdtui pipeline --preset quick` runs everything, `hdtui runs list` shows runs, "
    "`hdtui --help` names the rest."
)
DUMB_TERMINAL = (
    "hdtui: the cockpit needs a terminal that can move its cursor, and TERM={term} says that this "
    "one cannot; set TERM to what it is, or use the commands: `hdtui --help` names them."
)
ESCAPE_DELAY_MS = "25"
"""How long esc waits for the rest of a key's sequence; terminals send those in one piece. A tenth
of a second, Textual's own, is felt at each step out; ESCDELAY sets another for slow lines."""


def open_usual_cockpit() -> int:
    """The cockpit of the workspace that no option names; its exit code."""
    try:
        return open_cockpit(home_folder(None))
    except HdtuiError as error:
        return refuse(error)
    except KeyboardInterrupt:
        return 130


def open_cockpit(home: Path, *, readonly: bool = False) -> int:
    """Run the cockpit until it is left; the exit code: 1 after an error, 2 without a terminal."""
    if not usable_terminal():
        return 2
    os.environ.setdefault("ESCDELAY", ESCAPE_DELAY_MS)  # read when textual is imported
    from hdtui.app import run

    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on the event loop's
    return run(home, readonly=readonly)


def usable_terminal() -> bool:
    """The cockpit can be drawn here; where it cannot, this says why."""
    term = os.environ.get("TERM", "")
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        say(NO_TERMINAL)
    elif term in ("dumb", "unknown"):
        say(DUMB_TERMINAL.format(term=term))
    else:
        return True
    return False
