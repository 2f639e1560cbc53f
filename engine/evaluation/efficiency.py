"""Size and cost of one action: parameters and multiply-adds counted from the live modules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from engine.config.base import TaskName
from engine.config.network import NetworkConfig
from engine.config.network_cost import NetworkQuestion
from engine.evaluation.latency import Step, cpu_latencies, measure_latencies
from engine.evaluation.subjects import (
    BASE,
    POLICIES,
    Subject,
    limb_slots,
    published,
    subject,
    writer,
)
from engine.policies.base_mlp import BaseMLP

CONVENTION = (
    "policy network alone: no critic, no hypernetwork behind a base MLP; one multiply-add counts"
    " once, biases and activations are no work; everything recomputed each step"
)
_MULTIPLY_ADD_FLOPS = 2


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one action."""

    parameters: int
    macs: int


Runtimes = Callable[[BaseMLP], Mapping[str, Step]]
"""Steps of a base MLP in the runtimes it is deployed to (numpy, ONNX), by name."""


def efficiency(
    task: TaskName,
    *,
    limbs: int | None = None,
    policies: Sequence[str] = POLICIES,
    own: Mapping[str, NetworkConfig] | None = None,
    latency: bool = False,
    runtimes: Runtimes | None = None,
) -> dict[str, Any]:
    """Cost of one action per policy and its ratio to the base MLP's, as a JSON document.

    ``own`` are networks of runs by their names, counted beside the published ``policies``. Latency
    is that of a control step, with what depends on the robot alone computed before: batch 1, one
    thread, interleaved. A base MLP's is that of the first of ``runtimes`` (numpy); all of them and
    torch stand under ``runtimes`` in the document. In ``latency_us``, ``p50`` and ``p95`` are wall
    time and ``cpu`` is CPU time; in ``ratios``, ``latency`` is that of ``p50`` and ``cpu`` of CPU
    time.

    Raises:
        UsageError: a policy or number of limbs that does not exist.
    """
    slots = limb_slots(limbs)
    networks = {**{name: published(name, task) for name in policies}, **(own or {})}
    subjects = [subject(name, network, task, slots) for name, network in networks.items()]
    rows = [_row(each, task, slots) for each in subjects]
    base = subject(BASE, published(BASE, task), task, slots)
    base_row = _row(base, task, slots)
    document: dict[str, Any] = {"rows": rows, "ratios": {}}
    if latency:
        latencies, document["runtimes"] = _latencies([*subjects, base], runtimes)
        for row in (*rows, base_row):
            row["latency_us"] = latencies[row["policy"]]
    document["ratios"] = {
        row["policy"]: _ratios(row, base_row) for row in rows if row["policy"] != BASE
    }
    return document


def scaling(
    task: TaskName,
    limbs: Sequence[int],
    policies: Sequence[str] = POLICIES,
    own: Mapping[str, NetworkConfig] | None = None,
) -> list[Any]:
    """Rows of cost for several numbers of limbs: the paper's open question, as a curve."""
    networks = {**{name: published(name, task) for name in policies}, **(own or {})}
    return [
        _row(subject(name, network, task, limb_slots(count)), task, count)
        for count in limbs
        for name, network in networks.items()
    ]


def network_costs(
    questions: Sequence[NetworkQuestion], runtimes: Runtimes | None = None
) -> list[dict[str, Any]]:
    """``parameters``, ``macs`` and, of what is timed, ``latency_us`` of each question.

    Latency is CPU time on one thread: the same however busy the machine is. All of one timing are
    timed in turns, so that they share its luck. A step recomputes what depends on the robot alone
    for ``macs``, and not for ``latency_us``; a base MLP is timed in the first of ``runtimes``
    (numpy).

    Raises:
        UsageError: a network that is to write base MLPs and cannot.
    """
    subjects: dict[NetworkQuestion, Subject] = {}
    costs: dict[NetworkQuestion, Cost] = {}
    for question in questions:
        untimed = question.model_copy(update={"timing": None})
        if untimed not in subjects:
            make = writer if question.part == "writing" else subject
            words = f"{question.network.kind}, {question.part}"
            slots = limb_slots(question.limbs)
            subjects[untimed] = make(words, question.network, question.task, slots)
            costs[untimed] = count(subjects[untimed])
    steps = {each: _deployed_step(own, runtimes) for each, own in subjects.items()}
    latencies: dict[NetworkQuestion, float] = {}
    for timing in sorted({each.timing for each in questions if each.timing is not None}):
        timed = [each for each in questions if each.timing == timing]
        named = {
            str(place): steps[each.model_copy(update={"timing": None})]
            for place, each in enumerate(timed)
        }
        latencies |= dict(zip(timed, cpu_latencies(named).values(), strict=True))
    return [
        {
            "parameters": costs[untimed].parameters,
            "macs": costs[untimed].macs,
            "latency_us": latencies.get(question),
        }
        for question in questions
        for untimed in [question.model_copy(update={"timing": None})]
    ]


def _deployed_step(timed: Subject, runtimes: Runtimes | None) -> Step:
    """A step as it is deployed: of a base MLP in the first of the runtimes, else in torch."""
    if runtimes and isinstance(timed.module, BaseMLP):
        return next(iter(runtimes(timed.module).values()))
    return timed.repeated


def count(counted: Subject) -> Cost:
    """Parameters and multiply-adds of one action, from the module as it runs."""
    parameters = sum(parameter.numel() for parameter in counted.module.parameters())
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    # The counter does not know the CPU's fused attention.
    counter = FlopCounterMode(display=False, custom_mapping={attention: _attention_flops})
    with torch.no_grad(), counter:
        counted.step()
    return Cost(parameters, counter.get_total_flops() // _MULTIPLY_ADD_FLOPS)


def _attention_flops(
    query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object
) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _row(counted: Subject, task: TaskName, limbs: int) -> dict[str, Any]:
    cost = count(counted)
    return {
        "policy": counted.name,
        "task": task,
        "limbs": limbs,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "latency_us": None,
    }


def _ratios(row: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, float | None]:
    own, its = row["latency_us"], base["latency_us"]
    timed = own is not None and its is not None
    return {
        "parameters": row["parameters"] / base["parameters"],
        "macs": row["macs"] / base["macs"],
        "latency": own["p50"] / its["p50"] if timed else None,
        "cpu": own["cpu"] / its["cpu"] if timed else None,
    }


def _latencies(
    subjects: Sequence[Subject], runtimes: Runtimes | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Latency by policy, all timed in turns, and that of the base MLP in every runtime."""
    steps: dict[tuple[str, str], Step] = {}
    for each in subjects:
        deployed = runtimes(each.module) if runtimes and isinstance(each.module, BaseMLP) else {}
        steps |= {(each.name, runtime): step for runtime, step in deployed.items()}
        steps[each.name, "torch"] = each.repeated
    named = {f"{name} {runtime}": step for (name, runtime), step in steps.items()}
    measured = dict(zip(steps, measure_latencies(named).values(), strict=True))
    first = {name: measured[name, runtime] for name, runtime in reversed(steps)}
    return first, {runtime: value for (name, runtime), value in measured.items() if name == BASE}
