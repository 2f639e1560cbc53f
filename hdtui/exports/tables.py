"""Tables for other programs: plain values in named columns, as CSV or Markdown."""

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from db.queries.evaluations import list_episodes
from db.queries.metrics import list_series, read_points
from db.queries.robots import list_robots, list_sets
from db.queries.runs import get_run, list_runs
from db.records import Run
from hdtui.data.efficiency import BASE

if TYPE_CHECKING:
    from db.session import Database

_ALL_POINTS = 100_000_000
_RUN_COLUMNS = (
    "id",
    "kind",
    "name",
    "state",
    "seed",
    "pipeline",
    "group",
    "inputs",
    "robot_sets",
    "host",
    "device",
    "attempt",
    "progress",
    "done",
    "total",
    "unit",
    "result",
    "result_kind",
    "result_text",
    "reason",
    "created_at",
    "started_at",
    "ended_at",
    "worked_s",
    "tags",
    "note",
)
_ROBOT_COLUMNS = {
    "name": "name",
    "digest": "digest",
    "family": "family",
    "num_limbs": "num_limbs_without_head",
    "num_joints": "num_joints",
    "mass_kg": "mass_kg",
    "head_height_m": "head_height_m",
    "parent_digest": "parent_digest",
    "operations": "operations",
    "seed": "seed",
}
"""Headings and the attributes below them."""


@dataclass(frozen=True)
class DataTable:
    """Rows of plain values under headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        """The rows by heading."""
        return [dict(zip(self.headings, row, strict=True)) for row in self.rows]


def as_csv(table: DataTable) -> str:
    """Comma-separated values with a line of headings (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.headings)
    writer.writerows([[_plain(cell) for cell in row] for row in table.rows])
    return text.getvalue()


def as_markdown(table: DataTable) -> str:
    """A Markdown table; numbers to the right, with six digits."""
    right = [
        bool(column) and all(isinstance(cell, int | float | None) for cell in column)
        for column in zip(*table.rows, strict=True)
    ] or [False] * len(table.headings)
    lines = [table.headings, tuple("---:" if each else "---" for each in right)]
    lines += [tuple(_short(cell) for cell in row) for row in table.rows]
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)


WRITERS: Mapping[str, Callable[[DataTable], str]] = {"csv": as_csv, "markdown": as_markdown}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    return str(value.value if isinstance(value, Enum) else value)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _plain(value)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def table_of(records: Sequence[Any], columns: Collection[str]) -> DataTable:
    """Attributes of records as columns."""
    rows = tuple(tuple(getattr(record, name) for name in columns) for record in records)
    return DataTable(tuple(columns), rows)


def runs_table(database: "Database", run_ids: Sequence[int]) -> DataTable:
    """Runs by number (all that are not archived where none is named), oldest first.

    Raises:
        RunError: There is no run of such a number.
    """
    named = [get_run(database, run_id) for run_id in run_ids]
    return table_of(named or list_runs(database, newest_first=False), _RUN_COLUMNS)


def episodes_table(database: "Database", run_ids: Sequence[int]) -> DataTable:
    """Episodes that these runs evaluated, or that judge the policies they made; all by default.

    Raises:
        RunError: There is no run of such a number.
    """
    for run_id in run_ids:
        get_run(database, run_id)
    if run_ids:
        found = list_episodes(database, run_ids=run_ids)
        found += [
            each
            for each in list_episodes(database, policy_run_ids=run_ids)
            if each.run_id not in run_ids
        ]
    else:
        found = list_episodes(database)
    judged_by = [get_run(database, run_id) for run_id in sorted({each.run_id for each in found})]
    names = robot_names(database, judged_by)
    rows = tuple(
        (names[each.run_id].get(each.robot_digest), *vars(each).values()) for each in found
    )
    columns = (
        "run_id policy policy_run_id robot_digest task seed episode episode_return length"
        " terminated distance_m mean_speed_m_s energy_j"
    )
    return DataTable(("robot", *columns.split()), rows)


def robot_names(database: "Database", runs: Sequence[Run]) -> dict[int, dict[str, str]]:
    """By run, names by digest as in its robot sets, else the first that the library knew."""
    library = sorted(list_robots(database), key=lambda robot: -robot.id)
    named = {robot.digest: robot.name for robot in library}
    known = {one.name for one in list_sets(database, removed=True)}
    wanted = {name for run in runs for name in run.robot_sets} & known
    members = {
        name: {robot.digest: robot.name for robot in list_robots(database, name)} for name in wanted
    }
    found = {}
    for run in runs:
        found[run.id] = dict(named)
        for name in run.robot_sets:
            found[run.id] |= members.get(name, {})
    return found


def robots_table(database: "Database", set_name: str | None) -> DataTable:
    """Robots of a set in its order, or all by name.

    Raises:
        UnknownRobotSetError: There is no such set.
    """
    robots = table_of(list_robots(database, set_name), _ROBOT_COLUMNS.values())
    return replace(robots, headings=tuple(_ROBOT_COLUMNS))


def metrics_table(database: "Database", run_ids: Sequence[int], names: Sequence[str]) -> DataTable:
    """Every point of runs' curves, finite or not, those of robots under their digest.

    Raises:
        RunError: There is no such run.
    """
    rows: list[tuple[Any, ...]] = []
    for run_id in run_ids:
        get_run(database, run_id)
        for series in list_series(database, run_id):
            if not names or series.name in names:
                points = read_points(database, series.id, max_points=_ALL_POINTS)
                rows += [
                    (run_id, series.name, series.robot_digest, *vars(point).values())
                    for point in points.every_point()
                ]
    headings = ("run", "metric", "robot_digest", "step", "iteration", "wall_s", "value")
    return DataTable(headings, tuple(rows))


def efficiency_table(document: Mapping[str, Any]) -> DataTable:
    """The answer of the counting tool, with ratios to the base MLP where it has them."""
    quantities = ("parameters", "macs", "latency", "cpu")
    counts = ("policy", "task", "limbs", "parameters", "macs")
    times = ("p50", "p95", "cpu")
    headings = (
        *counts,
        *(f"latency_{time}_us" for time in times),
        *(f"{quantity}_ratio" for quantity in quantities),
    )
    base = {row["limbs"]: row for row in document["rows"] if row["policy"] == BASE}
    rows = []
    for row in document["rows"]:
        latency = row["latency_us"] or {}
        ratios = document["ratios"].get(row["policy"]) or _ratios(row, base.get(row["limbs"]))
        counted = (row[name] for name in counts)
        measured = (latency.get(time) for time in times)
        rows.append((*counted, *measured, *(ratios.get(quantity) for quantity in quantities)))
    return DataTable(headings, tuple(rows))


def _ratios(row: Mapping[str, Any], base: Mapping[str, Any] | None) -> dict[str, float]:
    """Ratios of a row to the base MLP's row for the same limbs, where there is one."""
    return {name: row[name] / base[name] for name in ("parameters", "macs")} if base else {}


def claims_table(documents: Sequence[Mapping[str, Any]]) -> DataTable:
    """Claims as ``claim_document`` describes them."""
    headings = (
        "claim",
        "target",
        "here",
        "figure",
        "low",
        "high",
        "seeds",
        "runs",
        "verdict",
        "reason",
    )
    rows = []
    for each in documents:
        low, high = each["interval"] or (None, None)
        values = {**each, "low": low, "high": high}
        rows.append(tuple(values[name] for name in headings))
    return DataTable(headings, tuple(rows))
