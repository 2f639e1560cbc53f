"""Robots padded to one size: a batch of any of them has one shape."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.policies.controller import RobotBatch


@dataclass(frozen=True)
class PaddedRobots:
    """What a hypernetwork reads of robots padded to L limbs: (R, L, ...)."""

    context: Tensor | None
    raw_context: Tensor
    joint_mask: Tensor
    limbs: Tensor  # (R, L), 1 where there is a limb
    absent: Tensor  # (R, 1, 1, L), minus infinity where there is none, else 0

    @classmethod
    def of(cls, robots: RobotBatch, limbs: int) -> "PaddedRobots":
        """The robots of a batch, in its order of robots."""
        order = [robot for bucket in robots.buckets for robot in bucket.robots]
        back = torch.tensor(np.argsort(order), device=robots.buckets[0].raw_context.device)

        def padded(parts: list[Tensor]) -> Tensor:
            grown = [functional.pad(part, (0, 0, 0, limbs - part.shape[1])) for part in parts]
            return torch.cat(grown).index_select(0, back)

        contexts = [bucket.context for bucket in robots.buckets]
        known = [context for context in contexts if context is not None]
        there = padded([torch.ones_like(bucket.raw_context[..., :1]) for bucket in robots.buckets])
        there = there.squeeze(-1)
        absent = torch.zeros_like(there).masked_fill(there == 0.0, -torch.inf)
        return cls(
            context=padded(known) if len(known) == len(contexts) else None,
            raw_context=padded([bucket.normalized_raw_context for bucket in robots.buckets]),
            joint_mask=padded([bucket.joint_mask for bucket in robots.buckets]),
            limbs=there,
            absent=absent[:, None, None, :],
        )

    def select(self, robots: Tensor) -> "PaddedRobots":
        """Some of them, by index (R,)."""
        context = None if self.context is None else self.context.index_select(0, robots)
        rest = (self.raw_context, self.joint_mask, self.limbs, self.absent)
        return PaddedRobots(context, *(tensor.index_select(0, robots) for tensor in rest))
