"""A walk that nobody learned: joints swing, the lowest point stays where it touches the ground."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.morphology.poses import Poses, PosesHeader, rest_poses
from engine.morphology.tree import Joint, Morphology
from engine.random import generator

Array = npt.NDArray[np.float64]
CONTROL_TIMESTEP_S = 0.02
_SWINGS_HZ = 1.6
_SWING_SHARE = 0.55


@dataclass(frozen=True)
class Walk:
    """How a body is made to walk: how hard it swings, and from which seed its phases come."""

    seed: int
    steps: int
    swing: float = 1.0
    falls: bool = False


def walking(morphology: Morphology, walk: Walk, header: PosesHeader) -> Poses:
    """An episode of ``walk.steps`` moments on flat ground, moved forward by its own lowest points.

    The header's robot, time step and end are filled in; whose it is stays as given.
    """
    rest = rest_poses(morphology)
    angles = _angles(morphology, walk)
    rotation, origin = _frames(morphology, angles)
    position, axis = _capsules(morphology, rotation, origin)
    ends_z = position[..., 2] - rest.half_length * np.abs(axis[..., 2]) - rest.radius
    position[..., 2] -= ends_z.min(axis=1, keepdims=True)
    position[..., 0] += _progress_m(position, axis, rest.half_length.astype(float), ends_z)[:, None]
    header = replace(
        header,
        robot_name=morphology.name,
        robot_digest=morphology.digest,
        control_timestep_s=CONTROL_TIMESTEP_S,
        fall_height_m=0.5 * morphology.head_height_m,
        terminated=walk.falls,
    )
    speed_m_s = np.gradient(position[:, 0, 0]) / CONTROL_TIMESTEP_S
    return replace(
        rest,
        header=header,
        position=position.astype(np.float32),
        axis=axis.astype(np.float32),
        reward=(speed_m_s * CONTROL_TIMESTEP_S * 50).astype(np.float32),
    )


def _angles(morphology: Morphology, walk: Walk) -> Array:
    """Joint angles in radians, 0 where there is no hinge: (T, L, J)."""
    random = generator(walk.seed, "demo gait", morphology.digest)
    time_s = CONTROL_TIMESTEP_S * np.arange(walk.steps)
    slots = morphology.joint_mask.shape[1]
    angles = np.zeros((walk.steps, morphology.num_limbs, slots))
    mirrored = {second: first for first, second in morphology.symmetric_pairs}
    rows = {limb.identifier: row for row, limb in enumerate(morphology.limbs)}
    phases = random.uniform(0, 2 * np.pi, angles.shape[1:])
    for row, limb in enumerate(morphology.limbs):
        partner = rows.get(mirrored.get(limb.identifier, -1))
        if partner is not None:  # mirrored limbs step in turn
            phases[row] = phases[partner] + np.pi
        for slot, joint in enumerate(limb.joints):
            if joint is not None:
                turn = 2 * np.pi * _SWINGS_HZ * time_s + phases[row, slot]
                angles[:, row, slot] = _swing(joint, walk.swing) * np.sin(turn)
    ramp = np.minimum(1.0, time_s / 0.5)[:, None, None]
    return np.asarray(angles * ramp)


def _swing(joint: Joint, swing: float) -> float:
    low, high = np.radians(joint.range_deg)
    return float(swing * _SWING_SHARE * min(0.8, max(abs(low), abs(high))))


def _frames(morphology: Morphology, angles: Array) -> tuple[Array, Array]:
    """Rotation (T, L, 3, 3) and origin (T, L, 3) of every limb, the head's held level."""
    steps = len(angles)
    rotation = np.tile(np.eye(3), (steps, morphology.num_limbs, 1, 1))
    origin = np.zeros((steps, morphology.num_limbs, 3))
    for row, limb in enumerate(morphology.limbs):
        if limb.parent < 0:
            origin[:, row] = limb.position_m
            continue
        parent = rotation[:, limb.parent]
        turned = parent
        place = origin[:, limb.parent] + parent @ np.array(limb.position_m)
        for slot, joint in enumerate(limb.joints):
            if joint is not None:
                anchor = np.array(joint.position_m)
                own = turned @ _rotations(np.array(joint.axis), angles[:, row, slot])
                place = place + turned @ anchor - own @ anchor
                turned = own
        rotation[:, row], origin[:, row] = turned, place
    return rotation, origin


def _rotations(axis: Array, angle: Array) -> Array:
    """Rotations about an axis (Rodrigues): (T,) -> (T, 3, 3)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross))


def _capsules(morphology: Morphology, rotation: Array, origin: Array) -> tuple[Array, Array]:
    """Middles and axes of all limbs: twice (T, L, 3)."""
    start = np.array([limb.start_m for limb in morphology.limbs])
    end = np.array([limb.end_m or limb.start_m for limb in morphology.limbs])
    length = np.linalg.norm(start - end, axis=1, keepdims=True)
    axis = np.where(length > 0, (start - end) / np.where(length > 0, length, 1.0), (0, 0, 1))
    middle = origin + np.einsum("tlij,lj->tli", rotation, 0.5 * (start + end))
    return middle, np.einsum("tlij,lj->tli", rotation, axis)


def _progress_m(position: Array, axis: Array, half_length: Array, ends_z: Array) -> Array:
    """How far the body gets: what stands on the ground does not slide back: (T,)."""
    down = np.where(axis[..., 2:] > 0, -axis, axis)
    contact_x = (position + half_length[:, None] * down)[..., 0]
    lowest = ends_z.argmin(axis=1)
    moments = np.arange(1, len(position))
    slid_m = contact_x[moments, lowest[1:]] - contact_x[moments - 1, lowest[1:]]
    # A learned walk pushes back and lifts forward; a made-up one would only rock to and fro.
    return np.concatenate([[0.0], np.cumsum(np.abs(slid_m))])
