"""Whether a robot belongs to its family, with a named reason for everything that does not."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from engine.morphology.family import UNIMAL
from engine.morphology.geometry import centre_of_mass, segments
from engine.morphology.metadata import MIRROR_TOLERANCE_M, is_mirror
from engine.morphology.placement import (
    attachment,
    contacts,
    directions,
    limb_direction,
    limb_length_m,
)
from engine.morphology.tree import Limb, Morphology

Reason = Literal[
    "number",
    "order",
    "limb_count",
    "identifier",
    "head",
    "radius",
    "density",
    "direction",
    "length",
    "attachment",
    "joint",
    "symmetry",
    "contact",
    "height",
]

LOWEST_SURFACE_M = 0.1
HIGHEST_SURFACE_M = 0.35
"""Published robots hang 0.15 to 0.25 m above the floor; rounding shifts that a little."""


@dataclass(frozen=True)
class Problem:
    """One way in which a robot does not belong to its family."""

    reason: Reason
    message: str


def problems(morphology: Morphology) -> list[Problem]:
    """All problems of a robot, none for a valid one."""
    found = [*_tree_problems(morphology)]
    if found:  # the rest needs a tree of finite numbers
        return found
    limbs = morphology.limbs[1:]
    return list(
        chain(
            _head_problems(morphology.limbs[0]),
            *(_limb_problems(limb, morphology.limbs[limb.parent]) for limb in limbs),
            *(_joint_problems(limb) for limb in limbs),
            _symmetry_problems(morphology),
            _space_problems(morphology),
        )
    )


def outside_space(robots: Iterable[Morphology]) -> dict[str, tuple[str, ...]]:
    """Robots by name whose numbers lie outside their design space, each with all that do."""
    found = {robot.name: problems(robot) for robot in robots}
    return {name: tuple(problem.message for problem in own) for name, own in found.items() if own}


def _numbers(limb: Limb) -> Iterator[float]:
    yield from chain(limb.position_m, limb.start_m, limb.end_m or (), limb.tip_m)
    yield from (limb.radius_m, limb.density_kg_m3)
    for joint in limb.joints:
        if joint is not None:
            yield from chain(joint.range_deg, joint.position_m, joint.axis, (joint.gear,))


def _tree_problems(morphology: Morphology) -> Iterator[Problem]:
    limbs = morphology.limbs
    names = morphology.limb_names
    for row, limb in enumerate(limbs):
        if not all(math.isfinite(value) for value in _numbers(limb)):
            yield Problem("number", f"{names[row]} has a number that is not finite")
        if not (-1 <= limb.parent < row and (limb.parent == -1) == (row == 0)):
            yield Problem("order", f"{names[row]} does not come after its parent")
        if (limb.end_m is None) != (row == 0):
            yield Problem("head", f"{names[row]}: the head is a sphere, limbs are capsules")
        if len(limb.joints) != UNIMAL.joint_slots:
            yield Problem("joint", f"{names[row]} has not {UNIMAL.joint_slots} joint slots")
    if not 1 <= len(limbs) - 1 <= UNIMAL.max_limbs:
        yield Problem("limb_count", f"{len(limbs) - 1} limbs, expected 1 to {UNIMAL.max_limbs}")
    if len(set(names)) != len(names):
        yield Problem("identifier", "two limbs have the same identifier")


def _head_problems(head: Limb) -> Iterator[Problem]:
    if head.radius_m != UNIMAL.head_radius_m:
        yield Problem("radius", f"the head's radius is {head.radius_m} m")
    if head.density_kg_m3 not in UNIMAL.densities_kg_m3:
        yield Problem("density", f"the head's density is {head.density_kg_m3} kg/m3")
    if any(head.start_m) or any(head.position_m[:2]) or any(head.joints):
        yield Problem("head", "the head must stand over the origin, without hinges")


def _limb_problems(limb: Limb, parent: Limb) -> Iterator[Problem]:
    name = f"limb/{limb.identifier}"
    if limb.radius_m != UNIMAL.limb_radius_m:
        yield Problem("radius", f"{name}: radius {limb.radius_m} m")
    if limb.density_kg_m3 not in UNIMAL.densities_kg_m3:
        yield Problem("density", f"{name}: density {limb.density_kg_m3} kg/m3")
    if any(limb.start_m) or limb_direction(limb) not in directions():
        yield Problem("direction", f"{name}: points along {limb.end_m}")
    elif limb_length_m(limb) not in UNIMAL.lengths_m:
        yield Problem("length", f"{name}: is {limb_length_m(limb):.3f} m long")
    site, distance_m = attachment(limb, parent)
    if distance_m > MIRROR_TOLERANCE_M:
        yield Problem("attachment", f"{name}: hangs {distance_m:.3f} m off its {site} site")


def _joint_problems(limb: Limb) -> Iterator[Problem]:
    name = f"limb/{limb.identifier}"
    if not any(limb.joints):
        yield Problem("joint", f"{name}: has no hinge")
    for joint in limb.joints:
        if joint is None:
            continue
        if joint.range_deg not in UNIMAL.joint_ranges_deg:
            yield Problem("joint", f"{name}: joint range {joint.range_deg} degrees")
        if joint.gear not in UNIMAL.gears:
            yield Problem("joint", f"{name}: gear {joint.gear}")
        for key in ("damping", "stiffness", "armature"):
            if getattr(joint, key) != 1.0:
                yield Problem("joint", f"{name}: {key} {getattr(joint, key)}")
        if abs(math.hypot(*joint.axis) - 1.0) > 1e-3:
            yield Problem("joint", f"{name}: axis {joint.axis} is no unit vector")
        if math.hypot(*joint.position_m) > 2 * limb.radius_m:
            yield Problem("joint", f"{name}: the hinge is far from the limb's end")


def _symmetry_problems(morphology: Morphology) -> Iterator[Problem]:
    limbs = {limb.identifier: limb for limb in morphology.limbs[1:]}
    pairs = {frozenset(pair) for pair in morphology.symmetric_pairs}
    for first, second in morphology.symmetric_pairs:
        if not {first, second} <= limbs.keys():
            yield Problem("symmetry", f"limbs {first} and {second} are not both in the body")
            continue
        one, other = limbs[first], limbs[second]
        if not is_mirror(one, other) or _designs(one) != _designs(other):
            yield Problem("symmetry", f"limbs {first} and {second} are no mirror images")
        above = frozenset(morphology.limbs[limb.parent].identifier for limb in (one, other))
        if one.parent != other.parent and (0 in (one.parent, other.parent) or above not in pairs):
            yield Problem("symmetry", f"limbs {first} and {second} hang on unpaired limbs")
    offset_m = float(centre_of_mass(morphology)[1])
    if abs(offset_m) > 1e-6:
        yield Problem("symmetry", f"the centre of mass is {offset_m:.4f} m off the xz plane")


def _designs(limb: Limb) -> list[object]:
    shape = (limb.radius_m, limb.density_kg_m3)
    return [shape, *(joint and (joint.range_deg, joint.gear) for joint in limb.joints)]


def _space_problems(morphology: Morphology) -> Iterator[Problem]:
    for first, second in sorted(contacts(morphology)):
        name = "the head" if first < 0 else f"limb/{first}"
        yield Problem("contact", f"{name} and limb/{second} overlap at rest")
    start, end = segments(morphology)
    lowest_m = min(
        min(above[2], below[2]) - limb.radius_m
        for above, below, limb in zip(start, end, morphology.limbs, strict=True)
    )
    if not LOWEST_SURFACE_M <= lowest_m <= HIGHEST_SURFACE_M:
        yield Problem("height", f"the lowest surface hangs {lowest_m:.3f} m above the floor")
