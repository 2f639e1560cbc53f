"""A database of each kind: SQLite always, PostgreSQL where a server is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from db.queries.runs import queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database


def _server_tools() -> Path | None:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _run_quietly(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of our own on a socket in a temporary folder."""
    tools = _server_tools()
    if tools is None:
        pytest.skip("PostgreSQL is not installed")
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="hdtui-pg-") as folder:
        if user:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        _run_quietly([*user, tools / "initdb", "-D", data, "-U", "hdtui", "-A", "trust", "-N"])
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        control = [*user, tools / "pg_ctl", "-D", data, "-w"]
        _run_quietly([*control, "-l", f"{folder}/log", "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://hdtui@/postgres?host={folder}"
        finally:
            _run_quietly([*control, "-m", "immediate", "stop"])


def _empty(server: str) -> None:
    """Drop what the test before made; a database each would be hundreds of files each."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """An empty workspace's database."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_url")
        _empty(server)
        monkeypatch.setenv("HDTUI_DATABASE_URL", server)
    opened = Database.open(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def run(database: Database) -> Run:
    """A queued run."""
    return queue_run(database, NewRun(RunKind.TEACHER, "first", {"seed": 1}, seed=1))
