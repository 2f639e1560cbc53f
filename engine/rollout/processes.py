"""Work in parallel: one process per core, one thread each; children die with their parent."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import TypeVar

import torch

from engine.errors import HdtuiError, StopRequestedError
from engine.rollout.children import prepare_child, use_one_thread

Item = TypeVar("Item")
Output = TypeVar("Output")
ShouldStop = Callable[[], bool]
Work = Callable[[Item, ShouldStop], Output]
"""Turns an item into a result; asks now and then whether to stop, and raises StopRequestedError."""

_POLL_S = 0.2
_stop_events: list[Event] = []


def map_in_processes(
    work: Callable[[Item, ShouldStop], Output],
    items: Sequence[Item],
    processes: int,
    should_stop: ShouldStop,
) -> Iterator[tuple[int, Output]]:
    """Results of ``work`` with the index of their item, as they come.

    ``work``, items and results must be picklable. One process, or one item, means this process.

    Raises:
        StopRequestedError: a stop was asked for; unfinished items are lost.
        HdtuiError: a process died (out of memory, killed).
    """
    count = min(processes, len(items))
    if count <= 1:
        yield from _one_by_one(work, items, should_stop)
        return
    spawning = multiprocessing.get_context("spawn")
    stop = spawning.Event()
    with ProcessPoolExecutor(
        count, mp_context=spawning, initializer=_prepare_child, initargs=(os.getpid(), stop)
    ) as pool:
        pending = {pool.submit(_run, work, item): index for index, item in enumerate(items)}
        try:
            yield from _as_they_come(pending, should_stop)
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _one_by_one(
    work: Callable[[Item, ShouldStop], Output], items: Sequence[Item], should_stop: ShouldStop
) -> Iterator[tuple[int, Output]]:
    # As in a child: other threads, or denormals that are not flushed, give other last bits.
    threads = torch.get_num_threads()
    use_one_thread()
    try:
        for index, item in enumerate(items):
            if should_stop():
                raise StopRequestedError("stopped between two items of work")
            yield index, work(item, should_stop)
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


def _as_they_come(
    pending: dict[Future[Output], int], should_stop: ShouldStop
) -> Iterator[tuple[int, Output]]:
    while pending:
        finished, _ = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in finished:
            yield pending.pop(future), _result(future)
        if should_stop():
            raise StopRequestedError("stopped between two items of work")


def _result(future: Future[Output]) -> Output:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise HdtuiError(
            "a simulation process died (killed, or out of memory); use fewer processes or fewer"
            " robots at a time, then resume"
        ) from error


def _run(work: Callable[[Item, ShouldStop], Output], item: Item) -> Output:
    return work(item, _stop_events[0].is_set)


def _prepare_child(parent: int, stop: Event) -> None:
    prepare_child(parent)
    _stop_events.append(stop)
