"""How observations enter a limb network and how numbers leave it: weights shared or per limb."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from engine.policies.controller import known_classes
from engine.policies.precision import full_precision
from engine.policies.widths import NetworkWidths

if TYPE_CHECKING:
    from collections.abc import Iterable

_EMBEDDING_RANGE = 0.1
_DECODER_RANGE = 0.01
_HYPERNETWORK_WIDTH = 128


@dataclass(frozen=True)
class Interface:
    """The embedding and decoder of the robots of one bucket.

    ``static`` (R, L, D) is what context and bias add to the embedding, ``embedding`` (R * L, F, D)
    meets observations, ``decoder`` are (weight, bias) pairs of (R * L, D_in, D_out) and
    (R * L, 1, D_out). Shared weights are expanded views.
    """

    static: Tensor
    embedding: Tensor
    decoder: tuple[tuple[Tensor, Tensor], ...]

    def embed(self, observation: Tensor) -> Tensor:
        """(R, L, N, F) -> (R, L, N, D)."""
        robots, limbs = observation.shape[:2]
        static = self.static.reshape(robots * limbs, 1, -1)
        with full_precision(observation.device):
            embedded = torch.baddbmm(static, observation.flatten(0, 1), self.embedding)
        return embedded.view(robots, limbs, *embedded.shape[1:])

    def decode(self, features: Tensor) -> Tensor:
        """(R, L, N, D) -> (R, L, N, K)."""
        decoded = features.flatten(0, 1)
        with full_precision(features.device):
            for index, (weight, bias) in enumerate(self.decoder):
                if index:
                    decoded = torch.relu(decoded)
                decoded = torch.baddbmm(bias, decoded, weight)
        return decoded.view(*features.shape[:2], *decoded.shape[1:])


def _uniform_linear(width_in: int, width_out: int, half_range: float) -> nn.Linear:
    layer = nn.Linear(width_in, width_out)
    nn.init.uniform_(layer.weight, -half_range, half_range)
    return layer


class SharedInterface(nn.Module):
    """One embedding and one decoder for the limbs of all robots (MetaMorph)."""

    def __init__(self, widths: NetworkWidths, width: int, decoder: tuple[int, ...]) -> None:
        super().__init__()
        self.observation_width = widths.observation
        self.embedding = _uniform_linear(
            widths.observation + widths.raw_context, width, _EMBEDDING_RANGE
        )
        layers = [nn.Linear(a, b) for a, b in pairwise(decoder[:-1])]
        last = _uniform_linear(decoder[-2], decoder[-1], _DECODER_RANGE)
        nn.init.zeros_(last.bias)
        self.decoder = nn.ModuleList([*layers, last])

    def encode(self, context: Tensor | None, raw_context: Tensor) -> Interface:
        """The interface of one bucket: (R, L, C), (R, L, C_raw)."""
        limbs = raw_context.shape[0] * raw_context.shape[1]
        observed = self.embedding.weight[:, : self.observation_width]
        described = self.embedding.weight[:, self.observation_width :]
        decoder = cast("Iterable[nn.Linear]", self.decoder)
        return Interface(
            static=nn.functional.linear(raw_context, described, self.embedding.bias),
            embedding=observed.t().expand(limbs, -1, -1),
            decoder=tuple(
                (layer.weight.t().expand(limbs, -1, -1), layer.bias.expand(limbs, 1, -1))
                for layer in decoder
            ),
        )


class GeneratedInterface(nn.Module):
    """An embedding and a decoder per limb, written from its context (ModuMorph)."""

    def __init__(self, widths: NetworkWidths, width: int, decoder: tuple[int, ...]) -> None:
        super().__init__()
        self.observation_width = widths.observation
        self.encoder = nn.Sequential(
            nn.Linear(widths.context, _HYPERNETWORK_WIDTH),
            nn.ReLU(),
            nn.Linear(_HYPERNETWORK_WIDTH, _HYPERNETWORK_WIDTH),
            nn.ReLU(),
        )
        shapes = [(widths.observation + widths.raw_context, width)]
        shapes += list(pairwise(decoder))
        self.shapes = tuple(shapes)
        ranges = [_EMBEDDING_RANGE] + [_DECODER_RANGE] * (len(shapes) - 1)
        self.weight_heads = nn.ModuleList(
            _head(fan_in * fan_out, half_range)
            for (fan_in, fan_out), half_range in zip(shapes, ranges, strict=True)
        )
        self.bias_heads = nn.ModuleList(_head(fan_out, 0.0) for _, fan_out in shapes)

    def encode(self, context: Tensor | None, raw_context: Tensor) -> Interface:
        """The interface of one bucket: (R, L, C), (R, L, C_raw)."""
        encoded = self.encoder(known_classes(context)).flatten(0, 1)
        weights = [
            head(encoded).view(-1, *shape)
            for head, shape in zip(self.weight_heads, self.shapes, strict=True)
        ]
        biases = [head(encoded).unsqueeze(1) for head in self.bias_heads]
        observed = weights[0][:, : self.observation_width]
        described = weights[0][:, self.observation_width :]
        static = torch.baddbmm(biases[0], raw_context.flatten(0, 1).unsqueeze(1), described)
        return Interface(
            static=static.view(*raw_context.shape[:2], -1),
            embedding=observed,
            decoder=tuple(zip(weights[1:], biases[1:], strict=True)),
        )


def _head(size: int, half_range: float) -> nn.Linear:
    """A head with a zero matrix: every limb starts with the same weights, drawn as biases."""
    head = nn.Linear(_HYPERNETWORK_WIDTH, size)
    nn.init.zeros_(head.weight)
    nn.init.uniform_(head.bias, -half_range, half_range)
    return head
