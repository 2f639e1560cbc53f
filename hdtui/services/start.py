"""Start a whole pipeline, and what this machine has for it."""

import os
from functools import partial

import psutil

from engine.config.presets import PRESETS
from hdtui.formatting import size
from hdtui.services.cockpit import Cockpit
from hdtui.services.commands import prepare_workspace


def start_pipeline(cockpit: Cockpit, preset: str) -> str:
    """Queue all stages of a preset and see to it that a supervisor starts them.

    Raises:
        HdtuiError: The workspace cannot be written, or the supervisor not started.
    """
    from engine.workers.commands import ensure_supervisor
    from engine.workers.pipeline import queue_pipeline

    prepare_workspace(cockpit)
    pipeline, runs = cockpit.store.ask(partial(queue_pipeline, config=PRESETS[preset]))
    ensure_supervisor(cockpit.home)
    ids = " ".join(str(run.id) for run in runs)
    return f"pipeline {pipeline.id} {preset} is queued: runs {ids}"


def machine_sentence(cockpit: Cockpit) -> str:
    """Cores, memory, GPU, file system and free disk in one line."""
    from db.filesystem import file_system
    from hdtui.services.machine import gpu_sentence

    folder = cockpit.home
    while not folder.exists():
        folder = folder.parent
    memory = psutil.virtual_memory().total / 2**30
    gpu = gpu_sentence()
    free = psutil.disk_usage(str(folder)).free
    system = file_system(folder)
    kind = getattr(system, "name", "") or "disk"
    cores = os.cpu_count() or 1
    gpu_words = "no GPU" if gpu == "none" else f"GPU {gpu}"
    return f"{cores} cores · {memory:.1f} GiB · {gpu_words} · SQLite on {kind} · {size(free)} free: ready"
