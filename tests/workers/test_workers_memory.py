"""Want of memory: the kernel kills, and the run says so."""

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import generation, start_long_run, until, until_state

from db.machine import boot_id
from db.queries.runs import get_run, queue_run
from db.records import RunState
from db.session import Database
from engine.workers.commands import queue
from engine.workers.post_mortem import how_it_ended
from engine.workers.process import MemoryWatch, memory_kills

CONTROL_GROUPS = Path("/sys/fs/cgroup")
GREEDY = "import sys; sys.stdin.read(1); held = [bytearray(10**6) for _ in range(4000)]"


@dataclass(frozen=True)
class ControlGroup:
    """Processes that share a bound on their memory."""

    folder: Path
    limit: Path

    def confine(self, pid: int, limit_bytes: int) -> None:
        """Put a process under a limit for what it takes from now on."""
        self.limit.write_text(str(limit_bytes))
        (self.folder / "cgroup.procs").write_text(str(pid))


@pytest.fixture
def control_group() -> Iterator[ControlGroup]:
    """An empty control group of ours."""
    first = (CONTROL_GROUPS / "memory").is_dir()
    parent = CONTROL_GROUPS / "memory" if first else CONTROL_GROUPS
    folder = parent / f"hdtui-test-{uuid.uuid4().hex}"
    limit = folder / ("memory.limit_in_bytes" if first else "memory.max")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"a limit on memory needs a control group of our own: {error}")
    if not limit.exists():
        folder.rmdir()
        pytest.skip("a limit on memory needs a control group that bounds memory")
    yield ControlGroup(folder, limit)
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):  # it ended meanwhile
            (parent / "cgroup.procs").write_text(pid)
    until(lambda: not (folder / "cgroup.procs").read_text().strip())
    folder.rmdir()


def test_the_kernel_counts_whom_it_kills_for_want_of_memory(control_group: ControlGroup) -> None:
    before = memory_kills()
    assert before is not None
    watch = MemoryWatch()
    assert watch.short_lately() is False
    with subprocess.Popen([sys.executable, "-c", GREEDY], stdin=subprocess.PIPE) as greedy:
        control_group.confine(greedy.pid, 60 * 2**20)
        greedy.communicate(b"x")
        assert greedy.returncode == -9
    assert memory_kills() == before + 1
    assert watch.short_lately() is True


@pytest.mark.slow
def test_a_worker_that_the_kernel_kills_for_want_of_memory_is_lost_and_says_so(
    database: Database, control_group: ControlGroup
) -> None:
    first = start_long_run(database)
    killed = queue(database, generation(10_000, name="others"))
    until(lambda: get_run(database, killed.id).pid is not None)
    # Its process is young: what it loads now does not fit.
    control_group.confine(get_run(database, killed.id).pid or 0, 24 * 2**20)
    lost = until_state(database, killed.id, *(state for state in RunState if state.ended))
    assert lost.state is RunState.LOST, lost.reason
    assert lost.exit_code == 137
    assert (lost.reason or "").startswith(f"process {lost.pid} was ended by SIGKILL")
    assert "the kernel killed for want of memory then: fewer simulations" in (lost.reason or "")
    done = get_run(database, first.id).done or 0
    until(lambda: (get_run(database, first.id).done or 0) > done)


def test_a_kill_for_want_of_memory_is_remembered_for_a_while_and_no_longer() -> None:
    kills: list[int | None] = [3]
    now = [0.0]
    watch = MemoryWatch(lambda: kills[0], lambda: now[0])
    assert watch.short_lately() is False
    kills[0] = 4
    assert watch.short_lately() is True
    now[0] = 29.0
    assert watch.short_lately() is True
    now[0] = 31.0
    assert watch.short_lately() is False
    assert MemoryWatch(lambda: None).short_lately() is None


@pytest.mark.parametrize(
    ("short", "words"),
    [
        (None, "; often that is want of memory"),
        (False, "; not by the kernel for want of memory"),
        (True, "; the kernel killed for want of memory then: fewer simulations"),
    ],
)
def test_a_kill_is_told_with_its_likely_cause(
    short: bool | None, words: str, database: Database
) -> None:
    run = queue_run(database, generation(1), boot_id=boot_id())
    found = how_it_ended(run, -9, memory_short=short)
    assert (found.state, found.exit_code) == (RunState.LOST, 137)
    assert words in found.reason


def test_counters_that_nobody_keeps_are_no_count(tmp_path: Path) -> None:
    assert memory_kills(tmp_path / "absent") is None
    (tmp_path / "vmstat").write_text(f"pgfault {os.getpid()}\n")
    assert memory_kills(tmp_path / "vmstat") is None
    (tmp_path / "vmstat").write_text("pgfault 1\noom_kill 7\n")
    assert memory_kills(tmp_path / "vmstat") == 7
