"""Where things lie in a workspace; paths in the database are relative to it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from db.address import FILE_NAME, database_address
from db.binding import last_run_folder
from db.filesystem import make_private_folder
from db.machine import host_name
from engine.errors import DatabaseError, WorkspaceError
from engine.files import existing_parent

OWNER_FILE = ".database"
"""Names the database whose run a folder belongs to."""


@dataclass(frozen=True)
class Workspace:
    """A folder with a database, runs and robots."""

    home: Path

    @property
    def database_path(self) -> Path:
        """The SQLite file, where HDTUI_DATABASE_URL names no other database."""
        return self.home / FILE_NAME

    @property
    def robots_folder(self) -> Path:
        """Robots by digest: XML, and metadata beside it."""
        return self.home / "robots"

    @property
    def supervisor_lock(self) -> Path:
        """What a supervisor of version 0.1 holds while it lives."""
        return self.home / f"supervisor.{_safe(host_name())}.lock"

    @property
    def supervisor_log(self) -> Path:
        """What supervisors of machines of this name say."""
        return self.home / f"supervisor.{_safe(host_name())}.log"

    def run_folder(self, run_id: int) -> Path:
        """Everything a run writes."""
        return self.home / "runs" / str(run_id)

    def log_path(self, run_id: int) -> Path:
        """A run's log, all attempts."""
        return self.run_folder(run_id) / "log.txt"

    def last_run_folder(self) -> int:
        """The highest number of a run that ever wrote here, 0 if none did."""
        return last_run_folder(self.home)

    def relative(self, path: Path) -> str:
        """``path`` as the database stores it.

        Raises:
            WorkspaceError: It lies outside.
        """
        try:
            return str(Path(os.path.normpath(path.absolute())).relative_to(self._root))
        except ValueError:
            raise WorkspaceError(f"{path} lies outside the workspace {self.home}.") from None

    def resolve(self, stored: str) -> Path:
        """The file behind a stored path; WorkspaceError where it would leave the workspace.

        Links are not followed: they may lead anywhere.
        """
        path = Path(os.path.normpath(self._root / stored))
        if not path.is_relative_to(self._root):
            raise WorkspaceError(f"{stored} lies outside the workspace {self.home}.")
        self._refuse_links(path)
        return path

    @property
    def _root(self) -> Path:
        """The folder without ``..``: both sides of a comparison are spelt alike."""
        return Path(os.path.normpath(self.home.absolute()))

    def own_run_folder(self, run_id: int, attempt: int, database: str) -> None:
        """Make the folder of a claimed run, or see that it is that of this database's run.

        Raises:
            WorkspaceError: It holds the files of another database's run.
            OSError: It cannot be made.
        """
        folder = self.run_folder(run_id)
        self._refuse_links(folder)
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        owner = folder / OWNER_FILE
        try:
            with os.fdopen(open_file(owner, os.O_RDONLY), "rb") as file:
                found = file.read(64).decode(errors="replace").strip()
        except FileNotFoundError:
            # Version 0.1 left no name; what it began was attempted before, or has a log at most.
            others = any(entry.name != "log.txt" for entry in folder.iterdir())
            found = "" if attempt == 1 and others else database
            if found == database:
                with os.fdopen(open_file(owner, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
                    file.write(f"{database}\n")
        if found != database:
            raise WorkspaceError(
                f"{folder} holds the files of a run of another database; queue the run again, it"
                " gets a number of its own."
            )

    def open_log(self, path: Path) -> BinaryIO:
        """A log to append to.

        Raises:
            OSError: A link lies in its place.
        """
        self._refuse_links(path.parent)
        return os.fdopen(open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")

    def _refuse_links(self, path: Path) -> None:
        path = Path(os.path.normpath(path.absolute()))
        for part in (path, *path.parents):
            if part == self._root:
                return
            if part.is_symlink():
                raise WorkspaceError(
                    f"{part} is a link, and links inside a workspace are not followed; put the"
                    " file or folder itself there."
                )

    def database_exists(self) -> bool:
        """Something was written here before, or HDTUI_DATABASE_URL says where it is."""
        file = database_address(self.home).file
        return file is None or file.is_file()

    def create(self) -> None:
        """Make the folder.

        Raises:
            WorkspaceError: That cannot be.
        """
        self.check_writable()
        try:
            make_private_folder(self.home)
        except DatabaseError as error:
            raise WorkspaceError(str(error)) from error

    def check_writable(self) -> None:
        """WorkspaceError where this workspace cannot be created or written; creates nothing."""
        existing = existing_parent(self.home)
        if not existing.is_dir():
            raise WorkspaceError(f"{self.home} cannot be a workspace: {existing} is a file.")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise WorkspaceError(
                f"{self.home} cannot be written: no permission in {existing}. "
                "Choose another with --home DIR or HDTUI_HOME."
            )


class Place:
    """A folder by itself and not by its name, to notice when the name means another one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def still_there(self) -> bool:
        """The folder lies where it was; one that does not answer is not gone."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._folder.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def moved_to(self) -> Path | None:
        """Where the folder lies now, None where nobody knows."""
        try:
            now = Path(f"/proc/self/fd/{self._descriptor}").readlink()
            return now if os.path.samestat(os.fstat(self._descriptor), now.stat()) else None
        except OSError:
            return None

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a file of the workspace.

    Raises:
        OSError: A link lies in its place.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", name)
