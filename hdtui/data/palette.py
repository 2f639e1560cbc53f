"""What the palette finds besides actions: runs and robots; tables as files; the doctor."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from db.queries.robots import list_robots
from db.queries.runs import list_runs
from db.records import Robot, Run
from engine.errors import WorkspaceError
from hdtui.data.cockpit import Cockpit, now

if TYPE_CHECKING:
    from db.session import Database


def read_names(database: "Database") -> tuple[list[Run], list[Robot]]:
    """Every run, newest first, and every robot by name."""
    return list_runs(database), list_robots(database)


def key_words(label: str, words: str) -> list[tuple[str, str]]:
    """Single keys and what each does, of a line of help such as ``A / D``: archive, delete.

    Keys that only move, such as arrows, are left out.
    """
    keys = [label] if label in "*/" else [key for key in label.split() if key != "/"]
    if not all(key in ("space", "*", "/") or (len(key) == 1 and key.isalpha()) for key in keys):
        return []
    meanings = words.split(", ")
    if len(keys) == 1:
        return [(keys[0], words)]
    return list(zip(keys, meanings, strict=True)) if len(keys) == len(meanings) else []


def export(
    cockpit: Cockpit, name: str, form: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """Write a table as it is shown into the workspace's ``exports``; says where it lies.

    Raises:
        WorkspaceError: The file cannot be written.
    """
    folder = cockpit.home / "exports"
    file = folder / f"{name}-{now():%Y%m%d-%H%M%S}.{form}"
    text = _markdown(headings, rows) if form == "md" else _csv(headings, rows)
    try:
        folder.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(f"Cannot write {file}: {error.strerror or error}.") from error
    return f"{len(rows)} rows written to {file}"


def _csv(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([headings, *rows])
    return text.getvalue()


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
