"""Behaviour cloning losses on packed actions, as pure functions.

The loss of a robot is the mean over its real action dimensions of half the squared difference of
actions: the KL divergence of two Gaussians with the same fixed deviation, up to a factor
(HyperDistill, arXiv 2402.06570, section 4). Every robot weighs the same, whatever its joints.
"""

import torch
from torch import Tensor

from engine.morphology.packing import Packing
from engine.policies.controller import RobotBatch


def balanced_weights(robots: RobotBatch, packing: Packing) -> Tensor:
    """Weight of every action entry (rows, J): sums to 1, equal per robot, 0 without a hinge."""
    weights = []
    for bucket in robots.buckets:
        mask = bucket.joint_mask.to(torch.get_default_dtype())
        share = mask / mask.sum(dim=(1, 2), keepdim=True) / packing.num_environments
        expanded = share.unsqueeze(1).expand(-1, packing.per_robot, -1, -1)
        weights.append(expanded.reshape(-1, mask.shape[-1]))
    return torch.cat(weights)


def imitation_loss(means: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted half squared difference of actions, all (rows, J): a scalar.

    With the teacher's means as targets it is the mean loss; with its sampled actions it is the
    negative log likelihood (times the variance, without constants): the logp loss.
    """
    return 0.5 * (weights * (means - targets).square()).sum()


def large_action_weights(targets: Tensor) -> Tensor:
    """Down-weights targets beyond the action range: exp(1 - |a|) where |a| > 1, else 1."""
    return torch.exp(1.0 - targets.abs()).clamp(max=1.0)
