"""Running moments of observations, kept as buffers so that they travel with the policy."""

import torch
from torch import Tensor, nn

_VARIANCE_FLOOR = 1e-8


class ObservationMoments(nn.Module):
    """Mean and variance of feature rows, in one or more slots: buffers (K, F) in float64.

    One slot shares the moments over limbs; the published networks keep one per limb slot. A slot
    that has seen nothing leaves features as they are.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, width: int, slots: int = 1, clip: float = 10.0) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(slots, width, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(slots, width, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(slots, dtype=torch.float64))

    def scale(self) -> Tensor:
        """What deviations from the mean are multiplied by: (K, F)."""
        return torch.rsqrt(self.variance + _VARIANCE_FLOOR)

    def normalize(self, features: Tensor, columns: slice = slice(None)) -> Tensor:
        """Standardised and clipped ``columns`` of the moments' features.

        Moments of one slot apply to (..., F); those of K slots to (R, L, N, F), limb by limb.
        """
        mean = self.mean[:, columns].to(features.dtype)
        scale = self.scale()[:, columns].to(features.dtype)
        if self.mean.shape[0] > 1:
            limbs = features.shape[1]
            mean, scale = mean[:limbs].unsqueeze(1), scale[:limbs].unsqueeze(1)
        return ((features - mean) * scale).clamp(-self.clip, self.clip)

    def deviations(self, features: Tensor) -> Tensor:
        """Sums of ``features`` (K, S, F) about the present means: (K, 2F + 1) float64.

        Columns are the sample count, the sums and the sums of squares; such sums of different
        processes add up, and ``merge`` takes their total.
        """
        centred = features.to(torch.float64) - self.mean.unsqueeze(1)
        count = torch.full_like(self.mean[:, :1], features.shape[1])
        return torch.cat([count, centred.sum(1), centred.square().sum(1)], dim=1)

    @torch.no_grad()
    def merge(self, deviations: Tensor) -> None:
        """Take samples in, given as ``deviations`` (K, 2F + 1) about the present means."""
        width = self.mean.shape[1]
        added, sums, squares = (
            deviations[:, 0],
            deviations[:, 1 : 1 + width],
            deviations[:, 1 + width :],
        )
        total = self.count + added
        safe_total = total.clamp(min=1.0).unsqueeze(1)
        shift = sums / safe_total
        spread = self.variance * self.count.unsqueeze(1) + squares - shift.square() * safe_total
        seen = (total > 0).unsqueeze(1)
        self.variance.copy_(torch.where(seen, spread / safe_total, self.variance).clamp(min=0.0))
        self.mean.add_(shift)
        self.count.copy_(total)

    @torch.no_grad()
    def assign(self, mean: Tensor, variance: Tensor, count: float) -> None:
        """Set the moments of all slots at once: (F,), (F,)."""
        self.mean.copy_(mean.expand_as(self.mean))
        self.variance.copy_(variance.expand_as(self.variance))
        self.count.fill_(count)
