"""Episodes of one policy on one robot, the same whatever else is evaluated.

A robot is always evaluated alone: the last bits of a matrix product depend on the size of the
batch it is part of, and a walking robot is chaotic. Resets, random actions and noise of an episode
depend on seed, robot and episode, however many are run. What a network does in it does not quite:
the batch is as large as there are simulations, so episodes of a network are those of another
evaluation where that has the same number of episodes, and close relatives where it has not.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.config.evaluation import EvaluationConfig
from engine.environments import EpisodeBatch, VectorEnvironment
from engine.errors import StopRequestedError
from engine.evaluation.recordings import Recordings
from engine.events import Episode
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.rollout.actors import Actor, ActorFactory
from engine.rollout.processes import ShouldStop

MAX_SIMULATIONS = 64
"""Simulations side by side; episode k is the (k // 64)th of simulation k % 64, of however many."""


@dataclass(frozen=True)
class EpisodesJob:
    """One policy on one robot; picklable."""

    label: str
    actors: ActorFactory
    robot: Morphology
    config: EvaluationConfig
    recordings: Recordings | None = None


@dataclass(frozen=True)
class JudgedRobot:
    """Episodes of one policy on one robot, and the seconds that nobody could have saved."""

    episodes: tuple[Episode, ...]
    steps: int
    simulation_s: float
    inference_s: float


def run_episodes(job: EpisodesJob, should_stop: ShouldStop) -> JudgedRobot:
    """All episodes of a job, in order of their numbers."""
    simulations = min(job.config.episodes, MAX_SIMULATIONS)
    environment = VectorEnvironment(
        [job.robot], job.config.task, simulations, job.config.seed, seed_episodes=True
    )
    kept = job.recordings
    recorders = kept.watch(environment, job.config.episodes) if kept else {}
    environment.reset()
    actor = job.actors.actor([job.robot], simulations, job.config.seed)
    noise = _noise(job, actor, simulations)
    ended: list[EpisodeBatch] = []
    remaining = np.bincount(np.arange(job.config.episodes) % MAX_SIMULATIONS)
    simulation_s = inference_s = 0.0
    steps = 0
    while remaining.any():
        if should_stop():
            raise StopRequestedError("stopped while episodes were running")
        started = time.perf_counter()
        means = actor.means(environment.observation, environment.terrain)
        acted = time.perf_counter()
        environment.step(means if noise is None else means + noise.draw(means))
        inference_s += acted - started
        simulation_s += time.perf_counter() - acted
        steps += simulations
        over = environment.terminated | environment.truncated
        if over.any():
            ended.append(environment.finished_episodes())
            remaining[over] = np.maximum(remaining[over] - 1, 0)
    if kept:
        kept.write(job.robot, recorders, job.config.seed)
    return JudgedRobot(_episodes(job, ended), steps, simulation_s, inference_s)


class _Noise:
    """Sampling noise of one robot's actions, from one stream per simulation."""

    def __init__(self, streams: Sequence[np.random.Generator], std: float) -> None:
        self._streams = streams
        self._std = std

    def draw(self, means: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Noise for the next step, of the shape of ``means``."""
        shape = (len(means) // len(self._streams), *means.shape[1:])
        drawn = np.concatenate([rng.standard_normal(shape) for rng in self._streams])
        noise: npt.NDArray[np.floating] = (self._std * drawn).astype(means.dtype)
        return noise


def _noise(job: EpisodesJob, actor: Actor, simulations: int) -> _Noise | None:
    if job.config.deterministic or actor.std == 0.0:
        return None
    use = (job.config.seed, "evaluation-noise", job.robot.digest)
    return _Noise([generator(*use, simulation) for simulation in range(simulations)], actor.std)


def _episodes(job: EpisodesJob, ended: Sequence[EpisodeBatch]) -> tuple[Episode, ...]:
    """The wanted episodes; a simulation that was done early went on to ones that do not count."""
    found = {}
    for batch in ended:
        for index in range(len(batch)):
            place = int(batch.episode[index]) * MAX_SIMULATIONS + int(batch.simulation[index])
            if place < job.config.episodes:
                found[place] = _episode(job, batch, index, place)
    return tuple(found[place] for place in sorted(found))


def _episode(job: EpisodesJob, batch: EpisodeBatch, index: int, place: int) -> Episode:
    return Episode(
        policy=job.label,
        robot_digest=job.robot.digest,
        task=job.config.task.name,
        seed=job.config.seed,
        episode=place,
        episode_return=float(batch.episode_return[index]),
        length=int(batch.length[index]),
        terminated=bool(batch.terminated[index]),
        distance_m=float(batch.distance_m[index]),
        mean_speed_m_s=float(batch.mean_speed_m_s[index]),
        energy_j=float(batch.energy[index]),
    )
