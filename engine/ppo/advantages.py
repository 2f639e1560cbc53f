"""Advantages and scaled rewards as pure functions of a rollout."""

import torch
from torch import Tensor


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    final_values: Tensor,
    last_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    decay: tuple[float, float],
) -> Tensor:
    """GAE (arXiv 1506.02438, eq. 16) with ends: all (T, N) but ``last_values`` (N,) -> (T, N).

    ``decay`` is (discount, lambda). A terminated step has no future; a truncated one continues
    from ``final_values``, the value of the observation its episode ended in.
    """
    discount, gae_lambda = decay
    next_values = torch.cat([values[1:], last_values.unsqueeze(0)])
    next_values = torch.where(truncated, final_values, next_values)
    next_values = next_values.masked_fill(terminated, 0.0)
    surprises = rewards + discount * next_values - values
    carry = discount * gae_lambda * (~(terminated | truncated)).to(values.dtype)
    advantages = torch.empty_like(values)
    running = torch.zeros_like(last_values)
    for step in range(len(rewards) - 1, -1, -1):
        running = surprises[step] + carry[step] * running
        advantages[step] = running
    return advantages


def discounted_sums(
    rewards: Tensor, ended: Tensor, before: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Discounted sums of past rewards within an episode: (T, N), and the (N,) to go on from."""
    sums = torch.empty_like(rewards)
    running = before
    for step in range(len(rewards)):
        running = running * discount + rewards[step]
        sums[step] = running
        running = running.masked_fill(ended[step], 0.0)
    return sums, running
