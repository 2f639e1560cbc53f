"""Processes that work for one: what it was told holds for them, and nothing is left of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import files
from engine.files import never_make, write_text
from engine.rollout.processes import map_in_processes

FAMILY = """
import os, signal, sys
from pathlib import Path

def end_all(*_):
    os.killpg(0, signal.SIGKILL)

def work(item, should_stop):
    end_all()

if __name__ == "__main__":
    os.setsid()
    if sys.argv[1] == "teacher":
        from engine.events import Metrics
        from engine.morphology.generation import generate
        from trainings import config, train

        class Told(list):
            def append(self, event):
                if isinstance(event, Metrics):
                    end_all()

        train(config(3, processes=2), generate(2, seed=1), Path(sys.argv[2]), told=Told())
    else:
        from engine.rollout.processes import map_in_processes

        list(map_in_processes(work, [1, 2], 2, lambda: False))
"""
"""Kills itself and its children at once, in the middle of their work."""
ALONE = 'mount -t tmpfs tmpfs /dev/shm && { "$@"; echo $?; ls -A /dev/shm; }'


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


@pytest.mark.parametrize("which", ["teacher", "items"])
def test_a_family_that_is_killed_leaves_nothing_in_shared_memory(
    which: str, tmp_path: Path
) -> None:
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    tests = Path(__file__).parents[1]
    family = [sys.executable, str(script), which, str(tmp_path)]
    apart = ["unshare", "--mount", "sh", "-c", ALONE, "sh"]
    done = subprocess.run(
        [*apart, *family],
        env={**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests / 'ppo'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not done.stdout:
        pytest.skip(f"a /dev/shm of its own cannot be had here: {done.stderr}")
    assert done.stdout.split() == ["137"], done.stderr
