"""Training processes end together, whoever dies first."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).with_name("long_training.py")


@pytest.fixture
def training(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of two processes that has iterated at least once."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("iteration"), process.stderr
    yield process
    process.kill()
    process.communicate()


def members(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The other training processes (multiprocessing's own helper is none)."""
    return [
        child
        for child in psutil.Process(process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]


def test_members_die_with_a_killed_first_process(training: subprocess.Popen[str]) -> None:
    others = members(training)
    assert len(others) == 1
    training.kill()
    training.wait(10)
    gone, alive = psutil.wait_procs(others, timeout=10)
    assert gone
    assert not alive


@pytest.mark.slow
def test_the_run_fails_with_the_reason_when_a_member_dies(
    training: subprocess.Popen[str],
) -> None:
    for member in members(training):
        member.kill()
    _, errors = training.communicate(timeout=30)
    assert training.returncode == 1
    assert "training process 1 of 2 died" in errors
