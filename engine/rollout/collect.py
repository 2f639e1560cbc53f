"""Fill a rollout: simulations step, the policy acts, the critic judges what was seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.environments import VectorEnvironment
from engine.policies.controller import RobotBatch
from engine.policies.gaussian import ActionDeviation, log_probability, packed_joint_mask
from engine.policies.policy import Critic, Policy
from engine.rollout.rollout import Rollout

_VALUE_SAMPLES = 4096
"""Samples the critic judges at a time: more would not be faster, only larger."""


@dataclass(frozen=True)
class Actor:
    """What acts and judges, and the robots it does so for."""

    policy: Policy
    critic: Critic
    deviation: ActionDeviation
    robots: RobotBatch
    device: torch.device


def collect(
    environment: VectorEnvironment,
    actor: Actor,
    rollout: Rollout,
    noise: Tensor,
    pause: Callable[[], None],
) -> float:
    """Fill ``rollout`` with sampled actions; returns the seconds spent on inference.

    ``noise`` is standard normal: (T, rows, J). ``pause`` is called between steps, and may raise.
    """
    inference_s = 0.0
    with torch.inference_mode():
        start = time.perf_counter()
        encoding = actor.policy.encode(actor.robots)
        critic_encoding = actor.critic.encode(actor.robots)
        scaled_noise = noise * actor.deviation.log_std.exp()
        inference_s += time.perf_counter() - start
        for step in range(rollout.horizon):
            pause()
            start = time.perf_counter()
            observation = _tensor(environment.observation, actor.device)
            terrain = _optional_tensor(environment.terrain, actor.device)
            mean = actor.policy.mean(encoding, observation, rollout.live, terrain)
            action = mean + scaled_noise[step]
            rollout.write_rows(rollout.observation, step, observation)
            rollout.write_rows(rollout.action, step, action)
            if terrain is not None:
                rollout.write_terrain(step, terrain)
            inference_s += time.perf_counter() - start
            environment.step(action.cpu().numpy())
            _write_outcome(environment, actor, rollout, step, critic_encoding)
        start = time.perf_counter()
        _judge(environment, actor, rollout, noise, critic_encoding, pause)
        inference_s += time.perf_counter() - start
    return inference_s


def _write_outcome(
    environment: VectorEnvironment,
    actor: Actor,
    rollout: Rollout,
    step: int,
    critic_encoding: object,
) -> None:
    """Rewards and ends of a step, and the value of what truncated episodes ended in."""
    rollout.reward[step] = torch.from_numpy(environment.reward)
    rollout.terminated[step] = torch.from_numpy(environment.terminated)
    rollout.truncated[step] = torch.from_numpy(environment.truncated)
    if environment.truncated.any():
        final = _tensor(environment.final_observation, actor.device)
        terrain = _optional_tensor(environment.final_terrain, actor.device)
        value = actor.critic.value(critic_encoding, final, rollout.live, terrain)
        # Only truncated environments hold a final observation worth judging.
        rollout.final_value[step] = value.masked_fill(
            ~rollout.truncated[step].to(actor.device), 0.0
        )


def _judge(
    environment: VectorEnvironment,
    actor: Actor,
    rollout: Rollout,
    noise: Tensor,
    critic_encoding: object,
    pause: Callable[[], None],
) -> None:
    """Values of all that was seen, and the log probabilities of the actions that were taken."""
    samples = torch.arange(rollout.packing.per_robot, device=actor.device)
    size = max(_VALUE_SAMPLES // rollout.live.num_robots, 1)
    values = []
    for part in samples.tensor_split(list(range(size, len(samples), size))):
        pause()
        chosen = rollout.select(part)
        value = actor.critic.value(
            critic_encoding, chosen.observation, chosen.packing, chosen.terrain
        )
        values.append(value.view(rollout.live.num_robots, -1))
    rollout.value.copy_(rollout.per_step(torch.cat(values, dim=1)))
    rollout.last_value.copy_(
        actor.critic.value(
            critic_encoding,
            _tensor(environment.observation, actor.device),
            rollout.live,
            _optional_tensor(environment.terrain, actor.device),
        )
    )
    # The action is mean + std * noise, so its density needs the noise alone.
    joint_mask = packed_joint_mask(actor.robots, rollout.live)
    log_std = actor.deviation.log_std
    for step, drawn in enumerate(noise):
        taken = drawn * log_std.exp()
        rollout.log_probability[step] = log_probability(
            taken, torch.zeros_like(taken), log_std, joint_mask, rollout.live
        )


def _tensor(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device=device, dtype=torch.float32)


def _optional_tensor(array: npt.NDArray[np.generic] | None, device: torch.device) -> Tensor | None:
    return None if array is None else _tensor(array, device)
