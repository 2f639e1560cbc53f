"""What the first screen offers: what this machine has, and the demo."""

import os
import subprocess
from pathlib import Path

import psutil

from engine.workers.child_process import child_command, child_environment
from hdtui.formatting import size


def run_demo() -> None:
    """Show the demo, a cockpit of its own, in this terminal until it is left."""
    # It stands where the user stands: what is saved from it belongs there.
    subprocess.run(child_command("hdtui", "--demo"), env=child_environment(), check=False)


def machine_sentence(home: Path) -> str:
    """Cores, memory, GPU, file system and free disk in one line."""
    from db.filesystem import file_system
    from hdtui.data.machine import gpu_sentence

    folder = home
    while not folder.exists():
        folder = folder.parent
    memory = psutil.virtual_memory().total / 2**30
    gpu = gpu_sentence()
    free = psutil.disk_usage(str(folder)).free
    system = file_system(folder)
    kind = system.type
    cores = os.cpu_count() or 1
    gpu_words = "no GPU" if gpu == "none" else f"GPU {gpu}"
    disk = f"SQLite on {kind} · {size(free)} free"
    return f"{cores} cores · {memory:.1f} GiB · {gpu_words} · {disk}: ready"
