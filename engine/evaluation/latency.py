"""How long one action takes: batch 1, one thread, subjects interleaved so that all share luck."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

Step = Callable[[], object]

WARM_UP_STEPS = 20
ROUNDS = 200


def measure_latencies(
    steps: Mapping[str, Step], *, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each step in microseconds, by name."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            durations = _durations(steps, rounds)
    finally:
        torch.set_num_threads(threads)
    return {
        name: {
            "p50": float(np.percentile(own, 50)) / 1000.0,
            "p95": float(np.percentile(own, 95)) / 1000.0,
        }
        for name, own in durations.items()
    }


def _durations(steps: Mapping[str, Step], rounds: int) -> dict[str, list[int]]:
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
