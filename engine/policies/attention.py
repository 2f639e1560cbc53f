"""Attention between the limbs of a robot, from observations or from the morphology alone."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.morphology.packing import Packing


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

    def forward(self, features: Tensor, packing: Packing) -> Tensor:
        """Limbs attend to the limbs of their environment: limb-major (rows, D) -> (rows, D)."""
        width = features.shape[-1]
        projected = self.query_key_value(features)
        mixed = []
        for bucket in packing.buckets:
            limbs, samples = bucket.limb_count, packing.per_robot
            view = projected[bucket.row_slice].view(
                -1, limbs, samples, 3, self.heads, width // self.heads
            )
            query, key, value = view.permute(3, 0, 2, 4, 1, 5).flatten(1, 2)
            attended = functional.scaled_dot_product_attention(query, key, value)
            attended = attended.view(-1, samples, *attended.shape[1:]).permute(0, 3, 1, 2, 4)
            mixed.append(attended.reshape(-1, width))
        return torch.as_tensor(self.output(torch.cat(mixed)))


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

    def maps(self, context: Tensor) -> Tensor:
        """Attention maps of encoded contexts: (R, L, D) -> (heads, R, L, L)."""
        robots, limbs, width = context.shape
        projected = self.query_key(self.norm(context))
        view = projected.view(robots, limbs, 2, self.heads, width // self.heads)
        query, key = view.permute(2, 3, 0, 1, 4)
        scores: Tensor = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        return scores.softmax(dim=-1)

    def forward(self, features: Tensor, maps: tuple[Tensor, ...], packing: Packing) -> Tensor:
        """Mix the limbs by one map per bucket: limb-major (rows, D) -> (rows, D)."""
        head_width = features.shape[-1] // self.heads
        mixed_heads = []
        weights = self.value.weight.view(self.heads, head_width, -1).unbind()
        biases = self.value.bias.view(self.heads, head_width).unbind()
        for head, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            value = functional.linear(features, weight, bias)
            mixed = [
                torch.bmm(
                    maps[index][head],
                    value[bucket.row_slice].view(
                        len(bucket.robots), bucket.limb_count, packing.per_robot * head_width
                    ),
                ).view(-1, head_width)
                for index, bucket in enumerate(packing.buckets)
            ]
            mixed_heads.append(torch.cat(mixed))
        return torch.as_tensor(self.output(torch.cat(mixed_heads, dim=-1)))


class FeedForward(nn.Module):
    """Two linear layers with ReLU between."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden_width)
        self.contract = nn.Linear(hidden_width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(rows, D) -> (rows, D)."""
        return torch.as_tensor(self.contract(torch.relu(self.expand(features))))
