"""Counting what one action costs: in a child process, because networks need torch."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from db.queries.settings import get_setting, set_setting
from engine.errors import HdtuiError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment
from hdtui.data.cockpit import Cockpit
from hdtui.data.efficiency import SETTING, EfficiencyFacts, own_networks

if TYPE_CHECKING:
    from db.session import Database

LIMB_COUNTS = (2, 4, 6, 8, 10, 12, 16, 20, 24)
LOOK_EVERY_S = 0.1


def never() -> bool:
    """Whoever asks waits for the answer however long it takes."""
    return False


def uncounted(facts: EfficiencyFacts, tasks: Sequence[str]) -> list[str]:
    """Tasks on which the published policies or a network of ours are not counted yet."""
    return [
        task
        for task in tasks
        if task not in facts.costs
        or set(own_networks(facts.reached, task)) - {cost.policy for cost in facts.costs[task]}
    ]


def count(
    cockpit: Cockpit,
    facts: EfficiencyFacts,
    task: str,
    latency: bool = False,
    given_up: Callable[[], bool] = never,
) -> str:
    """Count (and time) all policies and networks of ours on a task; keep the result.

    Raises:
        HdtuiError: The child failed, its last line says why; or it was given up and is killed.
    """
    _keep(cockpit, task, count_rows(facts, task, latency, given_up))
    return f"latency measured on {task}" if latency else f"counted on {task}"


def count_rows(
    facts: EfficiencyFacts,
    task: str,
    latency: bool = False,
    given_up: Callable[[], bool] = never,
) -> list[dict[str, Any]]:
    """A row of cost per policy on a task.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    own = own_networks(facts.reached, task)
    arguments = {"task": task, "limbs": None, "latency": latency, "policies": None, "own": own}
    return _ask_child(arguments, given_up)


def count_by_limbs(cockpit: Cockpit, given_up: Callable[[], bool] = never) -> str:
    """Count all published policies on flat ground for 2 to 24 limbs and keep the result.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    _keep(cockpit, "limbs", limb_rows(given_up))
    return f"counted for {LIMB_COUNTS[0]} to {LIMB_COUNTS[-1]} limb slots"


def limb_rows(given_up: Callable[[], bool] = never) -> list[dict[str, Any]]:
    """A row of cost per published policy and number of limbs.

    Raises:
        HdtuiError: The child failed; its last line says why.
    """
    arguments = {"task": "flat", "limbs": LIMB_COUNTS, "latency": False, "policies": None}
    return _ask_child(arguments, given_up)


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


def _ask_child(arguments: Mapping[str, Any], given_up: Callable[[], bool]) -> list[dict[str, Any]]:
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            child_command("engine.workers.tool", "efficiency"),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=NEUTRAL_FOLDER,
            env=child_environment(),
        )
    except OSError as error:
        raise HdtuiError(f"Counting failed: its process did not start ({error})") from error
    with process as child:
        said, complaints = _listen(child, json.dumps(arguments), given_up)
    if child.returncode:
        last = complaints.strip().splitlines()[-1:] or ["it said nothing"]
        raise HdtuiError(
            f"Counting failed with exit code {child.returncode}: {_why(said, last[0])}"
        )
    try:
        rows: list[dict[str, Any]] = json.loads(said)["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise HdtuiError(f"Counting failed: its answer cannot be read ({error!r})") from error
    return rows


def _why(said: str, last_complaint: str) -> str:
    """The sentence of a child that failed: its answer, or what it complained of last."""
    try:
        return str(json.loads(said)["error"])
    except (ValueError, KeyError, TypeError):
        return last_complaint


def _listen(
    child: "subprocess.Popen[str]", question: str, given_up: Callable[[], bool]
) -> tuple[str, str]:
    """What a child answers and complains of; one whose answer nobody wants any more is killed."""
    words: str | None = question
    while True:
        try:
            return child.communicate(words, timeout=LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            words = None  # it has them
            if given_up():
                child.kill()
