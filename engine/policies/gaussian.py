"""A diagonal Gaussian over the joints a robot has; missing joints neither act nor count."""

import math

import torch
from torch import Tensor, nn

from engine.morphology.packing import Packing
from engine.policies.controller import RobotBatch

_LOG_SQRT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class ActionDeviation(nn.Module):
    """One standard deviation for all joints: a parameter where it is learned, else a buffer."""

    log_std: Tensor

    def __init__(self, std: float, *, learned: bool) -> None:
        super().__init__()
        log_std = torch.tensor(math.log(std))
        if learned:
            self.log_std = nn.Parameter(log_std)
        else:
            self.register_buffer("log_std", log_std)

    def std(self) -> float:
        """The standard deviation as it stands."""
        return math.exp(float(self.log_std.detach()))


def packed_joint_mask(robots: RobotBatch, packing: Packing) -> Tensor:
    """True where a hinge exists, for every packed row: (rows, J)."""
    masks = [
        context.joint_mask.unsqueeze(1)
        .expand(-1, packing.per_robot, -1, -1)
        .reshape(-1, context.joint_mask.shape[-1])
        for context in robots.buckets
    ]
    return torch.cat(masks)


def sum_over_limbs(features: Tensor, packing: Packing) -> Tensor:
    """Sum every environment's rows and columns: (..., rows, F) -> (..., E)."""
    per_row = features.sum(dim=-1)
    sizes = [bucket.row_slice.stop - bucket.row_slice.start for bucket in packing.buckets]
    sums = [
        part.view(*part.shape[:-1], -1, bucket.limb_count).sum(dim=-1)
        for part, bucket in zip(torch.split(per_row, sizes, dim=-1), packing.buckets, strict=True)
    ]
    return torch.cat(sums, dim=-1)


def log_probability(
    actions: Tensor, means: Tensor, log_std: Tensor, joint_mask: Tensor, packing: Packing
) -> Tensor:
    """Log density of actions (..., rows, J) under N(means, std): (..., E), real joints only."""
    standardized = (actions - means) * torch.exp(-log_std)
    density = -0.5 * standardized.square() - log_std - _LOG_SQRT_TWO_PI
    return sum_over_limbs(density * joint_mask, packing)
