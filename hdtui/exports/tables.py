"""The tables that are exported: what stands in them, from the workspace."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.queries.evaluations import list_episodes
from db.queries.metrics import list_series, read_points
from db.queries.robots import list_robots, list_sets
from db.queries.runs import get_run, list_runs
from db.records import Run
from db.session import Database
from engine.errors import WorkspaceError
from engine.files import write_bytes
from engine.text import counted
from hdtui.data.cockpit import Cockpit, now
from hdtui.data.columns import ROBOT_COLUMNS, RUN_COLUMNS, RecordColumn
from hdtui.data.efficiency import BASE
from hdtui.exports.formats import WRITERS, DataTable

_ALL_POINTS = 100_000_000


def table_of(records: Sequence[Any], columns: Sequence[RecordColumn]) -> DataTable:
    """Records with the columns that files have."""
    filed = [column for column in columns if column.in_files]
    rows = tuple(tuple(column.of(record) for column in filed) for record in records)
    return DataTable(tuple(column.name for column in filed), rows)


def runs_table(database: Database, run_ids: Sequence[int]) -> DataTable:
    """Runs by number (all that are not archived where none is named), oldest first.

    Raises:
        RunError: There is no run of such a number.
    """
    named = [get_run(database, run_id) for run_id in run_ids]
    return table_of(named or list_runs(database, newest_first=False), RUN_COLUMNS)


def episodes_table(database: Database, run_ids: Sequence[int]) -> DataTable:
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


def robot_names(database: Database, runs: Sequence[Run]) -> dict[int, dict[str, str]]:
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


def robots_table(database: Database, set_name: str | None) -> DataTable:
    """Robots of a set in its order, or all by name.

    Raises:
        UnknownRobotSetError: There is no such set.
    """
    return table_of(list_robots(database, set_name), ROBOT_COLUMNS)


def metrics_table(database: Database, run_ids: Sequence[int], names: Sequence[str]) -> DataTable:
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
    """Claims as ``claim_document`` describes them, the ends of intervals apart."""
    rows = []
    for each in documents:
        low, high = each["interval"] or (None, None)
        named = {**each, "low": low, "high": high}
        rows.append(tuple(named[name] for name in _CLAIM_NAMES))
    return DataTable(_CLAIM_NAMES, tuple(rows))


_CLAIM_NAMES = (
    *("claim", "target", "here", "figure", "low", "high"),
    *("seeds", "runs", "verdict", "study", "reason"),
)


def write_shown(cockpit: Cockpit, name: str, form: str, table: DataTable) -> str:
    """Write a table as it is shown into the workspace's ``exports``; says where it lies.

    Raises:
        WorkspaceError: The file cannot be written.
    """
    folder = cockpit.home / "exports"
    ending = {"markdown": "md", "latex": "tex"}.get(form, form)
    file = folder / f"{name}-{now():%Y%m%d-%H%M%S}.{ending}"
    try:
        folder.mkdir(exist_ok=True)
        write_bytes(file, WRITERS[form](table).encode())
    except OSError as error:
        raise WorkspaceError(f"Cannot write {file}: {error.strerror or error}.") from error
    return f"{counted(len(table.rows), 'row')} written to {file}"
