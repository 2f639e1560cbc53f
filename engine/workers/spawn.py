"""Start processes that outlive whoever starts them: the supervisor, on demand, and workers."""

import subprocess
from pathlib import Path

from db.session import Database
from engine.errors import RunError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment
from engine.workers.liveness import worker_environment
from engine.workers.supervisor_lock import supervisor_alive
from engine.workers.workspace import Workspace

START_TIMEOUT_S = 120
"""Python on a machine full of work; whoever gives up sooner kills the start and never gets one."""


def ensure_supervisor(home: Path) -> bool:
    """Start a supervisor for this workspace and machine unless one lives; True if one started.

    Call it after the work was committed: a supervisor signs off only when it sees none.
    RunError where it cannot be started; runs that work go on without it.
    """
    database = Database.open(home, create=False)
    try:
        if supervisor_alive(database):
            return False
    finally:
        database.close()
    start_supervisor(Workspace(home))
    return True


def start_supervisor(workspace: Workspace) -> None:
    """Start a supervisor in its own session; a second one finds the lock taken and leaves."""
    home = str(workspace.home.absolute())
    try:
        with workspace.open_log(workspace.supervisor_log) as log:
            # It forks at once and the first process ends, so nobody has to wait for the second.
            subprocess.run(
                child_command("engine.workers", "supervisor", "--home", home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=NEUTRAL_FOLDER,
                env=child_environment(),
                start_new_session=True,
                check=True,
                timeout=START_TIMEOUT_S,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise RunError(
            f"Nothing starts or is noticed as lost: the supervisor did not start ({error}); "
            f"its log is {workspace.supervisor_log}. Runs go on."
        ) from error


def spawn_worker(workspace: Workspace, run_id: int, token: str) -> subprocess.Popen[bytes]:
    """Start the worker of a claimed run: a session of its own, no input, output to its log."""
    home = str(workspace.home.absolute())
    with workspace.open_log(workspace.log_path(run_id)) as log:
        return subprocess.Popen(
            child_command("engine.workers", "run", str(run_id), "--home", home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=NEUTRAL_FOLDER,
            # Not an argument: everybody on the machine can read those.
            env={
                **child_environment(),
                **worker_environment(workspace.home, run_id),
                "HDTUI_TOKEN": token,
            },
            start_new_session=True,
        )
