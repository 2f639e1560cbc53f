"""Is a process still the one we started? By pid, start time and boot, never by pid alone."""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import psutil

START_TOLERANCE_S = 0.05
"""Start times are exact in ticks of the kernel; reading them may differ in the last digits."""


@dataclass(frozen=True)
class ProcessIdentity:
    """Names one process for ever: its pid, when it started (seconds), and the boot it lived in."""

    pid: int
    started_at: float
    boot_id: str

    @property
    def alive(self) -> bool:
        """It runs or is suspended; a zombie and another process of that pid do not count."""
        if self.boot_id != boot_id():
            return False
        started_at = process_started_at(self.pid)
        return started_at is not None and abs(started_at - self.started_at) < START_TOLERANCE_S


@cache
def boot_id() -> str:
    """A name for this boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def host_name() -> str:
    """The name under which this machine appears in the database."""
    return socket.gethostname()


def process_started_at(pid: int) -> float | None:
    """When the process started, None where there is none or only a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return process.create_time()
    except psutil.Error:
        return None


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(pid, psutil.Process(pid).create_time(), boot_id())


def signal_worker(worker: ProcessIdentity) -> bool:
    """Ask a worker to save and leave (SIGTERM); it ends its own children in its own order.

    Workers lead a session of their own. What does not is none, whatever a record says, and is left
    alone; so is everything in this process's own session. True if the signal was sent.
    """
    return _ours_to_end(worker) and _send(
        worker.pid, signal.SIGTERM, lambda: worker.alive and _session(worker.pid) == worker.pid
    )


def kill_group(worker: ProcessIdentity) -> int:
    """Kill the worker and everything it started (SIGKILL); returns how many processes that were.

    Works too when the worker itself is gone: its session still carries its pid. A session that
    belongs to another process of the same pid is left alone.
    """
    if not _ours_to_end(worker):
        return 0
    leader = process_started_at(worker.pid)
    if leader is not None and not worker.alive:
        return 0
    return sum(
        _send(pid, signal.SIGKILL, partial(_belongs, pid, worker.pid))
        for pid in psutil.pids()
        if _belongs(pid, worker.pid)
    )


def _ours_to_end(worker: ProcessIdentity) -> bool:
    return worker.boot_id == boot_id() and worker.pid > 1 and worker.pid != os.getsid(0)


def _belongs(pid: int, session: int) -> bool:
    return _session(pid) == session and process_started_at(pid) is not None


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
