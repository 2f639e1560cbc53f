"""What never changes about a robot, one row per limb: raw and transformed context.

The columns are MetaMorph's (arXiv 2203.11931) and ModuMorph's (arXiv 2302.11070).

Masses and inertial frames are computed from the shapes; they are those of MuJoCo's compiled model.
The published scenes put the floor's top at z = 1 m, so the head's position "in the scene" is its
position in the file with that height added; every absolute position carries it along.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import RobotError
from engine.morphology.family import UNIMAL
from engine.morphology.geometry import absolute_positions, capsule_frame, limb_mass_kg
from engine.morphology.layout import FeatureLayout
from engine.morphology.tree import Joint, Limb, Morphology

Array = npt.NDArray[np.float64]

_IDENTITY = (1.0, 0.0, 0.0, 0.0)


def raw_context(morphology: Morphology, normalized: bool) -> Array:
    """The body as the simulator holds it: (L, 35) float64, in about [-1, 1] if ``normalized``.

    Joint slots without a hinge are zero either way.
    """
    layout = UNIMAL.raw_context_layout
    rows = np.zeros((morphology.num_limbs, layout.width))
    for row, limb in zip(rows, morphology.limbs, strict=True):
        _write_shape(row, limb, layout)
        row[layout["body_position"]] = limb.position_m
        row[layout["geom_orientation"]] = row[layout["inertia_orientation"]]
        for slot, joint in enumerate(limb.joints):
            if joint is not None:
                _write_joint(row, joint, slot)
    rows[0, layout["body_position"]] += (0.0, 0.0, UNIMAL.floor_top_m)
    if normalized:
        _normalize(rows, layout, morphology)
    return rows


def context(morphology: Morphology) -> Array:
    """The transformed context: (L, 53) float64, absolute positions in metres, the rest normalised.

    Raises RobotError for a joint range or gear that has no class in the family.
    """
    if (reason := missing_class(morphology)) is not None:
        raise RobotError(f"{morphology.name}: {reason}, so it has no transformed context")
    layout = UNIMAL.context_layout
    rows = np.zeros((morphology.num_limbs, layout.width))
    for row, limb in zip(rows, morphology.limbs, strict=True):
        _write_shape(row, limb, layout)
        for slot, joint in enumerate(limb.joints):
            if joint is not None:
                row[layout[f"joint_range_class_{slot}"]] = _one_hot(
                    UNIMAL.joint_ranges_deg, joint.range_deg
                )
                row[layout[f"joint_gear_class_{slot}"]] = _one_hot(UNIMAL.gears, joint.gear)
                row[layout[f"joint_axis_{slot}"]] = _unit(joint)
    positions = absolute_positions(morphology) + np.array([0.0, 0.0, UNIMAL.floor_top_m])
    inertia_positions = [_frame(limb)[0] for limb in morphology.limbs]
    _normalize(rows, layout, morphology)
    rows[:, layout["absolute_position"]] = positions
    rows[:, layout["absolute_inertia_position"]] = positions + inertia_positions
    return rows


def missing_class(morphology: Morphology) -> str | None:
    """Which number of a body no class of the transformed context stands for; None where all have.

    Networks that read the transformed context cannot drive such a body: their one-hot inputs are
    of fixed width. Those that read the raw context, or none, can.
    """
    for limb in morphology.limbs:
        for name, joint in zip(UNIMAL.joint_names, limb.joints, strict=True):
            if joint is None:
                continue
            what = f"{name}/{limb.identifier}"
            if joint.gear not in UNIMAL.gears:
                gears = ", ".join(f"{gear:g}" for gear in UNIMAL.gears)
                return f"the gear of {what} is {joint.gear:g}, none of the classes {gears}"
            if joint.range_deg not in UNIMAL.joint_ranges_deg:
                low, high = joint.range_deg
                ranges = " ".join(f"[{one:g},{two:g}]" for one, two in UNIMAL.joint_ranges_deg)
                return (
                    f"the range of {what} is [{low:g},{high:g}] degrees, none of the classes"
                    f" {ranges}"
                )
    return None


def _frame(limb: Limb) -> tuple[tuple[float, ...], float, tuple[float, ...]]:
    """Inertial position, half length and orientation of a limb's single shape."""
    if limb.end_m is None:
        return limb.start_m, 0.0, _IDENTITY
    return capsule_frame(limb.start_m, limb.end_m)


def _write_shape(row: Array, limb: Limb, layout: FeatureLayout) -> None:
    position, half_length_m, orientation = _frame(limb)
    if "inertia_position" in layout.slices:
        row[layout["inertia_position"]] = position
    row[layout["inertia_orientation"]] = orientation
    row[layout["mass"]] = limb_mass_kg(limb)
    row[layout["size"]] = (limb.radius_m, half_length_m)


def _write_joint(row: Array, joint: Joint, slot: int) -> None:
    layout = UNIMAL.raw_context_layout
    row[layout[f"joint_position_{slot}"]] = joint.position_m
    row[layout[f"joint_range_{slot}"]] = np.deg2rad(joint.range_deg)
    row[layout[f"joint_axis_{slot}"]] = _unit(joint)
    row[layout[f"joint_gear_{slot}"]] = joint.gear


def _unit(joint: Joint) -> Array:
    length = math.sqrt(sum(value * value for value in joint.axis))
    return np.asarray(np.array(joint.axis) / length)


def _one_hot(classes: Sequence[object], value: object) -> Array:
    return np.asarray(np.eye(len(classes))[classes.index(value)])


def _normalize(rows: Array, layout: FeatureLayout, morphology: Morphology) -> None:
    """Scale the columns that have bounds, in place: -1 + 2 (x - low) / (high - low + 1e-8)."""
    for name, columns in layout.slices.items():
        stem, _, slot = name.rpartition("_")
        per_slot = slot.isdigit()
        feature = stem if per_slot else name
        if feature not in UNIMAL.bounds:
            continue
        low, high = (np.array(bound) for bound in UNIMAL.bounds[feature])
        offset = np.where(low == high, 0.0, -1.0)
        rows[:, columns] = offset + 2.0 * (rows[:, columns] - low) / (high - low + 1e-8)
        if per_slot:
            rows[~morphology.joint_mask[:, int(slot)], columns] = 0.0
