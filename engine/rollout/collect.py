"""Fill a rollout: simulations step, the policy acts, the critic judges what was seen.

Robots come in groups that are stepped in turn: while one group's simulations step in their own
processes, the policy acts on the other. A process that simulates for itself has one group.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.environments import VectorEnvironment
from engine.morphology.packing import Packing
from engine.policies.controller import Encoding, RobotBatch
from engine.policies.gaussian import ActionDeviation, log_probability, packed_joint_mask
from engine.policies.graphs import Replay
from engine.policies.policy import Critic, Policy
from engine.policies.precision import Precision, computing
from engine.rollout.rollout import Part, Rollout

_VALUE_SAMPLES = {"cpu": 4096, "cuda": 65536}
"""Samples the critic judges at a time: more would not be faster, only larger."""

Array = npt.NDArray[np.generic]


class Simulation(Protocol):
    """Environments of one group of robots, wherever they are stepped.

    Between ``wait`` and ``step`` their arrays stand still: (E,), or packed rows.
    """

    robots: RobotBatch
    part: Part

    def step(self, actions: Tensor) -> None:
        """Begin a control step with actions (rows, J)."""
        ...

    def wait(self) -> None:
        """Be sure that the step is over."""
        ...

    def seen(self) -> tuple[Tensor, Tensor | None]:
        """Observation (rows, F) and terrain (E, P) or None, on the device, until the next step."""
        ...

    def outcome(self) -> tuple[Array, Array, Array]:
        """Reward, terminated and truncated of the last step, on the CPU."""
        ...

    def final(self, environments: npt.NDArray[np.int64]) -> tuple[list[Array], Array | None]:
        """What some environments, truncated in this step, saw last: a (L, F) each, and (n, P)."""
        ...


class OwnSimulation:
    """An environment of this process: a step is over when the call returns."""

    def __init__(
        self,
        environment: VectorEnvironment,
        robots: RobotBatch,
        part: Part,
        device: torch.device,
    ) -> None:
        self.robots = robots
        self.part = part
        self._environment = environment
        self._device = device

    def step(self, actions: Tensor) -> None:
        """Step all environments."""
        self._environment.step(actions.cpu().numpy())

    def wait(self) -> None:
        """Nothing to wait for."""

    def seen(self) -> tuple[Tensor, Tensor | None]:
        """What the environments see now."""
        terrain = self._environment.terrain
        seen = _tensor(self._environment.observation, self._device)
        return seen, None if terrain is None else _tensor(terrain, self._device)

    def outcome(self) -> tuple[Array, Array, Array]:
        """What the last step brought."""
        environment = self._environment
        return environment.reward, environment.terminated, environment.truncated

    def final(self, environments: npt.NDArray[np.int64]) -> tuple[list[Array], Array | None]:
        """What truncated environments saw last."""
        environment = self._environment
        rows = final_rows(environment.final_observation, self.part.live, environments)
        heights = environment.final_terrain
        return rows, None if heights is None else heights[environments]


def final_rows(
    observation: Array, packing: Packing, environments: npt.NDArray[np.int64]
) -> list[Array]:
    """Copies of the rows of some environments: a (L, F) each."""
    rows = []
    for environment in environments.tolist():
        position, place = divmod(environment, packing.per_robot)
        robot = packing.order[position]
        limbs = packing.limb_counts[robot]
        start = packing.robot_rows[robot].start + place * limbs
        rows.append(observation[start : start + limbs].copy())
    return rows


@dataclass(frozen=True)
class Actor:
    """What acts and judges, on which device and in which precision.

    ``graphs`` launches the policy's kernels as one (CUDA alone).
    """

    policy: Policy
    critic: Critic
    deviation: ActionDeviation
    device: torch.device
    precision: Precision = "float32"
    graphs: bool = False


class Acting:
    """A policy on the robots of one group; its encoding is computed once a collection."""

    def __init__(self, actor: Actor, group: Simulation) -> None:
        self._actor = actor
        self._live = group.part.live
        self._held: tuple[Tensor, Tensor | None]
        self._holds = False
        graphs = actor.graphs and actor.device.type == "cuda"
        self._encode: Replay[Encoding] = Replay(
            lambda: actor.policy.encode(group.robots), enabled=graphs
        )
        self._mean = Replay(self._means, enabled=graphs)

    def begin(self) -> None:
        """Read the robots with the policy as it is now."""
        self._encoding = self._encode()

    def _means(self) -> Tensor:
        observation, terrain = self._held
        return self._actor.policy.mean(self._encoding, observation, self._live, terrain)

    def means(self, observation: Tensor, terrain: Tensor | None) -> Tensor:
        """Action means (rows, J); good until the next call."""
        if not self._holds or not self._actor.graphs:
            self._held, self._holds = (observation, terrain), True
        else:
            held, held_terrain = self._held
            held.copy_(observation)
            if held_terrain is not None and terrain is not None:
                held_terrain.copy_(terrain)
        return self._mean()


@dataclass
class _Truncated:
    """What episodes that the clock ended saw last, kept until the critic judges all at once."""

    at: list[tuple[int, int]] = field(default_factory=list)
    """Step and environment, in the rollout's order."""
    rows: list[Array] = field(default_factory=list)
    terrain: list[Array] = field(default_factory=list)

    def take(self, step: int, group: Simulation, environments: npt.NDArray[np.int64]) -> None:
        """Keep what some of a group's environments saw last."""
        rows, terrain = group.final(environments)
        places = group.part.environments
        own = environments if isinstance(places, slice) else places.numpy()[environments]
        self.at += [(step, int(environment)) for environment in own]
        self.rows += rows
        if terrain is not None:
            self.terrain += list(terrain)

    def judge(
        self,
        rollout: Rollout,
        value: Callable[[Tensor, Packing, Tensor | None], Tensor],
        device: torch.device,
    ) -> None:
        """Write their values into the rollout."""
        if not self.at:
            return
        live = rollout.live
        counts = np.zeros(live.num_robots, np.int64)
        places = []
        for _, environment in self.at:
            position = environment // live.per_robot
            places.append((position, counts[position]))
            counts[position] += 1
        packing = live.with_per_robot(int(counts.max()))
        observation = np.zeros((packing.num_rows, self.rows[0].shape[1]), np.float32)
        terrain = None
        if self.terrain:
            shape = (packing.num_environments, len(self.terrain[0]))
            terrain = np.zeros(shape, np.float32)
        index = []
        for number, ((position, place), rows) in enumerate(zip(places, self.rows, strict=True)):
            start = packing.robot_rows[packing.order[position]].start + place * len(rows)
            observation[start : start + len(rows)] = rows
            index.append(position * packing.per_robot + place)
            if terrain is not None:
                terrain[index[-1]] = self.terrain[number]
        heights = None if terrain is None else _tensor(terrain, device)
        values = value(_tensor(observation, device), packing, heights)
        at = torch.tensor(self.at, device=device)
        rollout.final_value[at[:, 0], at[:, 1]] = values[torch.tensor(index, device=device)]


@dataclass(frozen=True)
class CollectionSeconds:
    """Where the acting process's time went: networks, and waiting for steps."""

    inference: float
    waiting: float


def collect(
    groups: Sequence[Simulation],
    acting: Sequence[Acting],
    actor: Actor,
    robots: RobotBatch,
    rollout: Rollout,
    noise: Sequence[Tensor],
    pause: Callable[[], None],
) -> CollectionSeconds:
    """Fill ``rollout`` with sampled actions of all groups; ``robots`` are all of them together.

    ``noise`` is standard normal, one (T, rows, J) a group. ``pause`` is called between steps, and
    may raise: then a group may be in the middle of a step.
    """
    clock = _Clock()
    truncated = _Truncated()
    rollout.final_value.zero_()
    with torch.inference_mode(), computing(actor.device, actor.precision):
        for own in acting:
            own.begin()
        critic_encoding = actor.critic.encode(robots)
        std = actor.deviation.log_std.exp()
        scaled_noise = [drawn * std for drawn in noise]
        clock.acted()
        for step in range(rollout.horizon):
            pause()
            for group, own, scaled in zip(groups, acting, scaled_noise, strict=True):
                if step:
                    group.wait()
                    clock.waited()
                    _write_outcome(group, rollout, step - 1, truncated)
                observation, terrain = group.seen()
                action = own.means(observation, terrain) + scaled[step]
                rollout.write_rows(rollout.observation, step, observation, group.part)
                rollout.write_rows(rollout.action, step, action, group.part)
                if terrain is not None:
                    rollout.write_terrain(step, terrain, group.part)
                clock.acted()
                group.step(action)
                clock.waited()
        for group in groups:
            group.wait()
            clock.waited()
            _write_outcome(group, rollout, rollout.horizon - 1, truncated)

        def value(seen: Tensor, packing: Packing, terrain: Tensor | None) -> Tensor:
            return actor.critic.value(critic_encoding, seen, packing, terrain).float()

        truncated.judge(rollout, value, actor.device)
        _judge(groups, rollout, value, pause)
        _rate(groups, actor, rollout, noise)
    clock.acted()
    return CollectionSeconds(clock.inference_s, clock.waiting_s)


class _Clock:
    """Adds up two kinds of time."""

    def __init__(self) -> None:
        self.inference_s = self.waiting_s = 0.0
        self._since = time.perf_counter()

    def acted(self) -> None:
        """The time since the last call went to networks."""
        now = time.perf_counter()
        self.inference_s += now - self._since
        self._since = now

    def waited(self) -> None:
        """The time since the last call went to simulations."""
        now = time.perf_counter()
        self.waiting_s += now - self._since
        self._since = now


def _write_outcome(group: Simulation, rollout: Rollout, step: int, truncated: _Truncated) -> None:
    """Rewards and ends of a step, and what truncated episodes ended in."""
    environments = group.part.environments
    reward, terminated, ended = group.outcome()
    rollout.reward[step, environments] = torch.from_numpy(reward)
    rollout.terminated[step, environments] = torch.from_numpy(terminated)
    rollout.truncated[step, environments] = torch.from_numpy(ended)
    if ended.any():
        truncated.take(step, group, np.flatnonzero(ended))


def _judge(
    groups: Sequence[Simulation],
    rollout: Rollout,
    value: Callable[[Tensor, Packing, Tensor | None], Tensor],
    pause: Callable[[], None],
) -> None:
    """Values of all that was seen, and of what is seen now."""
    device = rollout.observation.device
    samples = rollout.samples
    size = max(_VALUE_SAMPLES[device.type] // rollout.live.num_robots, 1)
    values = []
    for part in samples.tensor_split(list(range(size, len(samples), size))):
        pause()
        chosen = rollout.select(part)
        judged = value(chosen.observation, chosen.packing, chosen.terrain)
        values.append(judged.view(rollout.live.num_robots, -1))
    rollout.value.copy_(rollout.per_step(torch.cat(values, dim=1)))
    last = Rollout(rollout.live, 1, rollout.widths, device)
    for group in groups:
        observation, terrain = group.seen()
        last.write_rows(last.observation, 0, observation, group.part)
        if terrain is not None:
            last.write_terrain(0, terrain, group.part)
    rollout.last_value.copy_(value(last.observation, last.packing, last.terrain))


def _rate(
    groups: Sequence[Simulation], actor: Actor, rollout: Rollout, noise: Sequence[Tensor]
) -> None:
    """Log probabilities of the actions that were taken."""
    # The action is mean + std * noise, so its density needs the noise alone.
    log_std = actor.deviation.log_std
    for group, drawn in zip(groups, noise, strict=True):
        joint_mask = packed_joint_mask(group.robots, group.part.live)
        taken = drawn * log_std.exp()
        rated = log_probability(
            taken, torch.zeros_like(taken), log_std, joint_mask, group.part.live
        )
        environments = group.part.environments
        if not isinstance(environments, slice):
            environments = environments.to(actor.device)
        rollout.log_probability[:, environments] = rated


def _tensor(array: Array, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device=device, dtype=torch.float32)
