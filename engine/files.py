"""Files that are complete or absent: write, fsync, rename, fsync the folder."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from engine.errors import UsageError

CHUNK_BYTES = 1 << 20
_NEVER_MADE: set[Path] = set()


def whole_path(path: Path, what: str) -> Path:
    """The one spelling of a path that somebody gave: absolute, without ``~``, ``..`` or links.

    Raises:
        UsageError: It begins with a user whose home folder nobody knows; ``what`` names the option.
    """
    try:
        return Path(os.path.realpath(path.expanduser()))
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


def never_make(folder: Path) -> None:
    """Where this folder is gone, as its owner moved it, nothing is written below its name."""
    _NEVER_MADE.add(folder.absolute())


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


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
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
