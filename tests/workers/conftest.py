"""Workspaces with real supervisors and workers; nothing of them outlives its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import kill

from db.queries.runs import list_runs
from db.queries.supervisors import get_supervisor
from db.session import Database
from engine.workers.liveness import ProcessIdentity, host_name, kill_group
from engine.workers.spawn import supervisor_alive
from engine.workers.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def database(workspace: Workspace) -> Iterator[Database]:
    """Its database; at the end every process of the workspace is killed."""
    opened = Database.open(workspace.home)
    yield opened
    supervisor = get_supervisor(opened, host_name())
    if supervisor is not None and supervisor_alive(supervisor):
        kill(supervisor.pid)
    for run in list_runs(opened):
        if run.pid and run.pid_started_at and run.boot_id:
            kill_group(ProcessIdentity(run.pid, run.pid_started_at, run.boot_id))
    opened.close()
