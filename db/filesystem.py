"""Where a database lies: the kind of file system, whether it can be written, which file it is.

SQLite's write-ahead log needs a local file system.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from engine.errors import DatabaseError

MOUNT_TABLE = Path("/proc/self/mountinfo")
NETWORK_TYPES = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p"),
        *("ceph", "lustre", "beegfs", "gpfs", "pvfs2", "orangefs", "glusterfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.beegfs"),
    }
)


@dataclass(frozen=True)
class FileSystem:
    """The mount a path lies on."""

    mount_point: str
    type: str

    @property
    def network(self) -> bool:
        """Other machines may write to it, and shared memory does not reach them."""
        return self.type in NETWORK_TYPES


def file_system(path: Path, mountinfo: str | None = None) -> FileSystem:
    """The mount of ``path`` by ``mountinfo`` (Linux's /proc/self/mountinfo); unknown elsewhere."""
    if mountinfo is None:
        try:
            mountinfo = MOUNT_TABLE.read_text(errors="surrogateescape")
        except OSError:
            return FileSystem("", "unknown")
    resolved = os.path.realpath(path)
    best = FileSystem("", "unknown")
    for line in mountinfo.splitlines():
        mount = _parse_mount(line)
        # Later mounts hide earlier ones on the same point.
        if mount and _contains(mount.mount_point, resolved):
            best = mount if len(mount.mount_point) >= len(best.mount_point) else best
    return best


def file_identity(path: Path) -> tuple[int, int] | None:
    """What names the file that lies at ``path`` now, None where none does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def holds_anything(path: Path) -> bool:
    """There is a file, and it is not empty."""
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def writable(path: Path) -> bool:
    """The file can be written, and so can its folder: SQLite's log lies beside it."""
    return os.access(path.parent, os.W_OK | os.X_OK) and os.access(path, os.W_OK)


def make_private_folder(folder: Path) -> None:
    """The folder, for its owner alone, and those above it; DatabaseError where that cannot be.

    One that is there stays as open as its owner made it: that is how a group shares a workspace.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"Cannot create {folder}: {error.strerror}.") from error


def make_file(path: Path) -> None:
    """An empty file where there is none: connections themselves never make one."""
    make_private_folder(path.parent)
    try:
        if not path.exists():
            path.touch()
    except OSError as error:
        raise DatabaseError(f"Cannot write {path}: {error.strerror}.") from error


def _parse_mount(line: str) -> FileSystem | None:
    before, separator, after = line.partition(" - ")
    fields, types = before.split(" "), after.split(" ")
    if not separator or len(fields) < 5:
        return None
    point = fields[4]
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return FileSystem(point, types[0])


def _contains(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
