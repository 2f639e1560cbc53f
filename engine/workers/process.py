"""What the system says of a process: does it live, whose worker is it, did memory run out?

A record names a process by its number, its start and the boot of its machine. A record may be
copied, made up or of another folder, so the process itself must say that it works on this run of
this folder: by its environment, or where that is another user's secret by its command line.
Neither can be written from outside. Only what proves to be that worker is counted or signalled.
"""

import os
import pwd
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from db.machine import boot_id, is_this_machine, uptime_s
from db.records import Run

MARK = "HDTUI_WORKER"
PF_EXITING = 0x4
"""Of a process's flags in Linux: it has begun to end."""
BEGINNING_S = 60.0
"""On a machine full of work, the longest from a process's first moment to its first words."""
TICKS_PER_S = 100
"""Of systems that tell a start in seconds only."""
MEMORY_COUNTERS = Path("/proc/vmstat")
MEMORY_RECENT_S = 30.0
"""A killed process of many gigabytes takes a while to be gone."""


@dataclass(frozen=True)
class ProcessIdentity:
    """Names one process for ever: its number, its start in ticks since the boot, and the boot.

    No ticks are known of processes of version 0.1, which wrote down a time of the wall clock.
    """

    pid: int
    ticks: int | None
    boot_id: str

    @property
    def alive(self) -> bool:
        """It runs or is suspended; a zombie and another process of that pid do not count.

        One that the system hides, as it is another user's, does.
        """
        if self.boot_id != boot_id():
            return False
        found = start_ticks(self.pid)
        return _hidden(self.pid) if found is None else self.ticks in (None, found)


@dataclass(frozen=True)
class Worker:
    """What a record says: this process works on this run of this folder."""

    process: ProcessIdentity
    run_id: int
    home: Path

    @property
    def pid(self) -> int:
        """The number of its process, and of its session."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """The process lives and says so itself, or cannot say anything just now."""
        return self.process.alive and (self.proven_by(self.pid) or _speechless(self.pid))

    @property
    def proven(self) -> bool:
        """The process lives and says so itself: only then it may be signalled."""
        return self.process.alive and self.proven_by(self.pid)

    def proven_by(self, pid: int) -> bool:
        """A living process works for this run of this folder, by its own account."""
        if pid == os.getpid():
            return True
        marks = _marks(pid)
        if marks:
            return _mark(self.home, self.run_id) in marks
        return _hidden(pid) or self._is_named_by(_command_line(pid))

    def _is_named_by(self, command: list[str]) -> bool:
        words = ["engine.workers", "run", str(self.run_id), "--home"]
        return command[-5:-1] == words and _same_folder(Path(command[-1]), self.home)


def worker_of(run: Run, home: Path) -> Worker | None:
    """The worker that a run's record names, None where it names none of this machine."""
    if run.pid is None or run.boot_id is None or not is_this_machine(run.boot_id, run.host):
        return None
    return Worker(ProcessIdentity(run.pid, run.pid_ticks, boot_id()), run.id, home)


def worker_environment(home: Path, run_id: int) -> dict[str, str]:
    """What a worker and everything it starts carry, so that they can be told from others."""
    return {MARK: _mark(home, run_id)}


def start_ticks(pid: int) -> int | None:
    """When the process started, in ticks since the boot; None where there is none or a zombie."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else int(fields[19])
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return round(process.create_time() * TICKS_PER_S)
    except psutil.Error:
        return None


def started_at(pid: int) -> float:
    """When it started by the wall clock of today, for readers of version 0.1; never decides."""
    return psutil.Process(pid).create_time()


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(pid, start_ticks(pid), boot_id())


def other_owner(pid: int) -> str | None:
    """The user to whom a process belongs that this one may not signal; None where it may."""
    try:
        user = psutil.Process(pid).uids().real
    except psutil.Error:
        return "another user" if _hidden(pid) else None
    if os.geteuid() in (0, user):
        return None
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def signal_worker(worker: Worker) -> bool:
    """Ask a worker to save and leave (SIGTERM); it ends its own children in its own order.

    Workers lead a session of their own. What does not, or does not prove to be this worker, is
    none, whatever a record says, and is left alone; so is everything in this process's own
    session. True if the signal was sent.
    """
    return _ours_to_end(worker) and _send(
        worker.pid, signal.SIGTERM, lambda: worker.proven and _session(worker.pid) == worker.pid
    )


def kill_group(worker: Worker) -> int:
    """Kill the worker and everything it started (SIGKILL); returns how many processes that were.

    Works too when the worker itself is gone: its session still carries its pid, and what it
    started carries its mark. Nothing else is touched.
    """
    if not _ours_to_end(worker):
        return 0
    if start_ticks(worker.pid) is None:
        belongs = partial(_is_left_of, worker)
    elif worker.proven and _session(worker.pid) == worker.pid:
        belongs = partial(_belongs, worker.pid)
    else:
        return 0
    # Its own children first would let it start others meanwhile.
    found = sorted(filter(belongs, psutil.pids()), key=lambda pid: pid != worker.pid)
    return sum(_send(pid, signal.SIGKILL, partial(_belongs, worker.pid, pid)) for pid in found)


def memory_kills(counters: Path = MEMORY_COUNTERS) -> int | None:
    """How many processes the kernel has killed for want of memory; None where nobody counts."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("oom_kill "))
    return next((int(value) for value in found if value.isdecimal()), None)


class MemoryWatch:
    """Whether the kernel has killed for want of memory lately."""

    def __init__(
        self,
        count: Callable[[], int | None] = memory_kills,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._clock = count, clock
        self._known = count()
        self._rose_at: float | None = None

    def short_lately(self) -> bool | None:
        """True within half a minute of such a kill, None where nobody knows."""
        kills = self._count()
        if kills is None or self._known is None:
            return None
        if kills > self._known:
            self._known, self._rose_at = kills, self._clock()
        return self._rose_at is not None and self._clock() - self._rose_at < MEMORY_RECENT_S


def _ours_to_end(worker: Worker) -> bool:
    here = worker.process.boot_id == boot_id()
    return here and worker.pid > 1 and worker.pid != os.getsid(0)


def _belongs(session: int, pid: int) -> bool:
    return _session(pid) == session and start_ticks(pid) is not None


def _is_left_of(worker: Worker, pid: int) -> bool:
    return _belongs(worker.pid, pid) and worker.proven_by(pid)


def _send(pid: int, number: signal.Signals, still: Callable[[], bool]) -> bool:
    """Signal the process that ``still`` is true of, and no other that gets its pid meanwhile."""
    try:
        if not hasattr(os, "pidfd_open"):  # systems other than Linux
            if still():
                os.kill(pid, number)
                return True
            return False
        descriptor = os.pidfd_open(pid)
        try:
            if not still():
                return False
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _stat(pid: int) -> list[str] | None:
    """What the kernel says of a process, from its state on (proc_pid_stat(5), field 3)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is its name, which may hold anything.
    return text.rpartition(")")[2].split()


def _speechless(pid: int) -> bool:
    """It is about to end, or begins just now: its memory, and with it its words, are not there.

    Of a worker that is killed on a busy machine that lasts for a while.
    """
    fields = _stat(pid)
    if fields is None or _marks(pid) or _command_line(pid):
        return False
    age_s = uptime_s() - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return bool(int(fields[6]) & PF_EXITING) or age_s < BEGINNING_S


def _hidden(pid: int) -> bool:
    """There is such a process, of which this user is told nothing."""
    if pid <= 0 or Path(f"/proc/{pid}/stat").exists() or sys.platform != "linux":
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _marks(pid: int) -> list[str]:
    """The marks of a process's environment; none where it has none or does not show it."""
    try:
        if sys.platform != "linux":
            mark = psutil.Process(pid).environ().get(MARK)
            return [] if mark is None else [mark]
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, psutil.Error):
        return []
    start = f"{MARK}=".encode()
    return [
        pair.removeprefix(start).decode(errors="replace")
        for pair in pairs
        if pair.startswith(start)
    ]


def _mark(home: Path, run_id: int) -> str:
    """A folder and a run; a renamed folder is the same, a copy is another."""
    try:
        found = home.stat()
    except OSError:
        return f"{run_id} of nothing"
    return f"{run_id} of {found.st_dev}:{found.st_ino}"


def _command_line(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def _same_folder(one: Path, other: Path) -> bool:
    try:
        return one == other.absolute() or one.samefile(other)
    except OSError:
        return False
