"""How far a pipeline is and how long it still takes, from what its stages took before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from db.queries.runs import list_pipelines, list_runs
from db.records import Run, RunKind, RunState
from hdtui.data.run_states import left_s

if TYPE_CHECKING:
    from db.session import Database

NUM_PAST_RUNS = 200
# Shares of the time of a quick pipeline, used until stages of this machine have been timed.
USUAL_SHARES: Mapping[RunKind, float] = {
    RunKind.GENERATION: 0.01,
    RunKind.TEACHER: 0.72,
    RunKind.MUTATION: 0.01,
    RunKind.COLLECTION: 0.06,
    RunKind.STUDENT: 0.13,
    RunKind.EVALUATION: 0.06,
    RunKind.DEPLOYMENT: 0.01,
}


@dataclass(frozen=True)
class Forecast:
    """Progress from 0 to 1, seconds left where something tells them, and what they stand on."""

    progress: float
    left_s: float | None
    source: str


def past_seconds(database: "Database", preset: str | None) -> dict[RunKind, float]:
    """Median seconds of finished runs of each kind, those of pipelines of the same preset."""
    like = {each.id for each in list_pipelines(database) if each.preset == preset}
    took: dict[RunKind, list[float]] = {}
    for run in list_runs(database, states=[RunState.FINISHED], limit=NUM_PAST_RUNS):
        if run.pipeline in like and run.started_at and run.ended_at:
            seconds = max((run.ended_at - run.started_at).total_seconds(), run.worked_s)
            took.setdefault(run.kind, []).append(seconds)
    return {kind: median(seconds) for kind, seconds in took.items()}


def forecast(runs: Sequence[Run], past: Mapping[RunKind, float]) -> Forecast | None:
    """Weigh each run by the time it takes; None where there is no run."""
    if not runs:
        return None
    known = all(run.kind in past for run in runs)
    weights = {run.id: past[run.kind] if known else USUAL_SHARES[run.kind] for run in runs}
    done = sum(weights[run.id] * _share(run) for run in runs)
    total = sum(weights.values())
    progress = done / total if total else 1.0
    open_runs = [run for run in runs if run.state is not RunState.FINISHED]
    if any(run.state.ended for run in open_runs):
        return Forecast(progress, None, "")  # nothing goes on until somebody resumes it
    pace = _seconds_per_weight(open_runs, weights, known)
    if not open_runs or pace is None:
        return Forecast(progress, None, "")
    left = sum(_left(run, weights[run.id] * pace) for run in open_runs)
    return Forecast(progress, left, "from past pipelines" if known else "estimated")


def roughly(seconds: float) -> float:
    """An estimate without digits that it does not have: whole tens above a minute."""
    return round(seconds, -1) if seconds >= 60 else seconds


def _share(run: Run) -> float:
    return 1.0 if run.state is RunState.FINISHED else run.progress or 0.0


def _left(run: Run, expected_s: float) -> float:
    told = left_s(run)
    return told if told is not None else expected_s * (1.0 - _share(run))


def _seconds_per_weight(
    runs: Iterable[Run], weights: Mapping[int, float], known: bool
) -> float | None:
    """1 where the weights are seconds; else what the working run with most weight tells."""
    if known:
        return 1.0
    told = [
        (weights[run.id], left / ((1.0 - _share(run)) * weights[run.id]))
        for run in runs
        if (left := left_s(run)) is not None and _share(run) < 1.0 and weights[run.id] > 0
    ]
    return max(told)[1] if told else None
