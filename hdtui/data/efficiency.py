"""Cost of one action per policy: counted by a child process, kept in the workspace, never guessed.

Parameters and multiply-adds come from the child tool ``efficiency``; this process
loads no network. Returns come from the evaluations in the database.
"""

import hashlib
import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from db.queries.evaluations import summaries
from db.queries.runs import get_run, list_runs, run_number
from db.queries.settings import get_setting
from db.records import EpisodeSummary, Run, RunKind, RunState
from db.session import Database
from engine.config.base import TaskConfig
from engine.config.network import NetworkConfig, NetworkKind, NetworkSize, named_network
from engine.errors import UsageError
from engine.evaluation.robot_groups import Knowledge
from engine.statistics import Interval, interval
from engine.workers.inherited import found_in, learned_ground
from engine.workers.lineage import Ancestry
from hdtui.data.child_tool import run_tool
from hdtui.data.claim_evidence import Evidence, claims, read_evidence
from hdtui.data.claims import Claim

TASKS = ("flat", "variable", "obstacles")
BASE = "base-mlp"
TEACHER = "transformer"
OWN = " #"
"""Stands in the names of shapes of ours, before their digest."""
SCALING_LIMBS = tuple(range(2, 25))
CHARTED_LIMBS = (2, 4, 6, 8, 10, 12, 16, 20, 24)
"""Fewer of the same, for a chart that somebody waits for."""
SETTING = "efficiency"
PUBLISHED_NAMES = {
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
class PolicyCost:
    """What one action of a policy costs; latency in microseconds where it was measured."""

    policy: str
    limbs: int
    parameters: int
    macs: int
    latency_us: float | None

    @property
    def name(self) -> str:
        """The policy in words."""
        return PUBLISHED_NAMES.get(self.policy, self.policy.partition(OWN)[0])

    @property
    def own(self) -> bool:
        """Counted for the shape of a run of ours, not a published one."""
        return OWN in self.policy


@dataclass(frozen=True)
class Reached:
    """The mean returns of an evaluated policy run, with their intervals over robots.

    ``shaped_like`` names the policy whose shape the run's network has: a published one or ours.
    ``apart`` says that most others of the task were measured in another evaluation than this one.
    """

    run: Run
    task: str
    over_robots: Interval | None
    """Over the robots that its teachers were trained on; over all where nothing is known."""
    shaped_like: str | None
    evaluation_id: int = 0
    apart: bool = False
    unseen: Interval | None = None
    """Over the robots that nothing behind it knows."""

    @property
    def name(self) -> str:
        """Whose return it is, and where others are of another evaluation, of which it is."""
        if self.apart:
            return f"{self.run.kind} {self.run.id} in {self.measured_in}"
        student = self.run.kind is RunKind.STUDENT
        return f"base mlp of {self.run.id}" if student else f"{self.run.kind} {self.run.id}"

    @property
    def measured_in(self) -> str:
        """The evaluation and its number of robots: 15 n 28."""
        found = (self.over_robots, self.unseen)
        number = sum(each.count for each in found if each is not None)
        return f"{self.evaluation_id} n {number}"


@dataclass(frozen=True)
class EfficiencyFigures:
    """Costs by task and, on flat ground, by limbs; returns of runs; the claims."""

    costs: Mapping[str, tuple[PolicyCost, ...]]
    by_limbs: tuple[PolicyCost, ...]
    reached: tuple[Reached, ...]
    claims: tuple[Claim, ...]

    def ratio(self, task: str, policy: str, quantity: str) -> float | None:
        """How many times the base MLP's a policy's quantity is; None where not counted."""
        found = {cost.policy: cost for cost in self.costs.get(task, ())}
        if policy not in found or BASE not in found:
            return None
        own, base = getattr(found[policy], quantity), getattr(found[BASE], quantity)
        return own / base if own is not None and base else None

    def shared(self, task: str) -> Reached | None:
        """One of the returns on a task that are of one evaluation; None where there is none."""
        own = (each for each in self.reached if each.task == task and not each.apart)
        return next(own, None)


def read_efficiency(
    database: Database, counted: Mapping[str, Any] | None = None
) -> EfficiencyFigures:
    """What was counted and measured so far, with returns and claims from the database.

    ``counted`` are documents that the cockpit keeps to itself where it cannot write them.
    """
    stored = get_setting(database, SETTING)
    documents: dict[str, Any] = dict(stored) if isinstance(stored, dict) else {}
    for name, document in (counted or {}).items():
        if name not in documents or documents[name]["at"] < document["at"]:
            documents[name] = document
    return _facts(documents, _reached(database), read_evidence(database))


def efficiency_of_nothing(counted: Mapping[str, Any]) -> EfficiencyFigures:
    """What a workspace in which nothing was ever run knows: what this cockpit counted."""
    return _facts(counted, (), Evidence((), (), ()))


def _facts(
    documents: Mapping[str, Any], reached: Sequence[Reached], evidence: Evidence
) -> EfficiencyFigures:
    costs = {task: _costs(documents[task]["rows"]) for task in TASKS if task in documents}
    by_limbs = _costs(documents["limbs"]["rows"]) if "limbs" in documents else ()
    facts = EfficiencyFigures(costs, by_limbs, tuple(reached), ())
    parameters = {task: facts.ratio(task, TEACHER, "parameters") for task in TASKS}
    macs = {task: facts.ratio(task, TEACHER, "macs") for task in TASKS}
    return replace(facts, claims=tuple(claims(evidence, parameters, macs)))


def _costs(rows: Sequence[Mapping[str, Any]]) -> tuple[PolicyCost, ...]:
    return tuple(
        PolicyCost(
            row["policy"],
            row["limbs"],
            row["parameters"],
            row["macs"],
            row["latency_us"]["p50"] if row["latency_us"] else None,
        )
        for row in rows
    )


class EvaluatedRobots(NamedTuple):
    """An evaluation on a task and robots: what it found of its policies can be compared."""

    task: str
    evaluation_id: int
    robots: frozenset[str]


Found = Mapping[EvaluatedRobots, Mapping[int, Mapping[str, float]]]
"""Mean returns on the robots of a basis, by policy run and robot."""


def _reached(database: Database) -> list[Reached]:
    """Per policy run and task its return, best first; those measured apart come last."""
    found = _found(summaries(database))
    numbers = {basis.evaluation_id for basis in found}.union(*found.values())
    ancestry = Ancestry(database) if numbers else None
    runs = {run.id: run for run in list_runs(database, ids=numbers)} if numbers else {}
    settled = {run.id for run in runs.values() if run.state is RunState.FINISHED}
    reached = []
    for task in sorted({basis.task for basis in found}):
        own = {basis: policies for basis, policies in found.items() if basis.task == task}
        bases = chosen_bases(own, settled)
        for run_id, basis in bases.items():
            if run_id in runs and ancestry is not None:
                run, apart = runs[run_id], basis != next(iter(bases.values()))
                seen, unseen = _by_knowledge(found[basis][run_id], ancestry.knowledge(run))
                like, number = shaped_like(run), basis.evaluation_id
                over, over_unseen = (interval(own) if own else None for own in (seen, unseen))
                reached.append(Reached(run, task, over, like, number, apart, over_unseen))
    return sorted(reached, key=_best_first)


def _best_first(each: Reached) -> tuple[bool, bool, float]:
    over = each.over_robots
    return each.apart, over is None, -over.mean if over is not None else 0.0


def _by_knowledge(
    returns: Mapping[str, float], knowledge: Knowledge
) -> tuple[list[float], list[float]]:
    """Returns on the robots a policy was trained on, and on those that it does not know."""
    if not knowledge.says:
        return list(returns.values()), []
    seen = [value for digest, value in returns.items() if digest in knowledge.trained_on]
    return seen, [value for digest, value in returns.items() if digest not in knowledge.known]


def _found(episodes: Sequence[EpisodeSummary]) -> Found:
    """What every evaluation found; policies that it saw on other robots are apart."""
    by_policy: dict[tuple[str, int, int], dict[str, float]] = {}
    for each in episodes:
        if each.policy_run_id is not None:
            key = (each.task, each.run_id, each.policy_run_id)
            by_policy.setdefault(key, {})[each.robot_digest] = each.mean_return
    found: dict[EvaluatedRobots, dict[int, Mapping[str, float]]] = {}
    for (task, evaluation_id, policy), returns in by_policy.items():
        basis = EvaluatedRobots(task, evaluation_id, frozenset(returns))
        found.setdefault(basis, {})[policy] = returns
    return found


def chosen_bases(found: Found, settled: Container[int]) -> dict[int, EvaluatedRobots]:
    """Per policy run where its return is taken from: one basis for most of them comes first.

    That is of the finished evaluations the newest that judged most policies; one of a single robot,
    such as Watch records, comes after all others. The same decides over the policies left.
    """
    left = set().union(*found.values())
    chosen: dict[int, EvaluatedRobots] = {}
    while left:
        judged = {basis: policies.keys() & left for basis, policies in found.items()}
        best = max(
            (basis for basis in found if judged[basis]),
            key=lambda basis: (
                basis.evaluation_id in settled,
                len(basis.robots) > 1,
                len(judged[basis]),
                basis.evaluation_id,
            ),
        )
        chosen |= dict.fromkeys(sorted(judged[best]), best)
        left -= judged[best]
    return chosen


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


def uncounted(facts: EfficiencyFigures, tasks: Sequence[str]) -> list[str]:
    """Tasks on which the published policies or a network of ours are not counted yet."""
    return [
        task
        for task in tasks
        if task not in facts.costs
        or set(own_networks(facts.reached, task)) - {cost.policy for cost in facts.costs[task]}
    ]


def count_rows(
    facts: EfficiencyFigures,
    task: str,
    latency: bool = False,
    given_up: Callable[[], bool] | None = None,
) -> list[dict[str, Any]]:
    """A row of cost per policy on a task, counted by a child.

    Raises:
        HdtuiError: The child failed; its last line says why. Or it was given up.
    """
    own = own_networks(facts.reached, task)
    question = {"task": task, "limbs": None, "latency": latency, "policies": None, "own": own}
    rows: list[dict[str, Any]] = run_tool("efficiency", question, given_up)["rows"]
    return rows


def limb_rows(given_up: Callable[[], bool] | None = None) -> list[dict[str, Any]]:
    """A row of cost per published policy and number of limbs on flat ground.

    Raises:
        HdtuiError: As ``count_rows``.
    """
    question = {"task": "flat", "limbs": CHARTED_LIMBS, "latency": False, "policies": None}
    rows: list[dict[str, Any]] = run_tool("efficiency", question, given_up)["rows"]
    return rows


def cost_question(
    database: Database | None,
    words: Sequence[str],
    task: str,
    *,
    limbs: int | None = None,
    latency: bool = False,
    scaling: bool = False,
) -> dict[str, Any]:
    """Arguments of the counting tool; ``words`` name published policies or runs, all by default.

    Raises:
        UsageError: A run has no network, or one for another task; or options exclude each other.
        RunError: There is no such run.
    """
    if scaling and (limbs is not None or latency):
        raise UsageError("--scaling counts for 2 to 24 limb slots; leave --limbs and --latency out")
    names = [name for word in words for name in word.split(",") if name]
    own = {}
    for name in names:
        if name.isdecimal():
            run = _run(database, run_number(name))
            own[network_name(run)] = _network(database, run, task).model_dump(mode="json")
    published = [name for name in names if not name.isdecimal()]
    return {
        "task": task,
        "limbs": list(SCALING_LIMBS) if scaling else limbs,
        "latency": latency,
        "policies": published if names else None,
        "own": own,
    }


def _run(database: Database | None, run_id: int) -> Run:
    if database is None:
        raise UsageError(f"--policies {run_id}: this workspace has no runs yet")
    return get_run(database, run_id)


def network_name(run: Run) -> str:
    """Names what acts at run time: the base MLP of a student, the network of a teacher."""
    network = run.config.get("network")
    kind = network.get("kind") if isinstance(network, Mapping) else None
    return f"{BASE if kind == 'hypernetwork' else kind} of {run.id}"


def _network(database: Database | None, run: Run, task: str) -> NetworkConfig:
    if run.kind not in (RunKind.TEACHER, RunKind.STUDENT) or "network" not in run.config:
        raise UsageError(
            f"--policies {run.id}: run {run.id} is a {run.kind}, expected a teacher or a student"
        )
    learned = None if database is None else learned_ground(found_in(database), run)
    if learned is not None and learned.name != task:
        own = learned.name
        raise UsageError(f"run {run.id} acts on {own}, not on {task}; say --task {own}")
    return NetworkConfig.model_validate(run.config["network"])


def cost_curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Rows for several numbers of limbs as curves by policy, with ratios to the base MLP."""
    base = {row["limbs"]: row for row in rows if row["policy"] == BASE}
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        curve = found.setdefault(row["policy"], {"limbs": []})
        curve["limbs"].append(row["limbs"])
        for quantity in ("parameters", "macs"):
            curve.setdefault(quantity, []).append(row[quantity])
            if row["limbs"] in base:
                ratio = row[quantity] / base[row["limbs"]][quantity]
                curve.setdefault(f"{quantity}_ratio", []).append(ratio)
    return found


def claims_question() -> dict[str, Any]:
    """Arguments that count what the paper's headline compares, on all three tasks."""
    return {"task": list(TASKS), "policies": [TEACHER, BASE]}


def headline_ratios(document: Mapping[str, Any], quantity: str) -> dict[str, float | None]:
    """Transformer over base MLP by task, from the answer to ``claims_question``."""
    return {task: each["ratios"][TEACHER][quantity] for task, each in document["tasks"].items()}
