"""How much of the speed that physics allows the environments keep: ``hdtui bench simulation``."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from time import monotonic, perf_counter

import gymnasium
import numpy as np
import numpy.typing as npt
import psutil

from engine.config.base import TaskConfig
from engine.environments.gymnasium_env import ENVIRONMENT_ID
from engine.environments.vector import VectorEnvironment
from engine.errors import SimulationError
from engine.morphology.tree import Morphology
from engine.simulation.compiled import compile_alone
from engine.simulation.physics_replay import PhysicsReplay, Restart

ROUNDS = 3
STEPS = 300
GYMNASIUM_STEPS = 40
BUDGET_S = 110.0
"""No new round begins after this long."""
PATIENCE_S = 600.0
PARTING_S = 5.0
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Share:
    """What one process measures."""

    robots: tuple[Morphology, ...]
    task: TaskConfig
    per_robot: int
    seed: int


@dataclass(frozen=True)
class Seconds:
    """One round of one process: time for its steps in each of the three ways."""

    physics: float
    environment: float
    gymnasium: float


@dataclass(frozen=True)
class Prepared:
    """Measured once per process, before the rounds."""

    compile_ms: float
    resident_mib: float


def run(
    task: TaskConfig,
    robots: Sequence[Morphology],
    per_robot: int,
    seed: int,
    processes: int | None = None,
) -> dict[str, float | int | str]:
    """Control steps a second of physics alone, of our environment and of single Gymnasium ones.

    One process a core (or ``processes``) with one thread each; all three step the same robots, and
    physics repeats the actions and restarts of the environment, the restarts untimed. Best of three
    rounds. ``resident_mib_per_1000_robots`` is what compiled robots with their simulations hold.

    Raises:
        SimulationError: a measuring process died.
    """
    count = min(processes or len(os.sched_getaffinity(0)), len(robots))
    rounds, prepared = _measure(_shares(task, robots, per_robot, seed, count))
    environments = len(robots) * per_robot
    physics = max(STEPS * environments / max(s.physics for s in round_) for round_ in rounds)
    ours = max(STEPS * environments / max(s.environment for s in round_) for round_ in rounds)
    single = max(
        GYMNASIUM_STEPS * environments / max(s.gymnasium for s in round_) for round_ in rounds
    )
    return {
        "task": task.name,
        "robots": len(robots),
        "simulations_per_robot": per_robot,
        "processes": count,
        "rounds": len(rounds),
        "physics_steps_per_s": physics,
        "environment_steps_per_s": ours,
        "gymnasium_steps_per_s": single,
        "ratio_to_physics": ours / physics,
        "ratio_to_gymnasium": ours / single,
        "compile_ms": float(np.mean([process.compile_ms for process in prepared])),
        "resident_mib_per_1000_robots": 1000.0
        * sum(process.resident_mib for process in prepared)
        / len(robots),
    }


def _shares(
    task: TaskConfig, robots: Sequence[Morphology], per_robot: int, seed: int, count: int
) -> list[Share]:
    """Robots dealt out from small to large, so that every process has about the same work."""
    ordered = sorted(robots, key=lambda robot: robot.num_limbs)
    return [Share(tuple(ordered[rank::count]), task, per_robot, seed) for rank in range(count)]


def _measure(shares: Sequence[Share]) -> tuple[list[list[Seconds]], list[Prepared]]:
    """Seconds per round and process, all processes measuring the same thing at a time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(shares))
    ends: list[Connection] = []
    processes = []
    try:
        with _one_thread_each():
            for share in shares:
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(share, theirs, barrier), daemon=True)
                process.start()
                # Only the child holds its end now: when it dies, reading ours fails at once.
                theirs.close()
                ends.append(ours)
                processes.append(process)
        return _converse(ends)
    finally:
        for end in ends:
            end.close()
        for process in processes:
            process.join(PARTING_S)
            process.kill()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here use one thread for their mathematics."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]
        os.environ.update(before)


def _converse(ends: Sequence[Connection]) -> tuple[list[list[Seconds]], list[Prepared]]:
    began = monotonic()
    try:
        prepared: list[Prepared] = [end.recv() for end in ends]
        rounds: list[list[Seconds]] = []
        while len(rounds) < ROUNDS and (not rounds or monotonic() - began < BUDGET_S):
            for end in ends:
                end.send(True)
            rounds.append([end.recv() for end in ends])
        for end in ends:
            end.send(False)
    except (EOFError, BrokenPipeError) as error:
        raise SimulationError("a measuring process died; see its message above") from error
    return rounds, prepared


def _serve(share: Share, end: Connection, barrier: Barrier) -> None:
    """A process: prepare, then measure a round each time it is asked to."""
    bench = _Bench(share)
    end.send(bench.prepared)
    while end.recv():
        seconds = []
        for measure in (bench.physics, bench.environment, bench.gymnasium):
            barrier.wait(PATIENCE_S)
            seconds.append(measure())
        end.send(Seconds(*seconds))


class _Bench:
    """One process's robots, ready to be stepped in three ways."""

    def __init__(self, share: Share) -> None:
        self._seed = share.seed
        began = perf_counter()
        for robot in share.robots:
            compile_alone(robot, share.task)
        compile_s = perf_counter() - began
        before = psutil.Process().memory_info().rss
        self._environment = VectorEnvironment(share.robots, share.task, share.per_robot, share.seed)
        self._environment.reset()
        resident = psutil.Process().memory_info().rss - before
        self.prepared = Prepared(1e3 * compile_s / len(share.robots), resident / MEBIBYTE)
        rng = np.random.default_rng(share.seed)
        rows, slots = self._environment.packing.num_rows, share.robots[0].joint_mask.shape[1]
        self._actions = rng.uniform(-1.0, 1.0, (STEPS, rows, slots)).astype(np.float32)
        self._replays: list[PhysicsReplay] = []
        self._controls: list[npt.NDArray[np.float64]] = []
        self._restarts: list[list[Restart]] = []
        self._record(share.robots)
        self._singles = [
            gymnasium.vector.SyncVectorEnv(
                [partial(gymnasium.make, ENVIRONMENT_ID, robot=robot, task=share.task)]
                * share.per_robot
            )
            for robot in share.robots
        ]

    def _record(self, robots: Sequence[Morphology]) -> None:
        """Take down controls and restarts of the episodes that every round repeats."""
        environment, packing = self._environment, self._environment.packing
        for index, robot in enumerate(robots):
            self._replays.append(PhysicsReplay(environment.simulations(index)))
            flat = self._actions[:, packing.robot_rows[index]]
            flat = flat.reshape(STEPS, packing.per_robot, robot.joint_mask.size)
            hinges = np.flatnonzero(robot.joint_mask)
            self._controls.append(flat[:, :, hinges].astype(np.float64))
        for actions in self._actions:
            environment.step(actions)
            ended = environment.terminated | environment.truncated
            self._restarts.append(
                [
                    Restart.of(environment.simulations(index), np.flatnonzero(ended[place]))
                    for index, place in enumerate(packing.robot_environments)
                ]
            )

    def physics(self) -> float:
        """Seconds of nothing but physics."""
        for replay in self._replays:
            replay.rewind()
        for step, restarts in enumerate(self._restarts):
            for replay, control, restart in zip(
                self._replays, self._controls, restarts, strict=True
            ):
                replay.step(control[step])
                replay.restart(restart)
        return sum(replay.seconds for replay in self._replays)

    def environment(self) -> float:
        """Seconds of the same steps in our environment, restarts and all."""
        self._environment.seed(self._seed)
        self._environment.reset()
        began = perf_counter()
        for actions in self._actions:
            self._environment.step(actions)
        return perf_counter() - began

    def gymnasium(self) -> float:
        """Seconds of fewer steps in Gymnasium's vector of single environments."""
        rng = np.random.default_rng(self._seed)
        actions = []
        for single in self._singles:
            single.reset(seed=self._seed)
            shape = (GYMNASIUM_STEPS, *(single.action_space.shape or ()))
            actions.append(rng.uniform(-1.0, 1.0, shape).astype(np.float32))
        began = perf_counter()
        for step in range(GYMNASIUM_STEPS):
            for single, own in zip(self._singles, actions, strict=True):
                single.step(own[step])
        return perf_counter() - began
