"""One iteration's updates: minibatches with equally many samples of every robot."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine.checkpoints import prefixed, select
from engine.config.teacher import PpoConfig
from engine.errors import DivergenceError
from engine.policies.controller import RobotBatch
from engine.policies.gaussian import ActionDeviation, log_probability, packed_joint_mask
from engine.policies.policy import Critic, Policy
from engine.ppo.exchange import Exchange
from engine.ppo.objective import (
    approximate_kl,
    clipped_policy_losses,
    clipped_value_losses,
    squared_value_losses,
)
from engine.random import generator
from engine.rollout.rollout import Rollout, Samples

_STATISTICS = ("policy_loss", "value_loss", "approximate_kl", "clip_fraction")
_LARGEST_KL = 20.0
"""Nats a gradient step may have moved the policy; those that learn stay a hundred times below."""
_RATE_STEP = 1.5
_ADVICE = "a lower ppo.learning_rate may hold"


class FlatParameters:
    """Views every parameter (and its gradient) as a slice of one vector, and steps it by Adam."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        members = list(parameters)
        self.vector = nn.Parameter(torch.cat([member.detach().reshape(-1) for member in members]))
        self.gradient = torch.zeros_like(self.vector.data)
        self.vector.grad = self.gradient
        first = 0
        for member in members:
            end = first + member.numel()
            member.data = self.vector.data[first:end].view_as(member)
            member.grad = self.gradient[first:end].view_as(member)
            first = end
        self.optimizer = torch.optim.Adam([self.vector], eps=1e-5, fused=True)

    def clear_gradient(self) -> None:
        """Set the gradient to zero, in place."""
        self.gradient.zero_()

    def clip_gradient(self, largest_norm: float) -> float:
        """Scale the gradient down to ``largest_norm`` and return the norm it had."""
        norm = float(self.gradient.norm())
        if norm > largest_norm:
            self.gradient.mul_(largest_norm / norm)
        return norm

    def step(self, learning_rate: float) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Adam's moments; the parameters are saved under their own names."""
        moments = self.optimizer.state[self.vector]
        zeros = torch.zeros_like(self.vector.data)
        return {
            "first_moment": moments.get("exp_avg", zeros),
            "second_moment": moments.get("exp_avg_sq", zeros),
            "steps": moments.get("step", torch.tensor(0.0)),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a ``state``, also from one in which no step was taken yet."""
        self.optimizer.state.clear()
        if float(state["steps"]):
            device = self.vector.device
            self.optimizer.state[self.vector] = {
                "step": state["steps"].to(device),
                "exp_avg": state["first_moment"].to(device),
                "exp_avg_sq": state["second_moment"].to(device),
            }


@dataclass(frozen=True)
class Targets:
    """Per robot and sample, in packed order (R, T * N)."""

    advantages: Tensor
    old_log_probabilities: Tensor
    old_values: Tensor
    value_targets: Tensor

    def select(self, samples: Tensor) -> "Targets":
        """The same samples of every robot, flat: (R * B,)."""
        return Targets(
            *(
                column.index_select(1, samples).reshape(-1)
                for column in (
                    self.advantages,
                    self.old_log_probabilities,
                    self.old_values,
                    self.value_targets,
                )
            )
        )


@dataclass(frozen=True)
class UpdateSummary:
    """Means over the gradient steps of an iteration.

    ``last_kl`` is that of its last epoch, with the KL that ended it before its step. Where it
    diverged, the means are over the steps up to there, and the parameters are of no use.
    """

    statistics: dict[str, float]
    gradient_norm: float
    last_kl: float
    divergence: DivergenceError | None = None


@dataclass(frozen=True)
class Batch:
    """What an iteration learns from; ``all_robots`` counts those of every process."""

    rollout: Rollout
    targets: Targets
    robots: RobotBatch
    iteration: int
    all_robots: int


class Learner:
    """Steps policy and critic; processes sum their gradients before each step."""

    def __init__(
        self,
        config: PpoConfig,
        policy: Policy,
        critic: Critic,
        deviation: ActionDeviation,
        seed: int,
    ) -> None:
        self._config = config
        self._policy = policy
        self._critic = critic
        self._deviation = deviation
        self._seed = seed
        self._policy_parameters = FlatParameters([*policy.parameters(), *deviation.parameters()])
        self._critic_parameters = FlatParameters(critic.parameters())

    @property
    def exchanged_numbers(self) -> int:
        """Numbers the processes sum at each gradient step."""
        parameters = (self._policy_parameters, self._critic_parameters)
        return sum(flat.gradient.numel() for flat in parameters) + len(_STATISTICS)

    def update(
        self, batch: Batch, rate: float, exchange: Exchange, pause: Callable[[], None]
    ) -> UpdateSummary:
        """All epochs of one iteration; ``pause`` is called between gradient steps.

        Where it diverges the summary says so, for the iteration to be told before the run fails.
        """
        sums = torch.zeros(len(_STATISTICS))
        norms: list[float] = []
        kls: list[float] = []
        for epoch in range(self._config.epochs):
            kls = []
            for samples in self._minibatches(batch, epoch):
                pause()
                statistics = self._summed(self._gradients(batch, samples), exchange)
                kl = float(statistics[_STATISTICS.index("approximate_kl")])
                kls.append(kl)
                if self._config.stop_kl is not None and self._config.stop_kl < kl <= _LARGEST_KL:
                    return _summary(sums, norms, kls)
                try:
                    _check_kl(kl, batch.iteration)
                    norms.append(self._step(rate, batch.iteration))
                except DivergenceError as error:
                    told = _summary(sums + statistics, norms, kls, len(norms) + 1)
                    return replace(told, divergence=error)
                sums += statistics
        return _summary(sums, norms, kls)

    def _minibatches(self, batch: Batch, epoch: int) -> Iterator[Tensor]:
        """Sample indices, the same for every robot."""
        rng = generator(self._seed, "minibatches", batch.iteration, epoch)
        order = torch.from_numpy(rng.permutation(batch.rollout.packing.per_robot))
        device = batch.rollout.observation.device
        return iter(order.to(device).tensor_split(self._config.minibatches))

    def _gradients(self, batch: Batch, samples: Tensor) -> Tensor:
        """Leave this process's part of the mean losses' gradients; returns that of statistics."""
        self._policy_parameters.gradient.zero_()
        self._critic_parameters.gradient.zero_()
        chosen, targets = batch.rollout.select(samples), batch.targets.select(samples)
        count = len(samples) * batch.all_robots
        policy_losses, kl, clipped = self._policy_losses(batch.robots, chosen, targets)
        # One after the other: the graph of one is gone before the other's is made.
        (policy_losses.sum() / count).backward()  # type: ignore[no-untyped-call]
        value_losses = self._value_losses(batch.robots, chosen, targets)
        (value_losses.sum() / count).backward()  # type: ignore[no-untyped-call]
        columns = (policy_losses, value_losses, kl, clipped)
        return torch.stack([column.detach().sum() / count for column in columns]).cpu()

    def _policy_losses(
        self, robots: RobotBatch, chosen: Samples, targets: Targets
    ) -> tuple[Tensor, Tensor, Tensor]:
        encoding = self._policy.encode(robots)
        mean = self._policy.mean(encoding, chosen.observation, chosen.packing, chosen.terrain)
        joint_mask = packed_joint_mask(robots, chosen.packing)
        log_probabilities = log_probability(
            chosen.action, mean, self._deviation.log_std, joint_mask, chosen.packing
        )
        log_ratio = log_probabilities - targets.old_log_probabilities
        ratio = log_ratio.exp()
        losses = clipped_policy_losses(ratio, targets.advantages, self._config.clip_range)
        with torch.no_grad():
            kl = approximate_kl(ratio, log_ratio)
            clipped = ((ratio - 1.0).abs() > self._config.clip_range).to(ratio.dtype)
        return losses, kl, clipped

    def _value_losses(self, robots: RobotBatch, chosen: Samples, targets: Targets) -> Tensor:
        encoding = self._critic.encode(robots)
        values = self._critic.value(encoding, chosen.observation, chosen.packing, chosen.terrain)
        clip_range = self._config.value_clip_range
        if clip_range is None:
            return squared_value_losses(values, targets.value_targets)
        return clipped_value_losses(values, targets.old_values, targets.value_targets, clip_range)

    def _summed(self, statistics: Tensor, exchange: Exchange) -> Tensor:
        """Sum gradients and statistics over the processes."""
        if exchange.processes == 1:
            return statistics
        policy, critic = self._policy_parameters.gradient, self._critic_parameters.gradient
        vector = torch.cat([policy.cpu(), critic.cpu(), statistics])
        exchange.sum_vector(vector.numpy())
        policy.copy_(vector[: policy.numel()])
        critic.copy_(vector[policy.numel() : -len(_STATISTICS)])
        return vector[-len(_STATISTICS) :].clone()

    def _step(self, rate: float, iteration: int) -> float:
        """Clip and step; returns the policy's gradient norm."""
        norm = self._policy_parameters.clip_gradient(self._config.gradient_norm)
        critic_norm = self._critic_parameters.clip_gradient(self._config.gradient_norm)
        if not torch.isfinite(torch.tensor([norm, critic_norm])).all():
            raise DivergenceError(
                f"iteration {iteration}: the gradient is not finite (policy {norm}, critic"
                f" {critic_norm}); {_ADVICE}"
            )
        self._policy_parameters.step(rate)
        self._critic_parameters.step(rate)
        return norm

    def state(self) -> dict[str, Tensor]:
        """Parameters and the optimiser's moments."""
        return {
            **prefixed("policy_parameters", self._policy_parameters.state()),
            **prefixed("critic_parameters", self._critic_parameters.state()),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a ``state``."""
        self._policy_parameters.restore(select(tensors, "policy_parameters"))
        self._critic_parameters.restore(select(tensors, "critic_parameters"))


def adapted_rate(rate: float, kl: float, target_kl: float, limits: tuple[float, float]) -> float:
    """Lower the rate above twice the target, raise it below half of it, within ``limits``."""
    if kl > 2.0 * target_kl:
        rate /= _RATE_STEP
    elif kl < 0.5 * target_kl:
        rate *= _RATE_STEP
    return min(max(rate, limits[0]), limits[1])


def cosine_rate(top_rate: float, iteration: int, warmup_iterations: int, iterations: int) -> float:
    """Linear warm-up to ``top_rate``, then half a cosine down to zero at ``iterations``."""
    if iteration < warmup_iterations:
        return top_rate * (iteration + 1) / warmup_iterations
    rest = max(iterations - warmup_iterations, 1)
    fraction = min((iteration - warmup_iterations) / rest, 1.0)
    return 0.5 * top_rate * (1.0 + math.cos(math.pi * fraction))


def _check_kl(kl: float, iteration: int) -> None:
    if not kl <= _LARGEST_KL:
        raise DivergenceError(
            f"iteration {iteration}: the policy moved by a KL of {kl:.3g}, beyond {_LARGEST_KL:g}:"
            f" it diverged; {_ADVICE}"
        )


def _summary(
    sums: Tensor, norms: list[float], kls: list[float], steps: int | None = None
) -> UpdateSummary:
    steps = steps or max(len(norms), 1)
    return UpdateSummary(
        statistics=dict(zip(_STATISTICS, (sums / steps).tolist(), strict=True)),
        gradient_norm=sum(norms) / max(len(norms), 1),
        last_kl=sum(kls) / max(len(kls), 1),
    )
