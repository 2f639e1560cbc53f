"""Roll a teacher, or a student under its eyes, out on one batch of robots; write their shards."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.config.distillation import CollectionConfig
from engine.distillation.manifest import (
    DroppedRobot,
    EpisodeStatistics,
    Moments,
    Shard,
    Source,
    robot_path,
    shard_path,
    unwritable,
)
from engine.distillation.shards import ShardArrays, all_finite, write_shard
from engine.environments import EpisodeBatch, VectorEnvironment
from engine.errors import DatasetError, StopRequestedError
from engine.morphology.mjcf import save_robot
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.rollout.actors import Actor, CheckpointActors
from engine.rollout.processes import ShouldStop

Array = npt.NDArray[np.floating]
RobotOutcome = Shard | DroppedRobot

_STEPS_PER_REDRAW = 100
"""A pool of courses is small, and shards should show the teacher on many."""


@dataclass(frozen=True)
class RecordingPlan:
    """How a folder of expert data is recorded: who labels, who acts (the teacher if nobody)."""

    config: CollectionConfig
    teacher_path: Path
    folder: Path
    source: Source
    student_path: Path | None = None


@dataclass(frozen=True)
class BatchJob:
    """Robots that are rolled out together, and all a process needs to do so."""

    robots: tuple[Morphology, ...]
    plan: RecordingPlan


@dataclass(frozen=True)
class _Recording:
    """Samples of all robots of a batch: (T, rows, F), (T, rows, J), (T, E, P) or None."""

    packing: Packing
    observation: Array
    action: Array
    action_mean: Array
    terrain: Array | None
    unfinished_return: Array  # (E,) rewards of episodes that had not ended
    episodes: EpisodeBatch

    def of_robot(self, robot: int, samples: int) -> ShardArrays:
        """The first ``samples`` samples of a robot, step by step."""
        rows = self.packing.robot_rows[robot]
        limbs = self.packing.limb_counts[robot]
        environments = self.packing.robot_environments[robot]

        def per_sample(array: Array) -> Array:
            flat: Array = array[:, rows].reshape(-1, limbs, array.shape[-1])[:samples]
            return flat

        terrain = None
        if self.terrain is not None:
            terrain = self.terrain[:, environments].reshape(-1, self.terrain.shape[-1])[:samples]
        return ShardArrays(
            per_sample(self.observation),
            per_sample(self.action),
            per_sample(self.action_mean),
            terrain,
        )

    def statistics(self, robot: int) -> EpisodeStatistics:
        """Of each simulation's first episode, as far as it came in the steps recorded.

        Ended episodes alone would judge a robot that rarely falls by its falls.
        """
        first = (self.episodes.robot == robot) & (self.episodes.episode == 0)
        environments = self.packing.robot_environments[robot]
        returns = np.array(self.unfinished_return[environments], np.float64)
        lengths = np.full(len(returns), float(len(self.observation)))
        simulation = self.episodes.simulation[first]
        returns[simulation] = self.episodes.episode_return[first]
        lengths[simulation] = self.episodes.length[first]
        return EpisodeStatistics(
            episodes=len(returns),
            mean_return=float(returns.mean()),
            mean_length=float(lengths.mean()),
            fall_fraction=float(self.episodes.terminated[first].sum() / len(returns)),
        )


def record_batch(job: BatchJob, should_stop: ShouldStop) -> list[RobotOutcome]:
    """Roll the teacher out on a batch and write the shards of the robots it is good enough on."""
    config = job.plan.config
    recording = _record(job, should_stop)
    outcomes: list[RobotOutcome] = []
    for index, robot in enumerate(job.robots):
        arrays = recording.of_robot(index, config.samples_per_robot)
        _check_finite(robot, arrays)
        statistics = recording.statistics(index)
        if _is_good_enough(config, statistics):
            outcomes.append(_write(job, robot, arrays, statistics))
        else:
            outcomes.append(
                DroppedRobot(name=robot.name, robot_digest=robot.digest, statistics=statistics)
            )
    return outcomes


def _is_good_enough(config: CollectionConfig, statistics: EpisodeStatistics) -> bool:
    """Whether the teacher passes every filter that is set."""
    least, most = config.minimum_return, config.maximum_fall_fraction
    earns = least is None or statistics.mean_return >= least
    stands = most is None or statistics.fall_fraction <= most
    return earns and stands


def _check_finite(robot: Morphology, arrays: ShardArrays) -> None:
    for name, array in arrays.tensors().items():
        if not all_finite(array):
            raise DatasetError(
                f"{robot.name}: {name} became a number that is not finite, so the teacher has"
                " diverged; collect from another one"
            )


def _actor(job: BatchJob, path: Path) -> Actor:
    config = job.plan.config
    return CheckpointActors(path).actor(job.robots, config.simulations_per_robot, config.seed)


def _record(job: BatchJob, should_stop: ShouldStop) -> _Recording:
    config = job.plan.config
    teacher = _actor(job, job.plan.teacher_path)
    student_path = job.plan.student_path
    student = None if student_path is None else _actor(job, student_path)
    environment = VectorEnvironment(
        job.robots, config.task, config.simulations_per_robot, config.seed
    )
    environment.reset()
    packing = environment.packing
    noise = _Noise(job.robots, packing, config.seed, teacher.std if config.stochastic else 0.0)
    slots = job.robots[0].joint_mask.shape[1]
    shape = (config.steps, packing.num_rows)
    observation = np.empty((*shape, environment.observation.shape[1]), np.float32)
    action = np.empty((*shape, slots), np.float32)
    action_mean = np.empty_like(action)
    terrain = None
    if environment.terrain is not None:
        terrain = np.empty((config.steps, *environment.terrain.shape), np.float16)
    running = np.zeros(packing.num_environments)
    for step in range(config.steps):
        if should_stop():
            raise StopRequestedError("stopped while a batch of robots was rolled out")
        observation[step] = environment.observation
        drawn = noise.draw()
        action_mean[step] = teacher.means(environment.observation, environment.terrain)
        np.add(action_mean[step], drawn, out=action[step])
        if terrain is not None and environment.terrain is not None:
            terrain[step] = environment.terrain
        taken = action[step]
        if student is not None:
            taken = student.means(environment.observation, environment.terrain) + drawn
        environment.step(taken)
        running += environment.reward
        running[environment.terminated | environment.truncated] = 0.0
        if step % _STEPS_PER_REDRAW == _STEPS_PER_REDRAW - 1:
            environment.redraw_terrain()
    episodes = environment.finished_episodes()
    return _Recording(packing, observation, action, action_mean, terrain, running, episodes)


class _Noise:
    """What sampling adds to action means, from one stream per robot; zero without a hinge."""

    def __init__(
        self, robots: tuple[Morphology, ...], packing: Packing, seed: int, std: float
    ) -> None:
        self._streams = [
            (rows, robot, generator(seed, "collection-noise", robot.digest))
            for robot, rows in zip(robots, packing.robot_rows, strict=True)
        ]
        self._std = std
        self._per_robot = packing.per_robot
        slots = robots[0].joint_mask.shape[1]
        self._noise = np.zeros((packing.num_rows, slots), np.float32)

    def draw(self) -> Array:
        """The noise of the next step: (rows, J), overwritten by the following one."""
        if self._std == 0.0:
            return self._noise
        for rows, robot, rng in self._streams:
            shape = (self._per_robot, *robot.joint_mask.shape)
            drawn = self._std * rng.standard_normal(shape) * robot.joint_mask
            self._noise[rows] = drawn.reshape(-1, shape[-1])
        return self._noise


def _write(
    job: BatchJob, robot: Morphology, arrays: ShardArrays, statistics: EpisodeStatistics
) -> Shard:
    path = shard_path(robot.name)
    folder, source = job.plan.folder, job.plan.source
    sha256 = write_shard(folder / path, arrays, robot.digest, source)
    try:
        save_robot(robot, folder / "robots")
    except OSError as error:
        raise unwritable(folder / "robots", error) from error
    return Shard(
        name=robot.name,
        robot_digest=robot.digest,
        num_limbs=robot.num_limbs,
        path=path,
        robot_path=robot_path(robot.name),
        sha256=sha256,
        samples=arrays.samples,
        moments=row_moments(arrays.observation),
        statistics=statistics,
    )


def row_moments(observation: Array) -> Moments:
    """Moments of limb rows (S, L, F) in float64."""
    rows = observation.reshape(-1, observation.shape[-1]).astype(np.float64)
    return Moments(
        count=len(rows),
        mean=tuple(rows.mean(axis=0).tolist()),
        variance=tuple(rows.var(axis=0).tolist()),
    )
