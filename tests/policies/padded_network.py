"""The same networks written the padded way, limb slots masked, as the papers' code does."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from engine.policies.attention import ContextAttention, SelfAttention
from engine.policies.controller import BucketContext
from engine.policies.limb_network import LimbNetwork


def padded_outputs(
    network: LimbNetwork, bucket: BucketContext, observation: Tensor, limb_slots: int
) -> Tensor:
    """Outputs of one robot (bucket of one) on observations (N, L, F), computed on padded slots."""
    limbs = observation.shape[1]
    padding = limb_slots - limbs
    mask = torch.arange(limb_slots) < limbs
    observation = functional.pad(observation, (0, 0, 0, padding), value=3.0)
    context = functional.pad(bucket.context[0], (0, 0, 0, padding), value=-2.0)
    raw = functional.pad(network.inputs.context(bucket)[0], (0, 0, 0, padding), value=5.0)
    interface = network.interface.encode(context[None], raw[None])
    features = (interface.embed(observation.transpose(0, 1)[None])[0]).transpose(0, 1)
    features = features * network.scale
    encoded = None if network.context_encoder is None else network.context_encoder(context)
    for layer in network.layers:
        normed = layer.attention_norm(features)
        features = features + _attend(layer.attention, normed, encoded, mask)
        features = features + layer.feedforward(layer.feedforward_norm(features))
    outputs = interface.decode(features.transpose(0, 1)[None])[0].transpose(0, 1)
    return outputs[:, :limbs]


def _attend(
    attention: SelfAttention | ContextAttention,
    features: Tensor,
    context: Tensor | None,
    mask: Tensor,
) -> Tensor:
    """Masked multi-head attention: (N, slots, D) -> (N, slots, D)."""
    width = features.shape[-1]
    if isinstance(attention, SelfAttention):
        query, key, value = attention.query_key_value(features).chunk(3, dim=-1)
    else:
        query, key = attention.query_key(attention.norm(context)).chunk(2, dim=-1)
        query, key = query[None], key[None]
        value = attention.value(features)
    head_width = width // attention.heads
    heads = []
    for head in range(attention.heads):
        part = slice(head * head_width, (head + 1) * head_width)
        scores = query[..., part] @ key[..., part].transpose(-1, -2) / math.sqrt(head_width)
        weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
        heads.append(weights @ value[..., part])
    return attention.output(torch.cat(heads, dim=-1))
