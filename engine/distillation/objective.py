"""What a student minimises on a minibatch, how it is judged, and how its rate falls."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.config.distillation import StudentConfig
from engine.distillation.device_samples import Reader
from engine.distillation.imitation import balanced_weights, imitation_loss, large_action_weights
from engine.distillation.minibatches import Choice, Minibatch
from engine.policies.controller import Controller
from engine.policies.hypernetwork import ContextDropout
from engine.policies.policy import Policy


def learning_rate(config: StudentConfig, step: int, total: int) -> float:
    """The rate of a gradient step: a linear rise, then half a cosine down to zero."""
    warmup = config.warmup_fraction * total
    if step < warmup:
        return config.learning_rate * (step + 1) / math.ceil(warmup)
    progress = (step - warmup) / max(total - warmup, 1.0)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def minibatch_loss(config: StudentConfig, policy: Controller, minibatch: Minibatch) -> Tensor:
    """The balanced loss of one minibatch; the hypernetwork runs once per robot in it."""
    targets = minibatch.action if config.loss == "logp" else minibatch.action_mean
    weights = balanced_weights(minibatch.robots, minibatch.packing)
    if config.downweight_large_actions:
        weights = weights * large_action_weights(targets)
    return imitation_loss(action_means(policy, minibatch), targets, weights)


def action_means(policy: Controller, minibatch: Minibatch) -> Tensor:
    """What a policy would do on a minibatch: (rows, J)."""
    encoding = policy.encode(minibatch.robots)
    return policy.mean(encoding, minibatch.observation, minibatch.packing, minibatch.terrain)


def seed_dropout(policy: nn.Module, seed: int, device: torch.device) -> None:
    """Make a step's dropout masks depend on ``seed`` alone."""
    for module in policy.modules():
        if isinstance(module, ContextDropout):
            module.generator = torch.Generator(device).manual_seed(seed)


@torch.no_grad()
def held_out_loss(
    config: StudentConfig, policy: Policy, reader: Reader, choices: Sequence[Choice]
) -> float:
    """The mean of the training's own loss on held-out samples, every robot weighing the same.

    Targets and weights are those that the student minimises, so that it is judged by what it
    learns and both curves share a scale: with ``loss=logp`` both end at the noise of sampling.
    """
    policy.eval()
    total: Tensor | float = 0.0  # a number of the device from the first minibatch on
    robots = 0.0
    for choice in choices:
        loss = minibatch_loss(config, policy, reader.read(choice))
        total = total + loss.double() * len(choice.robots)
        robots += len(choice.robots)
    return float(total / robots)
