"""What an update pursues, as pure functions: advantages of a rollout, then PPO's clipped losses."""

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
    # A clock that ran out says nothing about the future, a fall does.
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


def clipped_policy_losses(ratio: Tensor, advantages: Tensor, clip_range: float) -> Tensor:
    """Negative clipped surrogate (eq. 7): (B,), (B,) -> (B,)."""
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def squared_value_losses(values: Tensor, targets: Tensor) -> Tensor:
    """Half the squared error: (B,), (B,) -> (B,)."""
    return 0.5 * (values - targets).square()


def clipped_value_losses(
    values: Tensor, old_values: Tensor, targets: Tensor, clip_range: float
) -> Tensor:
    """The larger of the losses of the value and of the value kept near the old one: (B,)."""
    kept_near = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return torch.maximum(
        squared_value_losses(values, targets), squared_value_losses(kept_near, targets)
    )


def approximate_kl(ratio: Tensor, log_ratio: Tensor) -> Tensor:
    """An estimate of KL(old | new) that is never negative, per sample: (B,), (B,) -> (B,)."""
    return (ratio - 1.0) - log_ratio
