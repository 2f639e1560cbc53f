"""The simulations one process owns: which robots are at work, and what their rollouts yield."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.config.teacher import TeacherConfig
from engine.environments import VectorEnvironment
from engine.morphology.tree import Morphology
from engine.policies.controller import RobotBatch
from engine.policies.robots import robot_batch
from engine.ppo.objective import discounted_sums
from engine.ppo.reports import EpisodeWindow
from engine.random import torch_seed
from engine.rollout.collect import Actor, collect
from engine.rollout.rollout import Rollout

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


@dataclass(frozen=True)
class CollectionSummary:
    """Where a collection's time went, and how many simulations blew up."""

    physics_s: float
    observation_s: float
    inference_s: float
    exploded: int


class Simulators:
    """Environments, rollout storage and episode accounts of one process's robots."""

    environment: VectorEnvironment
    robots: RobotBatch
    rollout: Rollout

    def __init__(
        self, config: TeacherConfig, robots: Sequence[Morphology], rank: int, device: torch.device
    ) -> None:
        self._config = config
        self._morphologies = tuple(robots)
        self._device = device
        self._rank = rank
        limb_counts = [robot.num_limbs for robot in robots]
        self._own = robot_split(limb_counts, config.processes)[rank]
        self.window = EpisodeWindow(len(robots))
        self._at_work: tuple[int, ...] = ()
        self._rotate_to(0)

    @property
    def robots_at_work(self) -> int:
        """Robots simulated now."""
        return len(self._at_work)

    @property
    def terrain_points(self) -> int:
        """Heights a robot sees: 0 on flat ground."""
        terrain = self.environment.terrain
        return 0 if terrain is None else terrain.shape[1]

    def _rotate_to(self, rotation: int) -> None:
        """Simulate the robots of a rotation, from their first step on."""
        config = self._config
        slots = -(-config.robots_at_once // config.processes) or len(self._own)
        at_work = robots_in_rotation(self._own, slots, rotation)
        self.rotation = rotation
        if at_work == self._at_work:
            return
        self._at_work = at_work
        robots = [self._morphologies[robot] for robot in at_work]
        # The name "turn" is part of every seeded result: another would change them all.
        seed = torch_seed(config.seed, "turn", rotation)
        self.environment = VectorEnvironment(
            robots, config.task, config.simulations_per_robot, seed
        )
        self.environment.reset()
        self.robots = robot_batch(robots, self._device)
        live = self.environment.packing
        widths = (self.environment.observation.shape[1], self._joint_slots(), self.terrain_points)
        self.rollout = Rollout(live, config.ppo.horizon, widths, self._device)
        self.discounted = torch.zeros(live.num_environments, dtype=torch.float64)

    def _joint_slots(self) -> int:
        return self.robots.buckets[0].joint_mask.shape[-1]

    def begin(self, iteration: int) -> None:
        """Change robots and courses where an iteration is due to."""
        rotation = iteration // self._config.rotation_iterations
        if rotation != self.rotation:
            self._rotate_to(rotation)
            self.environment.redraw_terrain()

    def collect(self, actor: Actor, iteration: int, pause: Callable[[], None]) -> CollectionSummary:
        """Fill ``rollout`` and take note of the episodes that ended."""
        before = self.environment.timings
        seed = torch_seed(self._config.seed, "noise", iteration, self._rank)
        source = torch.Generator().manual_seed(seed)
        shape = (self.rollout.horizon, self.rollout.live.num_rows, self._joint_slots())
        noise = torch.randn(shape, generator=source).to(self._device)
        inference_s = collect(self.environment, actor, self.rollout, noise, pause)
        episodes = self.environment.finished_episodes()
        self.window.add(episodes, self._at_work)
        after = self.environment.timings
        return CollectionSummary(
            physics_s=after.physics_s - before.physics_s,
            observation_s=after.observation_s - before.observation_s,
            inference_s=inference_s,
            exploded=int(episodes.exploded.sum()),
        )

    def discounted_returns(self) -> Tensor:
        """Discounted sums of past rewards for the rollout (T, E); continues the last rollout's."""
        rollout = self.rollout
        ended = rollout.terminated | rollout.truncated
        sums, self.discounted = discounted_sums(
            rollout.reward.to(torch.float64), ended, self.discounted, self._config.ppo.discount
        )
        return sums

    def state(self) -> Arrays:
        """All it needs to go on bit for bit."""
        arrays: Arrays = {"discounted": self.discounted.numpy().copy()}
        for prefix, state in (
            ("environment", self.environment.state()),
            ("window", self.window.state()),
        ):
            arrays |= {f"{prefix}.{name}": values for name, values in state.items()}
        return arrays

    def restore(self, state: Mapping[str, npt.NDArray[np.generic]], iteration: int) -> None:
        """Continue from a ``state`` that was taken before ``iteration``."""
        rotation = max(iteration - 1, 0) // self._config.rotation_iterations
        if rotation != self.rotation:
            self._rotate_to(rotation)
        self.discounted.copy_(torch.from_numpy(np.asarray(state["discounted"])))
        self.environment.restore(_under(state, "environment"))
        self.window.restore(_under(state, "window"))


def _under(state: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> Arrays:
    start = f"{prefix}."
    return {name[len(start) :]: values for name, values in state.items() if name.startswith(start)}
