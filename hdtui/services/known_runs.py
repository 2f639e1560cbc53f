"""What the workspace offers to a form: robot sets, finished runs, and what those took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from db.queries.robots import list_sets
from db.queries.runs import list_runs
from db.records import Run, RunKind, RunState
from hdtui.services.machine import folder_sizes

if TYPE_CHECKING:
    from db.session import Database

NUM_WEIGHED = 5


@dataclass(frozen=True)
class Known:
    """Sets by name; finished runs, newest first; bytes on disk of the newest of each kind."""

    sets: tuple[str, ...]
    runs: tuple[Run, ...]
    folder_bytes: Mapping[int, int] = field(default_factory=dict)
    free_bytes: int | None = None

    def newest(self, kinds: Sequence[RunKind]) -> Run | None:
        """The newest finished run of these kinds."""
        return next((run for run in self.runs if run.kind in kinds), None)


def read_known(database: "Database") -> Known:
    """Robot sets and finished runs with the size of a few folders."""
    finished = list_runs(database, states=[RunState.FINISHED], limit=500)
    sizes: dict[int, int] = {}
    for kind in RunKind:
        for run in [run for run in finished if run.kind is kind][:NUM_WEIGHED]:
            sizes[run.id] = folder_sizes(database.home / run.folder)[0]
    sets = tuple(one.name for one in list_sets(database))
    return Known(sets, tuple(finished), sizes, _free_bytes(database.home))


def _free_bytes(folder: Path) -> int | None:
    try:
        return psutil.disk_usage(str(folder)).free
    except OSError:
        return None
