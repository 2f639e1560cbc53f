"""The seven mutation operations: each takes a robot and returns a changed one, or None.

None means that this draw led nowhere (no such limb, no room, a contact); the caller draws again.
Mirrored limbs always change together, so robots stay symmetric about the xz plane.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.morphology.family import UNIMAL
from engine.morphology.placement import (
    Site,
    attachment,
    contacts,
    direction,
    groups,
    hang,
    hinge,
    in_order,
    limb_direction,
    limb_length_m,
    mirrored,
    standing,
    stretch,
)
from engine.morphology.tree import Joint, Limb, Morphology, Vector

Operation = Callable[[Morphology, np.random.Generator], Morphology | None]
Design = tuple[tuple[float, float], float]
"""Range in degrees and gear of a hinge, shared by mirrored limbs."""

GROWTH_TRIES = 50


def grow_limb(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Add a limb, or two mirrored ones, where it touches nothing it is not attached to."""
    for _ in range(GROWTH_TRIES):
        grown = _try_growth(morphology, random)
        if grown is not None:
            return grown
    return None


def _try_growth(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    site, parents = _random_site(morphology, random)
    pointing = direction(
        int(random.choice(UNIMAL.azimuths_deg)), int(random.choice(UNIMAL.polars_deg))
    )
    if len(parents) == 1 and pointing[1] != 0.0:
        parents = (parents[0], parents[0])
    if morphology.num_limbs - 1 + len(parents) > UNIMAL.max_limbs:
        return None
    if site == "middle" and _runs_along(morphology.limbs[parents[0]], pointing):
        return None
    length_m = float(random.choice(UNIMAL.lengths_m))
    designs = _random_designs(_random_slots(random), random)
    density = _limb_density(morphology, random)
    first_identifier = 1 + max((limb.identifier for limb in morphology.limbs[1:]), default=-1)
    limbs = list(morphology.limbs)
    for index, parent in enumerate(parents):
        limbs.append(
            _new_limb(
                morphology.limbs[parent],
                Limb(
                    identifier=first_identifier + index,
                    parent=parent,
                    position_m=(0.0, 0.0, 0.0),
                    start_m=(0.0, 0.0, 0.0),
                    end_m=None,
                    radius_m=UNIMAL.limb_radius_m,
                    density_kg_m3=density,
                    joints=(None,) * UNIMAL.joint_slots,
                ),
                site,
                (pointing if index == 0 else mirrored(pointing), length_m),
                designs,
            )
        )
    pairs = morphology.symmetric_pairs
    if len(parents) == 2:
        pairs = (*pairs, (first_identifier, first_identifier + 1))
    return _placed(morphology, replace(morphology, limbs=in_order(limbs), symmetric_pairs=pairs))


def _random_site(
    morphology: Morphology, random: np.random.Generator
) -> tuple[Site, tuple[int, ...]]:
    """A growth site and the rows of the limb, or the mirrored limbs, that offer it."""
    sites: list[tuple[Site, tuple[int, ...]]] = [("centre", (0,))]
    for rows in groups(morphology):
        sites += [("middle", rows), ("bottom", rows)]
    return sites[int(random.integers(len(sites)))]


def _runs_along(parent: Limb, pointing: Vector) -> bool:
    """Whether a limb at the parent's middle would lie inside it."""
    cosine = sum(a * b for a, b in zip(limb_direction(parent), pointing, strict=True))
    return abs(cosine) > 0.9


def _limb_density(morphology: Morphology, random: np.random.Generator) -> float:
    if morphology.num_limbs > 1:
        return morphology.limbs[1].density_kg_m3
    return float(random.choice(UNIMAL.densities_kg_m3))


def _new_limb(
    parent: Limb,
    limb: Limb,
    site: Site,
    shape: tuple[Vector, float],
    designs: dict[int, Design],
) -> Limb:
    pointing, length_m = shape
    limb = stretch(replace(limb, position_m=hang(parent, site, pointing)), pointing, length_m)
    return replace(limb, joints=_hinges(limb, designs))


def _hinges(limb: Limb, designs: dict[int, Design]) -> tuple[Joint | None, ...]:
    return tuple(
        hinge(limb, slot, *designs[slot]) if slot in designs else None
        for slot in range(UNIMAL.joint_slots)
    )


def _random_slots(random: np.random.Generator) -> tuple[int, ...]:
    """Which hinges a limb gets: one in three limbs gets both."""
    return ((0,), (1,), (0, 1))[int(random.integers(3))]


def _random_designs(slots: tuple[int, ...], random: np.random.Generator) -> dict[int, Design]:
    return {slot: (_random_range(random), float(random.choice(UNIMAL.gears))) for slot in slots}


def _random_range(random: np.random.Generator) -> tuple[float, float]:
    return UNIMAL.joint_ranges_deg[int(random.integers(len(UNIMAL.joint_ranges_deg)))]


def _placed(before: Morphology, after: Morphology) -> Morphology | None:
    """The changed robot on its feet, or None if the change made limbs overlap."""
    return None if contacts(after) - contacts(before) else standing(after)


def delete_limb(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Take away a limb that carries none, with its mirror image."""
    leaves = [
        rows
        for rows in groups(morphology)
        if not any(morphology.children[row] for row in rows)
        and morphology.num_limbs - 1 - len(rows) >= UNIMAL.min_limbs
    ]
    if not leaves:
        return None
    gone = leaves[int(random.integers(len(leaves)))]
    kept = [row for row in range(morphology.num_limbs) if row not in gone]
    rows = {row: index for index, row in enumerate(kept)} | {-1: -1}
    limbs = [
        replace(morphology.limbs[row], parent=rows[morphology.limbs[row].parent]) for row in kept
    ]
    identifiers = {morphology.limbs[row].identifier for row in gone}
    pairs = tuple(pair for pair in morphology.symmetric_pairs if not identifiers & set(pair))
    return standing(replace(morphology, limbs=tuple(limbs), symmetric_pairs=pairs))


def limb_params(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Give a limb and its mirror image another length; what they carry moves along."""
    rows = _random_group(morphology, random)
    current_m = limb_length_m(morphology.limbs[rows[0]])
    choices = [length_m for length_m in UNIMAL.lengths_m if length_m != current_m]
    length_m = choices[int(random.integers(len(choices)))]
    limbs = list(morphology.limbs)
    for row in rows:
        limb = limbs[row]
        limbs[row] = stretch(limb, limb_direction(limb), length_m)
        for child in morphology.children[row]:
            site, _ = attachment(morphology.limbs[child], limb)
            pointing = limb_direction(morphology.limbs[child])
            limbs[child] = replace(limbs[child], position_m=hang(limbs[row], site, pointing))
    return _placed(morphology, replace(morphology, limbs=tuple(limbs)))


def dof(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Change the axes a limb and its mirror image turn about; axes that stay keep their hinges."""
    rows = _random_group(morphology, random)
    slots = _random_slots(random)
    designs = _random_designs(slots, random)
    limbs = list(morphology.limbs)
    for row in rows:
        limb = limbs[row]
        joints = tuple(
            limb.joints[slot] or joint for slot, joint in enumerate(_hinges(limb, designs))
        )
        joints = tuple(joint if slot in slots else None for slot, joint in enumerate(joints))
        limbs[row] = replace(limb, joints=joints)
    return replace(morphology, limbs=tuple(limbs))


def joint_angle(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Draw the joint ranges of all limbs anew, or of one limb and its mirror image."""
    return _with_hinges(
        morphology, random, lambda joint, design: replace(joint, range_deg=design[0])
    )


def gear(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Draw the gears of all limbs anew, or of one limb and its mirror image."""
    return _with_hinges(morphology, random, lambda joint, design: replace(joint, gear=design[1]))


def density(morphology: Morphology, random: np.random.Generator) -> Morphology | None:
    """Draw the density of the head anew, or of the limbs, or of both."""
    parts = (("head",), ("limbs",), ("head", "limbs"))[int(random.integers(3))]
    drawn = {part: float(random.choice(UNIMAL.densities_kg_m3)) for part in parts}
    limbs = (
        replace(limb, density_kg_m3=drawn.get("limbs" if row else "head", limb.density_kg_m3))
        for row, limb in enumerate(morphology.limbs)
    )
    return replace(morphology, limbs=tuple(limbs))


def _with_hinges(
    morphology: Morphology,
    random: np.random.Generator,
    change: Callable[[Joint, Design], Joint],
) -> Morphology:
    """Change the hinges of all groups, or of one, by a design drawn for each slot of each group."""
    chosen = groups(morphology)
    if random.random() < 0.5:
        chosen = [chosen[int(random.integers(len(chosen)))]]
    limbs = list(morphology.limbs)
    for rows in chosen:
        designs = _random_designs(tuple(range(UNIMAL.joint_slots)), random)
        for row in rows:
            joints = tuple(
                joint and change(joint, designs[slot])
                for slot, joint in enumerate(limbs[row].joints)
            )
            limbs[row] = replace(limbs[row], joints=joints)
    return replace(morphology, limbs=tuple(limbs))


def _random_group(morphology: Morphology, random: np.random.Generator) -> tuple[int, ...]:
    choices = groups(morphology)
    return choices[int(random.integers(len(choices)))]


OPERATIONS: dict[str, Operation] = {
    "grow_limb": grow_limb,
    "delete_limb": delete_limb,
    "limb_params": limb_params,
    "dof": dof,
    "joint_angle": joint_angle,
    "gear": gear,
    "density": density,
}
"""Every mutation operation by the name lineage records."""
