"""``python -m engine.workers``: the supervisor, or one worker; both are started by this program."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Be what the first word says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.workers")
    roles = parser.add_subparsers(dest="role", required=True)
    supervisor = roles.add_parser("supervisor", help="start and watch the workers of a workspace")
    worker = roles.add_parser("run", help="do a claimed run's work (HDTUI_TOKEN owns it)")
    worker.add_argument("run", type=int)
    search = roles.add_parser("search", help="let searches go on; the supervisor starts it")
    for role in (supervisor, worker, search):
        role.add_argument("--home", type=Path, required=True)
    chosen = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.captureWarnings(True)
    if chosen.role == "supervisor":
        return _supervise(chosen.home)
    if chosen.role == "search":
        return _search(chosen.home)
    return _work(chosen.home, chosen.run)


def _supervise(home: Path) -> int:
    # The starter waits for the first process only; the second has no parent to outlive.
    if os.fork():
        return 0
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from engine.workers.supervisor import supervise
    from engine.workers.workspace import Workspace

    try:
        supervise(Workspace(home))
    except Exception:
        logging.getLogger("hdtui.supervisor").exception("the supervisor cannot go on")
        return 1
    return 0


def _search(home: Path) -> int:
    from engine.errors import HdtuiError
    from engine.workers.studies.open_searches import let_searches_go_on
    from engine.workers.workspace import Workspace

    try:
        let_searches_go_on(Workspace(home))
    except HdtuiError as error:
        logging.getLogger("hdtui.supervisor").warning("%s", error)
        return 1
    return 0


def _work(home: Path, run_id: int) -> int:
    from engine.workers.worker import work
    from engine.workers.workspace import Workspace

    # Out of the environment: children of this process have no claim.
    code = work(Workspace(home), run_id, os.environ.pop("HDTUI_TOKEN", ""))
    _give_up_unwritten()
    return code


def _give_up_unwritten() -> None:
    """Forget what the log takes no more: Python would leave with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
