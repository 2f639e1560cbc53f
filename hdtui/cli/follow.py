"""Follow queued runs from a shell: progress on stderr until the last one has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from db.records import Run, RunState
from hdtui.cli.output import say
from hdtui.formatting import duration, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.session import Database

POLL_S = 0.25
REPORT_EVERY_S = 5.0


def follow(database: Database, run_ids: Sequence[int]) -> list[Run]:
    """Wait until every run has ended or cannot start any more; the runs as they ended.

    Ctrl+C leaves the runs running and says how to see them again.
    """
    from db.queries.runs import list_runs
    from engine.workers.observed import observed
    from engine.workers.supervision import ensure_supervisor

    told: dict[int, RunState] = {}
    last_report = 0.0
    try:
        while True:
            runs = sorted(
                observed(database, list_runs(database, ids=list(run_ids))), key=lambda run: run.id
            )
            for run in runs:
                if told.get(run.id) is not run.state:
                    told[run.id] = run.state
                    _tell_state(run)
            if not any(run.state.active or run.state is RunState.QUEUED for run in runs):
                return runs
            if not any(run.state.active for run in runs):
                ensure_supervisor(database)
                if _blocked(runs):
                    return runs
            if time.monotonic() - last_report >= REPORT_EVERY_S:
                last_report = time.monotonic()
                _tell_progress(runs)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        say("The runs go on without this terminal; `hdtui` or `hdtui runs list` shows them.")
        raise


def _blocked(runs: Sequence[Run]) -> bool:
    """All that is left waits for an input that ended without finishing."""
    ended_badly = {run.id for run in runs if run.state.ended and run.state is not RunState.FINISHED}
    blocked = set(ended_badly)
    waiting = [run for run in runs if run.state is RunState.QUEUED]
    for run in waiting:
        if blocked.intersection(run.waits_for):
            blocked.add(run.id)
    return bool(waiting) and all(run.id in blocked for run in waiting)


def _tell_state(run: Run) -> None:
    took = f" in {run.took_s:.1f} s" if run.state.ended and run.took_s is not None else ""
    detail = run.reason or run.result_text or ""
    say(
        f"{run.id:>5} {run.kind.value:<11} {run.state.value}{took}{': ' + detail if detail else ''}"
    )


def _tell_progress(runs: Sequence[Run]) -> None:
    from hdtui.data.run_states import left_s

    for run in runs:
        if run.state is RunState.RUNNING and run.progress is not None:
            speed = f", {rate(run.rate, f' {run.unit}')}" if run.rate else ""
            seconds = left_s(run)
            left = "" if seconds is None else f", {duration(seconds)} left"
            say(f"{run.id:>5} {run.kind.value:<11} {run.progress:.0%}{speed}{left}")
