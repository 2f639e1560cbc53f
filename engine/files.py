"""Files: complete or absent when written, regular and of bounded size when read.

Whatever lies where a file is expected may be a pipe that nobody writes to, a device that never
ends, or a document made to exhaust whoever reads it. These are the only doors to such files.
"""

import errno
import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import UsageError

CHUNK_BYTES = 1 << 20
MAX_DOCUMENT_BYTES = 16_000_000
"""JSON of our own: the largest, the manifest of ten thousand robots, takes a third of it."""
_NEVER_MADE: set[Path] = set()


def whole_path(path: Path, what: str) -> Path:
    """The one spelling of a path that somebody gave: absolute, without ``~``, ``..`` or links.

    Raises:
        UsageError: As ``expanded``.
    """
    return Path(os.path.realpath(expanded(path, what)))


def expanded(path: Path, what: str) -> Path:
    """A path that somebody gave, without ``~`` at its start.

    Raises:
        UsageError: It begins with a user whose home folder nobody knows; ``what`` names the option.
    """
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or no HOME where ~ stands alone
        raise UsageError(
            f"{what} {path}: nobody here has that home folder; give the whole path, from / on"
        ) from None


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it appears at ``path`` when the block ends, and not at all if it fails."""
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def never_make(*folders: Path) -> None:
    """Where a folder is gone, as its owner moved it, nothing is written below its name."""
    _NEVER_MADE.update(folder.absolute() for folder in folders)


def never_made() -> tuple[Path, ...]:
    """What ``never_make`` was told, for processes that write on behalf of this one."""
    return tuple(_NEVER_MADE)


def make_folder(folder: Path) -> None:
    """The folder and those above it."""
    for kept in _NEVER_MADE:
        if folder.absolute().is_relative_to(kept) and not kept.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(kept))
    folder.mkdir(parents=True, exist_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove what writers left that were killed half-way; nobody may write there meanwhile."""
    for partial in folder.rglob(".*.tmp"):
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> str:
    """Write a file so that it is complete or absent; its SHA-256."""
    with complete_file(path) as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> str:
    """Write UTF-8 text so that it is complete or absent; its SHA-256."""
    return write_bytes(path, text.encode())


def open_file(path: Path, *, follow_links: bool = True) -> BinaryIO:
    """A regular file, opened for reading.

    Raises:
        OSError: It is missing, or a pipe, device or folder, or a link that is not to be followed.
    """
    # NONBLOCK: opening a pipe must not wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a name with a null in it
        raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def check_file(path: Path) -> None:
    """OSError unless ``path`` is a regular file, for libraries that open files by name."""
    open_file(path).close()


def read_file(path: Path, max_bytes: int, *, follow_links: bool = True) -> bytes:
    """The bytes of a regular file; what it says of its size is not believed.

    Raises:
        OSError: As ``open_file``, or it holds more than ``max_bytes``.
    """
    with open_file(path, follow_links=follow_links) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"is larger than {max_bytes} bytes", str(path))
    return content


def parse_json(content: bytes | str) -> Any:
    """A JSON document.

    Raises:
        ValueError: It is none, nested too deep or a number too long.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def parse_toml(content: bytes) -> dict[str, Any]:
    """A TOML document.

    Raises:
        ValueError: It is none, nested too deep or a number too long.
    """
    try:
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def existing_parent(path: Path) -> Path:
    """The path where it exists, else the folder nearest to it that does."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the renamed entry survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
