"""Starts the other processes of a training run and sees to it that they end with it."""

import json
import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from engine.config.teacher import TeacherConfig
from engine.errors import HdtuiError
from engine.morphology.tree import Morphology
from engine.ppo.exchange import Alone, Exchange, Hub, SharedSlots, Spoke, reserve_memory
from engine.ppo.loop import follow
from engine.ppo.share import Share
from engine.rollout.children import prepare_child

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_GRACE_S = 5.0


class Team:
    """The processes of one run but the first; a context manager that leaves none behind."""

    def __init__(
        self, config: TeacherConfig, robots: Sequence[Morphology], resume_from: Path | None
    ) -> None:
        self._members: list[SpawnProcess] = []
        self._connections: list[Connection] = []
        context = multiprocessing.get_context("spawn")
        for rank in range(1, config.processes):
            here, there = context.Pipe()
            process = context.Process(
                target=_member,
                args=(rank, there, config, tuple(robots), resume_from, os.getpid()),
                name=f"share-{rank}",
                daemon=True,
            )
            process.start()
            there.close()
            self._members.append(process)
            self._connections.append(here)

    def meet(self, vector_size: int) -> Exchange:
        """The first process's exchange, once every other process is there."""
        if not self._members:
            return Alone()
        processes = len(self._members) + 1
        path = reserve_memory(processes, vector_size)
        try:
            hub = Hub(self._connections, SharedSlots(path, processes, vector_size))
            hub.announce({"memory": str(path)})
            hub.gather(b"")
        finally:
            path.unlink()
        return hub

    def __enter__(self) -> "Team":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._members:
            process.join(_GRACE_S)
            if process.is_alive():
                process.kill()
                process.join()


def _member(
    rank: int,
    connection: Connection,
    config: TeacherConfig,
    robots: tuple[Morphology, ...],
    resume_from: Path | None,
    parent: int,
) -> None:
    """The life of one process: meet the others, then do as the first one says."""
    prepare_child(parent)
    try:
        share = Share(config, robots, rank)
        path = Path(json.loads(connection.recv_bytes())["memory"])
        slots = SharedSlots(path, config.processes, share.learner.exchanged_numbers)
        connection.send_bytes(b"")
        follow(share, Spoke(rank, config.processes, connection, slots), resume_from)
    except (EOFError, ConnectionError):
        return  # The first process has left; it knows why.
    except HdtuiError as error:
        raise SystemExit(f"training process {rank}: {error}") from error
