"""Curves of runs: only points that are new are read; whole again when a run got a new attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from db.queries.metrics import list_series, read_points
from db.queries.runs import list_runs
from db.records import Point, Points, Run, Series
from db.session import Database
from hdtui.data.metric_names import metric_order
from hdtui.data.smoothing import Break, Path, mean_and_interval
from hdtui.formatting import measure, steps

XAxis = Literal["steps", "wall time", "iteration"]
X_AXES: tuple[XAxis, ...] = ("steps", "wall time", "iteration")
MAX_POINTS = 4000


@dataclass(frozen=True)
class RunCurve:
    """One run's points of one metric."""

    run: Run
    points: Points

    def path(self, x_axis: XAxis) -> Path:
        points = self.points
        x: Sequence[float] = {
            "steps": points.step,
            "wall time": points.wall_s,
            "iteration": points.iteration,
        }[x_axis]
        breaks = tuple(Break(_place(each, x_axis), each.value) for each in points.extremes)
        return Path(tuple(map(float, x)), points.value, points.low, points.high, breaks)


def _place(point: Point, x_axis: XAxis) -> float:
    places = {"steps": point.step, "wall time": point.wall_s, "iteration": point.iteration}
    return float(places[x_axis])


@dataclass(frozen=True)
class RunCurves:
    """Metrics of a run, and the curves of the shown ones: this run, the pinned, the marked."""

    series: tuple[Series, ...]
    curves: Mapping[str, tuple[RunCurve, ...]]


class CurveReader:
    """Reads curves and keeps them; give every screen its own."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, Points]] = {}
        self._series: dict[int, tuple[int, tuple[Series, ...]]] = {}

    def read(self, database: Database, run_ids: Sequence[int], metrics: Sequence[str]) -> RunCurves:
        """Metrics of the first run, and the curves of ``metrics`` of all runs that have them.

        Raises:
            RunError: The first run does not exist.
        """
        found = {run.id: run for run in list_runs(database, ids=run_ids)}
        runs = [found[run_id] for run_id in dict.fromkeys(run_ids) if run_id in found]
        own = self._run_series(database, runs[0]) if runs else ()
        names = [each for each in own if each.robot_digest is None]
        names.sort(key=lambda series: metric_order(series.name))
        curves: dict[str, tuple[RunCurve, ...]] = {}
        for name in metrics:
            curves[name] = tuple(
                RunCurve(run, self._points(database, run, series))
                for run in runs
                for series in self._run_series(database, run)
                if series.name == name and series.robot_digest is None
            )
        return RunCurves(tuple(names), curves)

    def read_headline(self, database: Database, run_ids: Sequence[int]) -> RunCurves:
        """The curve that says most of the first run, and the same of the others."""
        found = self.read(database, run_ids[:1], [])
        if not found.series:
            return found
        return self.read(database, run_ids, [found.series[0].name])

    def _run_series(self, database: Database, run: Run) -> tuple[Series, ...]:
        kept = self._series.get(run.id)
        if kept is not None and run.state.ended and kept[0] == run.attempt:
            return kept[1]
        series = tuple(list_series(database, run.id))
        self._series[run.id] = (run.attempt if run.state.ended else -1, series)
        return series

    def _points(self, database: Database, run: Run, series: Series) -> Points:
        """All points of a series; kept ones are continued, those of an older attempt dropped."""
        kept = self._kept.get(series.id)
        if kept is None or kept[0] != run.attempt or len(kept[1].step) > 2 * MAX_POINTS:
            points = read_points(database, series.id, max_points=MAX_POINTS)
        else:
            points = kept[1]
            last = points.last_step
            if series.last_step is not None and series.last_step > last:
                fresh = read_points(database, series.id, after_step=last, max_points=MAX_POINTS)
                points = joined(points, fresh)
        self._kept[series.id] = (run.attempt, points)
        return points


def joined(first: Points, second: Points) -> Points:
    """Two parts of a series, one after the other."""
    return Points(
        first.series_id,
        first.step + second.step,
        first.iteration + second.iteration,
        first.wall_s + second.wall_s,
        first.value + second.value,
        first.low + second.low,
        first.high + second.high,
        (first.extremes + second.extremes)[-MAX_POINTS:],
    )


def breaks_text(points: Points) -> str:
    """The points that have no height, in words: NaN at 96k and 2 more; empty where all have one."""
    if not points.extremes:
        return ""
    first, more = points.extremes[0], len(points.extremes) - 1
    return f"{measure(first.value)} at {steps(first.step)}{f' and {more} more' if more else ''}"


def seeds_as_band(curves: Sequence[RunCurve], x_axis: XAxis) -> Path:
    """Mean over runs with its 95 % interval."""
    return mean_and_interval([curve.path(x_axis) for curve in curves])
