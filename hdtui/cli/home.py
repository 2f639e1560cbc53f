"""Where the workspace is, and where this user's programs keep their files."""

import os
from pathlib import Path
from typing import Literal

from engine.errors import WorkspaceError

CHOOSE_ANOTHER = "--home DIR or HDTUI_HOME"


def home_folder(home: Path | None) -> Path:
    """Where the workspace is: ``--home``, else ``HDTUI_HOME``, else the user data folder.

    Raises:
        WorkspaceError: It cannot be entered, or nobody says where it is.
    """
    from engine.files import whole_path

    if home is not None:
        folder = whole_path(home, "--home")
    elif os.environ.get("HDTUI_HOME"):
        folder = whole_path(Path(os.environ["HDTUI_HOME"]), "HDTUI_HOME")
    else:
        folder = user_folder("data")
    _refuse_closed(folder)
    return folder


def user_folder(purpose: Literal["data", "cache"]) -> Path:
    """Where this user's programs keep such files.

    Raises:
        WorkspaceError: The user has no home folder.
    """
    import platformdirs

    find = platformdirs.user_data_dir if purpose == "data" else platformdirs.user_cache_dir
    try:
        folder = Path(find("hdtui"))
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise WorkspaceError(
            "no home folder is known here (HOME is not set); say where the workspace is with "
            f"{CHOOSE_ANOTHER}"
        )
    return Path(os.path.realpath(folder))


def _refuse_closed(folder: Path) -> None:
    """Before anybody asks whether a file is there, which a closed folder does not answer."""
    try:
        (folder / "hdtui.db").stat()
    except FileNotFoundError:
        return
    except NotADirectoryError:
        file = next(path for path in (folder, *folder.parents) if path.exists())
        which = "it" if file == folder else str(file)
        raise WorkspaceError(f"{folder} is no workspace: {which} is a file") from None
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be entered: {error.strerror}. Choose another with {CHOOSE_ANOTHER}"
        ) from error
