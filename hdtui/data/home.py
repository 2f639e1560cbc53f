"""What Home shows: a pipeline's stages, active runs, the split of time, events."""

from dataclasses import dataclass
from datetime import datetime

from db.queries.metrics import list_series, read_points
from db.queries.runs import list_events, list_pipelines, list_runs
from db.records import Pipeline, RunEvent, RunKind, RunState
from db.session import Database
from engine.workers.observed import observed
from hdtui.data.forecast import Forecast, forecast, past_seconds
from hdtui.data.run_states import RunView, view
from hdtui.data.run_views import ACTIVE, surroundings

NUM_EVENTS = 40
HALTED = ("stopped", "failed", "lost", "interrupted")
ALERT_LEVELS = ("warning", "error")
SHARE_PREFIX = "share_"
STAGE_ORDER = tuple(RunKind)
LAST_MINUTE_S = 60.0


@dataclass(frozen=True)
class PipelineStage:
    """The runs of one kind in a pipeline."""

    kind: RunKind
    runs: tuple[RunView, ...]


@dataclass(frozen=True)
class HomeSnapshot:
    """A snapshot for Home."""

    pipeline: Pipeline | None
    previous: Pipeline | None
    stages: tuple[PipelineStage, ...]
    active: tuple[RunView, ...]
    halted: tuple[RunView, ...]
    queued: tuple[RunView, ...]
    slots: int | None
    slots_in_use: int
    events: tuple[RunEvent, ...]
    states: dict[int, str]
    num_alerts: int
    results: tuple[RunView, ...]
    forecast: Forecast | None


@dataclass(frozen=True)
class TimeSplit:
    """Where the time of a run went lately: share by name."""

    run_id: int
    shares: tuple[tuple[str, float], ...]


def read_home(database: Database, now: datetime, older: int = 0) -> HomeSnapshot:
    """The snapshot; ``older`` chooses a pipeline before the newest one."""
    pipelines = list_pipelines(database, limit=older + 2)
    pipeline = pipelines[min(older, len(pipelines) - 1)] if pipelines else None
    previous = pipelines[older + 1] if len(pipelines) > older + 1 else None
    around = surroundings(database, now)
    stages = _stages(database, pipeline, around) if pipeline else ()
    open_states = (*ACTIVE, RunState.QUEUED)
    unfinished = [
        view(run, around)
        for run in observed(database, list_runs(database, states=open_states, newest_first=False))
    ]
    events = tuple(reversed(list_events(database, limit=NUM_EVENTS)))
    named = list_runs(database, ids={event.run_id for event in events if event.run_id})
    return HomeSnapshot(
        pipeline=pipeline,
        previous=previous,
        stages=stages,
        active=tuple(each for each in unfinished if each.run.state is not RunState.QUEUED),
        halted=tuple(each for stage in stages for each in stage.runs if each.shown in HALTED),
        queued=tuple(each for each in unfinished if each.run.state is RunState.QUEUED),
        slots=around.slots,
        slots_in_use=around.slots_in_use or 0,
        events=events,
        states={run.id: str(run.state) for run in observed(database, named)},
        num_alerts=sum(1 for event in events if event.level in ALERT_LEVELS),
        results=_results(database, around),
        forecast=_forecast(database, pipeline, stages),
    )


def _stages(database: Database, pipeline: Pipeline, around: object) -> tuple[PipelineStage, ...]:
    runs = observed(database, list_runs(database, pipeline=pipeline.id, newest_first=False))
    return tuple(
        PipelineStage(kind, tuple(view(run, around) for run in runs if run.kind is kind))  # type: ignore[arg-type]
        for kind in STAGE_ORDER
        if any(run.kind is kind for run in runs)
    )


def _forecast(
    database: Database, pipeline: Pipeline | None, stages: tuple[PipelineStage, ...]
) -> Forecast | None:
    if pipeline is None:
        return None
    runs = [each.run for stage in stages for each in stage.runs]
    return forecast(runs, past_seconds(database, pipeline.preset))


def _results(database: Database, around: object) -> tuple[RunView, ...]:
    finished = list_runs(database, states=[RunState.FINISHED], limit=8)
    return tuple(view(run, around) for run in finished if run.result_text)  # type: ignore[arg-type]


def read_time_split(database: Database, run_id: int) -> TimeSplit:
    """Mean shares of time over the last minute of a run, the largest first, the rest as other."""
    shares: list[tuple[str, float]] = []
    for series in list_series(database, run_id):
        if series.robot_digest is None and series.name.startswith(SHARE_PREFIX):
            share = _last_minute(database, series.id)
            if share is not None:
                shares.append((series.name.removeprefix(SHARE_PREFIX), share))
    shares.sort(key=lambda item: -item[1])
    rest = 1.0 - sum(share for _, share in shares)
    if shares and rest > 0.005:
        shares.append(("other", rest))
    return TimeSplit(run_id, tuple(shares))


def _last_minute(database: Database, series_id: int) -> float | None:
    points = read_points(database, series_id, max_points=400)
    if not points.value:
        return None
    start = points.wall_s[-1] - LAST_MINUTE_S
    recent = [
        value for value, wall in zip(points.value, points.wall_s, strict=True) if wall >= start
    ]
    return sum(recent) / len(recent)
