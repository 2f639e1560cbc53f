"""The simulations one process owns: which robots are at work, and their episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from engine.config.teacher import TeacherConfig
from engine.environments import VectorEnvironment
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.policies.robots import robot_batch
from engine.ppo.reports import EpisodeWindow
from engine.random import torch_seed
from engine.rollout.collect import CollectionSeconds, OwnSimulation, Simulation
from engine.rollout.rollout import whole

Arrays = dict[str, npt.NDArray[np.generic]]


def robot_split(limb_counts: Sequence[int], processes: int) -> tuple[tuple[int, ...], ...]:
    """Robot indices of each process: numbers differ by one at most, limbs are spread evenly.

    Robots are dealt by size, back and forth, so that every process computes about as much: at
    every gradient step all of them wait for the slowest.
    """
    order = sorted(range(len(limb_counts)), key=lambda robot: (-limb_counts[robot], robot))
    owned: list[list[int]] = [[] for _ in range(processes)]
    for position, robot in enumerate(order):
        lap, place = divmod(position, processes)
        owned[place if lap % 2 == 0 else processes - 1 - place].append(robot)
    return tuple(tuple(sorted(robots)) for robots in owned)


def robots_in_rotation(owned: Sequence[int], slots: int, rotation: int) -> tuple[int, ...]:
    """Which of a process's robots are simulated in a rotation; in the end all equally often."""
    if slots >= len(owned):
        return tuple(owned)
    first = rotation * slots
    return tuple(owned[(first + slot) % len(owned)] for slot in range(slots))


def groups_at_work(
    config: TeacherConfig, limb_counts: Sequence[int], rank: int, rotation: int, groups: int
) -> tuple[tuple[int, ...], ...]:
    """Indices of a process's robots that are simulated in a rotation, dealt into groups."""
    own = robot_split(limb_counts, config.processes)[rank]
    slots = -(-config.robots_at_once // config.processes) or len(own)
    at_work = robots_in_rotation(own, slots, rotation)
    if groups == 1:
        return (at_work,)
    split = robot_split([limb_counts[robot] for robot in at_work], groups)
    return tuple(tuple(at_work[place] for place in part) for part in split)


@dataclass(frozen=True)
class Seconds:
    """Where the time of a process's simulations went."""

    physics: float
    observation: float


Storage = Mapping[str, npt.NDArray[np.generic]]


class Simulators:
    """Environments and episode accounts of one process's robots, in groups stepped in turn.

    ``environments`` holds one environment a group, None where it has no robots. Their arrays lie in
    ``storage``, one mapping a group, where that is given.
    """

    environments: tuple[VectorEnvironment | None, ...]
    members: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        config: TeacherConfig,
        robots: Sequence[Morphology],
        rank: int,
        storage: Sequence[Storage | None] = (None,),
    ) -> None:
        self._config = config
        self._morphologies = tuple(robots)
        self._limb_counts = [robot.num_limbs for robot in robots]
        self._rank = rank
        self._storage = tuple(storage)
        self.window = EpisodeWindow(len(robots))
        self.members = ()
        self._rotate_to(0)

    def _rotate_to(self, rotation: int) -> None:
        """Simulate the robots of a rotation, from their first step on."""
        self.rotation = rotation
        groups = len(self._storage)
        members = groups_at_work(self._config, self._limb_counts, self._rank, rotation, groups)
        if members == self.members:
            return
        self.members = members
        self._taken = Seconds(0.0, 0.0)
        # The name "turn" is part of every seeded result: another would change them all.
        seed = torch_seed(self._config.seed, "turn", rotation)
        self.environments = tuple(
            self._environment(robots, seed, storage) if robots else None
            for robots, storage in zip(members, self._storage, strict=True)
        )

    def _environment(
        self, members: Sequence[int], seed: int, storage: Storage | None
    ) -> VectorEnvironment:
        config = self._config
        environment = VectorEnvironment(
            [self._morphologies[robot] for robot in members],
            config.task,
            config.simulations_per_robot,
            seed,
            storage=storage,
        )
        environment.reset()
        return environment

    def begin(self, iteration: int) -> bool:
        """Change robots and courses where an iteration is due to; whether the robots changed."""
        rotation = iteration // self._config.rotation_iterations
        if rotation == self.rotation:
            return False
        before = self.members
        self._rotate_to(rotation)
        for environment in self.present:
            environment.redraw_terrain()
        return self.members != before

    @property
    def present(self) -> list[VectorEnvironment]:
        """The environments of groups that have robots."""
        return [environment for environment in self.environments if environment is not None]

    def take_seconds(self) -> Seconds:
        """Time spent by the environments since the last call."""
        timings = [environment.timings for environment in self.present]
        now = Seconds(
            sum(timing.physics_s for timing in timings),
            sum(timing.observation_s for timing in timings),
        )
        before, self._taken = self._taken, now
        return Seconds(now.physics - before.physics, now.observation - before.observation)

    def note_episodes(self) -> int:
        """Take note of the episodes that ended; how many of them blew up."""
        exploded = 0
        for environment, members in zip(self.environments, self.members, strict=True):
            if environment is not None:
                episodes = environment.finished_episodes()
                self.window.add(episodes, members)
                exploded += int(episodes.exploded.sum())
        return exploded

    def state(self) -> Arrays:
        """All it needs to go on bit for bit."""
        arrays = _prefixed("window", self.window.state())
        for name, environment in self._named():
            arrays |= _prefixed(name, environment.state())
        return arrays

    def restore(self, state: Storage, iteration: int) -> None:
        """Continue from a ``state`` that was taken before ``iteration``."""
        rotation = max(iteration - 1, 0) // self._config.rotation_iterations
        if rotation != self.rotation:
            self._rotate_to(rotation)
        for name, environment in self._named():
            environment.restore(_under(state, name))
        self.window.restore(_under(state, "window"))

    def _named(self) -> list[tuple[str, VectorEnvironment]]:
        """The environments under the names they have in a ``state``."""
        return [
            (f"environment-{group}" if group else "environment", environment)
            for group, environment in enumerate(self.environments)
            if environment is not None
        ]


@dataclass(frozen=True)
class CollectionSummary:
    """Where a collection's time went, and how many simulations blew up."""

    physics_s: float
    observation_s: float
    inference_s: float
    exploded: int


class Simulations(Protocol):
    """The robots a trainer learns from, wherever they are simulated."""

    terrain_points: int
    """Heights a robot sees: 0 on flat ground."""

    @property
    def robots(self) -> tuple[int, ...]:
        """Indices of those at work."""
        ...

    def begin(self, iteration: int) -> bool:
        """Change robots and courses where an iteration is due to; whether the robots changed."""
        ...

    def groups(self, live: Packing) -> Sequence[Simulation]:
        """The robots at work, packed by ``live``, in groups that are stepped in turn."""
        ...

    def noise_seed(self, iteration: int, group: int) -> int:
        """Seed of the noise on a group's actions."""
        ...

    def summary(self, seconds: CollectionSeconds) -> CollectionSummary:
        """Of the collection that has just ended; takes note of its episodes."""
        ...

    def episode_means(self) -> dict[int, dict[str, float]]:
        """Mean numbers of the latest episodes of every robot that has ended one."""
        ...

    def state(self) -> Arrays:
        """All they need to go on bit for bit."""
        ...

    def restore(self, state: Storage, iteration: int) -> None:
        """Continue from a ``state`` that was taken before ``iteration``."""
        ...


class OwnSimulations:
    """Simulations in the process that learns from them, in one group."""

    def __init__(
        self, config: TeacherConfig, robots: Sequence[Morphology], rank: int, device: torch.device
    ) -> None:
        self._config = config
        self._morphologies = tuple(robots)
        self._rank = rank
        self._device = device
        self._simulators = Simulators(config, robots, rank)
        terrain = self._environment.terrain
        self.terrain_points = 0 if terrain is None else terrain.shape[1]

    @property
    def robots(self) -> tuple[int, ...]:
        """Indices of those at work."""
        return self._simulators.members[0]

    @property
    def _environment(self) -> VectorEnvironment:
        (environment,) = self._simulators.present
        return environment

    def begin(self, iteration: int) -> bool:
        """Change robots and courses where an iteration is due to; whether the robots changed."""
        return self._simulators.begin(iteration)

    def groups(self, live: Packing) -> Sequence[Simulation]:
        """All of them as one group."""
        robots = robot_batch([self._morphologies[robot] for robot in self.robots], self._device)
        return [OwnSimulation(self._environment, robots, whole(live), self._device)]

    def noise_seed(self, iteration: int, group: int) -> int:
        """Every process draws its own."""
        return torch_seed(self._config.seed, "noise", iteration, self._rank)

    def summary(self, seconds: CollectionSeconds) -> CollectionSummary:
        """Time as the environment took it."""
        own = self._simulators.take_seconds()
        return CollectionSummary(
            physics_s=own.physics,
            observation_s=own.observation,
            inference_s=seconds.inference,
            exploded=self._simulators.note_episodes(),
        )

    def episode_means(self) -> dict[int, dict[str, float]]:
        """Mean numbers of the latest episodes."""
        return self._simulators.window.means()

    def state(self) -> Arrays:
        """All they need to go on bit for bit."""
        return self._simulators.state()

    def restore(self, state: Storage, iteration: int) -> None:
        """Continue from a ``state``."""
        self._simulators.restore(state, iteration)


def _prefixed(prefix: str, state: Storage) -> Arrays:
    return {f"{prefix}.{name}": values for name, values in state.items()}


def _under(state: Storage, prefix: str) -> Arrays:
    start = f"{prefix}."
    return {name[len(start) :]: values for name, values in state.items() if name.startswith(start)}
