"""What networks of a study cost, on as many limbs as it asks for."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from db.machine import host_name
from engine.config.network_cost import NetworkQuestion
from engine.deployment.timing import deployed_steps
from engine.evaluation.efficiency import network_costs


def run(*, questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row of cost for each question, in their order, and the machine that timed them.

    Raises:
        UsageError: A network that is to write base MLPs and cannot.
    """
    asked = [NetworkQuestion.model_validate(dict(each)) for each in questions]
    machine = f"{host_name()}, {os.cpu_count()} cores"
    return {"rows": network_costs(asked, deployed_steps), "machine": machine}
