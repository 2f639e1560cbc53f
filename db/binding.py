"""A workspace's folder and its database know each other, by what both of them carry.

The folder holds a file with its name for ever; the database remembers that name, where it met the
folder last, and has a name of its own, which every run's folder carries. So a database is never
used from two folders, and where a folder gets another database, files of earlier runs stay theirs.
"""

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from db.models import SettingRow
from engine.errors import DatabaseError

FOLDER_FILE = "workspace.id"
RUNS_FOLDER = "runs"
_KEY = "workspace"


@dataclass(frozen=True)
class Binding:
    """What a database remembers: its own name, its folder's, and where that lay last."""

    database: str
    folder: str
    home: str


def bind(session: Session, home: Path) -> None:
    """Bind a folder and a database that are new to each other, in a transaction to write.

    Runs are numbered above every folder of a run from then on.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(7341987)"))
    known = remembered(session)
    folder = folder_name(home) or _name_folder(home, known.folder if known else None)
    here = str(home.absolute())
    wanted = Binding(known.database if known else secrets.token_hex(16), folder, here)
    if wanted != known:
        session.execute(delete(SettingRow).where(SettingRow.key == _KEY))
        session.add(SettingRow(key=_KEY, value=vars(wanted)))
    _number_runs_above(session, last_run_folder(home))


def needs_binding(session: Session, home: Path) -> bool:
    """Something is to be written before runs are queued here."""
    known = remembered(session)
    if known is None or known.folder != folder_name(home) or known.home != str(home.absolute()):
        return True
    return _last_number(session) < last_run_folder(home)


def remembered(session: Session) -> Binding | None:
    """What the database remembers of its folder; None of one that met none yet."""
    value = session.scalar(select(SettingRow.value).where(SettingRow.key == _KEY))
    names = ("database", "folder", "home")
    if not isinstance(value, dict) or any(not isinstance(value.get(name), str) for name in names):
        return None
    return Binding(*(value[name] for name in names))


def check(known: Binding | None, home: Path) -> None:
    """DatabaseError where a database outside of ``home`` belongs to another folder."""
    if known is None or (inside := Path(known.home)) == home.absolute():
        return
    name = folder_name(home)
    try:
        same = inside.samefile(home)
    except OSError:
        same = False
    if same or (name == known.folder and folder_name(inside) != known.folder):
        return  # it was moved, or has two names
    if name is None and not inside.is_dir():
        return  # the name was lost with the folder
    raise DatabaseError(
        f"The database belongs to the workspace {known.home}, not to {home}: runs would have their"
        f" files in two folders. Nothing was changed. Use --home {known.home}, or give {home} a"
        " database of its own with HDTUI_DATABASE_URL."
    )


def folder_name(home: Path) -> str | None:
    """The name that a folder carries, None where it carries none."""
    try:
        descriptor = os.open(home / FOLDER_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(64).decode(errors="replace").strip() or None


def last_run_folder(home: Path) -> int:
    """The highest number of a run that ever wrote in this workspace, 0 if none did."""
    try:
        names = [entry.name for entry in (home / RUNS_FOLDER).iterdir()]
    except OSError:
        return 0
    numbers = (int(name) for name in names if re.fullmatch("[0-9]{1,9}", name))
    return max(numbers, default=0)


def _name_folder(home: Path, name: str | None) -> str:
    """Give the folder a name; of several that try at once, the first one's stays."""
    path = home / FOLDER_FILE
    partial = path.with_name(f".{FOLDER_FILE}.{secrets.token_hex(4)}.tmp")
    try:
        partial.write_text(f"{name or secrets.token_hex(16)}\n")
        try:
            os.link(partial, path)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    except OSError as error:
        raise DatabaseError(f"Cannot write {path}: {error.strerror}.") from error
    found = folder_name(home)
    if found is None:
        raise DatabaseError(f"{path} holds no name of a workspace; remove it and try again.")
    return found


def _last_number(session: Session) -> int:
    """The highest number of a run that was ever given."""
    if session.get_bind().dialect.name == "sqlite":
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'runs'"
    else:
        query = "SELECT last_value FROM pg_sequences WHERE sequencename = 'runs_id_seq'"
    return int(session.scalar(text(query)) or 0)


def _number_runs_above(session: Session, last: int) -> None:
    if _last_number(session) >= last:
        return
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("DELETE FROM sqlite_sequence WHERE name = 'runs'"))
        add = text("INSERT INTO sqlite_sequence (name, seq) VALUES ('runs', :last)")
        session.execute(add, {"last": last})
        return
    session.execute(text("SELECT setval('runs_id_seq', :last)"), {"last": last})
