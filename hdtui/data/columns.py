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
class Column:
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


def document_of(record: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """A record for scripts."""
    named = {column.name if column.key is None else column.key: column for column in columns}
    return {key: column.of(record) for key, column in named.items() if key}


def listing(
    records: Sequence[Any], columns: Sequence[Column], headings: Sequence[str]
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
    Column("id"),
    Column("kind"),
    Column("name"),
    Column("state"),
    Column("pid", _active_pid, in_files=False),
    Column("seed"),
    Column("pipeline"),
    Column("group", key="study", heading="study"),
    Column("inputs"),
    Column("checkpoints", _checkpoints, in_files=False),
    Column("robot_sets", heading="robots"),
    Column("host"),
    Column("device"),
    Column("attempt"),
    Column("progress", text=_progress),
    Column("done", key=""),
    Column("total", key=""),
    Column("unit", key=""),
    Column("result"),
    Column("result_kind"),
    Column("result_text"),
    Column("reason"),
    Column("created_at"),
    Column("started_at"),
    Column("ended_at"),
    Column("worked_s", key=""),
    Column("tags", heading="tag"),
    Column("note"),
)
ROBOT_COLUMNS = (
    Column("name"),
    Column("digest", text=lambda digest: str(digest[:DIGEST_LETTERS])),
    Column("family"),
    Column("num_limbs", _limbs, key="limbs", heading="limbs"),
    Column("num_joints", key="joints", heading="joints"),
    Column("mass_kg", heading="mass", text="{:.1f}".format),
    Column("head_height_m", heading="head", text="{:.2f}".format),
    Column("parent_digest", key="parent", heading="parent"),
    Column("operations", heading="op"),
    Column("seed"),
)
