"""The JSON beside a deployed policy: what goes in, what comes out, by name and unit."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.config.base import KnownFrom, TaskConfig
from engine.deployment.folding import Arrays
from engine.deployment.runtime import FORMAT, FORMAT_VERSION
from engine.deployment.storage import storage
from engine.environments.terrain_observation import FORWARD_M, LEFT_M
from engine.morphology.family import UNIMAL
from engine.morphology.tree import Morphology
from engine.simulation.ground import CONTROL_TIMESTEP_S, FLOOR_TOP_M, PHYSICS_TIMESTEP_S

_FEATURES = {
    "position": (
        "m",
        "body origin in the world; x relative to the head's x, y and z absolute with the floor's"
        f" top at z = {FLOOR_TOP_M:g}",
    ),
    "linear_velocity": ("m/s", "velocity of the body origin, world axes"),
    "angular_velocity": ("rad/s", "angular velocity of the body, world axes"),
    "orientation": ("1", "body orientation as a quaternion w, x, y, z in the world"),
}
_STALENESS = (
    "After a control step, positions, orientations and Jacobians are those MuJoCo computed at the"
    " start of the last physics step, while joint positions and all velocities are new;"
    " velocities are that Jacobian times the new qvel. Do not call mj_forward in between."
)


def deployed_document(
    robot: Morphology,
    arrays: Arrays,
    student: dict[str, Any],
    task: TaskConfig,
    terrain_points: int,
    known_from: KnownFrom,
) -> dict[str, Any]:
    """The description of one robot's deployed policy, of a student that learned on ``task``.

    ``known_from`` says where the student knows the robot from, for who judges the file alone.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "robot": {
            "name": robot.name,
            "digest": robot.digest,
            "family": robot.family,
            "known_from": known_from,
        },
        "student": student,
        "ground": _ground(task),
        "timing": {
            "control_timestep_s": CONTROL_TIMESTEP_S,
            "physics_timestep_s": PHYSICS_TIMESTEP_S,
            "physics_steps_per_control_step": round(CONTROL_TIMESTEP_S / PHYSICS_TIMESTEP_S),
        },
        "input": {
            "name": "observation",
            "shape": ["N", robot.num_limbs, UNIMAL.observation_layout.width],
            "dtype": "float32",
            "limbs": [_body_name(robot, index) for index in range(robot.num_limbs)],
            "features": [_feature(name) for name in UNIMAL.observation_layout],
            "joint_range_rad": _joint_ranges(robot),
            "normalization": "none needed: moments are folded into the weights; values are"
            " clipped to observation_low and observation_high per feature",
            "timing": _STALENESS,
        },
        "terrain": _terrain(terrain_points),
        "output": {
            "name": "action_mean",
            "shape": ["N", robot.num_limbs, UNIMAL.joint_slots],
            "dtype": "float32",
            "joint_slots": UNIMAL.joint_slots,
            "joints": _joint_names(robot),
            "meaning": "motor control of the joint of that name, to be clipped to [-1, 1]; motors"
            " are named like their joints; null where the limb has no such joint (always 0)",
        },
        "storage": storage(arrays),
        "arrays": {name: list(array.shape) for name, array in sorted(arrays.items())},
        "computation": "clip(observation) flattened (L * F) @ input_weight + input_bias, ReLU;"
        " with terrain: concatenate the terrain layers' output; hidden layers with ReLU;"
        " @ output_weight + output_bias, as (L, J)",
    }


def _body_name(robot: Morphology, index: int) -> str:
    limb = robot.limbs[index]
    return f"{'torso' if limb.parent < 0 else 'limb'}/{limb.identifier}"


def _joint_names(robot: Morphology) -> list[list[str | None]]:
    return [
        [
            None if joint is None else f"{kind}/{limb.identifier}"
            for kind, joint in zip(UNIMAL.joint_names, _slots(limb.joints), strict=True)
        ]
        for limb in robot.limbs
    ]


def _slots(joints: tuple[Any, ...]) -> tuple[Any, ...]:
    """One entry per joint slot; a head without joints has none."""
    return joints or (None,) * UNIMAL.joint_slots


def _joint_ranges(robot: Morphology) -> dict[str, list[float]]:
    """Limits by joint name: observed joint positions are (q - low) / (high - low)."""
    ranges = {}
    for names, limb in zip(_joint_names(robot), robot.limbs, strict=True):
        for name, joint in zip(names, _slots(limb.joints), strict=True):
            if name is not None and joint is not None:
                ranges[name] = [math.radians(angle) for angle in joint.range_deg]
    return ranges


def _feature(name: str) -> dict[str, Any]:
    columns = UNIMAL.observation_layout[name]
    entry: dict[str, Any] = {"name": name, "columns": [columns.start, columns.stop]}
    if name in _FEATURES:
        unit, meaning = _FEATURES[name]
        return {**entry, "unit": unit, "meaning": meaning}
    kind, _, slot = name.rpartition("_")
    joint = f"joint of slot {slot} ({UNIMAL.joint_names[int(slot)]}); 0 without one"
    if kind == "joint_position":
        meaning = f"(q - low) / (high - low) of the {joint}"
        return {**entry, "unit": "1", "slot": int(slot), "meaning": meaning}
    return {**entry, "unit": "rad/s", "slot": int(slot), "meaning": f"velocity of the {joint}"}


def _ground(task: TaskConfig) -> dict[str, Any]:
    """The ground that the student learned on."""
    if task.name != "incline":
        return {"name": task.name}
    return {
        "name": task.name,
        "incline_deg": task.incline_deg,
        "meaning": "a plane that rises along world x; observations are in world axes as elsewhere",
    }


def _terrain(points: int) -> dict[str, Any] | None:
    if not points:
        return None
    return {
        "name": "terrain",
        "shape": ["N", points],
        "dtype": "float32",
        "unit": "m",
        "meaning": "ground height minus the ground height under the head's origin, at the grid's"
        " points; both are those of the nearest cell of the height field",
        "grid": {
            "forward_m": _unique(FORWARD_M),
            "left_m": _unique(LEFT_M),
            "order": "number i * len(forward_m) + j is the height at left_m[i] and forward_m[j]",
            "axes": "level, about the head's origin; forward is the head's x axis projected on the"
            " ground, left is 90 degrees counterclockwise from it",
        },
    }


def _unique(offsets_m: npt.NDArray[np.float64]) -> list[float]:
    return [float(offset) for offset in np.unique(offsets_m)]
