"""How long one action takes: batch 1, one thread, subjects interleaved so that all share luck.

Two clocks answer two questions. Wall time, of single steps, is what a control loop waits for; CPU
time, of whole blocks of steps, is what the step itself costs, whoever else uses the machine. Within
a block a policy finds its weights in the caches, as on a robot that runs it alone.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

Step = Callable[[], object]

WARM_UP_STEPS = 20
ROUNDS = 200
_ROUNDS_FOR_SIZE = 3
"""Enough to see how many steps a block of CPU time holds."""
CPU_BLOCKS = 5
CPU_BLOCK_S = 0.02
"""A block is long against a tick of the CPU clock (10 ms where it is coarsest, else below 1 us)."""


def measure_latencies(
    steps: Mapping[str, Step], *, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Microseconds of each step, by name: wall time ``p50`` and ``p95``, CPU time ``cpu``.

    ``p50`` and ``p95`` are percentiles over ``rounds`` single steps. ``cpu`` is the CPU time of
    this process, all its threads, over blocks of many steps, divided by their number: a mean.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            durations = wall_durations(steps, rounds)
            medians = {name: float(np.median(own)) for name, own in durations.items()}
            cpu = _cpu_times(steps, medians)
    finally:
        torch.set_num_threads(threads)
    return {
        name: {
            "p50": medians[name] / 1000.0,
            "p95": float(np.percentile(own, 95)) / 1000.0,
            "cpu": cpu[name] / 1000.0,
        }
        for name, own in durations.items()
    }


def cpu_latencies(steps: Mapping[str, Step]) -> dict[str, float]:
    """Microseconds of CPU time of each step, by name: its wall time on a core of its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            durations = wall_durations(steps, _ROUNDS_FOR_SIZE)
            cpu = _cpu_times(steps, {name: float(min(own)) for name, own in durations.items()})
    finally:
        torch.set_num_threads(threads)
    return {name: own / 1000.0 for name, own in cpu.items()}


def wall_durations(steps: Mapping[str, Step], rounds: int) -> dict[str, list[int]]:
    """Nanoseconds of every round; a step runs twice a turn and its warm second run counts."""
    for step in steps.values():
        for _ in range(WARM_UP_STEPS):
            step()
    durations: dict[str, list[int]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            step()
            start = time.perf_counter_ns()
            step()
            durations[name].append(time.perf_counter_ns() - start)
    return durations


def _cpu_times(steps: Mapping[str, Step], wall_ns: Mapping[str, float]) -> dict[str, float]:
    """Mean nanoseconds of CPU time of a step, from blocks in turns as long as ``wall_ns`` says."""
    sizes = {name: 1 + int(CPU_BLOCK_S * 1e9 / max(wall_ns[name], 1.0)) for name in steps}
    spent = dict.fromkeys(steps, 0)
    for _ in range(CPU_BLOCKS):
        for name, step in steps.items():
            start = time.process_time_ns()
            for _ in range(sizes[name]):
                step()
            spent[name] += time.process_time_ns() - start
    return {name: spent[name] / (CPU_BLOCKS * sizes[name]) for name in steps}
