"""From a configuration to a policy and its critic."""

from collections.abc import Sequence

import torch

from engine.config.base import TaskName
from engine.config.hypernetwork import HypernetworkConfig
from engine.config.network import TERRAIN_WIDTH, NetworkConfig
from engine.morphology.family import UNIMAL
from engine.policies.hypernetwork import Hypernetwork
from engine.policies.limb_network import LimbNetwork
from engine.policies.mlp import LimbMlps
from engine.policies.policy import (
    Critic,
    HypernetworkPolicy,
    LimbCritic,
    LimbPolicy,
    MlpCritic,
    Policy,
)
from engine.policies.widths import NetworkWidths, network_widths


def build_policy(
    config: NetworkConfig, task: TaskName, terrain_points: int, digests: Sequence[str], seed: int
) -> Policy:
    """A fresh policy whose weights depend on ``seed`` alone.

    ``digests`` name the training robots; only policies with one network per robot need them.
    """
    widths = network_widths(terrain_points)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.kind == "hypernetwork":
            return _hypernetwork_policy(config, widths)
        if config.kind == "multi_mlp":
            return LimbPolicy(LimbMlps(config, widths, config.hidden_width, widths.joint_slots))
        if config.kind == "single_mlp":
            return LimbPolicy(
                LimbMlps(config, widths, config.hidden_width, widths.joint_slots, digests)
            )
        return LimbPolicy(LimbNetwork(config, task, widths, widths.joint_slots))


def build_critic(
    config: NetworkConfig, task: TaskName, terrain_points: int, digests: Sequence[str], seed: int
) -> Critic:
    """A fresh critic for a policy of ``config``, whose weights depend on ``seed`` alone.

    A hypernetwork actor has no critic of its own shape and takes the robots' value MLPs.
    """
    widths = network_widths(terrain_points)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.critic == "robot_mlp" or config.kind in ("hypernetwork", "single_mlp"):
            return MlpCritic(LimbMlps(config, widths, config.critic_hidden_width, 0, digests))
        if config.kind == "multi_mlp":
            return MlpCritic(LimbMlps(config, widths, config.hidden_width, 0))
        return LimbCritic(LimbNetwork(config, task, widths, 1))


def _hypernetwork_policy(config: NetworkConfig, widths: NetworkWidths) -> HypernetworkPolicy:
    sizes = HypernetworkConfig(
        context=config.context,
        embedding_width=config.width,
        attention_heads=config.heads,
        feedforward_width=config.feedforward_width,
        encoder_layers=config.layers,
        dropout=config.dropout,
        hidden_width=config.hidden_width,
        hidden_layers=config.hidden_layers,
        terrain_width=TERRAIN_WIDTH,
    )
    return HypernetworkPolicy(Hypernetwork(sizes, UNIMAL, widths.terrain_points))
