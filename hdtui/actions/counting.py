"""Count what one action costs and keep it in the workspace, so that nobody counts it again."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from db.queries.settings import get_setting, set_setting
from db.session import Database
from hdtui.data.cockpit import Cockpit
from hdtui.data.efficiency import CHARTED_LIMBS, SETTING, EfficiencyFigures, count_rows, limb_rows
from hdtui.data.store import NoWorkspaceError


def count(
    cockpit: Cockpit,
    facts: EfficiencyFigures,
    task: str,
    latency: bool = False,
    given_up: Callable[[], bool] | None = None,
) -> str:
    """Count (and time) all policies and networks of ours on a task; the sentence that says so.

    Raises:
        HdtuiError: The child failed, its last line says why; or it was given up and is killed.
    """
    _keep(cockpit, task, count_rows(facts, task, latency, given_up))
    return f"latency measured on {task}" if latency else f"counted on {task}"


def count_by_limbs(cockpit: Cockpit, given_up: Callable[[], bool] | None = None) -> str:
    """Count all published policies by limbs; as ``count``."""
    _keep(cockpit, "limbs", limb_rows(given_up))
    return f"counted for {CHARTED_LIMBS[0]} to {CHARTED_LIMBS[-1]} limb slots"


def keep_counts(database: Database, name: str, document: Mapping[str, Any]) -> None:
    """Write what was counted into the workspace, beside what it knows."""
    known = get_setting(database, SETTING)
    set_setting(database, SETTING, {**(known if isinstance(known, dict) else {}), name: document})


def counted_now(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The document of what was counted."""
    return {"rows": list(rows), "at": datetime.now(UTC).isoformat()}


def _keep(cockpit: Cockpit, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """In the workspace; where there is none or nothing may be written, in this cockpit alone."""
    document = counted_now(rows)
    if not cockpit.readonly:
        try:
            cockpit.store.ask(lambda database: keep_counts(database, name, document))
        except NoWorkspaceError:
            pass
        else:
            return
    cockpit.counted[name] = document
