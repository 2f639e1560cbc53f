"""The design choices behind a limb's numbers (direction, length, site), read and written."""

import math
from dataclasses import replace
from functools import cache
from typing import Literal

from engine.morphology.family import UNIMAL
from engine.morphology.geometry import absolute_positions, clearances, frame_axes
from engine.morphology.tree import Joint, Limb, Morphology, Vector

Site = Literal["centre", "middle", "bottom"]

POSITION_DECIMALS = 2
AXIS_DECIMALS = 4

CONTACT_M = 1e-6
"""Surfaces closer than minus this overlap; limbs that just touch do not."""

_SNAP_COSINE = math.cos(math.radians(3.0))
_SNAP_LENGTH_M = 0.011


@cache
def directions() -> tuple[Vector, ...]:
    """Unit vectors a limb may point along, mirror images exact."""
    found: list[Vector] = []
    for polar in UNIMAL.polars_deg:
        for azimuth in UNIMAL.azimuths_deg:
            vector = direction(azimuth, polar)
            if vector not in found:
                found.append(vector)
    return tuple(found)


def direction(azimuth_deg: int, polar_deg: int) -> Vector:
    """Unit vector of spherical angles in degrees; opposite azimuths give exact mirror images."""
    if azimuth_deg > 180:
        return mirrored(direction(360 - azimuth_deg, polar_deg))
    azimuth, polar = math.radians(azimuth_deg), math.radians(polar_deg)
    # Sines of multiples of 180 degrees are not quite zero in floating point.
    x, y, z = (
        round(value, 12) + 0.0
        for value in (
            math.sin(polar) * math.cos(azimuth),
            math.sin(polar) * math.sin(azimuth),
            math.cos(polar),
        )
    )
    return x, y, z


def mirrored(vector: Vector) -> Vector:
    """The mirror image in the xz plane."""
    return vector[0], 0.0 - vector[1], vector[2]


def limb_direction(limb: Limb) -> Vector:
    """Where a limb points: the family's direction if it is one up to rounding, else as it is."""
    end_m = limb.end_m or limb.start_m
    reach_m = math.dist(limb.start_m, end_m)
    x, y, z = ((last - first) / reach_m for first, last in zip(limb.start_m, end_m, strict=True))
    for candidate in directions():
        if x * candidate[0] + y * candidate[1] + z * candidate[2] > _SNAP_COSINE:
            return candidate
    return x, y, z


def limb_length_m(limb: Limb) -> float:
    """Length of a limb's cylinder: one of the family's lengths if it is one up to rounding."""
    length_m = math.dist(limb.start_m, limb.end_m or limb.start_m) - limb.radius_m
    nearest = min(UNIMAL.lengths_m, key=lambda candidate: abs(candidate - length_m))
    return nearest if abs(nearest - length_m) <= _SNAP_LENGTH_M else length_m


def site_position(limb: Limb, site: Site) -> Vector:
    """Where a site stands in its limb's frame, rounded to the files' decimals."""
    if site == "centre" or limb.end_m is None:
        return limb.start_m
    if site == "bottom":
        return limb.end_m
    reach_m = limb.radius_m + 0.5 * limb_length_m(limb)
    x, y, z = (
        round(first + reach_m * along, POSITION_DECIMALS)
        for first, along in zip(limb.start_m, limb_direction(limb), strict=True)
    )
    return x, y, z


def attachment(limb: Limb, parent: Limb) -> tuple[Site, float]:
    """The parent's site a limb hangs on, and how far off it is in metres."""
    pointing = limb_direction(limb)
    hung = [
        position - parent.radius_m * along
        for position, along in zip(limb.position_m, pointing, strict=True)
    ]
    sites: tuple[Site, ...] = ("centre",) if parent.end_m is None else ("middle", "bottom")
    distances = {site: math.dist(hung, site_position(parent, site)) for site in sites}
    nearest = min(sites, key=lambda site: distances[site])
    return nearest, distances[nearest]


def hang(parent: Limb, site: Site, pointing: Vector) -> Vector:
    """Position of a limb's frame: its site, plus the parent's radius along its direction."""
    x, y, z = (
        round(position + round(parent.radius_m * along, POSITION_DECIMALS), POSITION_DECIMALS)
        for position, along in zip(site_position(parent, site), pointing, strict=True)
    )
    return x, y, z


def stretch(limb: Limb, pointing: Vector, length_m: float) -> Limb:
    """The limb with another length, its frame where it was."""
    reach_m = limb.radius_m + length_m
    x, y, z = (
        first + round(reach_m * along, POSITION_DECIMALS)
        for first, along in zip(limb.start_m, pointing, strict=True)
    )
    return replace(limb, end_m=(x, y, z), tip_m=(x, y, z))


def hinge(limb: Limb, slot: int, range_deg: tuple[float, float], gear: float) -> Joint:
    """A hinge about an axis of the limb's frame, one radius back towards the parent."""
    pointing = limb_direction(limb)
    axis = frame_axes((0.0, 0.0, 0.0), pointing)[slot]
    x, y, z = (round(value, AXIS_DECIMALS) + 0.0 for value in axis)
    back_x, back_y, back_z = (
        round(-limb.radius_m * along, POSITION_DECIMALS) + 0.0 for along in pointing
    )
    return Joint(range_deg, (back_x, back_y, back_z), (x, y, z), gear)


def groups(morphology: Morphology) -> list[tuple[int, ...]]:
    """Rows of limbs that change together: mirrored pairs and single limbs, in row order."""
    rows = {limb.identifier: row for row, limb in enumerate(morphology.limbs) if row}
    partner = {}
    for first, second in morphology.symmetric_pairs:
        partner[rows[first]], partner[rows[second]] = rows[second], rows[first]
    return [
        (row, partner[row]) if row in partner else (row,)
        for row in rows.values()
        if partner.get(row, row) >= row
    ]


def contacts(morphology: Morphology) -> set[tuple[int, int]]:
    """Identifiers of limbs (-1 for the head) that overlap at rest and are no relatives.

    Parents with children and mirrored pairs may overlap.
    """
    pairs, gaps = clearances(morphology)
    found = set()
    for first, second in pairs[gaps < -CONTACT_M]:
        identifiers = sorted(
            morphology.limbs[row].identifier if row else -1 for row in (first, second)
        )
        found.add((identifiers[0], identifiers[1]))
    return found - set(morphology.symmetric_pairs)


def standing(morphology: Morphology) -> Morphology:
    """The robot with its head as high as lets the lowest tip hang the family's clearance high."""
    head = morphology.limbs[0]
    positions = absolute_positions(morphology)[:, 2] - head.position_m[2]
    lowest = min(
        height + limb.tip_m[2] for height, limb in zip(positions, morphology.limbs, strict=True)
    )
    height_m = round(UNIMAL.clearance_m - float(lowest), POSITION_DECIMALS)
    raised = replace(head, position_m=(*head.position_m[:2], height_m))
    return replace(morphology, limbs=(raised, *morphology.limbs[1:]))


def in_order(limbs: list[Limb]) -> tuple[Limb, ...]:
    """Limbs depth first, siblings in list order; parents index the list given, then the result."""
    children: list[list[int]] = [[] for _ in limbs]
    for index, limb in enumerate(limbs[1:], start=1):
        children[limb.parent].append(index)
    ordered: list[Limb] = []
    waiting = [(0, -1)]
    while waiting:
        index, parent = waiting.pop()
        ordered.append(replace(limbs[index], parent=parent))
        row = len(ordered) - 1
        waiting += [(child, row) for child in reversed(children[index])]
    return tuple(ordered)
