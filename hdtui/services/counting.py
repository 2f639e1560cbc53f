"""Counting what one action costs: in a child process, because networks need torch."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from db.queries.settings import get_setting, set_setting
from engine.errors import HdtuiError
from hdtui.services.cockpit import Cockpit
from hdtui.services.efficiency import SETTING, EfficiencyFacts, own_networks

if TYPE_CHECKING:
    from db.session import Database

LIMB_COUNTS = (2, 4, 6, 8, 10, 12, 16, 20, 24)


def uncounted(facts: EfficiencyFacts, tasks: Sequence[str]) -> list[str]:
    """Tasks on which the published policies or a network of ours are not counted yet."""
    return [
        task
        for task in tasks
        if task not in facts.costs
        or set(own_networks(facts.reached, task)) - {cost.policy for cost in facts.costs[task]}
    ]


def count(cockpit: Cockpit, facts: EfficiencyFacts, task: str, latency: bool = False) -> str:
    """Count (and time) all policies and networks of ours on a task; keep the result.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    _keep(cockpit, task, count_rows(facts, task, latency))
    return f"latency measured on {task}" if latency else f"counted on {task}"


def count_rows(facts: EfficiencyFacts, task: str, latency: bool = False) -> list[dict[str, Any]]:
    """A row of cost per policy on a task.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    own = own_networks(facts.reached, task)
    arguments = {"task": task, "limbs": None, "latency": latency, "policies": None, "own": own}
    return _ask_child(arguments)


def count_by_limbs(cockpit: Cockpit) -> str:
    """Count all published policies on flat ground for 2 to 24 limbs and keep the result.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    _keep(cockpit, "limbs", limb_rows())
    return f"counted for {LIMB_COUNTS[0]} to {LIMB_COUNTS[-1]} limbs"


def limb_rows() -> list[dict[str, Any]]:
    """A row of cost per published policy and number of limbs.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    return _ask_child({"task": "flat", "limbs": LIMB_COUNTS, "latency": False, "policies": None})


def keep_counts(database: "Database", name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what was counted into the workspace, beside what it knows."""
    known = get_setting(database, SETTING)
    documents = known if isinstance(known, dict) else {}
    set_setting(database, SETTING, {**documents, name: _document(rows)})


def _document(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"rows": list(rows), "at": datetime.now(UTC).isoformat()}


def _keep(cockpit: Cockpit, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """In the workspace; where nothing may be written, in this cockpit alone."""
    if cockpit.readonly:
        cockpit.counted[name] = _document(rows)
    else:
        cockpit.store.ask(lambda database: keep_counts(database, name, rows))


def _ask_child(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    child = subprocess.run(
        [sys.executable, "-m", "engine.workers.tool", "efficiency"],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        last = child.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise HdtuiError(f"Counting failed with exit code {child.returncode}: {last[0]}")
    rows: list[dict[str, Any]] = json.loads(child.stdout)["rows"]
    return rows
