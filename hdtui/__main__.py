"""``hdtui`` and ``python -m hdtui``: the cockpit without words, a command with them."""

import _signal as signal  # built in, so that no file of this name is looked for
import os
import sys

COMPLETING = "_HDTUI_COMPLETE" in os.environ
"""A shell asks what could stand at its cursor: without words on the command line."""


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong use."""
    # Until a command or the cockpit listens, modules are being loaded and nothing was begun.
    signal.signal(signal.SIGINT, _leave)
    _forget_start_folder()
    _fill_closed_streams()
    # The commands and their imports would only delay the first paint.
    if len(sys.argv) == 1 and not COMPLETING:
        from hdtui.cli.cockpit import open_usual_cockpit

        code = open_usual_cockpit()
    else:
        from hdtui.cli.main import run

        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, _leave)
    _wait_for_no_thread(code)
    sys.exit(code)


def _wait_for_no_thread(code: int) -> None:
    """Leave at once where a cockpit's threads still wait for a database; Python waits for them."""
    import contextlib
    import threading

    others = set(threading.enumerate()) - {threading.main_thread()}
    if any(not thread.daemon for thread in others):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _leave(*_: object) -> None:
    os._exit(130)


def _forget_start_folder() -> None:
    """Import nothing from the folder that Python put first: the user's under ``python -m``.

    An empty or relative entry of PYTHONPATH means that folder too. A checkout that is not installed
    is run from its own folder: what is ours there is imported first, and then found without it.
    """
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    try:
        foreign = {os.path.abspath(path) for path in named if not os.path.isabs(path)}
        foreign |= {os.getcwd(), os.path.dirname(os.path.realpath(sys.argv[0]))}
    except OSError:  # the current folder was removed, so nothing lies in it
        return
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import db  # noqa: F401
    import engine  # noqa: F401

    del sys.path[0]
    sys.path[:] = [path for path in sys.path if path not in foreign or path in named]


def _fill_closed_streams() -> None:
    """Files that are opened next must not become stdin, stdout or stderr of whoever prints.

    What takes the place of a closed stdout refuses all writing, which commands report.
    """
    for number, stream, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            setattr(sys, stream, open(number, mode, closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    main()
