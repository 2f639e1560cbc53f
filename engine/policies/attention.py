"""Attention between the limbs of a robot, from observations or from the morphology alone."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.morphology.packing import Packing
from engine.policies.few_limbs import attend_few_limbs, few_limbs_kernel_runs
from engine.policies.inputs import split_rows


def _projection(width_in: int, width_out: int) -> nn.Linear:
    layer = nn.Linear(width_in, width_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class SelfAttention(nn.Module):
    """Multi-head attention whose queries and keys come from the limbs' own features."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = _projection(width, 3 * width)
        self.output = nn.Linear(width, width)
        nn.init.zeros_(self.output.bias)

    def mixed(self, projected: Tensor, packing: Packing) -> Tensor:
        """Limbs attend to the limbs of their environment: limb-major (rows, 3 D) -> (rows, D)."""
        width = projected.shape[-1] // 3
        if few_limbs_kernel_runs(projected, packing, self.heads):
            return attend_few_limbs(projected, packing, self.heads)
        mixed = []
        for rows, bucket in zip(split_rows(projected, packing), packing.buckets, strict=True):
            limbs, samples = bucket.limb_count, packing.per_robot
            view = rows.view(-1, limbs, samples, 3, self.heads, width // self.heads)
            query, key, value = view.permute(3, 0, 2, 4, 1, 5).flatten(1, 2)
            attended = functional.scaled_dot_product_attention(query, key, value)
            attended = attended.view(-1, samples, *attended.shape[1:]).permute(0, 3, 1, 2, 4)
            mixed.append(attended.reshape(-1, width))
        return torch.cat(mixed)


class ContextAttention(nn.Module):
    """Multi-head attention whose queries and keys come from the morphology (ModuMorph).

    The maps depend on the robot alone, so they are computed once per robot and batch.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key = _projection(width, 2 * width)
        self.value = _projection(width, width)
        self.output = nn.Linear(width, width)
        nn.init.zeros_(self.output.bias)

    def maps(self, context: Tensor) -> tuple[Tensor, ...]:
        """Attention maps of encoded contexts, one per head: (R, L, D) -> (R, L, L) each."""
        robots, limbs, width = context.shape
        projected = self.query_key(self.norm(context))
        view = projected.view(robots, limbs, 2, self.heads, width // self.heads)
        query, key = view.permute(2, 3, 0, 1, 4)
        scores: Tensor = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        return scores.softmax(dim=-1).unbind()

    def forward(
        self, features: Tensor, maps: tuple[tuple[Tensor, ...], ...], packing: Packing
    ) -> Tensor:
        """Mix the limbs by the maps of their bucket: limb-major (rows, D) -> (rows, D)."""
        head_width = features.shape[-1] // self.heads
        outputs = torch.split(self.output.weight.t(), head_width)
        weights = torch.split(self.value.weight, head_width)
        heads = zip(weights, torch.split(self.value.bias, head_width), strict=True)
        mixed = [
            _mixed(functional.linear(features, weight, bias), own_maps, packing)
            for (weight, bias), own_maps in zip(heads, zip(*maps, strict=True), strict=True)
        ]
        result = torch.addmm(self.output.bias, mixed[0], outputs[0])
        for own, weight in zip(mixed[1:], outputs[1:], strict=True):
            result = torch.addmm(result, own, weight)  # heads are never copied side by side
        return result


def _mixed(value: Tensor, maps: tuple[Tensor, ...], packing: Packing) -> Tensor:
    """One head's values (rows, D) mixed over the limbs, by one map (R, L, L) a bucket."""
    mixed = [
        torch.bmm(own_map, rows.view(*own_map.shape[:2], -1)).view(-1, value.shape[-1])
        for own_map, rows in zip(maps, split_rows(value, packing), strict=True)
    ]
    return torch.cat(mixed)


class FeedForward(nn.Module):
    """Two linear layers with ReLU between."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden_width)
        self.contract = nn.Linear(hidden_width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(rows, D) -> (rows, D)."""
        return torch.as_tensor(self.contract(self.expand(features).relu_()))
