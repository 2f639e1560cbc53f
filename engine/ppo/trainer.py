"""One process's part of a training run: collect, estimate advantages, update."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import prefixed, select
from engine.config.teacher import TeacherConfig
from engine.morphology.tree import Morphology
from engine.policies.build import build_critic, build_policy
from engine.policies.gaussian import ActionDeviation
from engine.policies.limb_network import fuse_layers
from engine.policies.moments import ObservationMoments
from engine.policies.precision import precision_on
from engine.policies.robots import robot_batch
from engine.policies.widths import network_widths
from engine.ppo.exchange import Exchange
from engine.ppo.learner import Batch, Learner, Targets, UpdateSummary, adapted_rate, cosine_rate
from engine.ppo.objective import discounted_sums, generalized_advantages
from engine.ppo.simulators import Arrays, CollectionSummary, Simulations
from engine.random import torch_seed
from engine.rollout.collect import Acting, Actor, collect
from engine.rollout.rollout import Rollout

_REWARD_CLIP = 10.0
_VARIANCE_FLOOR = 1e-8


@dataclass(frozen=True)
class IterationSummary:
    """What an iteration did; its collection is this process's own, the rest is common to all."""

    collection: CollectionSummary
    update: UpdateSummary
    explained_variance: float
    learning_rate: float


class Trainer:
    """Robots of one process and everything that learns from them.

    The networks are the same in every process: they start from the same seed and take the same
    steps, because gradients and statistics are summed before each one.
    """

    def __init__(
        self,
        config: TeacherConfig,
        robots: Sequence[Morphology],
        simulations: Simulations,
        device: torch.device,
        rank: int = 0,
    ) -> None:
        self.config = config
        self.rank = rank
        self.device = device
        self.simulations = simulations
        self.digests = tuple(robot.digest for robot in robots)
        self._morphologies = tuple(robots)
        self._precision = precision_on(device, config.precision)
        points = simulations.terrain_points
        build = (config.network, config.task.name, points, self.digests)
        self.policy = build_policy(*build, torch_seed(config.seed, "policy")).to(self.device)
        self.critic = build_critic(*build, torch_seed(config.seed, "critic")).to(self.device)
        self.deviation = ActionDeviation(
            config.ppo.action_std, learned=config.ppo.learn_action_std
        ).to(self.device)
        if config.compiled and device.type == "cuda":
            fuse_layers(self.policy)
            fuse_layers(self.critic)
        self.return_moments = ObservationMoments(1)
        self.learner = Learner(
            config.ppo,
            self.policy,
            self.critic,
            self.deviation,
            seed=config.seed,
            precision=self._precision,
            graphs=config.cuda_graphs,
        )
        self._actor = Actor(
            self.policy,
            self.critic,
            self.deviation,
            device,
            self._precision,
            graphs=config.cuda_graphs and device.type == "cuda",
        )
        self._take_robots()
        self.learning_rate = config.ppo.learning_rate
        self.iteration = 0
        self.env_steps = 0
        self.trained_s = 0.0
        self._kept: tuple[dict[str, Tensor], Arrays, dict[str, float]] | None = None

    def _take_robots(self) -> None:
        """Make room for what the robots at work will do."""
        at_work = [self._morphologies[robot] for robot in self.simulations.robots]
        self.robots = robot_batch(at_work, self.device)
        live = self.robots.packing(self.config.simulations_per_robot)
        family = network_widths(self.simulations.terrain_points)
        self._joint_slots = family.joint_slots
        widths = (family.observation, family.joint_slots, family.terrain_points)
        self.rollout = Rollout(live, self.config.ppo.horizon, widths, self.device)
        self.discounted = torch.zeros(live.num_environments, dtype=torch.float64)
        self._groups = self.simulations.groups(live)
        self._acting = [Acting(self._actor, group) for group in self._groups]

    def _collect(self, pause: Callable[[], None]) -> CollectionSummary:
        """Fill the rollout."""
        noise = []
        for index, group in enumerate(self._groups):
            seed = self.simulations.noise_seed(self.iteration, index)
            source = torch.Generator().manual_seed(seed)
            shape = (self.rollout.horizon, group.part.live.num_rows, self._joint_slots)
            noise.append(torch.randn(shape, generator=source).to(self.device))
        seconds = collect(
            self._groups, self._acting, self._actor, self.robots, self.rollout, noise, pause
        )
        return self.simulations.summary(seconds)

    def warm_up_moments(self, exchange: Exchange, pause: Callable[[], None]) -> None:
        """Collect once before learning, so that moments exist when the first update needs them."""
        self._collect(pause)
        self._merge_moments(exchange)
        self._count_steps(exchange)

    def iterate(self, exchange: Exchange, pause: Callable[[], None]) -> IterationSummary:
        """Collect once, update once; ``pause`` is called between the steps of both.

        An update that diverged stands in the summary: whoever gets it tells it, then gives up.
        """
        if self.simulations.begin(self.iteration):
            self._take_robots()
        collection = self._collect(pause)
        all_robots = self._count_steps(exchange)
        targets, explained = self._targets(exchange)
        self._set_cosine_rate()
        batch = Batch(self.rollout, targets, self.robots, self.iteration, all_robots)
        update = self.learner.update(batch, self.learning_rate, exchange, pause)
        rate = self.learning_rate
        if update.divergence is None:
            self._adapt_rate(update)
            # Only now: the update must see observations as the acting policy saw them.
            self._merge_moments(exchange)
        return IterationSummary(collection, update, explained, rate)

    def _count_steps(self, exchange: Exchange) -> int:
        """Advance the counters; returns how many robots all processes simulated."""
        robots = exchange.sum_statistics(np.array([float(len(self.simulations.robots))]))
        all_robots = int(robots[0])
        self.env_steps += all_robots * self.rollout.packing.per_robot
        self.iteration += 1
        return all_robots

    def _set_cosine_rate(self) -> None:
        ppo = self.config.ppo
        if ppo.schedule == "cosine":
            steps = self.env_steps / self.iteration
            iterations = max(round(self.config.total_env_steps / steps), 1)
            self.learning_rate = cosine_rate(
                ppo.learning_rate, self.iteration - 1, ppo.warmup_iterations, iterations
            )

    def _adapt_rate(self, update: UpdateSummary) -> None:
        ppo = self.config.ppo
        if ppo.schedule == "adaptive":
            self.learning_rate = adapted_rate(
                self.learning_rate, update.last_kl, ppo.target_kl, ppo.learning_rate_limits
            )

    def _targets(self, exchange: Exchange) -> tuple[Targets, float]:
        """Standardised advantages and value targets, and the explained variance."""
        rollout, ppo = self.rollout, self.config.ppo
        device = self.device
        scale = torch.rsqrt(self.return_moments.variance[0] + _VARIANCE_FLOOR).to(torch.float32)
        # By the spread of returns, not of rewards: values are then of one size for every robot.
        rewards = (rollout.reward * scale).clamp(-_REWARD_CLIP, _REWARD_CLIP).to(device)
        advantages = generalized_advantages(
            rewards,
            rollout.value,
            rollout.final_value,
            rollout.last_value,
            rollout.terminated.to(device),
            rollout.truncated.to(device),
            (ppo.discount, ppo.gae_lambda),
        )
        value_targets = advantages + rollout.value
        explained = _explained_variance(rollout.value, value_targets, exchange)
        per_robot = rollout.per_sample(advantages)
        targets = Targets(
            advantages=self._standardized(per_robot, exchange),
            old_log_probabilities=rollout.per_sample(rollout.log_probability),
            old_values=rollout.per_sample(rollout.value),
            value_targets=rollout.per_sample(value_targets),
        )
        return targets, explained

    def _standardized(self, advantages: Tensor, exchange: Exchange) -> Tensor:
        """Advantages (R, S) with mean 0 and standard deviation 1."""
        if self.config.ppo.advantage_scope == "robot":
            deviation, average = torch.std_mean(advantages, dim=1, keepdim=True)
            standardized: Tensor = (advantages - average) / (deviation + _VARIANCE_FLOOR)
            return standardized
        # Over all processes: by its own numbers each would scale its robots' part of a common step.
        mean, variance = _mean_and_variance(advantages, exchange)
        return (advantages - mean) / (math.sqrt(variance) + _VARIANCE_FLOOR)

    @torch.no_grad()
    def _merge_moments(self, exchange: Exchange) -> None:
        """Take the rollout into the moments of observations and returns.

        In float64 sums about the present mean: of squares alone a distant mean would leave noise.
        """
        rollout, robots = self.rollout, self.robots
        for network in (self.policy, self.critic):
            deviations = network.deviations(rollout.observation, rollout.packing, robots)
            network.moments.merge(_summed(deviations, exchange))
        ended = rollout.terminated | rollout.truncated
        sums, self.discounted = discounted_sums(
            rollout.reward.to(torch.float64), ended, self.discounted, self.config.ppo.discount
        )
        returns = sums.view(1, -1, 1)
        self.return_moments.merge(_summed(self.return_moments.deviations(returns), exchange))

    def common_state(self) -> dict[str, Tensor]:
        """What is the same in every process: weights, moments, the optimiser."""
        return {
            **prefixed("controller", dict(self.policy.state_dict())),
            **prefixed("critic", dict(self.critic.state_dict())),
            **prefixed("deviation", dict(self.deviation.state_dict())),
            **prefixed("returns", dict(self.return_moments.state_dict())),
            **self.learner.state(),
        }

    def own_state(self) -> Arrays:
        """What is this process's own: its simulations and what their rewards came to so far."""
        return {"discounted": self.discounted.numpy().copy(), **self.simulations.state()}

    def keep(self) -> None:
        """Remember where it stands, so that what follows can be given up."""
        self._kept = (
            {name: tensor.clone() for name, tensor in self.common_state().items()},
            {name: np.array(values) for name, values in self.own_state().items()},
            self.progress(),
        )

    def go_back(self) -> None:
        """Be again as ``keep`` found it."""
        if self._kept is not None:
            self.restore(*self._kept)

    def progress(self) -> dict[str, float]:
        """The counters that a checkpoint holds."""
        return {
            "iteration": self.iteration,
            "env_steps": self.env_steps,
            "learning_rate": self.learning_rate,
            "trained_s": self.trained_s,
        }

    def time_is_up(self, more_s: float = 0.0) -> bool:
        """The time for the training is over ``more_s`` seconds after its last iteration."""
        limit_s = self.config.time_limit_s
        return bool(limit_s) and self.trained_s + more_s >= limit_s

    @property
    def over(self) -> bool:
        """All steps are done, or the time for them is up."""
        return self.time_is_up() or self.env_steps >= self.config.total_env_steps

    def restore(
        self, tensors: Mapping[str, Tensor], own: Arrays, progress: dict[str, float]
    ) -> None:
        """Continue from a ``common_state``, this process's own state and the counters."""
        self.iteration = int(progress["iteration"])
        self.env_steps = int(progress["env_steps"])
        self.trained_s = progress["trained_s"]
        self.learning_rate = progress["learning_rate"]
        self.policy.load_state_dict(select(tensors, "controller"))
        self.critic.load_state_dict(select(tensors, "critic"))
        self.deviation.load_state_dict(select(tensors, "deviation"))
        self.return_moments.load_state_dict(select(tensors, "returns"))
        self.learner.restore(tensors)
        self.simulations.restore(own, self.iteration)
        self._take_robots()
        self.discounted.copy_(torch.from_numpy(np.asarray(own["discounted"])))


def _summed(deviations: Tensor, exchange: Exchange) -> Tensor:
    total = exchange.sum_statistics(deviations.cpu().numpy())
    return torch.from_numpy(total.copy()).to(deviations.device)


def _mean_and_variance(values: Tensor, exchange: Exchange) -> tuple[float, float]:
    """Mean and variance of the values of all processes."""
    wide = values.to(torch.float64)
    sums = torch.stack([torch.ones_like(wide).sum(), wide.sum(), wide.square().sum()])
    count, total, squares = exchange.sum_statistics(sums.cpu().numpy())
    mean = total / count
    return float(mean), float(max(squares / count - mean**2, 0.0))


def _explained_variance(values: Tensor, targets: Tensor, exchange: Exchange) -> float:
    """Part of the targets' variance that the values explain: 1 is perfect, 0 is the mean."""
    _, variance = _mean_and_variance(targets, exchange)
    _, unexplained = _mean_and_variance(targets - values, exchange)
    return 0.0 if variance == 0.0 else 1.0 - unexplained / variance  # NaN stays NaN
