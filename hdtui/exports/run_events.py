"""A run's curves as points in time, as TensorBoard wants them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from db.queries.robots import list_robots
from db.queries.runs import get_run
from db.records import Run
from hdtui.exports.tables import DataTable
from hdtui.exports.tensorboard import FILE_NAME, Scalar

if TYPE_CHECKING:
    from db.session import Database


def events_path(out: Path, run: Run) -> Path:
    """Where a run's events go: a folder named after it, a file named after when it was queued.

    Both stay the same however often it is resumed, so a later export replaces an earlier one.
    """
    name = re.sub(r"[^\w.-]+", "-", run.name).strip("-.")[:100]
    return out / f"{run.id}-{name}" / FILE_NAME.format(seconds=int(run.created_at.timestamp()))


def run_scalars(
    database: "Database", run_id: int, table: DataTable
) -> tuple[float, Iterator[Scalar]]:
    """Unix time of the run's start, and the points of its ``metrics_table``.

    A point's time is that of the start plus the seconds of work it took; robots stand under the
    metric by name.
    """
    run = get_run(database, run_id)
    started = run.started_at or run.created_at
    names = {robot.digest: robot.name for robot in list_robots(database)}
    start_s = float(started.timestamp())

    def scalars() -> Iterator[Scalar]:
        for _, metric, digest, step, _, wall_s, value in table.rows:
            tag = metric if digest is None else f"{metric}/{names.get(digest, digest[:12])}"
            yield Scalar(tag, step, value, start_s + wall_s)

    return start_s, scalars()
