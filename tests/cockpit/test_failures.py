"""A database that is lost, newer or absent; a worker that is gone."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cockpit_story
import pytest
from cockpit_pilot import opened, shows, until
from sqlalchemy import text as sql

from db.session import Database
from engine.errors import DatabaseError
from engine.workers.process import start_ticks, worker_environment
from hdtui.app import CockpitApp
from hdtui.data.store import Health, NoWorkspaceError, Store

Filled = tuple[Path, dict[str, int]]


def test_tries_after_a_loss_come_further_and_further_apart() -> None:
    now = [0.0]
    health = Health(lambda: now[0])
    waits = []
    for _ in range(6):
        health.failed("gone")
        waits.append(health.next_try_in_s)
        now[0] += waits[-1]
    assert waits == [1, 2, 4, 8, 15, 15]
    assert health.lost_for_s == sum(waits)
    health.answered()
    assert not health.lost


def test_a_store_does_not_create_what_it_only_looks_for(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspaceError):
        Store(tmp_path / "absent", readonly=False).revision()
    assert not (tmp_path / "absent").exists()


async def test_a_lost_database_keeps_the_content_and_says_so(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await shows(pilot, "waits for")
        (home / "hdtui.db").rename(home / "away.db")
        screen = await shows(pilot, "database lost", "Runs go on. Next try in")
        assert "Pipeline 2 · quick" in screen
        (home / "hdtui.db").unlink(missing_ok=True)
        (home / "away.db").rename(home / "hdtui.db")
        await until(pilot, lambda: not pilot.app.cockpit.store.health.lost)
        await shows(pilot, "►2 ∙4")


async def test_a_newer_workspace_is_left_alone(filled: Filled) -> None:
    home, _ = filled
    database = Database.open(home)
    with database.write() as session:
        session.execute(sql("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    async with CockpitApp(home).run_test(size=(80, 24)) as pilot:
        await shows(pilot, "written by a newer hdtui")


@pytest.fixture
def worker(filled: Filled) -> Iterator[subprocess.Popen[bytes]]:
    """A process that the teacher's row takes for its worker."""
    home, ids = filled
    mark = worker_environment(home, ids["teacher"])
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **mark}) as process:
        ticks = start_ticks(process.pid)
        database = Database.open(home)
        cockpit_story.change(database, ids["teacher"], pid=process.pid, pid_ticks=ticks)
        database.close()
        yield process
        process.kill()


async def test_a_killed_worker_is_shown_as_lost_with_its_proof(
    filled: Filled, worker: "subprocess.Popen[bytes]"
) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await shows(pilot, "1.0M of 2.0M")
        worker.kill()
        await shows(pilot, f"lost: process {worker.pid} is gone and left no exit")


def test_an_empty_file_in_the_place_of_a_lost_database_stays_empty(filled: Filled) -> None:
    home, _ = filled
    store = Store(home, readonly=False)
    store.revision()
    (home / "hdtui.db").rename(home / "away.db")
    (home / "hdtui.db").touch()
    with pytest.raises(DatabaseError, match="gone"):
        store.revision()
    assert (home / "hdtui.db").stat().st_size == 0
