"""The student: a hypernetwork that reads a robot once and writes its base MLP.

HyperDistill (arXiv 2402.06570, section 4): three context encoders, for the input, hidden and output
weights; heads start with zero matrices, so that every robot starts with the same, well-scaled
base MLP and the context only gradually tells robots apart.
"""

import torch
from torch import Tensor, nn

from engine.config.hypernetwork import ContextKind, HypernetworkConfig
from engine.morphology.family import RobotFamily
from engine.morphology.packing import Packing
from engine.policies.base_mlp import BaseWeights, base_mlp_means, terrain_encoder
from engine.policies.context_encoder import ContextEncoder
from engine.policies.controller import BucketContext, RobotBatch, known_classes
from engine.policies.inputs import split_rows
from engine.policies.moments import ObservationMoments
from engine.policies.padded_robots import PaddedRobots
from engine.policies.widths import network_widths


def weight_head(width: int, shape: tuple[int, int], fan_in: int) -> nn.Linear:
    """A head that writes a weight matrix: zero matrix, biases normal with std sqrt(1 / fan-in)."""
    head = nn.Linear(width, shape[0] * shape[1])
    nn.init.zeros_(head.weight)
    nn.init.normal_(head.bias, std=fan_in**-0.5)
    return head


def bias_head(width: int, size: int) -> nn.Linear:
    """A head that writes biases: all zero at the start."""
    head = nn.Linear(width, size)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


class ContextDropout(nn.Module):
    """Dropout in task space: one mask per robot and encoding, not one per sample.

    ``generator`` draws the masks where training must be repeatable; without it torch's own does.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, embedding: Tensor) -> Tensor:
        """The embedding (rows, D) in evaluation mode, else with entries dropped and rescaled."""
        if not self.training or self.rate == 0.0:
            return embedding
        drawn = torch.rand(embedding.shape, generator=self.generator, device=embedding.device)
        return embedding * ((drawn >= self.rate) / (1.0 - self.rate))


class Hypernetwork(nn.Module):
    """A controller whose encoding of a robot is its base MLP's weights."""

    def __init__(
        self, config: HypernetworkConfig, family: RobotFamily, terrain_points: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.widths = widths = network_widths(terrain_points, family)
        self.input_encoder = self._encoder()
        self.hidden_encoder = self._encoder()
        self.output_encoder = self._encoder()
        self.dropout = ContextDropout(config.dropout)
        self._build_heads()
        self.terrain = (
            terrain_encoder(widths.terrain_points, config.terrain_width)
            if widths.terrain_points
            else None
        )
        self.moments = ObservationMoments(widths.observation)

    def _encoder(self) -> ContextEncoder:
        config, widths = self.config, self.widths
        transformed = config.context == "transformed"
        return ContextEncoder(
            widths.context if transformed else widths.raw_context,
            config.embedding_width,
            config.attention_heads,
            config.feedforward_width,
            config.encoder_layers,
        )

    def _build_heads(self) -> None:
        embedding, hidden = self.config.embedding_width, self.config.hidden_width
        observation, slots = self.widths.observation, self.widths.joint_slots
        fan_in = self.widths.limb_limit * observation
        self.input_weight = weight_head(embedding, (observation, hidden), fan_in)
        self.input_bias = bias_head(embedding, hidden)
        self.hidden_weights = nn.ModuleList(
            weight_head(embedding, (width, hidden), width) for width in self.hidden_fan_ins
        )
        self.hidden_biases = nn.ModuleList(
            bias_head(embedding, hidden) for _ in self.hidden_fan_ins
        )
        self.output_weight = weight_head(embedding, (slots, hidden), hidden)
        self.output_bias = bias_head(embedding, slots)

    @property
    def hidden_fan_ins(self) -> tuple[int, ...]:
        """Input width of each hidden layer; the terrain embedding joins the first."""
        sees_terrain = self.widths.terrain_points > 0
        layers = self.config.base_hidden_layers(sees_terrain)
        joined = self.config.terrain_width if sees_terrain else 0
        hidden = self.config.hidden_width
        return tuple(hidden + (joined if index == 0 else 0) for index in range(layers))

    def encode(self, robots: RobotBatch) -> BaseWeights:
        """Write the base MLP of every robot; in training mode with fresh dropout masks."""
        packing = robots.packing(1)
        context = torch.cat([_flat_context(self.config.context, b) for b in robots.buckets])
        inputs = self.dropout(self.input_encoder(context, packing))
        hidden = _robot_means(self.dropout(self.hidden_encoder(context, packing)), packing)
        outputs = self.dropout(self.output_encoder(context, packing))
        width = self.config.hidden_width
        hidden_heads = zip(self.hidden_weights, self.hidden_fan_ins, strict=True)
        return BaseWeights(
            inputs=_per_bucket(self.input_weight(inputs), packing, width),
            # The mean of a linear head's outputs is the head's output of the mean.
            input_bias=self.input_bias(_robot_means(inputs, packing)),
            hidden=tuple(head(hidden).view(-1, fan_in, width) for head, fan_in in hidden_heads),
            hidden_bias=tuple(head(hidden) for head in self.hidden_biases),
            outputs=_per_bucket(self.output_weight(outputs), packing, width),
            output_bias=tuple(
                part.squeeze(-1) for part in _per_bucket(self.output_bias(outputs), packing, 1)
            ),
            joint_masks=tuple(bucket.joint_mask for bucket in robots.buckets),
        )

    def padded_means(
        self,
        robots: PaddedRobots,
        observation: Tensor,
        terrain: Tensor | None,
        drawn: Tensor | None,
    ) -> Tensor:
        """Action means of robots padded to one size: (R, N, L, F) -> (R, N, L * J).

        Encodes and acts in one: what ``encode`` and ``mean`` do of packed robots, with the uniform
        numbers ``drawn`` (3, R, L, D) deciding what dropout leaves out, None where nothing is.
        """
        chosen = robots.context if self.config.context == "transformed" else robots.raw_context
        context = known_classes(chosen)
        count = len(context)
        width, rate = self.config.hidden_width, self.dropout.rate
        masks = (None, None, None) if drawn is None else drawn.unbind()
        inputs, hidden, outputs = (
            _padded_dropout(encoder.padded(context, robots.absent), own, rate)
            for encoder, own in zip(
                (self.input_encoder, self.hidden_encoder, self.output_encoder), masks, strict=True
            )
        )
        there = robots.limbs.unsqueeze(-1)
        number = robots.limbs.sum(1).view(-1, 1, 1)
        mean_input = (inputs * there).sum(1) / number.squeeze(-1)
        mean_hidden = (hidden * there).sum(1) / number.squeeze(-1)
        seen = (self.moments.normalize(observation) * there.unsqueeze(1)).flatten(2)
        weight = self.input_weight(inputs).view(count, -1, width)
        features = seen @ weight / number + self.input_bias(mean_input).unsqueeze(1)
        features = torch.relu(features)
        if self.terrain is not None:
            features = torch.cat([features, self.terrain(_seen_terrain(terrain))], dim=-1)
        heads = zip(self.hidden_weights, self.hidden_biases, self.hidden_fan_ins, strict=True)
        for head, bias, fan_in in heads:
            matrix = head(mean_hidden).view(count, fan_in, width)
            features = torch.relu(torch.baddbmm(bias(mean_hidden).unsqueeze(1), features, matrix))
        matrix = self.output_weight(outputs).view(count, -1, width).transpose(1, 2)
        means = torch.baddbmm(self.output_bias(outputs).view(count, 1, -1), features, matrix)
        return means * robots.joint_mask.flatten(1).unsqueeze(1)

    def mean(
        self, encoding: BaseWeights, observation: Tensor, packing: Packing, terrain: Tensor | None
    ) -> Tensor:
        """Action means of raw packed observations: (rows, F) -> (rows, J)."""
        embedding = None if self.terrain is None else self.terrain(_seen_terrain(terrain))
        return base_mlp_means(encoding, self.moments.normalize(observation), packing, embedding)


def _seen_terrain(terrain: Tensor | None) -> Tensor:
    if terrain is None:
        raise ValueError("this policy sees terrain, but none was given")
    return terrain


def _padded_dropout(embedding: Tensor, drawn: Tensor | None, rate: float) -> Tensor:
    """The embedding with entries left out where a number drawn in [0, 1) is below the rate."""
    if drawn is None:
        return embedding
    return embedding * ((drawn >= rate) / (1.0 - rate))


def _flat_context(kind: ContextKind, bucket: BucketContext) -> Tensor:
    """The chosen context of a bucket as rows: (R * L, F)."""
    chosen = bucket.transformed if kind == "transformed" else bucket.normalized_raw_context
    return chosen.flatten(0, 1)


def _robot_means(rows: Tensor, packing: Packing) -> Tensor:
    """Average the limbs of each robot: (rows, D) -> (R, D), robots in packed order."""
    means = [
        part.view(-1, bucket.limb_count, part.shape[-1]).mean(1)
        for part, bucket in zip(split_rows(rows, packing), packing.buckets, strict=True)
    ]
    return torch.cat(means)


def _per_bucket(rows: Tensor, packing: Packing, width: int) -> tuple[Tensor, ...]:
    """What a head wrote per limb as matrices per robot: (rows, K * width) -> (R, L * K, width)."""
    return tuple(
        part.view(len(bucket.robots), -1, width)
        for part, bucket in zip(split_rows(rows, packing), packing.buckets, strict=True)
    )
