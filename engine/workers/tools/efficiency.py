"""Cost of one action of the published policies, for ``hdtui efficiency`` and the cockpit."""

from collections.abc import Sequence
from typing import Any, get_args

from engine.config.base import TaskName
from engine.deployment.timing import deployed_steps
from engine.errors import UsageError
from engine.evaluation.efficiency import POLICIES, efficiency, scaling


def run(
    *,
    task: TaskName = "flat",
    limbs: int | Sequence[int] | None = None,
    latency: bool = False,
    policies: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Rows of cost and, for one number of limbs, ratios to the base MLP; all policies by default.

    Several numbers of limbs give the rows of each of them, without latency and ratios.

    Raises:
        UsageError: A task, policy or number of limbs that does not exist.
    """
    if task not in get_args(TaskName):
        raise UsageError(f"{task}: no such task; the tasks are {', '.join(get_args(TaskName))}")
    chosen = POLICIES if policies is None else tuple(policies)
    if isinstance(limbs, Sequence):
        return {"rows": scaling(task, limbs, chosen), "ratios": {}}
    runtimes = deployed_steps if latency else None
    return efficiency(task, limbs=limbs, policies=chosen, latency=latency, runtimes=runtimes)
