"""What a workspace takes on disk: by run, kind of file and pipeline; and what could be freed."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from db.queries.runs import list_runs
from db.records import Run
from db.session import Database
from engine.workers.observed import observed
from hdtui.formatting import size

KINDS = {
    "expert-data": "expert data",
    "poses": "recordings",
    "deployed": "deployed policies",
    "checkpoint": "checkpoints",
    "policy": "policies",
    "student": "policies",
    "evaluation": "evaluations",
    "log.txt": "logs",
}
"""Kinds of files in a run's folder, by how the first part of their path begins."""
OTHER = "other"


@dataclass(frozen=True)
class Freeable:
    """Bytes that nobody needs, what they are and how to be rid of them."""

    what: str
    num_bytes: int
    how: str


@dataclass(frozen=True)
class DiskUse:
    """Bytes on disk; ``database`` is SQLite's files, ``spare`` its pages that hold nothing.

    ``by_kind`` are files of runs, ``beside`` what lies beside runs in the workspace.
    """

    runs: tuple[Run, ...]
    by_run: Mapping[int, int]
    by_kind: Mapping[str, int]
    by_pipeline: Mapping[int | None, int]
    beside: Mapping[str, int]
    database: int
    spare: int
    freeable: tuple[Freeable, ...] = field(default=())

    @property
    def total(self) -> int:
        return sum(self.by_kind.values()) + sum(self.beside.values()) + self.database


def disk_use(database: Database) -> DiskUse:
    """What lies in the workspace of a database now; links count as themselves."""
    home = database.home
    runs = observed(database, list_runs(database, archived=True))
    by_run: dict[int, int] = {}
    kinds: Counter[str] = Counter()
    pipelines: Counter[int | None] = Counter()
    for run in runs:
        of_run: Counter[str] = Counter()
        for path, num_bytes in _files(home / run.folder):
            of_run[_kind(path)] += num_bytes
        by_run[run.id] = of_run.total()
        pipelines[run.pipeline] += of_run.total()
        kinds += of_run
    known = {(home / run.folder).name for run in runs}
    strays = {path.name: _sum(path) for path in _entries(home / "runs") if path.name not in known}
    if strays:
        kinds["of runs that are gone"] = sum(strays.values())
    beside: Counter[str] = Counter()
    own, copies = 0, []
    for path in _entries(home):
        if path.name == "runs":
            continue
        if path.name.startswith("hdtui.db"):
            is_own = path.name.removeprefix("hdtui.db") in ("", "-wal", "-shm", "-journal")
            own += _sum(path) if is_own else 0
            copies += [] if is_own or not _sum(path) else [path]
        else:
            beside[path.name if path.is_dir() else OTHER] += _sum(path)
    if copies:
        beside["copies of the database"] = sum(map(_sum, copies))
    spare = database.spare_bytes()
    freeable = (*_of_runs(runs, by_run), *_strays(home, strays), *_of_files(copies, spare))
    parts = (dict(kinds), dict(pipelines), dict(beside))
    return DiskUse(tuple(runs), by_run, *parts, own, spare, freeable)


def _of_runs(runs: Iterable[Run], by_run: Mapping[int, int]) -> Iterable[Freeable]:
    read = {number for run in runs for number in run.inputs}
    archived = [run for run in runs if run.archived and run.state.ended]
    left = [
        run
        for run in runs
        if run.state.ended and run.state != "finished" and run.id not in read and not run.archived
    ]
    for what, chosen in (
        ("archived runs", archived),
        ("runs that ended unfinished and that no other reads", left),
    ):
        if chosen:
            numbers = " ".join(str(run.id) for run in sorted(chosen, key=lambda run: run.id))
            freed = sum(by_run[run.id] for run in chosen)
            yield Freeable(what, freed, f"hdtui runs delete {numbers} --yes")


def _strays(home: Path, strays: Mapping[str, int]) -> Iterable[Freeable]:
    if strays:
        folders = " ".join(str(home / "runs" / name) for name in sorted(strays))
        yield Freeable("folders of runs that are gone", sum(strays.values()), f"remove {folders}")


def _of_files(copies: Iterable[Path], spare: int) -> Iterable[Freeable]:
    for path in copies:
        yield Freeable("a copy of an earlier database", _sum(path), f"remove {path}")
    if spare:
        yield Freeable("pages of the database that hold nothing", spare, "new rows take them")


def _kind(path: Path) -> str:
    first = path.parts[0]
    return next((kind for begun, kind in KINDS.items() if first.startswith(begun)), OTHER)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _sum(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(num_bytes for _, num_bytes in _files(path))
    try:
        return path.lstat().st_size
    except OSError:  # a worker renamed it meanwhile
        return 0


def _files(folder: Path) -> Iterable[tuple[Path, int]]:
    """Files below a folder, by their path in it, with their bytes."""
    for inside, _, names in os.walk(folder):
        for name in names:
            path = Path(inside) / name
            yield path.relative_to(folder), _sum(path)


def sentences(use: DiskUse) -> tuple[str, ...]:
    """The same in a few sentences, for a dialog."""
    files = sorted(use.by_kind.items(), key=lambda item: -item[1])
    words = ", ".join(f"{kind} {size(num_bytes)}" for kind, num_bytes in files)
    told = [f"{size(use.total)} in this workspace, {size(use.database)} of it the database."]
    told += [f"Of runs: {words}."] if words else []
    told += [f"Could go: {each.what}, {size(each.num_bytes)}; {each.how}." for each in use.freeable]
    return (*told, "`hdtui runs du` says which runs and pipelines.")


def weighed(database: Database) -> tuple[str, tuple[str, ...]]:
    """What the workspace takes on disk in one sentence, and in several."""
    use = disk_use(database)
    return f"disk: {size(use.total)} in this workspace", sentences(use)
