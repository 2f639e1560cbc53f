"""Where things lie in a workspace; paths in the database are relative to it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from db.address import FILE_NAME, database_address
from engine.errors import WorkspaceError
from engine.workers.liveness import host_name


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
        """Held by this host's supervisor while it lives."""
        return self.home / f"supervisor.{_safe(host_name())}.lock"

    @property
    def supervisor_log(self) -> Path:
        """What this host's supervisor says."""
        return self.home / f"supervisor.{_safe(host_name())}.log"

    def run_folder(self, run_id: int) -> Path:
        """Everything a run writes."""
        return self.home / "runs" / str(run_id)

    def log_path(self, run_id: int) -> Path:
        """A run's log, all attempts."""
        return self.run_folder(run_id) / "log.txt"

    def last_run_folder(self) -> int:
        """The highest number of a run that ever wrote here, 0 if none did."""
        folder = self.home / "runs"
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def relative(self, path: Path) -> str:
        """``path`` as the database stores it; WorkspaceError where it lies outside."""
        try:
            return str(Path(os.path.normpath(path.absolute())).relative_to(self._root))
        except ValueError:
            raise WorkspaceError(f"{path} lies outside the workspace {self.home}.") from None

    def resolve(self, stored: str) -> Path:
        """The file behind a stored path; WorkspaceError where it would leave the workspace."""
        path = Path(os.path.normpath(self._root / stored))
        if not path.is_relative_to(self._root):
            raise WorkspaceError(f"{stored} lies outside the workspace {self.home}.")
        return path

    @property
    def _root(self) -> Path:
        """The folder without ``..``: both sides of a comparison are spelt alike."""
        return Path(os.path.normpath(self.home.absolute()))

    def database_exists(self) -> bool:
        """Something was written here before, or HDTUI_DATABASE_URL says where it is."""
        file = database_address(self.home).file
        return file is None or file.is_file()

    def create(self) -> None:
        """Make the folder; WorkspaceError where that cannot be."""
        self.check_writable()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{self.home} cannot be created: {error.strerror}.") from error

    def check_writable(self) -> None:
        """WorkspaceError where this workspace cannot be created or written; creates nothing."""
        existing = self.home
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise WorkspaceError(f"{self.home} cannot be a workspace: {existing} is a file.")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise WorkspaceError(
                f"{self.home} cannot be written: no permission in {existing}. "
                "Choose another with --home DIR or HDTUI_HOME."
            )


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", name)
