"""Cost of one action per policy: counted by a child process, kept in the workspace, never guessed.

Parameters and multiply-adds come from ``python -m engine.workers.tool efficiency``; this process
loads no network. Returns come from the evaluations in the database.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from db.queries.evaluations import summaries
from db.queries.runs import list_runs
from db.queries.settings import get_setting
from db.records import EpisodeSummary, Run, RunKind
from engine.config.base import TaskConfig
from engine.config.network import NetworkConfig, NetworkKind, NetworkSize, named_network
from hdtui.services.claims import Claim
from hdtui.services.evidence import claims, read_evidence
from hdtui.services.statistics import Interval, interval

if TYPE_CHECKING:
    from db.session import Database

TASKS = ("flat", "variable", "obstacles")
BASE = "base-mlp"
TEACHER = "transformer"
OWN = " #"
"""Stands in the names of shapes of ours, before their digest."""
SETTING = "efficiency"
_NAMES = {
    "transformer": "transformer, published",
    "transformer-compressed": "transformer, compressed",
    "modumorph": "modumorph, published",
    "modumorph-compressed": "modumorph, compressed",
    "mlp": "mlp, multi-robot",
    "base-mlp": "base mlp, HyperDistill",
}
_SHAPES: tuple[tuple[NetworkKind, NetworkSize, str], ...] = (
    ("transformer", "published", "transformer"),
    ("transformer", "compressed", "transformer-compressed"),
    ("modumorph", "published", "modumorph"),
    ("modumorph", "compressed", "modumorph-compressed"),
)


@dataclass(frozen=True)
class Cost:
    """What one action of a policy costs; latency in microseconds where it was measured."""

    policy: str
    limbs: int
    parameters: int
    macs: int
    latency_us: float | None

    @property
    def name(self) -> str:
        """The policy in words."""
        return _NAMES.get(self.policy, self.policy.partition(OWN)[0])

    @property
    def own(self) -> bool:
        """Counted for the shape of a run of ours, not a published one."""
        return OWN in self.policy


@dataclass(frozen=True)
class Reached:
    """The mean return over robots of an evaluated policy run, with its interval over robots.

    ``shaped_like`` names the policy whose shape the run's network has: a published one or ours.
    """

    run: Run
    task: str
    over_robots: Interval
    shaped_like: str | None

    @property
    def name(self) -> str:
        """Whose return it is."""
        student = self.run.kind is RunKind.STUDENT
        return f"base mlp of {self.run.id}" if student else f"{self.run.kind} {self.run.id}"


@dataclass(frozen=True)
class EfficiencyFacts:
    """Costs by task and, on flat ground, by limbs; returns of runs; the claims."""

    costs: Mapping[str, tuple[Cost, ...]]
    by_limbs: tuple[Cost, ...]
    counted_at: Mapping[str, datetime]
    reached: tuple[Reached, ...]
    claims: tuple[Claim, ...]

    def ratio(self, task: str, policy: str, quantity: str) -> float | None:
        """How many times the base MLP's a policy's quantity is; None where not counted."""
        found = {cost.policy: cost for cost in self.costs.get(task, ())}
        if policy not in found or BASE not in found:
            return None
        own, base = getattr(found[policy], quantity), getattr(found[BASE], quantity)
        return own / base if own is not None and base else None


def read_efficiency(
    database: "Database", counted: Mapping[str, Any] | None = None
) -> EfficiencyFacts:
    """What was counted and measured so far, with returns and claims from the database.

    ``counted`` are documents that a read-only cockpit keeps to itself.
    """
    stored = get_setting(database, SETTING)
    documents: dict[str, Any] = {**(stored if isinstance(stored, dict) else {}), **(counted or {})}
    costs = {task: _costs(documents[task]["rows"]) for task in TASKS if task in documents}
    by_limbs = _costs(documents["limbs"]["rows"]) if "limbs" in documents else ()
    counted_at = {task: datetime.fromisoformat(each["at"]) for task, each in documents.items()}
    facts = EfficiencyFacts(costs, by_limbs, counted_at, tuple(_reached(database)), ())
    parameters = {task: facts.ratio(task, TEACHER, "parameters") for task in TASKS}
    macs = {task: facts.ratio(task, TEACHER, "macs") for task in TASKS}
    found = claims(read_evidence(database), parameters, macs)
    return replace(facts, claims=tuple(found))


def _costs(rows: Sequence[Mapping[str, Any]]) -> tuple[Cost, ...]:
    return tuple(
        Cost(
            row["policy"],
            row["limbs"],
            row["parameters"],
            row["macs"],
            row["latency_us"]["p50"] if row["latency_us"] else None,
        )
        for row in rows
    )


def _reached(database: "Database") -> list[Reached]:
    """Per policy run and task its evaluation on most robots, best return first."""
    by_evaluation: dict[tuple[int, str, int], list[EpisodeSummary]] = {}
    for each in summaries(database):
        if each.policy_run_id is not None:
            key = (each.policy_run_id, each.task, each.run_id)
            by_evaluation.setdefault(key, []).append(each)
    firmest: dict[tuple[int, str], list[EpisodeSummary]] = {}
    for (run_id, task, _), found in sorted(by_evaluation.items(), key=_firmness):
        firmest[run_id, task] = found
    runs = {run.id: run for run in list_runs(database, ids=[run_id for run_id, _ in firmest])}
    reached = [
        Reached(
            runs[run_id],
            task,
            interval([each.mean_return for each in found]),
            shaped_like(runs[run_id]),
        )
        for (run_id, task), found in firmest.items()
        if run_id in runs
    ]
    return sorted(reached, key=lambda each: -each.over_robots.mean)


def _firmness(item: tuple[tuple[int, str, int], list[EpisodeSummary]]) -> tuple[int, int, int]:
    (_, _, evaluation_id), found = item
    return len(found), sum(each.episodes for each in found), evaluation_id


def shaped_like(run: Run) -> str | None:
    """The counted policy that costs what this run's policy costs: the same shape on its task.

    None where the run does not say which network it has.
    """
    try:
        network = NetworkConfig.model_validate(run.config.get("network"))
        task = TaskConfig.model_validate(run.config.get("task") or {}).name
    except ValueError:
        return None
    if run.kind is RunKind.STUDENT:
        published = named_network("hypernetwork", "published", task)
        written = ("kind", "hidden_width", "hidden_layers")
        return BASE if _alike(network, published, written) else own_shape(network)
    shape = ("kind", "width", "layers", "heads", "feedforward_width")
    for kind, size, name in _SHAPES:
        if _alike(network, named_network(kind, size, task), shape):
            return name
    return own_shape(network)


def _alike(first: NetworkConfig, second: NetworkConfig, fields: Sequence[str]) -> bool:
    return all(getattr(first, field) == getattr(second, field) for field in fields)


def own_shape(network: NetworkConfig) -> str:
    """Names a shape of ours in words, with a digest that tells shapes of equal words apart."""
    if network.kind == "hypernetwork":
        words = f"base mlp {network.hidden_width}x{network.hidden_layers}"
    elif network.kind in ("transformer", "modumorph"):
        words = f"{network.kind} {network.width}x{network.layers}"
    else:
        words = f"{network.kind} {network.hidden_width}x{network.hidden_layers}"
    document = json.dumps(network.model_dump(mode="json"), sort_keys=True)
    return f"{words}{OWN}{hashlib.sha256(document.encode()).hexdigest()[:6]}"


def own_networks(reached: Sequence[Reached], task: str) -> dict[str, dict[str, Any]]:
    """Networks of the runs evaluated on a task that have no published shape, by their shape."""
    found = {}
    for each in reached:
        if each.task == task and each.shaped_like is not None and OWN in each.shaped_like:
            found[each.shaped_like] = dict(each.run.config["network"])
    return found
