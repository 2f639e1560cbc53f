"""What to ask the counting child, and its answers as curves over limbs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from db.queries.runs import get_run, run_number
from db.records import Run, RunKind
from engine.config.network import NetworkConfig
from engine.errors import UsageError
from engine.workers.inherited import found_in, learned_ground
from hdtui.data.efficiency import BASE, TASKS, TEACHER

if TYPE_CHECKING:
    from db.session import Database

SCALING_LIMBS = tuple(range(2, 25))
_QUANTITIES = ("parameters", "macs")


def question(
    database: "Database | None",
    words: Sequence[str],
    task: str,
    *,
    limbs: int | None,
    latency: bool,
    scaling: bool,
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


def _run(database: "Database | None", run_id: int) -> Run:
    if database is None:
        raise UsageError(f"--policies {run_id}: this workspace has no runs yet")
    return get_run(database, run_id)


def network_name(run: Run) -> str:
    """Names what acts at run time: the base MLP of a student, the network of a teacher."""
    network = run.config.get("network")
    kind = network.get("kind") if isinstance(network, Mapping) else None
    return f"{BASE if kind == 'hypernetwork' else kind} of {run.id}"


def _network(database: "Database | None", run: Run, task: str) -> NetworkConfig:
    if run.kind not in (RunKind.TEACHER, RunKind.STUDENT) or "network" not in run.config:
        raise UsageError(
            f"--policies {run.id}: run {run.id} is a {run.kind}, expected a teacher or a student"
        )
    own_task = None if database is None else learned_ground(found_in(database), run)
    if own_task not in (None, task):
        raise UsageError(f"run {run.id} acts on {own_task}, not on {task}; say --task {own_task}")
    return NetworkConfig.model_validate(run.config["network"])


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Rows for several numbers of limbs as curves by policy, with ratios to the base MLP."""
    base = {row["limbs"]: row for row in rows if row["policy"] == BASE}
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        curve = found.setdefault(row["policy"], {"limbs": []})
        curve["limbs"].append(row["limbs"])
        for quantity in _QUANTITIES:
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
