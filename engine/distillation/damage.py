"""Whether a folder of expert data still is what its manifest says; loads no torch."""

from pathlib import Path

from engine.distillation.manifest import MANIFEST_NAME, Shard, load_manifest, metadata_path
from engine.errors import RobotError
from engine.files import file_sha256
from engine.morphology.mjcf import load_robot


def is_intact(folder: Path, shard: Shard) -> bool:
    """Whether a robot's samples and its own two files are there as they were written."""
    path = folder / shard.path
    try:
        if not path.is_file() or not (folder / metadata_path(shard.name)).is_file():
            return False
        if load_robot(folder / shard.robot_path).digest != shard.robot_digest:
            return False
        return file_sha256(path) == shard.sha256
    except (OSError, RobotError):
        return False


def find_damage(folder: Path, manifest_sha256: str) -> str | None:
    """What of a finished folder is gone or changed, in one sentence; None where it is whole.

    Raises:
        DatasetError: the manifest is as it was written, but of another version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return f"{path} is missing"
    if file_sha256(path) != manifest_sha256:
        return f"{path} was changed after it was written"
    shards = load_manifest(folder).shards
    damaged = [shard.name for shard in shards if not is_intact(folder, shard)]
    if not damaged:
        return None
    more = f" and of {len(damaged) - 1} more robots" if len(damaged) > 1 else ""
    return f"files of {damaged[0]}{more} in {folder} are damaged or missing"
