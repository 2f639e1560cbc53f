"""Work in parallel: one process per core, one thread each; children die with their parent.

Each child hangs on a pipe of its own. Queues and events would need named semaphores, which stay
behind in /dev/shm where a whole family is killed.
"""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar, cast

import torch

from engine.errors import HdtuiError, StopRequestedError
from engine.files import never_made, never_make
from engine.rollout.children import prepare_child, use_one_thread

Item = TypeVar("Item")
Output = TypeVar("Output")
ShouldStop = Callable[[], bool]
Work = Callable[[Item, ShouldStop], Output]
"""Turns an item into a result; asks now and then whether to stop, and raises StopRequestedError."""

_POLL_S = 0.2
_LEAVE_S = 5.0


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
    children = [_Child(*_start(work)) for _ in range(count)]
    try:
        yield from _as_they_come(children, items, should_stop)
    finally:
        for child in children:
            child.connection.close()  # it asks whether to stop, and hears that nobody is there
        for child in children:
            child.process.join(_LEAVE_S)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()


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


@dataclass
class _Child:
    process: BaseProcess
    connection: Connection
    item: int | None = None
    """What it works on."""


def _start(work: Work[Item, Output]) -> tuple[BaseProcess, Connection]:
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    arguments = (work, there, os.getpid(), never_made())
    process = spawning.Process(target=_serve, args=arguments, daemon=True)
    process.start()
    there.close()
    return process, here


def _as_they_come(
    children: Sequence[_Child], items: Sequence[Item], should_stop: ShouldStop
) -> Iterator[tuple[int, Output]]:
    coming = iter(range(len(items)))
    for child in children:
        _give_next(child, items, coming)
    while busy := {child.connection: child for child in children if child.item is not None}:
        for connection in wait(list(busy), timeout=_POLL_S):
            child = busy[cast("Connection", connection)]
            index, output = child.item, _answer(child)
            _give_next(child, items, coming)
            yield cast("int", index), cast("Output", output)
        if should_stop():
            raise StopRequestedError("stopped between two items of work")


def _give_next(child: _Child, items: Sequence[Item], coming: Iterator[int]) -> None:
    child.item = next(coming, None)
    if child.item is not None:
        try:
            child.connection.send(items[child.item])
        except OSError as error:
            raise _died() from error


def _answer(child: _Child) -> object:
    try:
        done, answer = child.connection.recv()
    except (EOFError, OSError) as error:
        raise _died() from error
    if not done:
        raise answer
    return answer


def _died() -> HdtuiError:
    return HdtuiError(
        "a simulation process died (killed, or out of memory); resume where there is more memory,"
        " or clone the run with fewer processes or simulations"
    )


def _serve(
    work: Work[Item, Output], connection: Connection, parent: int, kept: Sequence[Path]
) -> None:
    """A child's life: an item comes, its result goes, until the parent is no longer there."""
    prepare_child(parent)
    never_make(*kept)
    answer: tuple[bool, object]
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        try:
            # While it works nothing is sent to it, so what can be read is the end of the pipe.
            answer = (True, work(item, connection.poll))
        except Exception as error:  # noqa: BLE001 (the parent raises it)
            answer = (False, _sendable(error))
        try:
            connection.send(answer)
        except OSError:
            return


def _sendable(error: Exception) -> Exception:
    """The error, or its words where it cannot travel."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (its own bytes)
    except Exception:  # noqa: BLE001 (whatever an error's own code does)
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
