"""The simulations one process owns: which robots are on turn, and what their rollouts yield."""

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
from engine.ppo.advantages import discounted_sums
from engine.ppo.episode_window import EpisodeWindow
from engine.ppo.shares import robots_on_turn, split_robots
from engine.random import torch_seed
from engine.rollout.collect import Actor, collect
from engine.rollout.rollout import Rollout

Arrays = dict[str, npt.NDArray[np.generic]]


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
        self._share = split_robots(limb_counts, config.processes)[rank]
        self.window = EpisodeWindow(len(robots))
        self._on_turn: tuple[int, ...] = ()
        self._take_turn(0)

    @property
    def robots_on_turn(self) -> int:
        """Robots simulated now."""
        return len(self._on_turn)

    @property
    def terrain_points(self) -> int:
        """Heights a robot sees: 0 on flat ground."""
        terrain = self.environment.terrain
        return 0 if terrain is None else terrain.shape[1]

    def _take_turn(self, turn: int) -> None:
        """Simulate the robots of a turn, from their first step on."""
        config = self._config
        seats = -(-config.robots_at_once // config.processes) or len(self._share)
        on_turn = robots_on_turn(self._share, seats, turn)
        self.turn = turn
        if on_turn == self._on_turn:
            return
        self._on_turn = on_turn
        robots = [self._morphologies[robot] for robot in on_turn]
        seed = torch_seed(config.seed, "turn", turn)
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
        turn = iteration // self._config.rotation_iterations
        if turn != self.turn:
            self._take_turn(turn)
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
        self.window.add(episodes, self._on_turn)
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
        turn = max(iteration - 1, 0) // self._config.rotation_iterations
        if turn != self.turn:
            self._take_turn(turn)
        self.discounted.copy_(torch.from_numpy(np.asarray(state["discounted"])))
        self.environment.restore(_under(state, "environment"))
        self.window.restore(_under(state, "window"))


def _under(state: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> Arrays:
    start = f"{prefix}."
    return {name[len(start) :]: values for name, values in state.items() if name.startswith(start)}
