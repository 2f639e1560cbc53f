"""Processes meet over pipes and shared memory; here they are threads with real pipes."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest

from engine.errors import SimulationError
from engine.ppo.exchange import Exchange, Hub, SharedSlots, SingleProcess, Spoke
from engine.rollout.shared_memory import reserve_memory

PROCESSES, SIZE = 3, 5


def together(work: Callable[[Exchange], Any]) -> list[Any]:
    """What every process returns, by rank."""
    path = reserve_memory(4 * PROCESSES * SIZE, "gradients")
    pipes = [Pipe() for _ in range(PROCESSES - 1)]
    hub = Hub([here for here, _ in pipes], SharedSlots(path, PROCESSES, SIZE))
    spokes = [
        Spoke(rank, PROCESSES, there, SharedSlots(path, PROCESSES, SIZE))
        for rank, (_, there) in enumerate(pipes, start=1)
    ]
    path.unlink()
    with ThreadPoolExecutor(PROCESSES) as pool:
        results = [future.result(20) for future in [pool.submit(work, e) for e in [hub, *spokes]]]
    for pipe in pipes:
        for end in pipe:
            end.close()
    return results


def test_vectors_are_summed_in_every_process_again_and_again() -> None:
    def work(exchange: Exchange) -> list[list[float]]:
        sums = []
        for turn in range(3):
            vector = np.full(SIZE, float(exchange.rank + turn), dtype=np.float32)
            exchange.sum_vector(vector)
            sums.append(vector.tolist())
        return sums

    expected = [[3.0] * SIZE, [6.0] * SIZE, [9.0] * SIZE]
    assert together(work) == [expected] * PROCESSES


def test_statistics_keep_their_shape_and_precision() -> None:
    def work(exchange: Exchange) -> list[list[float]]:
        return exchange.sum_statistics(np.full((1, 2), 1.0 + 2.0**-40)).tolist()

    assert together(work) == [[[3.0 + 3.0 * 2.0**-40] * 2]] * PROCESSES


def test_the_first_process_gathers_by_rank_and_announces() -> None:
    def work(exchange: Exchange) -> tuple[list[bytes], dict[str, Any]]:
        gathered = exchange.gather(str(exchange.rank).encode())
        return gathered, exchange.announce({"action": "end"} if exchange.rank == 0 else None)

    end = {"action": "end"}
    assert together(work) == [([b"0", b"1", b"2"], end), ([], end), ([], end)]


def test_a_dead_process_is_named_instead_of_waited_for() -> None:
    here, there = Pipe()
    path = reserve_memory(8 * SIZE, "gradients")
    hub = Hub([here], SharedSlots(path, 2, SIZE))
    path.unlink()
    there.close()
    with pytest.raises(SimulationError, match="training process 1 of 2 died"):
        hub.sum_vector(np.zeros(SIZE, dtype=np.float32))
    here.close()


def test_one_process_needs_nobody() -> None:
    vector = np.ones(2, dtype=np.float32)
    alone = SingleProcess()
    alone.sum_vector(vector)
    assert vector.tolist() == [1.0, 1.0]
    assert alone.gather(b"x") == [b"x"]
    assert json.dumps(alone.announce({"action": "save"})) == '{"action": "save"}'
