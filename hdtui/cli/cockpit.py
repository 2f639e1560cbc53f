"""``hdtui`` without words: the cockpit, or what to use where there is no terminal."""

import os
import sys
from pathlib import Path

from engine.errors import HdtuiError
from hdtui.cli.options import home_folder
from hdtui.cli.output import refuse, say

NO_TERMINAL = (
    "hdtui: the cockpit needs a terminal, and this is none. Without one, use the commands: "
    "`hdtui pipeline --preset quick` runs everything, `hdtui runs list` shows runs, "
    "`hdtui --help` names the rest."
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


def open_cockpit(home: Path, *, readonly: bool = False) -> int:
    """Run the cockpit until it is left; the exit code: 1 after an error, 2 without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say(NO_TERMINAL)
        return 2
    os.environ.setdefault("ESCDELAY", ESCAPE_DELAY_MS)  # read when textual is imported
    from hdtui.app import run

    return run(home, readonly=readonly)
