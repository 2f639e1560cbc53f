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
from engine.policies.graphs import Replay
from engine.policies.policy import Critic, Policy
from engine.policies.precision import Precision, computing
from engine.ppo.exchange import Exchange, SingleProcess
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
_STEPS_AHEAD = 2
"""Gradient steps a device may have queued; one that ended has so many too many."""
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
        on_device = self.vector.device.type == "cuda"
        self.optimizer = torch.optim.Adam([self.vector], eps=1e-5, fused=True, capturable=on_device)
        self.rate = torch.zeros((), device=self.vector.device) if on_device else None

    def clip_gradient(self, largest_norm: float) -> Tensor:
        """Scale the gradient down to ``largest_norm`` and return the norm it had."""
        norm: Tensor = self.gradient.norm()
        # In float64, as one divides a number by a number, and without asking the device for it.
        scale = (largest_norm / norm.double()).clamp(max=1.0)
        # On a CPU the answer is at hand, and a pass over all gradients is worth the question.
        if self.rate is not None or float(scale) != 1.0:
            self.gradient.mul_(scale)
        return norm

    def set_rate(self, learning_rate: float) -> None:
        """The learning rate of the steps to come; a device reads it from its own memory."""
        if self.rate is not None:
            self.rate.fill_(learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate if self.rate is None else self.rate

    def step(self, skipped: Tensor) -> None:
        """One step of Adam, none where ``skipped`` (a number on the device) is 1."""
        self.optimizer.found_inf = skipped  # type: ignore[attr-defined]
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
        return Targets(*(column.index_select(1, samples).reshape(-1) for column in self._columns()))

    def copy(self) -> "Targets":
        """The same numbers in memory of their own."""
        return Targets(*(column.clone() for column in self._columns()))

    def fill(self, other: "Targets") -> None:
        """Take the numbers of ``other``, which are as many."""
        for own, column in zip(self._columns(), other._columns(), strict=True):
            own.copy_(column)

    def _columns(self) -> tuple[Tensor, ...]:
        return (
            self.advantages,
            self.old_log_probabilities,
            self.old_values,
            self.value_targets,
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


class _Progress:
    """How an iteration's update goes, kept on the device so that no step waits for a number.

    ``halted`` is 1 from the step on that ended it: those launched after it change nothing.
    """

    def __init__(self, device: torch.device, stop_kl: float | None) -> None:
        self._stop_kl = stop_kl
        self.halted = torch.zeros((), device=device)
        self._diverged = torch.zeros((), device=device)
        self._sums = torch.zeros(len(_STATISTICS), device=device)
        # Steps in the sums, steps taken, the norms of those, KLs of the epoch and their number.
        self._totals = torch.zeros(5, dtype=torch.float64, device=device)
        self._last = torch.zeros(3, device=device)  # KL and norms where it ended
        self._known = (
            torch.zeros(1, pin_memory=True) if device.type == "cuda" else self.halted.view(1)
        )
        self._launched: list[torch.cuda.Event] = []

    def begin(self) -> None:
        """An iteration's update begins."""
        for number in (self.halted, self._diverged, self._sums, self._totals, self._last):
            number.zero_()
        self._known.zero_()
        self._launched.clear()

    def begin_epoch(self) -> None:
        """The KL that is told is the last epoch's."""
        self._totals[3:] *= self.halted

    def take(self, statistics: Tensor, policy_norm: Tensor, critic_norm: Tensor) -> None:
        """Judge a gradient step before it is taken."""
        kl = statistics[_STATISTICS.index("approximate_kl")]
        too_far = ~(kl <= _LARGEST_KL)
        ended = torch.zeros_like(too_far)
        if self._stop_kl is not None:
            ended = (kl > self._stop_kl) & ~too_far
        finite = torch.isfinite(policy_norm) & torch.isfinite(critic_norm)
        live = self.halted == 0.0
        diverged = live & ~ended & (too_far | ~finite)
        counted = live & ~ended
        taken = counted & ~diverged
        self._sums += torch.where(counted, statistics, 0.0)
        added = torch.stack(
            [
                counted.double(),
                taken.double(),
                torch.where(taken, policy_norm, 0.0).double(),
                torch.where(live, kl, 0.0).double(),
                live.double(),
            ]
        )
        self._totals += added
        reached = torch.stack([kl, policy_norm, critic_norm])
        self._last.copy_(torch.where(live, reached, self._last))
        self._diverged += diverged
        self.halted.copy_((~taken).to(self.halted.dtype))
        if self._known.device != self.halted.device:
            self._known.copy_(self.halted.view(1), non_blocking=True)

    def launched(self) -> None:
        """On a device steps are queued ahead of what is known of them, by two at most."""
        if self.halted.device.type == "cuda":
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            self._launched.append(event)
            if len(self._launched) > _STEPS_AHEAD:
                self._launched.pop(0).synchronize()

    @property
    def known_to_be_over(self) -> bool:
        """A step has ended the update, and that is known here."""
        return bool(self._known[0])

    def summary(self, iteration: int) -> "UpdateSummary":
        """What came of it; the one time that the device is waited for."""
        counted, taken, norms, kls, judged = self._totals.tolist()
        kl, policy_norm, critic_norm = self._last.tolist()
        error = None
        if bool(self._diverged):
            error = _divergence(iteration, kl, policy_norm, critic_norm)
        return UpdateSummary(
            statistics=dict(
                zip(_STATISTICS, (self._sums / max(counted, 1.0)).tolist(), strict=True)
            ),
            gradient_norm=norms / max(taken, 1.0),
            last_kl=kls / max(judged, 1.0),
            divergence=error,
        )


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
        precision: Precision = "float32",
        graphs: bool = False,
    ) -> None:
        self._precision = precision
        self._device = next(policy.parameters()).device
        self._graphs = graphs and self._device.type == "cuda"
        self._captured: tuple[Batch, dict[int, tuple[Tensor, Replay[None]]]] | None = None
        self._progress = _Progress(self._device, config.stop_kl)
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
        progress = self._progress
        self._policy_parameters.set_rate(rate)
        self._critic_parameters.set_rate(rate)
        with computing(self._device, self._precision):
            take_step = self._captured_step(batch) if self._graphs else self._step
            progress.begin()
            for epoch in range(self._config.epochs):
                progress.begin_epoch()
                for samples in self._minibatches(batch, epoch):
                    pause()
                    take_step(batch, samples, exchange)
                    progress.launched()
                    if progress.known_to_be_over:
                        return progress.summary(batch.iteration)
        return progress.summary(batch.iteration)

    def _captured_step(self, batch: Batch) -> Callable[[Batch, Tensor, Exchange], None]:
        """A gradient step as graphs, one for each size of a minibatch; for one process alone."""
        if self._captured is None or self._captured[0].rollout is not batch.rollout:
            still = replace(batch, targets=batch.targets.copy())
            self._captured = (still, {})
        still, replays = self._captured
        still.targets.fill(batch.targets)
        alone = SingleProcess()
        for samples in batch.rollout.samples.tensor_split(self._config.minibatches):
            if len(samples) not in replays:
                replays[len(samples)] = self._capture(still, samples.clone(), alone)

        def take_step(batch: Batch, samples: Tensor, exchange: Exchange) -> None:
            del batch, exchange
            held, replay = replays[len(samples)]
            held.copy_(samples)
            replay()

        return take_step

    def _capture(
        self, batch: Batch, samples: Tensor, exchange: Exchange
    ) -> tuple[Tensor, Replay[None]]:
        def take_step() -> None:
            self._step(batch, samples, exchange)

        def without_effect() -> None:
            self._progress.halted.fill_(1.0)
            take_step()

        replay = Replay(take_step, enabled=True, warm_up=without_effect)
        replay.prepare()
        return samples, replay

    def _minibatches(self, batch: Batch, epoch: int) -> Iterator[Tensor]:
        """Sample indices, the same for every robot."""
        rng = generator(self._seed, "minibatches", batch.iteration, epoch)
        order = torch.from_numpy(rng.permutation(batch.rollout.packing.per_robot))
        return iter(order.to(self._device).tensor_split(self._config.minibatches))

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
        return torch.stack([column.detach().sum() / count for column in columns])

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
        vector = torch.cat([policy, critic, statistics]).cpu()
        exchange.sum_vector(vector.numpy())
        policy.copy_(vector[: policy.numel()])
        critic.copy_(vector[policy.numel() : -len(_STATISTICS)])
        return vector[-len(_STATISTICS) :].to(self._device, copy=True)

    def _step(self, batch: Batch, samples: Tensor, exchange: Exchange) -> None:
        """One gradient step, which the progress judges first."""
        statistics = self._summed(self._gradients(batch, samples), exchange)
        limit = self._config.gradient_norm
        norm = self._policy_parameters.clip_gradient(limit)
        critic_norm = self._critic_parameters.clip_gradient(limit)
        self._progress.take(statistics, norm, critic_norm)
        self._policy_parameters.step(self._progress.halted)
        self._critic_parameters.step(self._progress.halted)

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
        self._captured = None  # it would step moments that are no longer these


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


def _divergence(
    iteration: int, kl: float, policy_norm: float, critic_norm: float
) -> DivergenceError:
    if not kl <= _LARGEST_KL:
        return DivergenceError(
            f"iteration {iteration}: the policy moved by a KL of {kl:.3g}, beyond {_LARGEST_KL:g}:"
            f" it diverged; {_ADVICE}"
        )
    return DivergenceError(
        f"iteration {iteration}: the gradient is not finite (policy {policy_norm}, critic"
        f" {critic_norm}); {_ADVICE}"
    )
