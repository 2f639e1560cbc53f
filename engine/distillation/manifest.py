"""The manifest of expert data: what the shards hold, whose actions they are, how to check them."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import from_json

from engine.config.base import Config, TaskConfig
from engine.errors import DatasetError
from engine.files import read_file, write_bytes
from engine.morphology.family import RobotFamily
from engine.morphology.tree import Morphology

MANIFEST_NAME = "manifest.json"
FORMAT = "hdtui-expert-data"
FORMAT_VERSION = 2
_MAX_MANIFEST_BYTES = 64 * 1024 * 1024
_SHA256 = r"^[0-9a-f]{64}$"
_VERSIONED = ("numpy", "torch", "mujoco", "mjbatch", "safetensors")
_MAX_ACTION_STD = 1000.0

RobotName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$")]
Digest = Annotated[str, Field(pattern=_SHA256)]


class Moments(Config):
    """Count, mean and variance per column of rows: what training normalises with."""

    count: int = Field(ge=1)
    mean: tuple[float, ...]
    variance: tuple[Annotated[float, Field(ge=0)], ...]


class EpisodeStatistics(Config):
    """First episodes, one a simulation, as far as they came while a shard was collected."""

    episodes: int = Field(ge=1)
    mean_return: float
    mean_length: float = Field(ge=0)
    fall_fraction: float = Field(ge=0, le=1)


class Shard(Config):
    """One robot's file: path under the dataset's folder, content digest and what is inside."""

    name: RobotName
    robot_digest: Digest
    num_limbs: int = Field(ge=1)
    path: str
    robot_path: str
    sha256: Digest
    samples: int = Field(ge=1)
    moments: Moments
    statistics: EpisodeStatistics

    @model_validator(mode="after")
    def _files_are_named_after_the_robot(self) -> Self:
        for found, expected in (
            (self.path, shard_path(self.name)),
            (self.robot_path, robot_path(self.name)),
        ):
            if found != expected:
                raise ValueError(f"{self.name}: path {found[:200]!r}, expected {expected}")
        return self


class DroppedRobot(Config):
    """A robot left out by a quality filter, and what was measured."""

    name: RobotName
    robot_digest: Digest
    statistics: EpisodeStatistics


class Source(Config):
    """What the content of a shard depends on besides its robot; equal for a whole dataset.

    The actions are the teacher's; the states are the student's of ``student_sha256``, where a round
    of correction was recorded, else the teacher's too. ``robots`` are all that were asked for, by
    name: the set decides which of them are rolled out together.
    """

    teacher_sha256: Digest
    student_sha256: Digest | None = None
    action_std: float = Field(gt=0, le=_MAX_ACTION_STD)
    task: TaskConfig
    seed: int = Field(ge=0, le=2**63 - 1)
    samples_per_robot: int = Field(ge=1, le=10_000_000)
    simulations_per_robot: int = Field(ge=1, le=4096)
    robots_per_batch: int = Field(ge=1, le=4096)
    stochastic: bool
    minimum_return: float | None
    maximum_fall_fraction: float | None = Field(ge=0, le=1)
    robots: dict[RobotName, Digest]
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

    @model_validator(mode="after")
    def _robots_are_those_asked_for(self) -> Self:
        entries: list[Shard | DroppedRobot] = [*self.shards, *self.dropped]
        asked = self.source.robots
        if len(set(asked.values())) < len(asked):
            raise ValueError("source.robots: two robots with one digest, expected different bodies")
        if len({entry.name for entry in entries}) < len(entries):
            raise ValueError("a robot is named twice, expected one entry for each")
        for entry in entries:
            expected = asked.get(entry.name)
            if entry.robot_digest != expected:
                raise ValueError(
                    f"{entry.name}: digest {entry.robot_digest[:12]}, source.robots has"
                    f" {(expected or 'none')[:12]}"
                )
        missing = sorted(asked.keys() - {entry.name for entry in entries})
        if self.complete and missing:
            raise ValueError(f"complete, but without {missing[0]} and {len(missing) - 1} more")
        return self

    @model_validator(mode="after")
    def _shards_hold_what_was_asked_for(self) -> Self:
        width = sum(size for _, size in self.source.observation_layout)
        for shard in self.shards:
            moments = shard.moments
            for what, found, expected in (
                ("samples", shard.samples, self.source.samples_per_robot),
                ("moments.count", moments.count, shard.samples * shard.num_limbs),
                ("numbers in moments.mean", len(moments.mean), width),
                ("numbers in moments.variance", len(moments.variance), width),
            ):
                if found != expected:
                    raise ValueError(f"{shard.name}: {found} {what}, expected {expected}")
        return self


def shard_path(name: str) -> str:
    """Where a robot's samples are, below the dataset's folder."""
    return f"shards/{name}.safetensors"


def robot_path(name: str) -> str:
    """Where a robot's XML is, below the dataset's folder."""
    return f"robots/xml/{name}.xml"


def metadata_path(name: str) -> str:
    """Where a robot's metadata are, below the dataset's folder."""
    return f"robots/metadata/{name}.json"


def digests_by_name(robots: Iterable[Morphology]) -> dict[str, str]:
    """The robots of a set as a source records them, whatever their order."""
    return dict(sorted((robot.name, robot.digest) for robot in robots))


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
    try:
        document = from_json(read_file(path, _MAX_MANIFEST_BYTES))
        _check_format(path, document)
        return Manifest.model_validate(document)
    except (ValueError, OSError) as error:  # a ValidationError is a ValueError
        raise DatasetError(
            f"{path}: not a manifest of expert data: {first_problem(error)}; remove it and resume"
            " the run that wrote it, which then collects all robots again"
        ) from error


def _check_format(path: Path, document: object) -> None:
    """Before anything else is read, as another version has other fields."""
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    found = (document.get("format"), document.get("format_version"))
    if found != (FORMAT, FORMAT_VERSION) or type(found[1]) is not int:
        shown = f"{found[0]!r:.80} {found[1]!r:.80}"
        raise DatasetError(
            f"{path}: format {shown}, expected a manifest of format {FORMAT!r} {FORMAT_VERSION};"
            " collect the data again with this version, into a new run"
        )


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
    if source.family != family.name:
        raise DatasetError(
            f"{folder}: robots of family {source.family[:80]!r}, expected {family.name!r}; collect"
            " the data again with this version"
        )
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


def first_problem(error: Exception) -> str:
    """What is wrong in one line: of a validation, its first complaint."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] not in ("value_error", "missing"):
            said += f", found {first['input']!r:.80}"
        return f"{place}: {said}" if place else said
    return str(error)
