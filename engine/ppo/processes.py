"""The stage of teachers by reinforcement learning, and the processes that do its work."""

import json
import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from engine.config.teacher import TeacherConfig
from engine.errors import HdtuiError, UsageError
from engine.events import Note, StageContext
from engine.morphology.tree import Morphology
from engine.ppo.exchange import Exchange, Hub, SharedSlots, SingleProcess, Spoke, reserve_memory
from engine.ppo.loop import run_leader, run_member
from engine.ppo.trainer import Trainer
from engine.rollout.children import prepare_child, use_one_thread

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_GRACE_S = 5.0


def train_teacher(
    config: TeacherConfig, robots: Sequence[Morphology], context: StageContext
) -> Path:
    """Train one teacher on ``robots``; returns the final checkpoint, from which a run could go on.

    The policy alone is reported as an artifact of kind ``policy``.

    Raises:
        UsageError: there are no robots.
        StopRequestedError: a stop was asked for; a checkpoint is written.
        DivergenceError: training diverged; the last good checkpoint is kept.
        CheckpointError: ``context.resume_from`` does not belong to this run.
    """
    if not robots:
        raise UsageError("no robots to train on: name a robot set with at least one")
    if config.processes > len(robots):
        # Results depend on the number of processes, never on the machine.
        context.report(
            Note("info", f"{len(robots)} robots keep {len(robots)} processes busy, not more")
        )
        config = config.model_copy(update={"processes": len(robots)})
    use_one_thread()
    with ProcessGroup(config, robots, context.resume_from) as group:
        trainer = Trainer(config, robots, rank=0)
        return run_leader(trainer, group.connect(trainer.learner.exchanged_numbers), context)


class ProcessGroup:
    """The processes of one run but the first; a context manager that leaves none behind."""

    def __init__(
        self, config: TeacherConfig, robots: Sequence[Morphology], resume_from: Path | None
    ) -> None:
        self._members: list[SpawnProcess] = []
        self._connections: list[Connection] = []
        # A forked child would inherit threads of torch and of MuJoCo that do not run in it.
        context = multiprocessing.get_context("spawn")
        for rank in range(1, config.processes):
            here, there = context.Pipe()
            process = context.Process(
                target=_member,
                args=(rank, there, config, tuple(robots), resume_from, os.getpid()),
                name=f"share-{rank}",
                daemon=True,  # a leader that raises takes them along
            )
            process.start()
            there.close()
            self._members.append(process)
            self._connections.append(here)

    def connect(self, vector_size: int) -> Exchange:
        """The first process's exchange, once every other process is there."""
        if not self._members:
            return SingleProcess()
        processes = len(self._members) + 1
        path = reserve_memory(processes, vector_size)
        try:
            hub = Hub(self._connections, SharedSlots(path, processes, vector_size))
            hub.announce({"memory": str(path)})
            hub.gather(b"")
        finally:
            path.unlink()  # everybody has it open: it goes with the last process, however that ends
        return hub

    def __enter__(self) -> "ProcessGroup":
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
        trainer = Trainer(config, robots, rank)
        path = Path(json.loads(connection.recv_bytes())["memory"])
        slots = SharedSlots(path, config.processes, trainer.learner.exchanged_numbers)
        connection.send_bytes(b"")
        run_member(trainer, Spoke(rank, config.processes, connection, slots), resume_from)
    except (EOFError, ConnectionError):
        return  # The first process has left; it knows why.
    except HdtuiError as error:
        raise SystemExit(f"training process {rank}: {error}") from error
