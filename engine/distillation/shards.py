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
from engine.files import check_file, file_sha256, parse_json

OBSERVATION = "observation"
ACTION = "action"
ACTION_MEAN = "action_mean"
TERRAIN = "terrain"
_ORIGIN_KEY = "hdtui"
_ROBOT_KEY = "robot_digest"
_TEACHER_KEY = "teacher_sha256"
_LAYOUT_KEY = "observation_layout"
_DTYPES: dict[str, type[np.floating]] = {"F32": np.float32, "F16": np.float16}
_EXPONENTS: dict[int, tuple[type[np.unsignedinteger], int]] = {
    2: (np.uint16, 0x7C00),
    4: (np.uint32, 0x7F80_0000),
}
"""By bytes of a float: an integer as wide, and the bits of the exponent."""
_BLOCK_VALUES = 1 << 17
"""Small enough for a block and what is made of it to stay in a core's cache."""

RESUME = (
    "resume the run that collected it (`hdtui runs resume`), which collects again what is damaged"
)
"""What helps against damage, wherever it is found."""

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


def write_shard(path: Path, arrays: ShardArrays, robot_digest: str, source: Source) -> str:
    """Write one robot's samples, complete or not at all; the SHA-256 of the file."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.tensors().items()}
    # One key only: safetensors writes several in random order, and equal data has equal bytes here.
    metadata = {_ORIGIN_KEY: json.dumps(_origin(robot_digest, source))}
    content = save(contiguous, metadata=metadata)
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def open_shard(folder: Path, shard: Shard, source: Source) -> ShardArrays:
    """Memory-mapped samples of a shard, after its content was checked against the manifest.

    Raises:
        DatasetError: the file is missing, truncated, altered, of another robot, teacher or layout,
            holds what is not finite, or is no safetensors file at all.
    """
    path = folder / shard.path
    if not path.is_file():
        raise DatasetError(f"{shard.name}: no expert data at {path}; {RESUME}")
    found = file_sha256(path)
    if found != shard.sha256:
        raise DatasetError(
            f"{shard.name}: {path} has SHA-256 {found[:12]}, the manifest says"
            f" {shard.sha256[:12]}: the file is truncated, altered or foreign; {RESUME}"
        )
    try:
        check_file(path)
        with safe_open(path, framework="np") as file:
            origin = parse_json((file.metadata() or {}).get(_ORIGIN_KEY, "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise DatasetError(f"{shard.name}: {path} is no safetensors file ({error})") from error
    _check_origin(path, shard, source, origin)
    arrays = _mapped(path, shard, source)
    _check_numbers(path, shard, arrays)
    return ShardArrays(
        arrays[OBSERVATION], arrays[ACTION], arrays[ACTION_MEAN], arrays.get(TERRAIN)
    )


def all_finite(array: FloatArray) -> bool:
    """Whether an array holds neither NaN nor infinity; quicker than hashing it."""
    # NumPy is slow on half floats, so the bits are asked: all of the exponent's are set in neither.
    integer, exponent = _EXPONENTS[array.dtype.itemsize]
    bits = np.asarray(array).reshape(-1).view(integer)
    blocks = (bits[start : start + _BLOCK_VALUES] for start in range(0, bits.size, _BLOCK_VALUES))
    return all(int((block & exponent).max()) < exponent for block in blocks)


def _mapped(path: Path, shard: Shard, source: Source) -> dict[str, FloatArray]:
    """Read-only views on the tensors of a file whose header safetensors has validated."""
    with path.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        header = parse_json(file.read(header_bytes))
    header.pop("__metadata__", None)
    found = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}
    expected = _expected(shard, source)
    if found != expected:
        raise DatasetError(
            f"{shard.name}: {path} holds {str(found)[:1000]}, the manifest promises {expected};"
            " the layouts differ, collect into a new run"
        )
    start = 8 + header_bytes
    return {
        name: np.memmap(
            path,
            dtype=_DTYPES[dtype],
            mode="r",
            offset=start + header[name]["data_offsets"][0],
            shape=shape,
        )
        for name, (dtype, shape) in expected.items()
    }


def _expected(shard: Shard, source: Source) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor."""
    width = sum(size for _, size in source.observation_layout)
    per_limb = (shard.samples, shard.num_limbs)
    actions = ("F32", (*per_limb, len(source.joint_names)))
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        OBSERVATION: ("F32", (*per_limb, width)),
        ACTION: actions,
        ACTION_MEAN: actions,
    }
    if source.terrain_points:
        expected[TERRAIN] = ("F16", (shard.samples, source.terrain_points))
    return expected


def _origin(robot_digest: str, source: Source) -> dict[str, str]:
    """Whose samples a shard holds, and in which columns."""
    layout = " ".join(f"{name}:{width}" for name, width in source.observation_layout)
    return {
        _ROBOT_KEY: robot_digest,
        _TEACHER_KEY: source.teacher_sha256,
        _LAYOUT_KEY: layout,
    }


def _check_origin(path: Path, shard: Shard, source: Source, origin: object) -> None:
    texts = isinstance(origin, dict) and all(isinstance(value, str) for value in origin.values())
    if not isinstance(origin, dict) or not texts:
        raise DatasetError(
            f"{shard.name}: {path} says of its origin {str(origin)[:80]!r}, expected names with"
            " texts; the file is foreign, collect into a new run"
        )
    expected = _origin(shard.robot_digest, source)
    robot, teacher, layout = (origin.get(key, "none") for key in expected)
    if robot != shard.robot_digest:
        raise DatasetError(
            f"{shard.name}: {path} holds another robot's samples (digest {robot[:12]}, expected"
            f" {shard.robot_digest[:12]}); {RESUME}"
        )
    if teacher != source.teacher_sha256:
        raise DatasetError(
            f"{shard.name}: {path} comes from teacher {teacher[:12]}, the manifest from"
            f" {source.teacher_sha256[:12]}; datasets of two teachers cannot be mixed"
        )
    if layout != expected[_LAYOUT_KEY]:
        raise DatasetError(
            f"{shard.name}: {path} holds observations {layout[:400]}, the manifest promises"
            f" {expected[_LAYOUT_KEY]}; the layouts differ, collect into a new run"
        )


def _check_numbers(path: Path, shard: Shard, arrays: Mapping[str, FloatArray]) -> None:
    """All are finite, and the moments that training normalises by can be those of the samples."""
    for name, array in arrays.items():
        if not all_finite(array):
            raise DatasetError(
                f"{shard.name}: {path}: {name} holds a number that is not finite, expected finite"
                " ones alone; collect into a new run"
            )
    low, high = float(arrays[OBSERVATION].min()), float(arrays[OBSERVATION].max())
    slack = 1e-6 * (1.0 + abs(low) + abs(high))
    means, variances = shard.moments.mean, shard.moments.variance
    # No numbers within these bounds vary by more than half being at either end.
    most = ((high - low) / 2) ** 2 + slack
    if not (low - slack <= min(means) and max(means) <= high + slack and max(variances) <= most):
        raise DatasetError(
            f"{shard.name}: {path}: observations are within {low:.3g} and {high:.3g}, the"
            f" manifest's moments have means from {min(means):.3g} to {max(means):.3g} and"
            f" variances up to {max(variances):.3g}: the manifest was changed; remove it and"
            " resume the run that wrote it, which then collects all robots again"
        )
