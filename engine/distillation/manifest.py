"""The manifest of expert data: what the shards hold, whose actions they are, how to check them."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field, ValidationError

from engine.config.base import Config, TaskConfig
from engine.errors import DatasetError
from engine.files import write_bytes
from engine.morphology.family import RobotFamily

MANIFEST_NAME = "manifest.json"
FORMAT = "hdtui-expert-data"
FORMAT_VERSION = 1
_MAX_MANIFEST_BYTES = 64 * 1024 * 1024
_SHA256 = r"^[0-9a-f]{64}$"
_VERSIONED = ("numpy", "torch", "mujoco", "mjbatch", "safetensors")


class Moments(Config):
    """Count, mean and variance per column of rows: what training normalises with."""

    count: int = Field(ge=0)
    mean: tuple[float, ...]
    variance: tuple[float, ...]


class EpisodeStatistics(Config):
    """First episodes, one a simulation, as far as they came while a shard was collected."""

    episodes: int = Field(ge=0)
    mean_return: float
    mean_length: float
    fall_fraction: float


class Shard(Config):
    """One robot's file: path under the dataset's folder, content digest and what is inside."""

    name: str
    robot_digest: str
    num_limbs: int = Field(ge=1)
    path: str = Field(pattern=r"^shards/[0-9a-zA-Z._+-]+\.safetensors$")
    robot_path: str = Field(pattern=r"^robots/xml/[0-9a-zA-Z._+-]+\.xml$")
    sha256: str = Field(pattern=_SHA256)
    samples: int = Field(ge=1)
    moments: Moments
    statistics: EpisodeStatistics


class DroppedRobot(Config):
    """A robot left out by the quality filter, and what was measured."""

    name: str
    robot_digest: str
    statistics: EpisodeStatistics


class Source(Config):
    """What the content of a shard depends on besides its robot; equal for a whole dataset.

    The actions are the teacher's; the states are the student's of ``student_sha256``, where a round
    of correction was recorded, else the teacher's too.
    """

    teacher_sha256: str = Field(pattern=_SHA256)
    student_sha256: str | None = Field(None, pattern=_SHA256)
    action_std: float = Field(gt=0)
    task: TaskConfig
    seed: int
    samples_per_robot: int
    simulations_per_robot: int
    robots_per_batch: int
    stochastic: bool
    minimum_return: float | None
    family: str
    observation_layout: tuple[tuple[str, int], ...]
    joint_names: tuple[str, ...]
    terrain_points: int = Field(ge=0)
    versions: dict[str, str]


class Manifest(Config):
    """The whole dataset; complete once every robot stands in ``shards`` or ``dropped``."""

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    source: Source
    complete: bool = False
    shards: tuple[Shard, ...] = ()
    dropped: tuple[DroppedRobot, ...] = ()


def installed_versions() -> dict[str, str]:
    """Versions that can change what a simulation or a network computes."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return versions


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a dataset's folder.

    Raises:
        DatasetError: it is missing, unreadable or not a manifest of this version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise DatasetError(f"{path}: no expert data here; run `hdtui collect` first")
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise DatasetError(f"{path}: over {_MAX_MANIFEST_BYTES} bytes, not a manifest")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise DatasetError(
            f"{path}: not a manifest of expert data: {_first_line(error)}"
        ) from error
    if manifest.format != FORMAT or manifest.format_version != FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format {manifest.format} {manifest.format_version}, expected {FORMAT}"
            f" {FORMAT_VERSION}; collect the data again with this version"
        )
    return manifest


def save_manifest(folder: Path, manifest: Manifest) -> str:
    """Write the manifest so that it is complete or absent; its SHA-256."""
    content = manifest.model_dump_json(indent=1).encode()
    write_atomically(folder / MANIFEST_NAME, content)
    return hashlib.sha256(content).hexdigest()


def check_layout(folder: Path, source: Source, family: RobotFamily) -> None:
    """Refuse data recorded with other observation columns or joint slots than ``family``'s.

    Raises:
        DatasetError: the layouts differ.
    """
    if source.observation_layout != family.observation_layout.features:
        raise DatasetError(
            f"{folder}: observation columns {list(source.observation_layout)} differ from this"
            f" version's {list(family.observation_layout.features)}; collect the data again"
        )
    if source.joint_names != family.joint_names:
        raise DatasetError(
            f"{folder}: joint slots {source.joint_names}, expected {family.joint_names}"
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write, flush to disk and rename, so that ``path`` is complete or as it was before.

    Raises:
        DatasetError: the disk is full or cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> DatasetError:
    """What a full or read-only disk means for expert data."""
    return DatasetError(
        f"{path}: cannot be written ({error.strerror}); make room, then resume the run: finished"
        " robots are kept"
    )


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
