"""Options that many commands share, and the workspace they open."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from db.session import Database
    from engine.workers.workspace import Workspace

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Workspace folder; else HDTUI_HOME, else the user data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of every random choice.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting.")
]


def _readable(path: Path | None) -> Path | None:
    """A file of settings that can be opened.

    Raises:
        UsageError: It cannot.
    """
    if path is not None:
        try:
            path.open("rb").close()
        except OSError as error:
            raise UsageError(f"--config {path}: cannot be read: {error.strerror}") from error
    return path


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Settings from a TOML file.", metavar="FILE.toml", callback=_readable
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach/--follow", help="Return at once, or follow until the end.")
]
Preset = Annotated[str, typer.Option("--preset", help="smoke, quick, laptop or paper.")]
DeviceName = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option("--device", help="Where networks run; auto is a GPU where there is one."),
]
Name = Annotated[str | None, typer.Option("--name", help="A name for the run.")]
Study = Annotated[
    str | None,
    typer.Option(
        "--study", metavar="NAME", help="Study that the run belongs to; study:NAME finds it."
    ),
]
AllowedRoles = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-role",
        metavar="ROLE",
        help="Learn from a set that is not for training: unseen, or none for one without a role.",
    ),
]


def home_folder(home: Path | None) -> Path:
    """Where the workspace is: ``--home``, else ``HDTUI_HOME``, else the user data folder."""
    if home is not None:
        return home.expanduser().absolute()
    if os.environ.get("HDTUI_HOME"):
        return Path(os.environ["HDTUI_HOME"]).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("hdtui"))


def open_workspace(home: Path | None) -> tuple["Workspace", "Database"]:
    """The workspace to write to, created where absent, and its database.

    Raises:
        WorkspaceError: The folder cannot be created or written; nothing was created.
        DatabaseError: The database is corrupt or newer than this program.
    """
    from db.session import Database
    from engine.workers.workspace import Workspace

    workspace = Workspace(home_folder(home))
    workspace.check_writable()
    return workspace, Database.open(workspace.home)


def read_workspace(home: Path | None) -> tuple["Workspace", "Database | None"]:
    """The workspace to read, and its database or None where nothing was ever written.

    Raises:
        WorkspaceError: The name is that of a file.
    """
    from db.session import URL_VARIABLE, Database
    from engine.workers.workspace import Workspace

    workspace = Workspace(home_folder(home))
    if URL_VARIABLE not in os.environ and not workspace.database_path.is_file():
        if workspace.home.exists() and not workspace.home.is_dir():
            raise WorkspaceError(f"{workspace.home} is no workspace: it is a file")
        return workspace, None
    return workspace, Database.open(workspace.home, create=False)


def known_name(value: str, known: Collection[str], what: str) -> str:
    """``value`` where it is one of ``known``.

    Raises:
        UsageError: It is not; the sentence lists what there is.
    """
    if value not in known:
        raise UsageError(f"there is no {what} {value!r}; choose from {', '.join(known)}")
    return value
