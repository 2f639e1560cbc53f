"""One robot's expert data as a safetensors file: written whole, checked whole, read in place."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from engine.distillation.manifest import Shard, Source, write_atomically
from engine.errors import DatasetError
from engine.files import file_sha256

OBSERVATION = "observation"
ACTION = "action"
ACTION_MEAN = "action_mean"
TERRAIN = "terrain"
_ORIGIN_KEY = "hdtui"
_ROBOT_KEY = "robot_digest"
_TEACHER_KEY = "teacher_sha256"
_DTYPES: dict[str, type[np.floating]] = {"F32": np.float32, "F16": np.float16}
_HASH_BLOCK_BYTES = 1 << 20

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class ShardArrays:
    """Samples of one robot: observation (S, L, F), actions (S, L, J), terrain (S, P) or None.

    ``action`` is what the teacher did (before clipping), ``action_mean`` what it meant. Where the
    states are a student's, they are what the teacher would have done there.
    """

    observation: FloatArray
    action: FloatArray
    action_mean: FloatArray
    terrain: FloatArray | None

    @property
    def samples(self) -> int:
        return len(self.observation)

    def tensors(self) -> dict[str, FloatArray]:
        """The arrays by the names they have on disk."""
        named = {
            OBSERVATION: self.observation,
            ACTION: self.action,
            ACTION_MEAN: self.action_mean,
        }
        return named if self.terrain is None else {**named, TERRAIN: self.terrain}

    def take(self, samples: npt.NDArray[np.int64]) -> "ShardArrays":
        """Copies of the samples with these indices."""
        terrain = None if self.terrain is None else self.terrain[samples]
        return ShardArrays(
            self.observation[samples], self.action[samples], self.action_mean[samples], terrain
        )


def write_shard(path: Path, arrays: ShardArrays, robot_digest: str, teacher_sha256: str) -> str:
    """Write one robot's samples, complete or not at all; the SHA-256 of the file."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.tensors().items()}
    origin = {_ROBOT_KEY: robot_digest, _TEACHER_KEY: teacher_sha256}
    # One key only: safetensors writes several in random order, and equal data has equal bytes here.
    content = save(contiguous, metadata={_ORIGIN_KEY: json.dumps(origin)})
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def open_shard(folder: Path, shard: Shard, source: Source) -> ShardArrays:
    """Memory-mapped samples of a shard, after its content was checked against the manifest.

    Raises:
        DatasetError: the file is missing, truncated, altered, of another teacher or layout, or no
            safetensors file at all.
    """
    path = folder / shard.path
    if not path.is_file():
        raise DatasetError(
            f"{shard.name}: no expert data at {path}; run `hdtui collect` again, it resumes"
        )
    found = file_sha256(path)
    if found != shard.sha256:
        raise DatasetError(
            f"{shard.name}: {path} has SHA-256 {found[:12]}, the manifest says"
            f" {shard.sha256[:12]}: the file is truncated, altered or foreign; delete it and"
            " collect again"
        )
    try:
        with safe_open(path, framework="np") as file:
            origin = json.loads((file.metadata() or {}).get(_ORIGIN_KEY, "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise DatasetError(f"{shard.name}: {path} is no safetensors file ({error})") from error
    _check_origin(path, shard, source, origin)
    arrays = _mapped(path)
    _check_shapes(path, shard, source, arrays)
    return ShardArrays(
        arrays[OBSERVATION], arrays[ACTION], arrays[ACTION_MEAN], arrays.get(TERRAIN)
    )


def _mapped(path: Path) -> dict[str, FloatArray]:
    """Read-only views on the tensors of a file whose header safetensors has validated."""
    with path.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_bytes))
    start = 8 + header_bytes
    arrays: dict[str, FloatArray] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise DatasetError(f"{path}: {name} is {entry['dtype']}, expected F32 or F16")
        arrays[name] = np.memmap(
            path,
            dtype=dtype,
            mode="r",
            offset=start + entry["data_offsets"][0],
            shape=tuple(entry["shape"]),
        )
    return arrays


def _check_origin(path: Path, shard: Shard, source: Source, origin: Mapping[str, str]) -> None:
    if origin.get(_ROBOT_KEY) != shard.robot_digest:
        raise DatasetError(f"{shard.name}: {path} holds another robot's samples; collect again")
    teacher = origin.get(_TEACHER_KEY, "none")
    if teacher != source.teacher_sha256:
        raise DatasetError(
            f"{shard.name}: {path} comes from teacher {teacher[:12]}, the manifest from"
            f" {source.teacher_sha256[:12]}; datasets of two teachers cannot be mixed"
        )


def _check_shapes(
    path: Path, shard: Shard, source: Source, arrays: Mapping[str, FloatArray]
) -> None:
    width = sum(size for _, size in source.observation_layout)
    per_limb = (shard.samples, shard.num_limbs)
    actions = (*per_limb, len(source.joint_names))
    expected: dict[str, tuple[int, ...]] = {
        OBSERVATION: (*per_limb, width),
        ACTION: actions,
        ACTION_MEAN: actions,
    }
    if source.terrain_points:
        expected[TERRAIN] = (shard.samples, source.terrain_points)
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        raise DatasetError(
            f"{shard.name}: {path} holds {found}, the manifest promises {expected};"
            " the observation layouts differ, collect again"
        )
