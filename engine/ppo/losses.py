"""The clipped objectives of PPO (arXiv 1707.06347), one number per sample."""

import torch
from torch import Tensor


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
