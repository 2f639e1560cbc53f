"""How a process of one thread sets itself up, and how a child sees to it that it ends."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

_PR_SET_PDEATHSIG = 1
_GRACE_S = 5.0
# glibc's mallopt: keep what is freed, and take no block straight from the system.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEEP_BYTES = 2**31 - 1


def use_one_thread() -> None:
    """One torch thread; no time lost on numbers too small to matter, or on memory anew."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _keep_memory()


def _keep_memory() -> None:
    """Use freed memory again: a tensor's pages from the system cost more than what is computed.

    Measured on training with a batch of 1,024 samples: a sixth of all CPU time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
        mallopt(_M_MMAP_MAX, 0)  # no block of its own, whatever its size


def prepare_child(parent: int) -> None:
    """One thread, deaf to signals (the parent decides), gone when the parent is.

    A stop reaches the whole process group; only the parent knows what it means.
    """
    use_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Children:
    """Processes that work for this one, each on a pipe of its own; closed, none is left behind."""

    def __init__(self) -> None:
        self.processes: list[SpawnProcess] = []
        self.connections: list[Connection] = []
        # A forked child would inherit threads of torch and of MuJoCo that do not run in it.
        self._context = multiprocessing.get_context("spawn")

    def start(self, work: Callable[..., None], name: str, *arguments: object) -> None:
        """Start ``work(connection, parent, *arguments)`` in a child."""
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=work,
            args=(there, os.getpid(), *arguments),
            name=name,
            daemon=True,  # a parent that raises takes them along
        )
        process.start()
        there.close()
        self.processes.append(process)
        self.connections.append(here)

    def close(self) -> None:
        """End the pipes, wait for children to leave, then kill those that do not."""
        for connection in self.connections:
            connection.close()
        for process in self.processes:
            process.join(_GRACE_S)
            if process.is_alive():
                process.kill()
                process.join()
