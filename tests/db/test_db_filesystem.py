"""Which file systems take SQLite's shared memory: by mount tables as Linux writes them."""

from pathlib import Path

import pytest

from db.filesystem import file_system

MOUNTS = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
40 22 0:35 / /home rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2
41 40 0:36 / /home/me/local rw - xfs /dev/sdb1 rw
42 22 0:37 / /mnt/with\040space rw shared:3 master:4 - fuse.sshfs host:/ rw
43 22 0:38 / /scratch rw - lustre 10.0.0.1@tcp:/scratch rw
44 22 0:39 / /scratch rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "mount_point", "kind", "network"),
    [
        ("/var/lib", "/", "ext4", False),
        ("/home/me/data", "/home", "nfs4", True),
        ("/homestead", "/", "ext4", False),
        ("/home/me/local/x", "/home/me/local", "xfs", False),
        ("/mnt/with space/y", "/mnt/with space", "fuse.sshfs", True),
        ("/scratch/z", "/scratch", "tmpfs", False),
    ],
)
def test_the_innermost_and_latest_mount_decides(
    path: str, mount_point: str, kind: str, network: bool
) -> None:
    found = file_system(Path(path), MOUNTS)
    assert (found.mount_point, found.type, found.network) == (mount_point, kind, network)


def test_a_table_nobody_understands_is_no_network() -> None:
    assert not file_system(Path("/x"), "nonsense\n1 2 3").network
