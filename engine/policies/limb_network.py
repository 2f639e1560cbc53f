"""Transformer and ModuMorph: the same trunk over limbs, with shared or generated interfaces.

MetaMorph (arXiv 2203.11931) and ModuMorph (arXiv 2302.11070). A network gives K numbers a limb:
action means for a policy, values for a critic.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.config.base import TaskName
from engine.config.network import TERRAIN_WIDTH, NetworkConfig, decoder_widths
from engine.morphology.packing import Packing
from engine.policies.attention import ContextAttention, FeedForward, SelfAttention
from engine.policies.base_mlp import terrain_encoder
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.inputs import LimbInputs, packed_rows, split_rows
from engine.policies.interfaces import GeneratedInterface, Interface, SharedInterface
from engine.policies.precision import full_precision
from engine.policies.widths import NetworkWidths

if TYPE_CHECKING:
    from collections.abc import Iterable


LayerMaps = tuple[tuple[Tensor, ...], ...]
"""A layer's attention maps (R, L, L), by bucket and head."""


@dataclass(frozen=True)
class LimbEncoding:
    """What a limb network computes once per robot, one entry per bucket (R robots of L limbs).

    ``interfaces`` hold the embedding of the static context and the weights that meet observations
    and features; ``maps`` holds per layer and bucket the attention maps (R, L, L) of the heads,
    none for self-attention.
    """

    interfaces: tuple[Interface, ...]
    maps: tuple[LayerMaps, ...]


class EncoderLayer(nn.Module):
    """Pre-norm residual attention and feed-forward."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        attention = SelfAttention if config.attention == "self" else ContextAttention
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = attention(config.width, config.heads)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.feedforward = FeedForward(config.width, config.feedforward_width)
        self.fused = False

    def maps(self, contexts: list[Tensor]) -> LayerMaps:
        """Attention maps of encoded contexts, one per bucket; none for self-attention."""
        if isinstance(self.attention, SelfAttention):
            return ()
        return tuple(self.attention.maps(context) for context in contexts)

    def forward(self, features: Tensor, maps: LayerMaps, packing: Packing) -> Tensor:
        """Limb-major (rows, D) -> (rows, D)."""
        attention = self.attention
        if isinstance(attention, ContextAttention):
            attended = attention(self.attention_norm(features), maps, packing)
            features = added(attended, features)
            return added(self.feedforward(self.feedforward_norm(features)), features)
        before, after = (_compiled_before(), _compiled_after()) if self.fused else (_before, _after)
        projected = before(features, *self._weights(self.attention_norm, attention.query_key_value))
        mixed = attention.mixed(projected, packing)
        rest = (self.feedforward_norm, self.feedforward.expand, self.feedforward.contract)
        return after(features, mixed, *self._weights(attention.output, *rest))

    def _weights(self, *modules: nn.LayerNorm | nn.Linear) -> list[Tensor]:
        return [tensor for module in modules for tensor in (module.weight, module.bias)]


def added(branch: Tensor, features: Tensor) -> Tensor:
    """The residual sum, in the features' precision."""
    if branch.dtype == features.dtype:
        return branch.add_(features)  # into what was just made: no gradient needs it as it was
    return features + branch


def _before(
    features: Tensor, norm_weight: Tensor, norm_bias: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """What a layer computes before its limbs attend to each other: (rows, D) -> (rows, 3 D)."""
    normed = functional.layer_norm(features, norm_weight.shape, norm_weight, norm_bias)
    return functional.linear(normed, weight, bias)


def _after(features: Tensor, mixed: Tensor, *weights: Tensor) -> Tensor:
    """What it computes once they have: (rows, D), (rows, D) -> (rows, D).

    ``weights`` are weight and bias of attention's output, norm, expansion and contraction.
    """
    output, output_bias, norm, norm_bias, expand, expand_bias, contract, contract_bias = weights
    features = added(functional.linear(mixed, output, output_bias), features)
    normed = functional.layer_norm(features, norm.shape, norm, norm_bias)
    expanded = functional.linear(normed, expand, expand_bias).relu_()
    return added(functional.linear(expanded, contract, contract_bias), features)


@cache
def _compiled_before() -> Callable[..., Tensor]:
    return torch.compile(_before, dynamic=True)


@cache
def _compiled_after() -> Callable[..., Tensor]:
    return torch.compile(_after, dynamic=True)


def fuse_layers(network: nn.Module) -> None:
    """Let a compiler fuse what the encoder layers compute limb by limb, from their next call on."""
    for module in network.modules():
        if isinstance(module, EncoderLayer):
            module.fused = True


class LimbNetwork(nn.Module):
    """A transformer over limbs that gives ``outputs`` numbers a limb."""

    def __init__(
        self, config: NetworkConfig, task: TaskName, widths: NetworkWidths, outputs: int
    ) -> None:
        super().__init__()
        self.inputs = LimbInputs(
            config.moments, widths.observation, widths.raw_context, widths.limb_limit
        )
        self.terrain = (
            terrain_encoder(widths.terrain_points, TERRAIN_WIDTH) if widths.terrain_points else None
        )
        joined = config.width + (TERRAIN_WIDTH if widths.terrain_points else 0)
        decoder = (joined, *decoder_widths(task), outputs)
        interface = GeneratedInterface if config.kind == "modumorph" else SharedInterface
        self.interface = interface(widths, config.width, decoder)
        self.context_encoder = (
            _context_encoder(widths.context, config.width)
            if config.attention == "context"
            else None
        )
        self.position = (
            nn.Parameter(torch.randn(widths.limb_limit, config.width))
            if config.positional_embedding
            else None
        )
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.scale = math.sqrt(config.width) if config.scaled_embedding else 1.0

    def encode(self, robots: RobotBatch) -> LimbEncoding:
        """All that depends on the robots alone."""
        with full_precision(robots.buckets[0].raw_context.device):
            interfaces = tuple(self._encode_interface(bucket) for bucket in robots.buckets)
        encoder = self.context_encoder
        contexts = [] if encoder is None else _encoded_contexts(encoder, robots)
        layers = cast("Iterable[EncoderLayer]", self.layers)
        return LimbEncoding(interfaces, tuple(layer.maps(contexts) for layer in layers))

    def _encode_interface(self, bucket: BucketContext) -> Interface:
        encoded = self.interface.encode(bucket.context, self.inputs.context(bucket))
        static = encoded.static * self.scale
        if self.position is not None:
            static = static + self.position[: static.shape[1]]
        return Interface(static, encoded.embedding * self.scale, encoded.decoder)

    def forward(
        self, encoding: LimbEncoding, observation: Tensor, packing: Packing, terrain: Tensor | None
    ) -> Tensor:
        """K outputs a limb: packed raw (rows, F) -> packed (rows, K)."""
        views = self.inputs.observation(observation, packing)
        pairs = list(zip(encoding.interfaces, views, strict=True))
        features = torch.cat([interface.embed(view).flatten(0, 2) for interface, view in pairs])
        for layer, maps in zip(self.layers, encoding.maps, strict=True):
            features = layer(features, maps, packing)
        terrains = self._terrain_views(terrain, packing)
        outputs = []
        for rows, (interface, view), heights in zip(
            split_rows(features, packing), pairs, terrains, strict=True
        ):
            own = rows.view(*view.shape[:3], -1)
            if heights is not None:
                own = torch.cat([own, heights.expand(-1, own.shape[1], -1, -1)], dim=-1)
            outputs.append(interface.decode(own))
        return packed_rows(outputs)

    def _terrain_views(self, terrain: Tensor | None, packing: Packing) -> list[Tensor | None]:
        """The terrain embedding per bucket: (E, P) -> (R, 1, N, D), or None on flat ground."""
        if self.terrain is None:
            return [None for _ in packing.buckets]
        if terrain is None:
            raise ValueError("this network sees terrain, but none was given")
        embedding = self.terrain(terrain)
        return [
            embedding[bucket.environment_slice].view(len(bucket.robots), 1, packing.per_robot, -1)
            for bucket in packing.buckets
        ]


def _encoded_contexts(encoder: nn.Module, robots: RobotBatch) -> list[Tensor]:
    """Encoded contexts (R, L, D) of every bucket, from one pass over the limbs of all."""
    contexts = [bucket.transformed for bucket in robots.buckets]
    encoded = encoder(torch.cat([context.flatten(0, 1) for context in contexts]))
    parts = torch.split(encoded, [context.shape[0] * context.shape[1] for context in contexts])
    return [
        part.view(*context.shape[:2], -1) for part, context in zip(parts, contexts, strict=True)
    ]


def _context_encoder(context_width: int, width: int) -> nn.Sequential:
    """Encoded context that queries and keys are read from (ModuMorph, section 4)."""
    return nn.Sequential(
        nn.Linear(context_width, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
    )
