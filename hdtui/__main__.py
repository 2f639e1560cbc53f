"""``hdtui`` and ``python -m hdtui``: the cockpit without words, a command with them."""

import os
import sys


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong use."""
    _forget_start_folder()
    if len(sys.argv) == 1:  # the commands and their imports would only delay the first paint
        from hdtui.cli.cockpit import open_usual_cockpit

        sys.exit(open_usual_cockpit())
    from hdtui.cli.main import run

    sys.exit(run(sys.argv[1:]))


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


if __name__ == "__main__":
    main()
