"""The base MLP: one small network per robot, all robots of a batch as batched matrix products.

The same forward pass serves training, evaluation and the deployed network: ``base_mlp_means``
takes the weights, whoever wrote them (HyperDistill, arXiv 2402.06570, section 4).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.morphology.packing import Packing
from engine.policies.inputs import split_rows
from engine.policies.widths import NetworkWidths


@dataclass(frozen=True)
class BaseWeights:
    """Weights of one base MLP per robot, robots in packed order (D: width, J: joint slots).

    ``inputs`` and ``outputs`` hold one tensor a bucket of robots with L limbs: (R, L * F, D) and
    (R, L * J, D), ``output_bias`` (R, L * J). The others hold all robots: ``input_bias`` (R, D),
    ``hidden`` layers (R, D_in, D) with ``hidden_bias`` (R, D). Input weights are not yet divided by
    the number of limbs they are averaged over; ``input_bias`` is already the average.
    """

    inputs: tuple[Tensor, ...]
    input_bias: Tensor
    hidden: tuple[Tensor, ...]
    hidden_bias: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    output_bias: tuple[Tensor, ...]
    joint_masks: tuple[Tensor, ...]


def base_mlp_means(
    weights: BaseWeights, observation: Tensor, packing: Packing, terrain_embedding: Tensor | None
) -> Tensor:
    """Action means of normalised packed observations: (rows, F) -> (rows, J).

    ``terrain_embedding`` (E, D_terrain) joins the input of the first hidden layer. Joint slots
    without a hinge come out as zero.
    """
    features = torch.relu(_input_features(weights, observation, packing))
    if terrain_embedding is not None:
        terrain = terrain_embedding.view(packing.num_robots, packing.per_robot, -1)
        features = torch.cat([features, terrain], dim=-1)
    for weight, bias in zip(weights.hidden, weights.hidden_bias, strict=True):
        features = torch.relu(torch.baddbmm(bias.unsqueeze(1), features, weight))
    return _output_means(weights, features, packing)


def _input_features(weights: BaseWeights, observation: Tensor, packing: Packing) -> Tensor:
    """Mean over a robot's limbs of their input contributions: (R, N, D), robots in packed order."""
    counts = [len(bucket.robots) for bucket in packing.buckets]
    parts = zip(
        packing.buckets,
        split_rows(observation, packing),
        weights.inputs,
        torch.split(weights.input_bias.unsqueeze(1), counts),
        strict=True,
    )
    features = [
        torch.baddbmm(
            bias,
            rows.reshape(len(bucket.robots), packing.per_robot, -1),
            weight,
            alpha=1.0 / bucket.limb_count,
        )
        for bucket, rows, weight, bias in parts
    ]
    return torch.cat(features)


def _output_means(weights: BaseWeights, features: Tensor, packing: Packing) -> Tensor:
    """Per-limb action means of the last features: (R, N, D) -> (rows, J)."""
    counts = [len(bucket.robots) for bucket in packing.buckets]
    parts = zip(
        torch.split(features, counts),
        weights.outputs,
        weights.output_bias,
        weights.joint_masks,
        strict=True,
    )
    means = []
    for own, weight, bias, joint_mask in parts:
        mean = torch.baddbmm(bias.unsqueeze(1), own, weight.transpose(1, 2))
        means.append((mean * joint_mask.flatten(1).unsqueeze(1)).view(-1, joint_mask.shape[-1]))
    return torch.cat(means)


def terrain_encoder(terrain_points: int, width: int) -> nn.Sequential:
    """The terrain encoder all networks share in shape: heights (E, P) -> embedding (E, D)."""
    return nn.Sequential(
        nn.Linear(terrain_points, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
    )


class BaseMLP(nn.Module):
    """One robot's base MLP as a plain module: what is deployed, and what efficiency counts.

    Moments, joint mask and the average over limbs are folded into the weights, so a step is: clip,
    flatten (N, L * F), linear, ReLU, hidden layers with ReLU, linear to (N, L, J).
    """

    observation_low: Tensor
    observation_high: Tensor

    def __init__(
        self,
        widths: NetworkWidths,
        limbs: int,
        *,
        hidden_width: int,
        hidden_layers: int,
        terrain_width: int,
    ) -> None:
        super().__init__()
        self.output_shape = (limbs, widths.joint_slots)
        self.input = nn.Linear(limbs * widths.observation, hidden_width)
        points = widths.terrain_points
        self.terrain = terrain_encoder(points, terrain_width) if points else None
        joined = hidden_width + (terrain_width if points else 0)
        fan_ins = [joined, *[hidden_width] * hidden_layers][:hidden_layers]
        self.hidden = nn.ModuleList(nn.Linear(fan_in, hidden_width) for fan_in in fan_ins)
        self.output = nn.Linear(hidden_width, limbs * widths.joint_slots)
        infinite = torch.full((widths.observation,), float("inf"))
        self.register_buffer("observation_low", -infinite)
        self.register_buffer("observation_high", infinite)

    def forward(self, observation: Tensor, terrain: Tensor | None = None) -> Tensor:
        """Action means (N, L, J) of raw observations (N, L, F) and heights (N, P)."""
        clipped = observation.clamp(self.observation_low, self.observation_high)
        features = torch.relu(self.input(clipped.flatten(1)))
        if self.terrain is not None:
            features = torch.cat([features, self.terrain(terrain)], dim=-1)
        for layer in self.hidden:
            features = torch.relu(layer(features))
        means: Tensor = self.output(features).view(-1, *self.output_shape)
        return means
