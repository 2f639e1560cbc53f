"""Size and cost of one action: parameters and multiply-adds counted from the live modules.

Convention of the paper: the policy network alone (no critic, no hypernetwork behind a base MLP),
one multiply-add counted once, biases and activations not counted as work, everything recomputed
each step, twelve limb slots on both sides unless another number of limbs is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from engine.config.base import TaskName
from engine.config.hypernetwork import HypernetworkConfig
from engine.config.network import NetworkConfig, NetworkKind, NetworkSize, named_network
from engine.environments.terrain_observation import TERRAIN_POINTS
from engine.errors import UsageError
from engine.evaluation.formulas import Cost, closed_form
from engine.evaluation.latency import Step, measure_latencies
from engine.morphology.packing import Packing
from engine.policies.base_mlp import BaseMLP
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.limb_network import LimbNetwork
from engine.policies.mlp import LimbMlps
from engine.policies.policy import LimbPolicy
from engine.policies.widths import NetworkWidths, network_widths

BASE = "base-mlp"
NETWORKS: Mapping[str, tuple[NetworkKind, NetworkSize]] = {
    "transformer": ("transformer", "published"),
    "transformer-compressed": ("transformer", "compressed"),
    "modumorph": ("modumorph", "published"),
    "modumorph-compressed": ("modumorph", "compressed"),
    "mlp": ("multi_mlp", "published"),
}
POLICIES = (*NETWORKS, BASE)
_SEED = 0
_MULTIPLY_ADD_FLOPS = 2

Runtimes = Callable[[BaseMLP], Mapping[str, Step]]
"""Steps of a base MLP in the runtimes it is deployed to (numpy, ONNX), by name."""


@dataclass(frozen=True)
class Subject:
    """A policy to count and time on one robot: ``step`` recomputes all, ``repeated`` the rest."""

    name: str
    module: nn.Module
    step: Step
    repeated: Step


def efficiency(
    task: TaskName,
    *,
    limbs: int | None = None,
    policies: Sequence[str] = POLICIES,
    latency: bool = False,
    runtimes: Runtimes | None = None,
) -> dict[str, Any]:
    """Cost of one action per policy and its ratio to the base MLP's, as a JSON document.

    Latency is that of a control step, with what depends on the robot alone computed before: batch
    1, one thread, interleaved. The base MLP's is that of the first of ``runtimes`` (numpy); all of
    them and torch stand under ``runtimes`` in the document.

    Raises:
        UsageError: a policy or number of limbs that does not exist.
    """
    subjects = [_subject(name, task, limbs) for name in policies]
    rows = [_row(subject, task, limbs) for subject in subjects]
    base = _subject(BASE, task, limbs)
    base_row = _row(base, task, limbs)
    document: dict[str, Any] = {"rows": rows, "ratios": {}}
    if latency:
        _add_latencies(document, subjects, base, base_row, runtimes)
    document["ratios"] = {
        row["policy"]: _ratios(row, base_row) for row in rows if row["policy"] != BASE
    }
    return document


def scaling(task: TaskName, limbs: Sequence[int], policies: Sequence[str] = POLICIES) -> list[Any]:
    """Rows of cost for several numbers of limbs: the paper's open question, as a curve."""
    return [_row(_subject(name, task, count), task, count) for count in limbs for name in policies]


def count(subject: Subject) -> Cost:
    """Parameters and multiply-adds of one action, from the module as it runs."""
    parameters = sum(parameter.numel() for parameter in subject.module.parameters())
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    # The counter does not know the CPU's fused attention.
    counter = FlopCounterMode(display=False, custom_mapping={attention: _attention_flops})
    with torch.no_grad(), counter:
        subject.step()
    return Cost(parameters, counter.get_total_flops() // _MULTIPLY_ADD_FLOPS)


def _attention_flops(
    query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object
) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _row(subject: Subject, task: TaskName, limbs: int | None) -> dict[str, Any]:
    counted = count(subject)
    expected = closed_form(subject.name, task, limbs or network_widths(0).limb_limit)
    if counted != expected:
        raise RuntimeError(f"{subject.name}: counted {counted}, the formula says {expected}")
    return {
        "policy": subject.name,
        "task": task,
        "limbs": limbs or network_widths(0).limb_limit,
        "parameters": counted.parameters,
        "macs": counted.macs,
        "latency_us": None,
    }


def _ratios(row: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, float | None]:
    timed = row["latency_us"] is not None and base["latency_us"] is not None
    return {
        "parameters": row["parameters"] / base["parameters"],
        "macs": row["macs"] / base["macs"],
        "latency": row["latency_us"]["p50"] / base["latency_us"]["p50"] if timed else None,
    }


def _add_latencies(
    document: dict[str, Any],
    subjects: Sequence[Subject],
    base: Subject,
    base_row: dict[str, Any],
    runtimes: Runtimes | None,
) -> None:
    steps = {subject.name: subject.repeated for subject in subjects}
    module = base.module
    others: Mapping[str, Step] = {"torch": base.repeated}
    if runtimes is not None and isinstance(module, BaseMLP):
        others = {**runtimes(module), **others}
    steps |= {f"{BASE} {name}": step for name, step in others.items()}
    latencies = measure_latencies(steps)
    document["runtimes"] = {name: latencies[f"{BASE} {name}"] for name in others}
    chosen = next(iter(others))
    for row in [*document["rows"], base_row]:
        name = f"{BASE} {chosen}" if row["policy"] == BASE else row["policy"]
        row["latency_us"] = latencies[name]


def _subject(name: str, task: TaskName, limbs: int | None) -> Subject:
    if name not in POLICIES:
        raise UsageError(f"{name}: no such policy; the policies are {', '.join(POLICIES)}")
    if limbs is not None and limbs < 1:
        raise UsageError(f"{limbs} limbs: a robot has at least one")
    points = TERRAIN_POINTS if task in ("variable", "obstacles") else 0
    widths = network_widths(points)
    slots = limbs or widths.limb_limit
    widths = replace(widths, limb_limit=slots)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        if name == BASE:
            return _base_subject(widths, slots)
        kind, size = NETWORKS[name]
        return _network_subject(name, named_network(kind, size, task), task, widths)


def _base_subject(widths: NetworkWidths, limbs: int) -> Subject:
    sizes = HypernetworkConfig()
    module = BaseMLP(
        widths,
        limbs,
        hidden_width=sizes.hidden_width,
        hidden_layers=sizes.base_hidden_layers(widths.terrain_points > 0),
        terrain_width=sizes.terrain_width,
    ).eval()
    observation = torch.randn(1, limbs, widths.observation)
    terrain = _heights(widths)

    def step() -> Tensor:
        means: Tensor = module(observation, terrain)
        return means

    return Subject(BASE, module, step, step)


def _network_subject(
    name: str, config: NetworkConfig, task: TaskName, widths: NetworkWidths
) -> Subject:
    network = (
        LimbMlps(config, widths, config.hidden_width, widths.joint_slots)
        if config.kind == "multi_mlp"
        else LimbNetwork(config, task, widths, widths.joint_slots)
    )
    policy = LimbPolicy(network).eval()
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
    return RobotBatch((limbs,), ("stand-in",), ("stand-in",), (bucket,))
