"""``hdtui`` and ``python -m hdtui``: the cockpit without words, a command with them."""

import sys


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong use."""
    if len(sys.argv) == 1:  # the commands and their imports would only delay the first paint
        from hdtui.cli.cockpit import open_cockpit
        from hdtui.cli.options import home_folder

        sys.exit(open_cockpit(home_folder(None)))
    from hdtui.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
