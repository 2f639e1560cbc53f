"""Recorded episodes as capsules in motion: all that drawing a walking robot needs, in one file.

A poses file is a safetensors file: the arrays of :class:`Poses` under their own names and its other
fields as strings in the header. It is memory-mapped and holds no code.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from engine.errors import DatasetError
from engine.files import check_file, parse_json
from engine.morphology.geometry import rest_capsules
from engine.morphology.tree import Morphology

FORMAT = "hdtui poses 1"
ARTIFACT_KIND = "poses"
"""The kind of an artifact that is a poses file; its name is :func:`recording_name`."""
_FLOATS = ("position", "axis", "radius", "half_length", "reward", "heights")
_INTEGERS = ("limb", "pair")


@dataclass(frozen=True)
class PosesHeader:
    """Whose episode it is, and what a drawing says about it.

    ``policy`` is a label such as ``teacher``; ``fall_height_m`` the height of the head above the
    ground at which an episode ends (0 where it cannot fall); heights of the terrain below the
    head's path start at ``heights_start_m`` and stand ``heights_spacing_m`` apart along x.
    """

    robot_name: str
    robot_digest: str
    policy: str
    policy_run_id: int | None
    task: str
    seed: int
    episode: int
    control_timestep_s: float
    fall_height_m: float
    terminated: bool
    heights_start_m: float = 0.0
    heights_spacing_m: float = 0.0


@dataclass(frozen=True)
class Poses:
    """An episode: G capsules at T moments, floor at z = 0.

    ``position`` and ``axis`` are (T, G, 3) float32, the middle of each capsule and the unit vector
    along it; ``radius`` and ``half_length`` (G,) metres (half length 0: the head, a sphere);
    ``limb`` (G,) the limb's row; ``pair`` (G,) the same number for mirrored limbs; ``reward`` (T,);
    ``heights`` (X,) of the terrain in metres, empty on flat ground.
    """

    header: PosesHeader
    position: npt.NDArray[np.float32]
    axis: npt.NDArray[np.float32]
    radius: npt.NDArray[np.float32]
    half_length: npt.NDArray[np.float32]
    limb: npt.NDArray[np.int64]
    pair: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float32]
    heights: npt.NDArray[np.float32]

    @property
    def num_steps(self) -> int:
        """T: moments of the episode."""
        return len(self.position)


def recording_name(policy: str, robot_digest: str, task: str, episode: int) -> str:
    """The name of a recorded episode among a run's artifacts: ``teacher:<digest>:flat:0``."""
    return f"{policy}:{robot_digest}:{task}:{episode}"


def parse_recording_name(name: str) -> tuple[str, str, str, int]:
    """Policy, robot digest, task and episode of an artifact's name; DatasetError if it has none."""
    policy, *rest = name.rsplit(":", 3)
    if len(rest) != 3 or not rest[2].isdecimal():
        raise DatasetError(f"{name!r} does not name a recorded episode (policy:digest:task:number)")
    return policy, rest[0], rest[1], int(rest[2])


def mirror_pairs(morphology: Morphology) -> npt.NDArray[np.int64]:
    """A number per limb, the same for both of a mirrored pair, counting from the head: (L,)."""
    partner = dict(morphology.symmetric_pairs)
    partner |= {second: first for first, second in morphology.symmetric_pairs}
    numbers: dict[int, int] = {}
    pairs = np.zeros(morphology.num_limbs, dtype=np.int64)
    for row, limb in enumerate(morphology.limbs[1:], start=1):
        known = numbers.get(partner.get(limb.identifier, -1))
        numbers[limb.identifier] = len(set(numbers.values())) + 1 if known is None else known
        pairs[row] = numbers[limb.identifier]
    return pairs


def rest_poses(morphology: Morphology) -> Poses:
    """The robot standing at rest as an episode of one moment, its lowest point on the floor."""
    capsules = rest_capsules(morphology)
    lowest = capsules.position[:, 2] - capsules.half_length * np.abs(capsules.axis[:, 2])
    position = capsules.position.astype(np.float32)
    position[:, 2] -= (lowest - capsules.radius).min()
    return Poses(
        PosesHeader(
            morphology.name, morphology.digest, "rest", None, "flat", 0, 0, 0.0, 0.0, False
        ),
        position=position[None],
        axis=capsules.axis.astype(np.float32)[None],
        radius=capsules.radius.astype(np.float32),
        half_length=capsules.half_length.astype(np.float32),
        limb=capsules.limb,
        pair=mirror_pairs(morphology),
        reward=np.zeros(1, dtype=np.float32),
        heights=np.zeros(0, dtype=np.float32),
    )


def encode_poses(poses: Poses) -> bytes:
    """The content of a poses file."""
    tensors = {
        name: np.ascontiguousarray(getattr(poses, name), dtype=np.float32) for name in _FLOATS
    }
    tensors |= {
        name: np.ascontiguousarray(getattr(poses, name), dtype=np.int64) for name in _INTEGERS
    }
    header = {"format": FORMAT, "header": json.dumps(vars(poses.header), sort_keys=True)}
    return save(tensors, metadata=header)


def load_poses(path: Path) -> Poses:
    """Read a poses file; a :class:`DatasetError` names the file and what is wrong with it."""
    try:
        check_file(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise DatasetError(f"{path}: not a poses file ({FORMAT!r} expected in its header)")
            header = PosesHeader(**parse_json(metadata["header"]))
            tensors = {name: file.get_tensor(name) for name in (*_FLOATS, *_INTEGERS)}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: the poses file cannot be read: {error}") from error
    poses = Poses(header, **tensors)
    _check(poses, path)
    return poses


def _check(poses: Poses, path: Path) -> None:
    moments, capsules = poses.position.shape[:2] if poses.position.ndim == 3 else (0, 0)
    expected = {
        "position": (moments, capsules, 3),
        "axis": (moments, capsules, 3),
        "radius": (capsules,),
        "half_length": (capsules,),
        "limb": (capsules,),
        "pair": (capsules,),
        "reward": (moments,),
    }
    for name, shape in expected.items():
        found = getattr(poses, name).shape
        if found != shape or 0 in shape:
            raise DatasetError(f"{path}: {name} has shape {found}, expected {shape} and not empty")
