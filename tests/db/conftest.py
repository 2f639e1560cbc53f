"""A database of each kind: SQLite always, PostgreSQL where a server is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.queries.runs import queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """An empty workspace's database."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv("HDTUI_DATABASE_URL", request.getfixturevalue("empty_postgresql"))
    opened = Database.open(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def run(database: Database) -> Run:
    """A queued run."""
    return queue_run(database, NewRun(RunKind.TEACHER, "first", {"seed": 1}, seed=1))
