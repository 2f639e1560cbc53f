"""Gradient steps of a hypernetwork student on a device: one shape, so one graph launch a step.

A minibatch's robots differ in size from step to step, and hundreds of small kernels would keep a
device waiting for their launches. Here every robot is padded to the largest: three quarters of the
numbers are real, and the step is captured once. Padding changes no result: absent limbs are no keys
of attention, weigh nothing in means, see nothing, and their actions do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engine.config.distillation import StudentConfig
from engine.distillation.imitation import imitation_loss, large_action_weights
from engine.distillation.minibatches import Choice, IntArray, RobotSamples
from engine.policies.graphs import Replay
from engine.policies.hypernetwork import Hypernetwork
from engine.policies.padded_robots import PaddedRobots
from engine.policies.policy import HypernetworkPolicy
from engine.policies.robots import robot_batch
from engine.random import torch_seed

_FREE_FRACTION = 0.6
"""Of the device's free memory that data may take; the rest is for learning from them."""


def fits(robots: Sequence[RobotSamples], device: torch.device) -> bool:
    """Whether all data have room on the device, which is a CUDA one."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    most = max(data.robot.num_limbs for data in robots)
    needed = sum(
        array.nbytes * most / data.robot.num_limbs
        for data in robots
        for part in data.parts
        for array in part.tensors().values()
    )
    return needed < _FREE_FRACTION * free


class PaddedData:
    """All samples of some robots on a device: a row a sample, limbs padded to the largest robot."""

    def __init__(self, robots: Sequence[RobotSamples], target: str, device: torch.device) -> None:
        self.device = device
        self.limbs = max(data.robot.num_limbs for data in robots)
        counts = [sum(part.samples for part in data.parts) for data in robots]
        self._first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        self.observation = self._joined(robots, "observation")
        self.target = self._joined(robots, target)
        seen = robots[0].parts[0].terrain is not None
        self.terrain = self._joined(robots, "terrain") if seen else None
        self.robots = PaddedRobots.of(
            robot_batch([data.robot for data in robots], device), self.limbs
        )

    def _joined(self, robots: Sequence[RobotSamples], name: str) -> Tensor:
        parts = [getattr(part, name) for data in robots for part in data.parts]
        kind = torch.from_numpy(np.zeros(0, parts[0].dtype)).dtype
        rows = sum(len(part) for part in parts)
        width = parts[0].shape[-1] * (self.limbs if parts[0].ndim == 3 else 1)
        joined = torch.zeros(rows, width, dtype=kind, device=self.device)
        start = 0
        for part in parts:
            own = np.array(part).reshape(len(part), -1)
            joined[start : start + len(own), : own.shape[1]] = torch.from_numpy(own)
            start += len(own)
        return joined

    def places(self, choice: Choice) -> IntArray:
        """Rows of a choice's samples, robot by robot, then its robots: (R * k + R,)."""
        robots = np.array(choice.robots)
        rows = self._first[robots][:, None] + choice.samples
        return np.concatenate([rows.ravel(), robots])


def padded_loss(
    config: StudentConfig,
    student: Hypernetwork,
    data: PaddedData,
    places: Tensor,
    shape: tuple[int, int],
    drawn: Tensor | None,
) -> Tensor:
    """The balanced loss of a minibatch of ``shape`` (robots, samples) at ``places`` in the data.

    ``drawn`` are uniform numbers that decide what dropout leaves out: (3, R, L, D).
    """
    count, samples = shape
    rows, chosen = places[: count * samples], places[count * samples :]
    robots = data.robots.select(chosen)
    observation = data.observation.index_select(0, rows).view(count, samples, data.limbs, -1)
    targets = data.target.index_select(0, rows).view(count, samples, -1)
    terrain = None
    if data.terrain is not None:
        terrain = data.terrain.index_select(0, rows).to(torch.float32).view(count, samples, -1)
    means = student.padded_means(robots, observation, terrain, drawn)
    mask = robots.joint_mask.flatten(1).to(means.dtype)
    weights = (mask / mask.sum(1, keepdim=True) / (count * samples)).unsqueeze(1)
    if config.downweight_large_actions:
        weights = weights * large_action_weights(targets)
    return imitation_loss(means, targets, weights)


@dataclass
class _Step:
    """A captured step for one shape of minibatch, and what it reads and writes."""

    places: Tensor
    drawn: Tensor | None
    take: Replay[tuple[Tensor, Tensor]]


class DeviceSteps:
    """Gradient steps of one student on its data, from gathering a minibatch to Adam."""

    def __init__(
        self,
        config: StudentConfig,
        policy: HypernetworkPolicy,
        optimizer: torch.optim.Optimizer,
        robots: Sequence[RobotSamples],
        device: torch.device,
    ) -> None:
        self._config = config
        self._student = policy.hypernetwork
        self._parameters = list(policy.parameters())
        self._optimizer = optimizer
        self._device = device
        self._rate = torch.zeros((), device=device)
        self._skipped = torch.zeros((), device=device)
        self._data = PaddedData(
            robots, "action" if config.loss == "logp" else "action_mean", device
        )
        self._steps: dict[tuple[int, int], _Step] = {}

    def take(self, choice: Choice, number: int, rate: float) -> tuple[Tensor, Tensor]:
        """Step ``number``: its loss and the norm of its gradient, on the device."""
        self._student.train()
        shape = (len(choice.robots), choice.samples.shape[1])
        if shape not in self._steps:
            self._steps[shape] = self._captured(shape, choice)
        step = self._steps[shape]
        self._rate.fill_(rate)
        index = torch.from_numpy(self._data.places(choice))
        if self._device.type == "cuda":
            index = index.pin_memory()
        step.places.copy_(index, non_blocking=True)
        if step.drawn is not None:
            seed = torch_seed(self._config.seed, "dropout", number, 0)
            step.drawn.uniform_(generator=torch.Generator(self._device).manual_seed(seed))
        loss, norm = step.take()
        return loss.clone(), norm.clone()

    def _captured(self, shape: tuple[int, int], choice: Choice) -> _Step:
        places = torch.from_numpy(self._data.places(choice)).to(self._device)
        drawn = None
        if self._student.dropout.rate:
            width = self._student.config.embedding_width
            drawn = torch.ones(3, shape[0], self._data.limbs, width, device=self._device)
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for group in self._optimizer.param_groups:
            group["lr"], group["capturable"] = self._rate, self._device.type == "cuda"
        self._optimizer.found_inf = self._skipped  # type: ignore[attr-defined]

        def take() -> tuple[Tensor, Tensor]:
            self._optimizer.zero_grad(set_to_none=False)
            loss = padded_loss(self._config, self._student, self._data, places, shape, drawn)
            torch.autograd.backward(loss)
            norm = nn.utils.clip_grad_norm_(self._parameters, self._config.gradient_norm)
            self._optimizer.step()
            return loss.detach(), norm

        def without_effect() -> None:
            self._skipped.fill_(1.0)
            take()
            self._skipped.zero_()

        replay = Replay(take, enabled=self._device.type == "cuda", warm_up=without_effect)
        if self._device.type == "cuda":
            replay.prepare()
        return _Step(places, drawn, replay)
