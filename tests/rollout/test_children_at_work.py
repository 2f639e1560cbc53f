"""Processes that work through a list: what their parent was told holds for them as well."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import files
from engine.files import never_make, write_text
from engine.rollout.processes import map_in_processes


def write(path: Path, should_stop: Callable[[], bool]) -> str:
    del should_stop
    return write_text(path, "some words")


def test_no_child_makes_a_folder_anew_that_its_owner_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_NEVER_MADE", set())
    moved, there = tmp_path / "moved", tmp_path / "there"
    there.mkdir()
    never_make(moved, there)
    paths = [there / "deep" / name for name in ("a", "b")]
    assert len(list(map_in_processes(write, paths, 2, lambda: False))) == 2
    with pytest.raises(FileNotFoundError, match="the folder is gone"):
        list(map_in_processes(write, [moved / name for name in ("a", "b")], 2, lambda: False))
    assert not moved.exists()
