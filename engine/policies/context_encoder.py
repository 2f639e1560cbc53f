"""Context encoder of the hypernetwork: a robot's limbs read each other once.

A linear embedding and post-norm transformer encoder layers (arXiv 1706.03762) over packed limbs:
linear layers see all rows at once, attention is one product per bucket of robots with equally many
limbs, so nothing is padded and nothing is masked.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.morphology.packing import Packing
from engine.policies.inputs import split_rows


class PackedEncoderLayer(nn.Module):
    """One transformer encoder layer on packed rows (rows, D) of one sample a robot."""

    def __init__(self, width: int, heads: int, feedforward_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward_width)
        self.contract = nn.Linear(feedforward_width, width)
        self.feedforward_norm = nn.LayerNorm(width)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """Limbs of a robot attend to each other: (rows, D) -> (rows, D)."""
        parts = zip(split_rows(self.projection(rows), packing), packing.buckets, strict=True)
        attended = torch.cat([self._attend(part, bucket.limb_count) for part, bucket in parts])
        rows = self.attention_norm(rows + self.attention_output(attended))
        changed = self.contract(torch.relu(self.expand(rows)))
        normed: Tensor = self.feedforward_norm(rows + changed)
        return normed

    def padded(self, rows: Tensor, absent: Tensor) -> Tensor:
        """The same of robots padded to one size: (R, L, D) -> (R, L, D)."""
        robots, limbs, width = rows.shape
        parts = self.projection(rows).view(robots, limbs, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(width // self.heads)
        mixed = (scores + absent).softmax(-1) @ values
        attended = mixed.transpose(1, 2).reshape(robots, limbs, width)
        rows = self.attention_norm(rows + self.attention_output(attended))
        changed = self.contract(torch.relu(self.expand(rows)))
        normed: Tensor = self.feedforward_norm(rows + changed)
        return normed

    def _attend(self, projected: Tensor, limbs: int) -> Tensor:
        """Dot-product attention among the limbs of each robot: (R * L, 3 D) -> (R * L, D)."""
        parts = projected.view(-1, limbs, 3, self.heads, projected.shape[-1] // (3 * self.heads))
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        return mixed.transpose(1, 2).reshape(projected.shape[0], -1)


class ContextEncoder(nn.Module):
    """Embedding of every limb in the light of the whole body: (rows, F) -> (rows, D)."""

    def __init__(
        self, context_width: int, width: int, heads: int, feedforward_width: int, layers: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(context_width, width)
        self.layers = nn.ModuleList(
            PackedEncoderLayer(width, heads, feedforward_width) for _ in range(layers)
        )

    def forward(self, context: Tensor, packing: Packing) -> Tensor:
        """Embed packed contexts of one sample a robot: (rows, F) -> (rows, D)."""
        rows: Tensor = self.embedding(context)
        for layer in self.layers:
            rows = layer(rows, packing)
        return rows

    def padded(self, context: Tensor, absent: Tensor) -> Tensor:
        """The same of robots padded to one size: (R, L, F) -> (R, L, D).

        ``absent`` (R, 1, 1, L) is minus infinity where there is no limb, else 0.
        """
        rows: Tensor = self.embedding(context)
        for layer in self.layers:
            rows = cast("PackedEncoderLayer", layer).padded(rows, absent)
        return rows
