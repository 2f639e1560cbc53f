"""Workspaces with real supervisors and workers; nothing of them outlives its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import kill, supervisor_pid

from db.address import URL_VARIABLE
from db.queries.runs import list_runs
from db.session import Database
from engine.workers.process import kill_group, worker_of
from engine.workers.workspace import Workspace


@pytest.fixture
def workspace(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    """An empty workspace; with SQLite, unless its test is for every database."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    if getattr(request, "param", "sqlite") == "postgresql":
        monkeypatch.setenv(URL_VARIABLE, request.getfixturevalue("empty_postgresql"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def database(workspace: Workspace) -> Iterator[Database]:
    """Its database; at the end every process of the workspace is killed."""
    opened = Database.open(workspace.home)
    yield opened
    if pid := supervisor_pid(opened, or_zero=True):
        kill(pid)
    for run in list_runs(opened):
        if worker := worker_of(run, opened.home):
            kill_group(worker)
    opened.close()
