"""How busy this machine is: cores, memory, disk, GPU, and what the runs take on disk."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FOLDERS_EVERY_S = 60.0
SHORTEST_LOOK_S = 0.5


@dataclass(frozen=True)
class MachineLoad:
    """Load of the machine; sizes in bytes, shares between 0 and 1, None while unknown."""

    cpu_share: float | None
    num_cores: int
    memory_used: int
    memory_total: int
    disk_free: int
    disk_share: float
    gpu: str
    runs_bytes: int
    num_folders: int


def _idle_s(times: Any) -> float:
    return float(times.idle) + float(getattr(times, "iowait", 0.0))


class MachineReader:
    """Reads the load; folder sizes are summed at most once a minute."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folders_at = -FOLDERS_EVERY_S
        self._folders = (0, 0)
        self._cpu_times = psutil.cpu_times()

    def _cpu_share(self) -> float | None:
        """Busy time over all time since the last look, None where that was too short ago.

        psutil's own percentage remembers a thread's last look, and here each comes from another.
        """
        before, times = self._cpu_times, psutil.cpu_times()
        passed_s = sum(times) - sum(before)
        if passed_s < SHORTEST_LOOK_S:
            return None
        self._cpu_times = times
        return max(0.0, 1.0 - (_idle_s(times) - _idle_s(before)) / passed_s)

    def read(self) -> MachineLoad:
        """The load since the last call."""
        memory = psutil.virtual_memory()
        disk = shutil.disk_usage(self._home if self._home.exists() else Path.home())
        if time.monotonic() - self._folders_at >= FOLDERS_EVERY_S:
            self._folders_at = time.monotonic()
            self._folders = folder_sizes(self._home / "runs")
        return MachineLoad(
            cpu_share=self._cpu_share(),
            num_cores=os.cpu_count() or 1,
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_free=disk.free,
            disk_share=disk.used / disk.total if disk.total else 0.0,
            gpu=gpu_sentence(),
            runs_bytes=self._folders[0],
            num_folders=self._folders[1],
        )


def folder_sizes(runs: Path) -> tuple[int, int]:
    """Bytes below the runs folder, and how many folders it has."""
    if not runs.is_dir():
        return 0, 0
    num_folders = sum(1 for entry in os.scandir(runs) if entry.is_dir(follow_symlinks=False))
    num_bytes = 0
    for folder, _, files in os.walk(runs):
        for name in files:
            try:
                num_bytes += (Path(folder) / name).lstat().st_size
            except OSError:  # a worker renamed it meanwhile
                continue
    return num_bytes, num_folders


def gpu_sentence() -> str:
    """Load and memory of the first GPU, or ``none``."""
    try:
        import pynvml
    except ImportError:
        return "none"
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        load = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError:
        return "none"
    return f"{load} %, {memory.used / 2**30:.1f} of {memory.total / 2**30:.0f} GiB"
