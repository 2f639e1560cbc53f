"""Cost of one action of policies, for ``hdtui efficiency``, ``hdtui claims`` and the cockpit."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from engine.config.base import TaskName
from engine.config.network import NetworkConfig
from engine.deployment.timing import deployed_steps
from engine.errors import UsageError
from engine.evaluation.efficiency import CONVENTION, efficiency, scaling
from engine.evaluation.subjects import POLICIES


def run(
    *,
    task: TaskName | Sequence[TaskName] = "flat",
    limbs: int | Sequence[int] | None = None,
    latency: bool = False,
    policies: Sequence[str] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Rows of cost and, for one number of limbs, ratios to the base MLP; all policies by default.

    Several numbers of limbs give the rows of each of them, without latency and ratios. Several
    tasks give such a document for each under ``tasks``. ``own`` are networks of runs by name.

    Raises:
        UsageError: A task, policy or number of limbs that does not exist.
    """
    if not isinstance(task, str):
        return {"tasks": {each: _document(each, None, False, policies, own) for each in task}}
    return _document(task, limbs, latency, policies, own)


def _document(
    task: TaskName,
    limbs: int | Sequence[int] | None,
    latency: bool,
    policies: Sequence[str] | None,
    own: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, Any]:
    if task not in get_args(TaskName):
        raise UsageError(f"{task}: no such task; the tasks are {', '.join(get_args(TaskName))}")
    chosen = POLICIES if policies is None else tuple(policies)
    networks = {name: NetworkConfig.model_validate(each) for name, each in (own or {}).items()}
    if isinstance(limbs, Sequence):
        document = {"rows": scaling(task, limbs, chosen, networks), "ratios": {}}
    else:
        runtimes = deployed_steps if latency else None
        document = efficiency(
            task, limbs=limbs, policies=chosen, own=networks, latency=latency, runtimes=runtimes
        )
    return {**document, "convention": CONVENTION}
