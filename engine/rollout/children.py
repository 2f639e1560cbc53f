"""How a process of one thread sets itself up, and how a child sees to it that it ends."""

import ctypes
import os
import signal
import sys

import torch

_PR_SET_PDEATHSIG = 1


def use_one_thread() -> None:
    """One torch thread, and no time lost on numbers too small to matter."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


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
