"""Screens in a real pseudo-terminal while they are empty, loading, failed and filled."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import workspace
from pseudo_terminal import Cockpit

from db.machine import boot_id
from db.models import RunRow
from db.session import Database
from engine.workers.process import start_ticks, worker_environment

pytestmark = pytest.mark.timeout(600)
WAIT_S = 180.0
EMPTY = {
    "2": ("[2 Runs]", "No runs yet. n opens a form."),
    "3": ("[3 Robots]", "No robots yet. n generates them"),
    "4": ("[4 Watch]", "Nothing to watch yet."),
    "5": ("[5 Compare]", "Nothing is marked. Mark runs with space on Runs (2), then c."),
    "6": ("[6 Efficiency]", "No policy is counted"),
    "7": ("[7 Studies]", "11 to begin", "alignment"),
}
FILLED = {
    "2": ("[2 Runs]", "Runs · 203", "laptop-s3"),
    "3": ("[3 Robots]", "Robots · all · 8", "robot-7"),
    "5": ("[5 Compare]", "Nothing is marked."),
    "1": ("[1 Home]", "Machine"),
}


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("states")
    workspace.fill(home)
    return home


@pytest.fixture
def home(two_hundred: Path, tmp_path: Path) -> Path:
    """A copy of the workspace, the test's own."""
    copy = tmp_path / "workspace"
    shutil.copytree(two_hundred, copy)
    return copy


def test_every_screen_of_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    with Cockpit(tmp_path / "nothing") as cockpit:
        cockpit.shows("Welcome. This workspace is empty", "start the quick pipeline")
        for key, words in EMPTY.items():
            cockpit.press(key)
            cockpit.shows(*words, within_s=WAIT_S)
    assert not (tmp_path / "nothing").exists()


def test_every_screen_of_a_filled_workspace_shows_what_is_there(home: Path) -> None:
    with Cockpit(home) as cockpit:
        cockpit.shows("[1 Home]", "Active 0")
        for key, words in FILLED.items():
            cockpit.press(key)
            cockpit.shows(*words)


@pytest.mark.slow  # a reader waits a minute for a lock before it gives up
def test_a_locked_database_is_loading_then_lost_then_there_again(home: Path) -> None:
    holder = sqlite3.connect(home / "hdtui.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with Cockpit(home) as cockpit:
        cockpit.shows("1 Home", "reading")
        cockpit.until(lambda text: "locked by another process" in text, 2 * WAIT_S)
        assert "no runs yet" not in cockpit.text
        assert "Nothing runs" not in cockpit.text
        holder.execute("ROLLBACK")
        holder.close()
        cockpit.shows("The database answers again.", within_s=WAIT_S)
        cockpit.press("2")
        cockpit.shows("Runs · 203", within_s=WAIT_S)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "hdtui.db"
    file.write_bytes(b"this is no database " * 400)
    before = file.read_bytes()
    with Cockpit(tmp_path) as cockpit:
        cockpit.shows("Cannot read", "the file is damaged", within_s=WAIT_S)
        assert "Nothing runs" not in cockpit.text
        assert "keep running" not in cockpit.leave()
    assert file.read_bytes() == before


@pytest.fixture
def worker(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that run 203 takes for its worker; it reported long ago."""
    mark = worker_environment(home, 203)
    with subprocess.Popen(["sleep", "600"], env={**os.environ, **mark}) as process:
        database = Database.open(home)
        with database.write() as session:
            row = session.get(RunRow, 203)
            assert row is not None
            row.state, row.attempt, row.ended_at = "running", 1, None
            row.pid, row.boot_id = process.pid, boot_id()
            row.pid_ticks = start_ticks(process.pid)
            row.reported_at = datetime.now(UTC) - timedelta(minutes=10)
            row.report_gap_s, row.checkpoint_step = 3.0, 90_000
        database.close()
        yield process
        process.kill()


def test_a_silent_worker_is_stalled_and_a_killed_one_lost_each_with_its_proof(
    home: Path, worker: "subprocess.Popen[bytes]"
) -> None:
    with Cockpit(home) as cockpit:
        cockpit.shows("[1 Home]", "~ 203")
        cockpit.press("2")
        cockpit.shows("stalled", f"process {worker.pid} is alive, last report 10m")
        worker.kill()
        worker.wait()
        cockpit.shows("† 203", f"process {worker.pid} is gone and left no exit record")
        assert "90k" in cockpit.text
