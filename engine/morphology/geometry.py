"""Where a body is in its rest pose: frames, capsules and the distances between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.morphology.tree import Limb, Morphology, Vector

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RestCapsules:
    """Every limb's shape at rest, floor at z = 0: one capsule a limb, the head with half length 0.

    ``position`` (G, 3) is the centre, ``axis`` (G, 3) a unit vector from end to start.
    """

    position: Array
    axis: Array
    radius: Array
    half_length: Array
    limb: npt.NDArray[np.int64]


def capsule_frame(start: Vector, end: Vector) -> tuple[Vector, float, tuple[float, ...]]:
    """Centre, half length and quaternion (w, x, y, z) of a capsule given by its two end points.

    The frame's z axis points from ``end`` to ``start`` and is reached from the body's z axis by the
    smallest rotation, as MuJoCo does for ``fromto``.
    """
    towards_start = [first - second for first, second in zip(start, end, strict=True)]
    length = math.sqrt(sum(value * value for value in towards_start))
    x, y, z = (value / length for value in towards_start)
    centre = tuple(0.5 * (first + second) for first, second in zip(start, end, strict=True))
    sine = math.hypot(x, y)
    axis_x, axis_y = (-y / sine, x / sine) if sine > 1e-10 else (1.0, 0.0)
    half_angle = 0.5 * math.atan2(sine, z)
    quaternion = (
        math.cos(half_angle),
        axis_x * math.sin(half_angle),
        axis_y * math.sin(half_angle),
        0.0,
    )
    return (centre[0], centre[1], centre[2]), 0.5 * length, quaternion


def capsule_ends(
    centre: Vector, half_length_m: float, quaternion: Sequence[float]
) -> tuple[Vector, Vector]:
    """Start and end of a capsule given by its frame: the inverse of ``capsule_frame``.

    Rounded to a micrometre, which is what frames that MuJoCo saved with six digits hold.
    """
    norm = math.hypot(*quaternion)
    w, x, y, z = (value / norm for value in quaternion)
    towards_start = (2 * (x * z + w * y), 2 * (y * z - w * x), w * w - x * x - y * y + z * z)
    ends = [
        tuple(
            round(middle + sign * half_length_m * along, 6) + 0.0
            for middle, along in zip(centre, towards_start, strict=True)
        )
        for sign in (1.0, -1.0)
    ]
    (start_x, start_y, start_z), (end_x, end_y, end_z) = ends
    return (start_x, start_y, start_z), (end_x, end_y, end_z)


def frame_axes(start: Vector, end: Vector) -> tuple[Vector, Vector]:
    """The x and y axes of a capsule's frame: the directions of its hinges."""
    _, _, (w, x, y, _) = capsule_frame(start, end)
    return (
        (w * w + x * x - y * y, 2 * x * y, -2 * w * y),
        (2 * x * y, w * w - x * x + y * y, 2 * w * x),
    )


def limb_mass_kg(limb: Limb) -> float:
    """Mass of a limb's sphere or capsule."""
    cylinder_m = 0.0 if limb.end_m is None else math.dist(limb.start_m, limb.end_m)
    volume_m3 = math.pi * limb.radius_m**2 * (cylinder_m + 4.0 / 3.0 * limb.radius_m)
    return limb.density_kg_m3 * volume_m3


def absolute_positions(morphology: Morphology) -> Array:
    """Body origins at rest, summed from the head's own position down the tree: (L, 3)."""
    positions = np.zeros((morphology.num_limbs, 3))
    for row, limb in enumerate(morphology.limbs):
        positions[row] = limb.position_m
        if limb.parent >= 0:
            positions[row] += positions[limb.parent]
    return positions


def segments(morphology: Morphology) -> tuple[Array, Array]:
    """Start and end of every limb's axis at rest: twice (L, 3); the head's are equal."""
    origins = absolute_positions(morphology)
    starts = np.array([limb.start_m for limb in morphology.limbs])
    ends = np.array([limb.end_m or limb.start_m for limb in morphology.limbs])
    return origins + starts, origins + ends


def rest_capsules(morphology: Morphology) -> RestCapsules:
    """All limbs as capsules at rest, for drawing."""
    start, end = segments(morphology)
    towards_start = start - end
    length = np.linalg.norm(towards_start, axis=1)
    axis = np.tile([0.0, 0.0, 1.0], (morphology.num_limbs, 1))
    np.divide(towards_start, length[:, None], out=axis, where=length[:, None] > 0)
    return RestCapsules(
        position=0.5 * (start + end),
        axis=axis,
        radius=np.array([limb.radius_m for limb in morphology.limbs]),
        half_length=0.5 * length,
        limb=np.arange(morphology.num_limbs, dtype=np.int64),
    )


def centre_of_mass(morphology: Morphology) -> Array:
    """The whole body's centre of mass at rest: (3,)."""
    start, end = segments(morphology)
    mass = np.array([limb_mass_kg(limb) for limb in morphology.limbs])
    centre: Array = mass @ (0.5 * (start + end)) / mass.sum()
    return centre


def _dot(first: Array, second: Array) -> Array:
    return np.asarray(np.einsum("...i,...i->...", first, second))


def _point_segment(point: Array, start: Array, end: Array) -> Array:
    """Distances from points to segments."""
    along = end - start
    squared_length = _dot(along, along)
    fraction = _dot(point - start, along) / np.where(squared_length > 0, squared_length, 1.0)
    nearest = start + np.clip(fraction, 0.0, 1.0)[..., None] * along
    return np.asarray(np.linalg.norm(point - nearest, axis=-1))


def segment_distances(
    first_start: Array, first_end: Array, second_start: Array, second_end: Array
) -> Array:
    """Distances between pairs of segments: four times (P, 3) -> (P,).

    The nearest points are either an end point and its foot on the other segment, or both lie
    inside, where the common perpendicular gives the distance.
    """
    ends = np.minimum.reduce(
        [
            _point_segment(first_start, second_start, second_end),
            _point_segment(first_end, second_start, second_end),
            _point_segment(second_start, first_start, first_end),
            _point_segment(second_end, first_start, first_end),
        ]
    )
    first, second = first_end - first_start, second_end - second_start
    between = second_start - first_start
    aa, bb, ab = _dot(first, first), _dot(second, second), _dot(first, second)
    ad, bd = _dot(first, between), _dot(second, between)
    determinant = aa * bb - ab * ab
    crossing = determinant > 1e-12 * np.maximum(aa * bb, 1e-30)
    safe = np.where(crossing, determinant, 1.0)
    on_first, on_second = (ad * bb - bd * ab) / safe, (ad * ab - bd * aa) / safe
    inside = crossing & (on_first > 0) & (on_first < 1) & (on_second > 0) & (on_second < 1)
    gap = between + on_second[..., None] * second - on_first[..., None] * first
    across = np.minimum(np.linalg.norm(gap, axis=-1), ends)
    return np.asarray(np.where(inside, across, ends))


def clearances(morphology: Morphology) -> tuple[npt.NDArray[np.int64], Array]:
    """Gaps between the surfaces of limbs at rest, parents with children left out.

    Returns rows (P, 2) and gaps in metres (P,), negative where limbs overlap.
    """
    parents = [limb.parent for limb in morphology.limbs]
    rows = [
        (first, second)
        for second in range(morphology.num_limbs)
        for first in range(second)
        if parents[second] != first
    ]
    pairs = np.array(rows, dtype=np.int64).reshape(-1, 2)
    start, end = segments(morphology)
    radius = np.array([limb.radius_m for limb in morphology.limbs])
    first, second = pairs[:, 0], pairs[:, 1]
    distances = segment_distances(start[first], end[first], start[second], end[second])
    return pairs, distances - radius[first] - radius[second]
