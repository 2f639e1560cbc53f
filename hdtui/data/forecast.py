"""How far a pipeline is, and how long runs take: from what like ones took before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from db.queries.runs import list_pipelines, list_runs
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.workers.stages import PIPELINE
from hdtui.data.form_choices import FormChoices
from hdtui.data.run_states import left_s
from hdtui.formatting import duration, size

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


def past_seconds(database: Database, preset: str | None) -> dict[RunKind, float]:
    """Median seconds of finished runs of each kind, those of pipelines of the same preset."""
    like = {each.id for each in list_pipelines(database) if each.preset == preset}
    took: dict[RunKind, list[float]] = {}
    for run in list_runs(database, states=[RunState.FINISHED], limit=NUM_PAST_RUNS):
        if run.pipeline in like and run.took_s is not None:
            took.setdefault(run.kind, []).append(max(run.took_s, run.worked_s))
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


@dataclass(frozen=True)
class TimeEstimate:
    """Median, shortest and longest time of like runs, and what one leaves on disk."""

    seconds: float
    low_s: float
    high_s: float
    num_runs: int
    num_bytes: float | None

    def words(self) -> str:
        """``9m 00s (8m 40s to 11m 10s) · 41 MiB``."""
        low, high = duration(self.low_s), duration(self.high_s)
        span = f" ({low} to {high})" if low != high else ""
        disk = f" · {size(self.num_bytes)}" if self.num_bytes is not None else ""
        return f"{duration(self.seconds)}{span}{disk}"


def estimate(
    known: FormChoices, stage: str, preset: str, length: float | None = None
) -> TimeEstimate | None:
    """From runs of this kind, or from whole pipelines of this preset; None where there is none.

    Times of past runs are scaled to ``length``, in what a run of this stage counts.
    """
    if stage == PIPELINE:
        return _of_pipelines(known, preset)
    kind = RunKind(stage)
    runs = [run for run in known.runs if run.kind is kind]
    times = [seconds for run in runs if (seconds := _seconds(run, length)) is not None]
    weights = [known.folder_bytes[run.id] for run in runs if run.id in known.folder_bytes]
    return _estimate(times, weights)


def _of_pipelines(known: FormChoices, preset: str) -> TimeEstimate | None:
    """Sums over the stages of finished pipelines whose teacher is named after the preset."""
    pipelines: dict[int, list[Run]] = {}
    for run in known.runs:
        if run.pipeline is not None:
            pipelines.setdefault(run.pipeline, []).append(run)
    times, weights = [], []
    for runs in pipelines.values():
        kinds = {run.kind for run in runs}
        like = any(run.kind is RunKind.TEACHER and run.name.startswith(preset) for run in runs)
        if not like or RunKind.DEPLOYMENT not in kinds:
            continue
        times.append(sum(_seconds(run, None) or 0.0 for run in runs))
        if all(run.id in known.folder_bytes for run in runs):
            weights.append(sum(known.folder_bytes[run.id] for run in runs))
    return _estimate(times, weights)


def _estimate(times: list[float], weights: list[int]) -> TimeEstimate | None:
    if not times:
        return None
    num_bytes = float(median(weights)) if any(weights) else None
    return TimeEstimate(median(times), min(times), max(times), len(times), num_bytes)


def _seconds(run: Run, wanted: float | None) -> float | None:
    """Seconds that a run took, scaled to another length where both are known."""
    if run.took_s is None or not (wanted and run.total):
        return run.took_s
    return run.took_s * wanted / run.total
