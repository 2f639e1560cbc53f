"""A full workspace for the cockpit's tests."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cockpit_story
import pytest

from db.session import Database
from engine.workers.supervisor import stand_in


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A workspace with runs in every state, and their ids by role."""
    home = tmp_path_factory.mktemp("story")
    return home, cockpit_story.fill(home)


@pytest.fixture
def filled(
    template: tuple[Path, dict[str, int]], tmp_path: Path
) -> Iterator[tuple[Path, dict[str, int]]]:
    """A copy of the full workspace, the test's own; this process stands for its supervisor."""
    home, ids = template
    database = Database.open(home)
    database.backup(tmp_path / "hdtui.db")
    database.close()
    copy = Database.open(tmp_path)
    for role in ("teacher", "evaluation"):  # at work now, however long ago the story was written
        cockpit_story.change(copy, ids[role], reported_at=datetime.now(UTC))
    lock = stand_in(copy)
    copy.close()
    shutil.copytree(home / "runs", tmp_path / "runs")
    yield tmp_path, ids
    if lock is not None:
        os.close(lock)
