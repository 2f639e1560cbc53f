"""Dead or alive: by pid, start time and boot, with real processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from waiting import until

from db.machine import boot_id
from engine.workers.process import (
    ProcessIdentity,
    Worker,
    kill_group,
    signal_worker,
    start_ticks,
    this_process,
    worker_environment,
)

RUN = 7

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
    mark = worker_environment(tmp_path, RUN)
    parent = subprocess.Popen(command, start_new_session=True, env={**os.environ, **mark})
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    yield parent, [int(path.name) for path in tmp_path.iterdir()]
    parent.kill()
    parent.wait()


@contextmanager
def started(command: list[str], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the test, also with one that fails."""
    with subprocess.Popen(command, **how) as process:
        try:
            yield process
        finally:
            process.kill()


def identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid, start_ticks(pid), boot_id())


def worker(pid: int, home: Path, **facts: Any) -> Worker:
    """What a record of this run says that names the process."""
    return Worker(replace(identity(pid), **facts), RUN, home)


def test_this_process_is_alive() -> None:
    assert this_process().alive


def test_a_recycled_pid_is_another_process() -> None:
    me = this_process()
    assert not replace(me, ticks=(me.ticks or 0) - 10).alive


def test_nothing_survives_a_restart_of_the_machine() -> None:
    assert not replace(this_process(), boot_id="another").alive


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    zombie = identity(child.pid)
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert not zombie.alive
    assert start_ticks(child.pid) is None
    child.wait()
    assert not zombie.alive


def test_a_worker_that_is_killed_is_itself_until_it_is_gone(tmp_path: Path) -> None:
    """Its environment goes first: while its memory is given back it can say nothing."""
    words = "import time; memory = b'x' * (600 << 20); print(flush=True); time.sleep(600)"
    mark = worker_environment(tmp_path, RUN)
    with subprocess.Popen(
        [sys.executable, "-c", words],
        start_new_session=True,
        stdout=subprocess.PIPE,
        env={**os.environ, **mark},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        dying = worker(process.pid, tmp_path)
        assert dying.alive
        process.kill()
        while dying.process.alive:
            assert dying.alive or not dying.process.alive, "taken for a stranger"


def test_a_suspended_process_is_alive(
    family: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    parent, _ = family
    os.kill(parent.pid, signal.SIGSTOP)
    assert identity(parent.pid).alive


def test_killing_reaches_children_that_ignore_the_polite_signal(
    family: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path
) -> None:
    parent, pids = family
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    assert kill_group(worker(parent.pid, tmp_path)) == 2
    parent.wait()
    until(lambda: all(start_ticks(pid) is None for pid in pids))


def test_orphans_of_a_dead_worker_are_found_by_its_session_and_their_mark(
    family: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path
) -> None:
    parent, pids = family
    dead = worker(parent.pid, tmp_path)
    parent.kill()
    parent.wait()
    orphan = next(pid for pid in pids if pid != parent.pid)
    assert start_ticks(orphan) is not None
    assert kill_group(replace(dead, run_id=RUN + 1)) == 0
    assert kill_group(replace(dead, home=tmp_path.parent)) == 0
    assert kill_group(dead) == 1
    until(lambda: start_ticks(orphan) is None)


def test_a_session_of_another_process_with_that_pid_is_left_alone(
    family: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path
) -> None:
    parent, _ = family
    assert kill_group(worker(parent.pid, tmp_path, ticks=1)) == 0
    assert parent.poll() is None


def test_a_record_alone_makes_no_process_a_worker(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with started(command, start_new_session=True) as innocent:
        named = worker(innocent.pid, tmp_path)
        assert named.process.alive
        assert not named.alive
        assert not signal_worker(named)
        assert kill_group(named) == 0
        assert innocent.poll() is None


def test_a_worker_is_that_of_its_folder_under_every_name_and_of_no_copy(
    family: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path
) -> None:
    parent, _ = family
    link, copy = tmp_path.with_name("link"), tmp_path.with_name("copy")
    link.symlink_to(tmp_path)
    shutil.copytree(tmp_path, copy)
    assert worker(parent.pid, tmp_path).alive
    assert worker(parent.pid, link).alive
    assert not worker(parent.pid, copy).alive
    assert not signal_worker(worker(parent.pid, copy))
    assert not replace(worker(parent.pid, tmp_path), run_id=RUN + 1).alive
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert worker(parent.pid, moved).alive
    moved.rename(tmp_path)


@pytest.mark.parametrize("flags", [["-m"], ["-P", "-m"]], ids=["version 0.1", "other flags"])
def test_a_process_without_a_mark_is_known_by_its_command_line(
    flags: list[str], tmp_path: Path
) -> None:
    """Version 0.1 gave no mark, and another user's environment cannot be read."""
    package = tmp_path / "engine" / "workers"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import time; time.sleep(600)")
    words = ["engine.workers", "run", str(RUN), "--home", str(tmp_path)]
    command = [sys.executable, *flags, *words]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with started(command, start_new_session=True, env=environment) as old:
        assert Worker(ProcessIdentity(old.pid, None, boot_id()), RUN, tmp_path).alive
        assert not replace(worker(old.pid, tmp_path), run_id=RUN + 1).alive
        assert not worker(old.pid, tmp_path.parent).alive
        assert kill_group(worker(old.pid, tmp_path)) == 1


def test_a_process_that_leads_no_session_is_no_worker_whatever_a_record_says(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    mark = worker_environment(tmp_path, RUN)
    with started(command, env={**os.environ, **mark}) as stranger:
        assert os.getsid(stranger.pid) == os.getsid(0)
        assert not signal_worker(worker(stranger.pid, tmp_path))
        assert kill_group(worker(stranger.pid, tmp_path)) == 0
        assert stranger.poll() is None


@pytest.mark.parametrize(
    "pid",
    [0, 1, -1, os.getpid(), os.getsid(0)],
    # Every test process must know a test by the same name.
    ids=["own group", "init", "everybody", "this process", "this session"],
)
def test_neither_this_session_nor_everybody_is_ever_signalled(pid: int, tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        for ticks in (start_ticks(pid) if pid > 0 else 1, 1, None):
            named = Worker(ProcessIdentity(pid, ticks, boot_id()), RUN, tmp_path)
            assert not signal_worker(named)
            assert kill_group(named) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == []


def test_a_polite_signal_reaches_a_worker_and_only_the_process_it_was(
    family: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path
) -> None:
    parent, _ = family
    assert signal_worker(worker(parent.pid, tmp_path))
    assert not signal_worker(worker(parent.pid, tmp_path, ticks=1))
    assert not signal_worker(worker(parent.pid, tmp_path, boot_id="another"))
    assert parent.poll() is None


def test_a_step_of_the_clock_ends_nobody(
    family: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path
) -> None:
    """A start in seconds is reckoned from the time of the boot, which moves with the clock."""
    parent, _ = family
    named = worker(parent.pid, tmp_path)
    stat = Path("/proc/stat")
    said = re.sub(r"btime (\d+)", lambda found: f"btime {int(found[1]) + 3600}", stat.read_text())
    (tmp_path / "stat").write_text(said)
    looks = (
        "from pathlib import Path\n"
        "import psutil\n"
        "from db.machine import boot_id\n"
        "from engine.workers.process import ProcessIdentity, Worker\n"
        f"named = Worker(ProcessIdentity({parent.pid}, {named.process.ticks}, boot_id()), {RUN},"
        f" Path({str(tmp_path)!r}))\n"
        f"print(named.alive, psutil.Process({parent.pid}).create_time())\n"
    )
    (tmp_path.parent / "looks.py").write_text(looks)
    script = (
        f"mount --bind {tmp_path / 'stat'} {stat} && {sys.executable} {tmp_path.parent}/looks.py"
    )
    answer = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    if answer.returncode and "unshare" in answer.stderr + answer.stdout:
        pytest.skip("moving the clock for one process needs the right to unshare mounts")
    alive, started_at = answer.stdout.split()
    assert float(started_at) > psutil.Process(parent.pid).create_time() + 3000
    assert alive == "True"
