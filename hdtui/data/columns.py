"""Runs and robots column by column: described once for listings, documents, files and screens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from db.records import CHECKPOINTS, Robot, Run, RunState
from hdtui.formatting import UNKNOWN, duration, episode_return, percent, ratio, setting, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hdtui.data.robots import Score

Record = TypeVar("Record")
DIGEST_LETTERS = 7


@dataclass(frozen=True)
class RecordColumn:
    """A value of a record under the names that it has.

    ``name`` stands in files and ends in the unit. Scripts know it by ``key`` in a document and
    people by ``heading``, where those differ; an empty key leaves it out of documents, ``in_files``
    out of files. ``text`` writes it for people. A list of the screens filters, sorts and shows the
    columns ``on_screen``: their value is ``listed`` of a row where the list knows more than the
    record, they are ``width`` cells wide, with numbers to the ``right``, and where the list is too
    narrow the highest ``leaves_first`` goes first; 0 stays, None leaves from the end.
    """

    name: str
    value: Callable[[Any], Any] | None = None
    key: str | None = None
    heading: str = ""
    text: Callable[[Any], str] = setting
    in_files: bool = True
    on_screen: bool = True
    listed: Callable[[Any], Any] | None = None
    width: int = 9
    right: bool = True
    leaves_first: int | None = None

    def of(self, record: Any) -> Any:
        """The value in a record: its attribute of this name, unless it is found otherwise."""
        return getattr(record, self.name) if self.value is None else self.value(record)


def on_screens(columns: Iterable[RecordColumn]) -> dict[str, RecordColumn]:
    """The columns of a list of the screens by heading, in their order."""
    return {column.heading or column.name: column for column in columns if column.on_screen}


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


def _outcome(run: Run) -> str | None:
    """What a run gave, or why it did not."""
    failed = run.state in (RunState.FAILED, RunState.LOST, RunState.INTERRUPTED)
    told = (run.reason, run.result_text) if failed else (run.result_text, run.reason)
    return next((words for words in told if words), None)


def _unknown_or(text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: UNKNOWN if value is None else text(value)


def _only_listed(name: str, listed: Callable[[Any], Any], **shown: Any) -> RecordColumn:
    """A column that the list alone knows, which documents and files do without."""
    return RecordColumn(name, key="", in_files=False, listed=listed, **shown)


def _of_record(name: str, **described: Any) -> RecordColumn:
    """A column of documents and files that the screens have no room for."""
    return RecordColumn(name, on_screen=False, **described)


def _limbs(robot: Robot) -> int:
    return robot.num_limbs_without_head


def _short_digest(digest: str | None) -> str:
    return digest[:DIGEST_LETTERS] if digest else "none"


def _mean(score: Score | None) -> float | None:
    return score.mean if score else None


_SCORE: Mapping[str, Any] = {"text": episode_return, "width": 7}
_RETURN: Mapping[str, Any] = {"text": episode_return, "width": 8, "leaves_first": 6}
RUN_COLUMNS = (
    RecordColumn("id", text=str),
    RecordColumn("kind", width=10, right=False, leaves_first=4),
    RecordColumn("name", width=18, right=False, leaves_first=0),
    RecordColumn("state", listed=lambda row: row.view.shown, width=11, right=False, leaves_first=0),
    _only_listed("return", lambda row: row.scores.on_trained, **_RETURN),
    _only_listed("ratio", lambda row: row.scores.ratio, **{**_RETURN, "text": ratio}),
    _only_listed("unseen", lambda row: row.scores.unseen, **_RETURN),
    _only_listed("training", lambda row: row.scores.training, **_RETURN),
    _of_record("pid", value=_active_pid, in_files=False),
    RecordColumn("seed", text=str),
    RecordColumn("pipeline"),
    _only_listed("preset", lambda row: row.preset),
    RecordColumn("group", key="study", heading="study", width=12, right=False, leaves_first=6),
    _of_record("inputs"),
    _of_record("checkpoints", value=_checkpoints, in_files=False),
    RecordColumn("robot_sets", heading="robots", width=12, right=False, leaves_first=6),
    RecordColumn("host"),
    RecordColumn("device"),
    RecordColumn("attempt"),
    RecordColumn("progress", text=percent),
    RecordColumn("done", key="", heading="steps", text=steps),
    _of_record("total", key=""),
    _of_record("unit", key=""),
    RecordColumn("result", width=14, leaves_first=0),
    _of_record("result_kind"),
    _of_record("result_text"),
    _of_record("outcome", value=_outcome, key="", in_files=False, text=_unknown_or(str)),
    _of_record("reason"),
    RecordColumn("created_at", heading="created"),
    RecordColumn("started_at", heading="started", width=11, right=False, leaves_first=5),
    _of_record("ended_at"),
    _of_record("worked_s", key=""),
    _only_listed("took", lambda row: row.took_s, text=duration, width=7, leaves_first=1),
    RecordColumn("tags", heading="tag", width=14, right=False, leaves_first=6),
    RecordColumn("note"),
    _only_listed("archived", lambda row: "yes" if row.view.run.archived else "no"),
)
ROBOT_COLUMNS = (
    RecordColumn("name"),
    RecordColumn("digest", text=_short_digest, width=7, leaves_first=9),
    _of_record("family"),
    RecordColumn(
        "num_limbs", _limbs, key="limbs", heading="limbs", text=str, width=5, leaves_first=3
    ),
    RecordColumn("num_joints", key="joints", heading="joints", width=6, leaves_first=5),
    RecordColumn("mass_kg", heading="mass", text="{:.1f}".format, width=6, leaves_first=6),
    RecordColumn("head_height_m", heading="head", text="{:.2f}".format, width=4, leaves_first=7),
    _only_listed("teacher", lambda row: _mean(row.teacher), **_SCORE, leaves_first=1),
    _only_listed("student", lambda row: _mean(row.student), **_SCORE, leaves_first=2),
    _only_listed("student/teacher", lambda row: row.ratio, text=ratio, width=5, leaves_first=4),
    _only_listed(
        "falls",
        lambda row: row.student.falls if row.student else None,
        text=_unknown_or("{:.2f}".format),
        width=5,
        leaves_first=8,
    ),
    RecordColumn(
        "parent_digest",
        key="parent",
        heading="parent",
        text=_short_digest,
        width=7,
        leaves_first=9,
    ),
    RecordColumn("operations", heading="op", width=18, right=False, leaves_first=9),
    RecordColumn("seed", text=_unknown_or(str), width=8, leaves_first=9),
)
RUNS_ON_SCREEN = on_screens(RUN_COLUMNS)
ROBOTS_ON_SCREEN = on_screens(ROBOT_COLUMNS)
