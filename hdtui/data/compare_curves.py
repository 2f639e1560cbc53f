"""Marked runs in groups that differ by their seed alone: means, intervals and differences."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.queries.runs import list_runs
from db.records import Run
from db.session import Database
from engine.statistics import Difference, Interval, interval, welch_difference
from hdtui.data.curves import CurveReader, RunCurve, XAxis, seeds_as_band
from hdtui.data.metric_names import metric_order
from hdtui.data.run_list import (
    config_key,
    config_without_seed,
    flat_config,
    without_seeds,
)
from hdtui.data.smoothing import Path, value_at
from hdtui.formatting import setting

GROUPINGS = ("config", "study", "kind", "run")
_MOST_IDS = 3
_MOST_SETTINGS = 2
_FIRST_CHOICES = ("return", "episode_return", "held_out_sample_loss", "loss")


@dataclass(frozen=True)
class ComparedRuns:
    """The marked runs, the metrics any of them reported, and the curves of the chosen one."""

    runs: tuple[Run, ...]
    metrics: tuple[str, ...]
    metric: str
    curves: tuple[RunCurve, ...]


@dataclass(frozen=True)
class CurveGroup:
    """Runs that belong together, in the order of their marks, and the curves they have."""

    letter: str
    title: str
    runs: tuple[Run, ...]
    curves: tuple[RunCurve, ...]

    def path(self, x_axis: XAxis) -> Path:
        """The mean over the runs with its interval, or the one run's curve."""
        if len(self.curves) == 1:
            return self.curves[0].path(x_axis)
        return seeds_as_band(self.curves, x_axis)

    def values_at(self, x_axis: XAxis, x: float) -> list[float]:
        """Each run's newest value up to x; none where a run has not begun: n stays the group's."""
        paths = [curve.path(x_axis) for curve in self.curves]
        values = [value_at(path, x) for path in paths]
        known = [value for value in values if value is not None]
        return known if len(known) == len(values) else []


@dataclass(frozen=True)
class GroupRow:
    """A group's numbers half-way and where all runs end, and its difference to the baseline."""

    group: CurveGroup
    half_way: Interval | None
    at_end: Interval | None
    difference: Difference | None


@dataclass(frozen=True)
class CompareTable:
    """A row per group; ``half`` is the last measured x up to half of ``end``, where all runs end.

    None where no run had a point by then: between points nothing is known.
    """

    half: float | None
    end: float
    rows: list[GroupRow]


def read_comparison(
    database: Database, reader: CurveReader, run_ids: Sequence[int], metric: str
) -> ComparedRuns:
    """The marked runs that still exist with the curves of a metric (the first where unknown)."""
    found = {run.id: run for run in list_runs(database, ids=run_ids)} if run_ids else {}
    runs = tuple(found[run_id] for run_id in run_ids if run_id in found)
    names: dict[str, None] = {}
    for run in runs:
        for series in reader.read(database, [run.id], ()).series:
            names[series.name] = None
    metrics = tuple(sorted(names, key=metric_order))
    if metric not in names:
        metric = next((name for name in _FIRST_CHOICES if name in names), "")
        metric = metric or next(iter(metrics), "")
    if not metric:
        return ComparedRuns(runs, metrics, "", ())
    curves = reader.read(database, [run.id for run in runs], [metric]).curves[metric]
    return ComparedRuns(runs, metrics, metric, curves)


def grouped(facts: ComparedRuns, by: str) -> list[CurveGroup]:
    """The runs in groups, lettered in the order of their first marks."""
    curves = {curve.run.id: curve for curve in facts.curves if curve.points.last_step >= 0}
    groups: dict[str, list[Run]] = {}
    for run in facts.runs:
        groups.setdefault(_key(run, by), []).append(run)
    titles = _told_apart([(_title(runs, by), runs) for runs in groups.values()])
    return [
        CurveGroup(
            chr(ord("a") + place % 26),
            title,
            tuple(runs),
            tuple(curves[run.id] for run in runs if run.id in curves),
        )
        for place, (title, runs) in enumerate(zip(titles, groups.values(), strict=True))
    ]


def _key(run: Run, by: str) -> str:
    if by == "run":
        return str(run.id)
    if by == "study":
        return run.group or "no study"
    if by == "kind":
        return str(run.kind)
    return config_key(run)


def _title(runs: Sequence[Run], by: str) -> str:
    first = runs[0]
    if by == "run":
        return f"{first.id} {first.name}"
    if by in ("study", "kind"):
        return _key(first, by)
    return config_without_seed(first)


def _told_apart(titled: Sequence[tuple[str, Sequence[Run]]]) -> list[str]:
    """Titles; those that several groups share begin with run ids and end with what differs."""
    alike: dict[str, list[Run]] = {}
    for title, runs in titled:
        alike.setdefault(title, []).append(runs[0])
    return [
        title if len(alike[title]) == 1 else _with_difference(title, runs, alike[title])
        for title, runs in titled
    ]


def _with_difference(title: str, runs: Sequence[Run], alike: Sequence[Run]) -> str:
    own, *others = (_settings(run) for run in (runs[0], *alike))
    differing = [
        f"{key.rpartition('.')[2]} {setting(value)}"
        for key, value in own.items()
        if any(other.get(key) != value for other in others)
    ]
    ids = " ".join(str(run.id) for run in runs[:_MOST_IDS])
    more = " …" if len(runs) > _MOST_IDS else ""
    return " · ".join([f"{ids}{more} {title}", *differing[:_MOST_SETTINGS]])


def _settings(run: Run) -> dict[str, object]:
    return {**flat_config(without_seeds(run.config)), "robots": " ".join(run.robot_sets)}


def table(groups: Sequence[CurveGroup], x_axis: XAxis, baseline: int) -> CompareTable:
    """A row per group; differences are to the group at ``baseline``."""
    paths = [curve.path(x_axis) for group in groups for curve in group.curves]
    end = min((path.end for path in paths), default=0.0)
    half = max((x for path in paths for x in path.x if x <= end / 2), default=None)
    rows = []
    for place, group in enumerate(groups):
        values = group.values_at(x_axis, end)
        half_way = group.values_at(x_axis, half) if half is not None else []
        reference = groups[baseline].values_at(x_axis, end) if place != baseline else []
        rows.append(
            GroupRow(
                group,
                interval(half_way) if half_way else None,
                interval(values) if values else None,
                welch_difference(values, reference) if values and reference else None,
            )
        )
    return CompareTable(half, end, rows)
