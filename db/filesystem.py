"""What kind of file system a path lies on: SQLite's write-ahead log needs a local one."""

import os
from dataclasses import dataclass
from pathlib import Path

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
