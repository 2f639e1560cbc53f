"""The stage of teachers by reinforcement learning, and the processes that do its work."""

import json
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import torch

from engine.config.teacher import TeacherConfig
from engine.errors import HdtuiError, UsageError
from engine.events import Note, StageContext
from engine.morphology.tree import Morphology
from engine.ppo.exchange import Exchange, Hub, SharedSlots, SingleProcess, Spoke
from engine.ppo.loop import run_leader, run_member
from engine.ppo.placement import place
from engine.ppo.simulation_processes import SimulationProcesses
from engine.ppo.simulators import OwnSimulations
from engine.ppo.trainer import Trainer
from engine.rollout.children import Children, prepare_child, use_one_thread
from engine.rollout.shared_memory import reserve_memory


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
    use_one_thread()
    placed = place(config, robots, context.resume_from)
    config, device = placed.config, placed.device
    context.report(Note("info", placed.text))
    if config.placement == "apart":
        with SimulationProcesses(config, robots, device) as simulations:
            trainer = Trainer(config, robots, simulations, device)
            return run_leader(trainer, SingleProcess(), context)
    with ProcessGroup(config, robots, device, context.resume_from) as group:
        trainer = Trainer(config, robots, OwnSimulations(config, robots, 0, device), device)
        return run_leader(trainer, group.connect(trainer.learner.exchanged_numbers), context)


class ProcessGroup:
    """The processes of one run but the first; a context manager that leaves none behind."""

    def __init__(
        self,
        config: TeacherConfig,
        robots: Sequence[Morphology],
        device: torch.device,
        resume_from: Path | None,
    ) -> None:
        self._children = Children()
        self._processes = config.processes
        for rank in range(1, config.processes):
            arguments = (rank, config, tuple(robots), device, resume_from)
            self._children.start(_member, f"share-{rank}", *arguments)

    def connect(self, vector_size: int) -> Exchange:
        """The first process's exchange, once every other process is there."""
        processes = self._processes
        if processes == 1:
            return SingleProcess()
        path = reserve_memory(4 * processes * vector_size, "gradients")
        try:
            slots = SharedSlots(path, processes, vector_size)
            hub = Hub(self._children.connections, slots)
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
        self._children.close()


def _member(
    connection: Connection,
    parent: int,
    rank: int,
    config: TeacherConfig,
    robots: tuple[Morphology, ...],
    device: torch.device,
    resume_from: Path | None,
) -> None:
    """The life of one process: meet the others, then do as the first one says."""
    prepare_child(parent)
    try:
        simulations = OwnSimulations(config, robots, rank, device)
        trainer = Trainer(config, robots, simulations, device, rank)
        path = Path(json.loads(connection.recv_bytes())["memory"])
        slots = SharedSlots(path, config.processes, trainer.learner.exchanged_numbers)
        connection.send_bytes(b"")
        run_member(trainer, Spoke(rank, config.processes, connection, slots), resume_from)
    except (EOFError, ConnectionError):
        return  # The first process has left; it knows why.
    except HdtuiError as error:
        raise SystemExit(f"training process {rank}: {error}") from error
