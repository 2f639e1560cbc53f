"""Dead or alive: by pid, start time and boot, with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from waiting import until

from engine.workers.liveness import (
    ProcessIdentity,
    boot_id,
    kill_group,
    process_started_at,
    signal_worker,
    this_process,
)

DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 2:
    import subprocess
    subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]])
open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
time.sleep(600)
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process in its own session with a child, both deaf to SIGTERM."""
    command = [sys.executable, "-c", DEAF, str(tmp_path), DEAF]
    parent = subprocess.Popen(command, start_new_session=True)
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    yield parent, [int(path.name) for path in tmp_path.iterdir()]
    parent.kill()
    parent.wait()


def identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid, psutil.Process(pid).create_time(), boot_id())


def test_this_process_is_alive() -> None:
    assert this_process().alive


def test_a_recycled_pid_is_another_process() -> None:
    me = this_process()
    assert not replace(me, started_at=me.started_at - 10).alive


def test_nothing_survives_a_restart_of_the_machine() -> None:
    assert not replace(this_process(), boot_id="another").alive


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    zombie = identity(child.pid)
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert not zombie.alive
    assert process_started_at(child.pid) is None
    child.wait()
    assert not zombie.alive


def test_a_suspended_process_is_alive(
    family: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    parent, _ = family
    os.kill(parent.pid, signal.SIGSTOP)
    assert identity(parent.pid).alive


def test_killing_reaches_children_that_ignore_the_polite_signal(
    family: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    parent, pids = family
    worker = identity(parent.pid)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    assert kill_group(worker) == 2
    parent.wait()
    until(lambda: all(process_started_at(pid) is None for pid in pids))


def test_orphans_of_a_dead_worker_are_found_by_its_session(
    family: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    parent, pids = family
    worker = identity(parent.pid)
    parent.kill()
    parent.wait()
    orphan = next(pid for pid in pids if pid != parent.pid)
    assert process_started_at(orphan) is not None
    assert kill_group(worker) == 1
    until(lambda: process_started_at(orphan) is None)


def test_a_session_of_another_process_with_that_pid_is_left_alone(
    family: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    parent, _ = family
    stranger = replace(identity(parent.pid), started_at=1.0)
    assert kill_group(stranger) == 0
    assert parent.poll() is None


def test_a_process_that_leads_no_session_is_no_worker_whatever_a_record_says() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        assert os.getsid(stranger.pid) == os.getsid(0)
        assert not signal_worker(identity(stranger.pid))
        assert kill_group(identity(stranger.pid)) == 0
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize(
    "pid",
    [0, 1, -1, os.getpid(), os.getsid(0)],
    # Every test process must know a test by the same name.
    ids=["own group", "init", "everybody", "this process", "this session"],
)
def test_neither_this_session_nor_everybody_is_ever_signalled(pid: int) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        started_at = process_started_at(pid) if pid > 0 else 1.0
        worker = ProcessIdentity(pid, started_at or 1.0, boot_id())
        assert not signal_worker(worker)
        assert kill_group(worker) == 0
        assert kill_group(replace(worker, started_at=1.0)) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == []


def test_a_polite_signal_reaches_a_worker_and_only_the_process_it_was(
    family: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    parent, _ = family
    assert signal_worker(identity(parent.pid))
    assert not signal_worker(replace(identity(parent.pid), started_at=1.0))
    assert not signal_worker(replace(identity(parent.pid), boot_id="another"))
    assert parent.poll() is None
