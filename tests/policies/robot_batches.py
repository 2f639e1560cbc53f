"""Robots made of random numbers: networks only ever see tensors."""

import torch

from engine.morphology.family import UNIMAL
from engine.morphology.packing import Packing
from engine.policies.controller import BucketContext, RobotBatch


def random_batch(
    limb_counts: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64
) -> RobotBatch:
    """A batch of robots with the given limb counts and random features."""
    source = torch.Generator().manual_seed(seed)
    buckets = []
    for bucket in Packing(limb_counts, 1).buckets:
        shape = (len(bucket.robots), bucket.limb_count)
        mask = torch.rand((*shape, UNIMAL.joint_slots), generator=source) > 0.3
        raw_width = UNIMAL.raw_context_layout.width
        buckets.append(
            BucketContext(
                robots=bucket.robots,
                context=torch.randn(
                    (*shape, UNIMAL.context_layout.width), generator=source, dtype=dtype
                ),
                raw_context=torch.randn((*shape, raw_width), generator=source, dtype=dtype),
                normalized_raw_context=torch.rand(
                    (*shape, raw_width), generator=source, dtype=dtype
                ),
                joint_mask=mask,
            )
        )
    names = tuple(f"robot-{index}" for index in range(len(limb_counts)))
    return RobotBatch(limb_counts, names, names, tuple(buckets))


def only_robot(batch: RobotBatch, robot: int) -> RobotBatch:
    """One robot of a batch as a batch of its own."""
    for bucket in batch.buckets:
        if robot in bucket.robots:
            place = bucket.robots.index(robot)
            own = BucketContext(
                (0,),
                bucket.context[place : place + 1],
                bucket.raw_context[place : place + 1],
                bucket.normalized_raw_context[place : place + 1],
                bucket.joint_mask[place : place + 1],
            )
            return RobotBatch(
                (batch.limb_counts[robot],), (batch.names[robot],), (batch.digests[robot],), (own,)
            )
    raise ValueError(f"no robot {robot}")


def random_observation(packing: Packing, seed: int = 1) -> torch.Tensor:
    """Packed observations: (rows, F)."""
    source = torch.Generator().manual_seed(seed)
    shape = (packing.num_rows, UNIMAL.observation_layout.width)
    return torch.randn(shape, generator=source, dtype=torch.float64)
