"""What a limb network reads: observations limb by limb, standardised, and the raw context."""

from typing import Literal

import torch
from torch import Tensor, nn

from engine.morphology.packing import Packing
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.moments import ObservationMoments

MomentsKind = Literal["shared", "published"]


def split_rows(rows: Tensor, packing: Packing) -> tuple[Tensor, ...]:
    """The rows of each bucket; one split, as the gradient of many slices is many zero fills."""
    sizes = [bucket.row_slice.stop - bucket.row_slice.start for bucket in packing.buckets]
    return torch.split(rows, sizes)


def limb_major(rows: Tensor, packing: Packing) -> list[Tensor]:
    """Packed rows (rows, F) as one (R, L, N, F) view per bucket.

    With the samples of a limb side by side, all that depends on robot and limb alone (attention
    maps, generated weights) meets them in one matrix product.
    """
    views = []
    for part, bucket in zip(split_rows(rows, packing), packing.buckets, strict=True):
        shape = (len(bucket.robots), packing.per_robot, bucket.limb_count, rows.shape[-1])
        views.append(part.view(shape).transpose(1, 2))
    return views


def packed_rows(views: list[Tensor]) -> Tensor:
    """The inverse of ``limb_major``: a (R, L, N, F) tensor per bucket -> (rows, F)."""
    return torch.cat([view.transpose(1, 2).reshape(-1, view.shape[-1]) for view in views])


class LimbInputs(nn.Module):
    """Normalises what a network reads.

    ``shared``: one set of moments for all limbs; the context is scaled by its published bounds.
    ``published``: moments per limb slot and column over observation and un-normalised context,
    padding included, as the published networks were trained.
    """

    def __init__(
        self, kind: MomentsKind, observation_width: int, context_width: int, limb_limit: int
    ) -> None:
        super().__init__()
        self.kind = kind
        self.observation_width = observation_width
        self.limb_limit = limb_limit
        published = kind == "published"
        self.moments = ObservationMoments(
            observation_width + context_width if published else observation_width,
            slots=limb_limit if published else 1,
        )

    def observation(self, observation: Tensor, packing: Packing) -> list[Tensor]:
        """Normalised observations, per bucket: (rows, F) -> (R, L, N, F)."""
        if self.kind == "shared":
            return limb_major(self.moments.normalize(observation), packing)
        return [
            self._normalize_slots(view, slice(0, self.observation_width))
            for view in limb_major(observation, packing)
        ]

    def context(self, bucket: BucketContext) -> Tensor:
        """The normalised raw context of a bucket: (R, L, C)."""
        if self.kind == "shared":
            return bucket.normalized_raw_context
        columns = slice(self.observation_width, self.moments.mean.shape[1])
        return self._normalize_slots(bucket.raw_context.unsqueeze(2), columns).squeeze(2)

    def _normalize_slots(self, features: Tensor, columns: slice) -> Tensor:
        return self.moments.normalize(features, columns=columns)

    @torch.no_grad()
    def deviations(self, observation: Tensor, packing: Packing, robots: RobotBatch) -> Tensor:
        """What these samples add to the moments; sums of several processes add up."""
        if self.kind == "shared":
            return self.moments.deviations(observation.unsqueeze(0))
        total = torch.zeros_like(self.moments.deviations(self.moments.mean.unsqueeze(1)))
        for view, bucket in zip(limb_major(observation, packing), robots.buckets, strict=True):
            total += self.moments.deviations(self._padded_slots(view, bucket))
        return total

    def _padded_slots(self, view: Tensor, bucket: BucketContext) -> Tensor:
        """Samples of all limb slots, padding as zeros: (R, L, N, F) -> (slots, R * N, F + C)."""
        context = bucket.raw_context.unsqueeze(2).expand(-1, -1, view.shape[2], -1)
        features = torch.cat([view, context], dim=-1).transpose(0, 1).flatten(1, 2)
        padding = features.new_zeros(self.limb_limit - features.shape[0], *features.shape[1:])
        return torch.cat([features, padding])
