"""MLPs on a robot's limbs laid side by side: one for all robots, or one per robot.

Padding is never computed: a robot of L limbs meets the first L limb slots of the input weights.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from engine.config.network import TERRAIN_WIDTH, NetworkConfig
from engine.errors import RobotError
from engine.morphology.packing import Packing
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.inputs import LimbInputs
from engine.policies.widths import NetworkWidths

_OUTPUT_RANGE = 0.01

Layer = tuple[Tensor, Tensor]
"""Weight (R, D_in, D_out) and bias (R, 1, D_out) of R robots' layers."""


@dataclass(frozen=True)
class MlpEncoding:
    """One bucket's networks; ``first`` reads observations, its bias holds the context's part."""

    first: Layer
    terrain: tuple[Layer, ...]
    hidden: tuple[Layer, ...]
    output: Layer


class LinearBank(nn.Module):
    """K linear layers of one shape: weight (K, D_in, D_out), bias (K, 1, D_out)."""

    def __init__(
        self, networks: int, width_in: int, width_out: int, half_range: float | None = None
    ) -> None:
        super().__init__()
        bound = half_range if half_range is not None else 1.0 / math.sqrt(width_in)
        weight = torch.empty(networks, width_in, width_out).uniform_(-bound, bound)
        bias = torch.empty(networks, 1, width_out).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias if half_range is None else torch.zeros_like(bias))

    def select(self, networks: Tensor) -> Layer:
        """The layers of some networks, by index (R,)."""
        if self.weight.shape[0] == 1:
            robots = networks.shape[0]
            return self.weight.expand(robots, -1, -1), self.bias.expand(robots, -1, -1)
        return self.weight[networks], self.bias[networks]


class LimbMlps(nn.Module):
    """One MLP per robot of ``digests``, or one that reads the context as well (no digests).

    ``outputs_per_limb`` numbers a limb, or one number a robot where it is 0.
    """

    def __init__(
        self,
        config: NetworkConfig,
        widths: NetworkWidths,
        hidden_width: int,
        outputs_per_limb: int,
        digests: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.indices = {digest: index for index, digest in enumerate(digests)}
        self._networks_of: dict[tuple[tuple[str, ...], torch.device], Tensor] = {}
        self.observation_width = widths.observation
        self.outputs_per_limb = outputs_per_limb
        self.inputs = LimbInputs(
            config.moments, widths.observation, widths.raw_context, widths.limb_limit
        )
        limb_width = widths.observation + (0 if digests else widths.raw_context)
        networks = max(len(digests), 1)
        self.first = LinearBank(networks, widths.limb_limit * limb_width, hidden_width)
        points = widths.terrain_points
        encoder = [(points, TERRAIN_WIDTH), (TERRAIN_WIDTH, TERRAIN_WIDTH)] if points else []
        self.terrain = nn.ModuleList(LinearBank(networks, *shape) for shape in encoder)
        joined = hidden_width + (TERRAIN_WIDTH if points else 0)
        fan_ins = [joined, *[hidden_width] * config.hidden_layers][: config.hidden_layers - 1]
        self.hidden = nn.ModuleList(LinearBank(networks, width, hidden_width) for width in fan_ins)
        last_width = hidden_width if fan_ins else joined
        outputs = widths.limb_limit * outputs_per_limb if outputs_per_limb else 1
        self.output = LinearBank(networks, last_width, outputs, _OUTPUT_RANGE)

    def encode(self, robots: RobotBatch) -> tuple[MlpEncoding, ...]:
        """Every robot's weights, per bucket.

        They are chosen for all robots at once: the gradient of each choice is as large as all
        networks together, and one for every bucket cost more than all else with many bodies.
        """
        networks = self._networks(robots)
        counts = [len(bucket.robots) for bucket in robots.buckets]

        def chosen(bank: LinearBank) -> list[Layer]:
            weight, bias = bank.select(networks)
            split = torch.split(weight, counts), torch.split(bias, counts)
            return list(zip(*split, strict=True))

        first, output = chosen(self.first), chosen(self.output)
        terrain = [chosen(bank) for bank in cast("Iterable[LinearBank]", self.terrain)]
        hidden = [chosen(bank) for bank in cast("Iterable[LinearBank]", self.hidden)]
        return tuple(
            MlpEncoding(
                first=self._first_layer(bucket, first[place]),
                terrain=tuple(layers[place] for layers in terrain),
                hidden=tuple(layers[place] for layers in hidden),
                output=self._output_layer(bucket, output[place]),
            )
            for place, bucket in enumerate(robots.buckets)
        )

    def _output_layer(self, bucket: BucketContext, layer: Layer) -> Layer:
        weight, bias = layer
        if not self.outputs_per_limb:
            return layer
        real = bucket.joint_mask.shape[1] * self.outputs_per_limb
        return weight[..., :real], bias[..., :real]

    def _networks(self, robots: RobotBatch) -> Tensor:
        """Which network is each robot's, in packed order; the same tensor for the same robots.

        A captured graph reads it again, and could not copy it from the host.
        """
        order = [robot for bucket in robots.buckets for robot in bucket.robots]
        # One network for all is the same for any robots: students meet others in every minibatch.
        digests = tuple(robots.digests[robot] if self.indices else "" for robot in order)
        device = self.first.weight.device
        if (digests, device) not in self._networks_of:
            with torch.inference_mode(mode=False):  # it may be asked for again while learning
                indices = torch.tensor(self._indices(order, robots), device=device)
            self._networks_of[digests, device] = indices
        return self._networks_of[digests, device]

    def _indices(self, order: Sequence[int], robots: RobotBatch) -> list[int]:
        if not self.indices:
            return [0] * len(order)
        for robot in order:
            if robots.digests[robot] not in self.indices:
                raise RobotError(
                    f"{robots.names[robot]}: this policy has one network per training robot and"
                    " none for this one; use a universal policy for unseen robots"
                )
        return [self.indices[robots.digests[robot]] for robot in order]

    def _first_layer(self, bucket: BucketContext, layer: Layer) -> Layer:
        weight, bias = layer
        robots, limbs = bucket.joint_mask.shape[:2]
        per_limb = weight.view(robots, self.inputs.limb_limit, -1, weight.shape[-1])[:, :limbs]
        observed = per_limb[:, :, : self.observation_width].flatten(1, 2)
        if not self.indices:
            described = per_limb[:, :, self.observation_width :].flatten(1, 2)
            context = self.inputs.context(bucket).flatten(1).unsqueeze(1)
            bias = torch.baddbmm(bias, context, described)
        return observed, bias

    def forward(
        self,
        encoding: tuple[MlpEncoding, ...],
        observation: Tensor,
        packing: Packing,
        terrain: Tensor | None,
    ) -> Tensor:
        """Packed raw observations (rows, F) -> (rows, K), or (E,) with one number a robot."""
        views = self.inputs.observation(observation, packing)
        outputs = []
        for layers, view, bucket in zip(encoding, views, packing.buckets, strict=True):
            flat = view.transpose(1, 2).flatten(2)
            features = torch.relu(_apply(layers.first, flat))
            if layers.terrain:
                features = torch.cat(
                    [features, _terrain(layers, terrain, bucket.environment_slice, packing)], -1
                )
            for layer in layers.hidden:
                features = torch.relu(_apply(layer, features))
            output = _apply(layers.output, features)
            outputs.append(output.reshape(-1, max(self.outputs_per_limb, 1)))
        joined = torch.cat(outputs)
        return joined if self.outputs_per_limb else joined.squeeze(-1)


def _apply(layer: Layer, features: Tensor) -> Tensor:
    """(R, N, D_in) -> (R, N, D_out)."""
    weight, bias = layer
    return torch.baddbmm(bias, features, weight)


def _terrain(
    layers: MlpEncoding, terrain: Tensor | None, environments: slice, packing: Packing
) -> Tensor:
    """A bucket's terrain embedding: (E, P) -> (R, N, D)."""
    if terrain is None:
        raise ValueError("this network sees terrain, but none was given")
    embedding = terrain[environments].view(-1, packing.per_robot, terrain.shape[-1])
    for layer in layers.terrain:
        embedding = torch.relu(_apply(layer, embedding))
    return embedding
