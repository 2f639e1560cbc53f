"""What a run will take, from like runs: time scaled by length, bytes on disk."""

from dataclasses import dataclass
from statistics import median

from db.records import Run, RunKind
from engine.errors import ConfigError
from hdtui.actions.launch import LaunchForm
from hdtui.data.form_choices import FormChoices
from hdtui.formatting import duration, size


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


def estimate(known: FormChoices, form: LaunchForm) -> TimeEstimate | None:
    """From runs of this kind, or from whole pipelines of this preset; None where there is none."""
    if form.stage == "pipeline":
        return _of_pipelines(known, form.preset)
    kind = RunKind(form.stage)
    wanted = _length(form)
    runs = [run for run in known.runs if run.kind is kind]
    times = [seconds for run in runs if (seconds := _seconds(run, wanted)) is not None]
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
    if run.started_at is None or run.ended_at is None:
        return None
    seconds = (run.ended_at - run.started_at).total_seconds()
    return seconds * wanted / run.total if wanted and run.total else seconds


def _length(form: LaunchForm) -> float | None:
    if form.stage != "teacher":
        return None
    try:
        return float(getattr(form.config(), "total_env_steps", 0)) or None
    except ConfigError:
        return None
