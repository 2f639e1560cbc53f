"""Robots as tensors: what every network reads of a body, grouped by limb count."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.morphology.context import context, missing_class, raw_context
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.policies.controller import BucketContext, RobotBatch

Features = Callable[[Morphology], npt.NDArray[np.float64]]


def robot_batch(morphologies: Sequence[Morphology], device: torch.device | str) -> RobotBatch:
    """The static facts of ``morphologies`` on ``device``, in float32, one entry per limb count."""
    packing = Packing(tuple(robot.num_limbs for robot in morphologies), 1)
    return RobotBatch(
        limb_counts=packing.limb_counts,
        names=tuple(robot.name for robot in morphologies),
        digests=tuple(robot.digest for robot in morphologies),
        buckets=tuple(
            _bucket_context(morphologies, bucket.robots, torch.device(device))
            for bucket in packing.buckets
        ),
    )


def _bucket_context(
    morphologies: Sequence[Morphology], indices: tuple[int, ...], device: torch.device
) -> BucketContext:
    robots = [morphologies[index] for index in indices]
    masks = np.stack([robot.joint_mask for robot in robots])
    return BucketContext(
        robots=indices,
        context=None if any(map(missing_class, robots)) else _stack(context, robots, device),
        raw_context=_stack(lambda robot: raw_context(robot, normalized=False), robots, device),
        normalized_raw_context=_stack(
            lambda robot: raw_context(robot, normalized=True), robots, device
        ),
        joint_mask=torch.as_tensor(masks, device=device),
    )


def _stack(features: Features, robots: Sequence[Morphology], device: torch.device) -> Tensor:
    """Features of robots of one limb count: (R, L, F) float32."""
    stacked = np.stack([features(robot) for robot in robots]).astype(np.float32)
    return torch.as_tensor(stacked, device=device)
