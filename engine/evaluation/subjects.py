"""Policies as live modules on one robot that fills all limb slots: what is counted and timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine.config.base import TERRAIN_TASKS, TaskName
from engine.config.network import (
    TERRAIN_WIDTH,
    NetworkConfig,
    NetworkKind,
    NetworkSize,
    named_network,
)
from engine.environments.terrain_observation import TERRAIN_POINTS
from engine.errors import UsageError
from engine.morphology.packing import Packing
from engine.policies.base_mlp import BaseMLP
from engine.policies.build import build_policy
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.limb_network import LimbNetwork
from engine.policies.mlp import LimbMlps
from engine.policies.policy import LimbPolicy
from engine.policies.widths import NetworkWidths, network_widths

Step = Callable[[], object]

BASE = "base-mlp"
NETWORKS: Mapping[str, tuple[NetworkKind, NetworkSize]] = {
    "transformer": ("transformer", "published"),
    "transformer-compressed": ("transformer", "compressed"),
    "modumorph": ("modumorph", "published"),
    "modumorph-compressed": ("modumorph", "compressed"),
    "mlp": ("multi_mlp", "published"),
    BASE: ("hypernetwork", "published"),
}
POLICIES = tuple(NETWORKS)
_SEED = 0
_STAND_IN = "stand-in"


@dataclass(frozen=True)
class Subject:
    """A policy to count and time on one robot: ``step`` recomputes all, ``repeated`` the rest."""

    name: str
    module: nn.Module
    step: Step
    repeated: Step


def published(name: str, task: TaskName) -> NetworkConfig:
    """The network of a policy of the papers; a hypernetwork's base MLP for ``base-mlp``.

    Raises:
        UsageError: there is no policy of that name.
    """
    if name not in NETWORKS:
        raise UsageError(f"{name}: no such policy; the policies are {', '.join(POLICIES)}")
    return named_network(*NETWORKS[name], task)


def limb_slots(limbs: int | None) -> int:
    """The number of limbs that is asked for, else the family's padded slots.

    Raises:
        UsageError: it is less than one.
    """
    if limbs is not None and limbs < 1:
        raise UsageError(f"{limbs} limbs: a robot has at least one")
    return limbs or network_widths(0).limb_limit


def subject(name: str, network: NetworkConfig, task: TaskName, limbs: int) -> Subject:
    """A fresh policy of ``network`` on a robot of ``limbs`` limbs; weights do not matter here."""
    points = TERRAIN_POINTS if task in TERRAIN_TASKS else 0
    widths = replace(network_widths(points), limb_limit=limbs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        if network.kind == "hypernetwork":
            return _base_subject(name, network, widths)
        return _network_subject(name, network, task, widths)


def writer(name: str, network: NetworkConfig, task: TaskName, limbs: int) -> Subject:
    """A fresh hypernetwork: a step reads a robot of ``limbs`` limbs and writes its base MLP.

    Raises:
        UsageError: a network of this kind writes none.
    """
    if network.kind != "hypernetwork":
        raise UsageError(f"{name}: a {network.kind} writes no base MLP; expected a hypernetwork")
    points = TERRAIN_POINTS if task in TERRAIN_TASKS else 0
    policy = build_policy(network, task, points, (), _SEED).eval()
    robots = _stand_in(replace(network_widths(points), limb_limit=limbs))

    def step() -> object:
        return policy.encode(robots)

    return Subject(name, policy, step, step)


def _base_subject(name: str, network: NetworkConfig, widths: NetworkWidths) -> Subject:
    module = BaseMLP(
        widths,
        widths.limb_limit,
        hidden_width=network.hidden_width,
        hidden_layers=network.hidden_layers,
        terrain_width=TERRAIN_WIDTH,
    ).eval()
    observation = torch.randn(1, widths.limb_limit, widths.observation)
    terrain = _heights(widths)

    def step() -> Tensor:
        means: Tensor = module(observation, terrain)
        return means

    return Subject(name, module, step, step)


def _network_subject(
    name: str, config: NetworkConfig, task: TaskName, widths: NetworkWidths
) -> Subject:
    policy = LimbPolicy(_network(config, task, widths)).eval()
    robots = _stand_in(widths)
    packing = Packing(robots.limb_counts, 1)
    observation = torch.randn(packing.num_rows, widths.observation)
    terrain = _heights(widths)
    encoding = policy.encode(robots)

    def step() -> Tensor:
        return policy.mean(policy.encode(robots), observation, packing, terrain)

    def repeated() -> Tensor:
        return policy.mean(encoding, observation, packing, terrain)

    return Subject(name, policy, step, repeated)


def _network(
    config: NetworkConfig, task: TaskName, widths: NetworkWidths
) -> LimbNetwork | LimbMlps:
    if config.kind in ("multi_mlp", "single_mlp"):
        digests = (_STAND_IN,) if config.kind == "single_mlp" else ()
        return LimbMlps(config, widths, config.hidden_width, widths.joint_slots, digests)
    return LimbNetwork(config, task, widths, widths.joint_slots)


def _heights(widths: NetworkWidths) -> Tensor | None:
    return torch.randn(1, widths.terrain_points) if widths.terrain_points else None


def _stand_in(widths: NetworkWidths) -> RobotBatch:
    """A robot that fills all limb slots; counts and speed depend on shapes alone."""
    limbs = widths.limb_limit
    raw = torch.randn(1, limbs, widths.raw_context)
    bucket = BucketContext(
        robots=(0,),
        context=torch.randn(1, limbs, widths.context),
        raw_context=raw,
        normalized_raw_context=raw,
        joint_mask=torch.ones(1, limbs, widths.joint_slots, dtype=torch.bool),
    )
    return RobotBatch((limbs,), (_STAND_IN,), (_STAND_IN,), (bucket,))
