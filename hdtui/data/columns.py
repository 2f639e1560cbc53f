"""Runs and robots column by column: described once for listings, documents, files and screens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from db.records import CHECKPOINTS, Robot, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Record = TypeVar("Record")
DIGEST_LETTERS = 7


@dataclass(frozen=True)
class RecordColumn:
    """A value of a record under the names that it has.

    ``name`` stands in files and ends in the unit. Scripts know it by ``key`` in a document and
    people by ``heading``, where those differ; an empty key leaves it out of documents, ``in_files``
    out of files. ``text`` writes it for people.
    """

    name: str
    value: Callable[[Any], Any] | None = None
    key: str | None = None
    heading: str = ""
    text: Callable[[Any], str] = str
    in_files: bool = True

    def of(self, record: Any) -> Any:
        """The value in a record: its attribute of this name, unless it is found otherwise."""
        return getattr(record, self.name) if self.value is None else self.value(record)


def document_of(record: Any, columns: Sequence[RecordColumn]) -> dict[str, Any]:
    """A record for scripts."""
    named = {column.name if column.key is None else column.key: column for column in columns}
    return {key: column.of(record) for key, column in named.items() if key}


def listing(
    records: Sequence[Any], columns: Sequence[RecordColumn], headings: Sequence[str]
) -> list[list[str]]:
    """A row of words per record, for the columns that people know by these headings."""
    known = {column.heading or column.name: column for column in columns}
    chosen = [known[heading] for heading in headings]
    return [[column.text(column.of(record)) for column in chosen] for record in records]


def sorted_by(
    records: Iterable[Record], key: Callable[[Record], Any], descending: bool
) -> list[Record]:
    """Sorted by what ``key`` says of them; those of which it says None come last either way."""
    keyed = [(key(record), record) for record in records]
    known = [pair for pair in keyed if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [record for _, record in known] + [record for value, record in keyed if value is None]


def _active_pid(run: Run) -> int | None:
    return run.pid if run.state.active else None


def _checkpoints(run: Run) -> Any:
    return run.extra.get(CHECKPOINTS, {})


def _progress(value: float | None) -> str:
    return "·" if value is None else f"{value:.0%}"


def _limbs(robot: Robot) -> int:
    return robot.num_limbs_without_head


RUN_COLUMNS = (
    RecordColumn("id"),
    RecordColumn("kind"),
    RecordColumn("name"),
    RecordColumn("state"),
    RecordColumn("pid", _active_pid, in_files=False),
    RecordColumn("seed"),
    RecordColumn("pipeline"),
    RecordColumn("group", key="study", heading="study"),
    RecordColumn("inputs"),
    RecordColumn("checkpoints", _checkpoints, in_files=False),
    RecordColumn("robot_sets", heading="robots"),
    RecordColumn("host"),
    RecordColumn("device"),
    RecordColumn("attempt"),
    RecordColumn("progress", text=_progress),
    RecordColumn("done", key=""),
    RecordColumn("total", key=""),
    RecordColumn("unit", key=""),
    RecordColumn("result"),
    RecordColumn("result_kind"),
    RecordColumn("result_text"),
    RecordColumn("reason"),
    RecordColumn("created_at"),
    RecordColumn("started_at"),
    RecordColumn("ended_at"),
    RecordColumn("worked_s", key=""),
    RecordColumn("tags", heading="tag"),
    RecordColumn("note"),
)
ROBOT_COLUMNS = (
    RecordColumn("name"),
    RecordColumn("digest", text=lambda digest: str(digest[:DIGEST_LETTERS])),
    RecordColumn("family"),
    RecordColumn("num_limbs", _limbs, key="limbs", heading="limbs"),
    RecordColumn("num_joints", key="joints", heading="joints"),
    RecordColumn("mass_kg", heading="mass", text="{:.1f}".format),
    RecordColumn("head_height_m", heading="head", text="{:.2f}".format),
    RecordColumn("parent_digest", key="parent", heading="parent"),
    RecordColumn("operations", heading="op"),
    RecordColumn("seed"),
)
