"""A robot as a frozen value: a tree of limbs with hinge joints, the head first."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]

HEAD_NAME = "torso/0"


@dataclass(frozen=True)
class Joint:
    """A hinge between a limb and its parent, in the limb's frame.

    ``range_deg`` are the limits in degrees, ``position_m`` and ``axis`` as stored in the file;
    ``gear`` is the motor's torque at full action in N m. ``damping`` (N m s/rad), ``stiffness``
    (N m/rad) and ``armature`` (kg m2) are what every robot of the design space has unless told.
    """

    range_deg: tuple[float, float]
    position_m: Vector
    axis: Vector
    gear: float
    damping: float = 1.0
    stiffness: float = 1.0
    armature: float = 1.0

    @property
    def passive(self) -> tuple[float, float, float]:
        """Damping, stiffness and armature: what the hinge does without its motor."""
        return self.damping, self.stiffness, self.armature


@dataclass(frozen=True)
class Limb:
    """A node of the tree: a capsule from ``start_m`` to ``end_m``, or the head, a sphere.

    The head's ``end_m`` is None and ``start_m`` its centre. ``joints`` has one entry per joint slot
    of the family (None where there is no hinge); the head has none. ``parent`` indexes
    ``Morphology.limbs`` and is always smaller than the limb's own index (-1 for the head): limbs
    stand in depth-first order of the XML. ``tip_m`` is the site the head's height is measured by
    (``btm_pos`` in the file); physics does not know it.
    """

    identifier: int
    parent: int
    position_m: Vector
    start_m: Vector
    end_m: Vector | None
    radius_m: float
    density_kg_m3: float
    joints: tuple[Joint | None, ...]
    tip_m: Vector = (0.0, 0.0, -0.1)


@dataclass(frozen=True)
class Lineage:
    """A robot's origin: its parent's digest (None for a generated one), operations, seed."""

    parent_digest: str | None
    operations: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Morphology:
    """A robot's body. Equal bodies have equal digests, whatever their names and lineage."""

    name: str
    limbs: tuple[Limb, ...]
    symmetric_pairs: tuple[tuple[int, int], ...]  # limb identifiers, as in the metadata
    family: str = "unimal"
    lineage: Lineage | None = None

    @property
    def num_limbs(self) -> int:
        """L: limbs with the head counted, as arrays over limbs have it."""
        return len(self.limbs)

    @property
    def num_limbs_without_head(self) -> int:
        """The limbs that a robot is said to have, as its metadata and the published sets count."""
        return len(self.limbs) - 1

    @cached_property
    def joint_mask(self) -> npt.NDArray[np.bool_]:
        """True where a hinge exists: (L, J)."""
        return np.array([[joint is not None for joint in limb.joints] for limb in self.limbs])

    @property
    def num_joints(self) -> int:
        """Degrees of freedom that are actuated."""
        return int(self.joint_mask.sum())

    @property
    def limb_names(self) -> tuple[str, ...]:
        """Body names as in the file, one a row: ``torso/0``, then ``limb/<id>``."""
        return (HEAD_NAME, *(f"limb/{limb.identifier}" for limb in self.limbs[1:]))

    @property
    def head_height_m(self) -> float:
        """Height of the head's centre above the floor in the rest pose, the drop included."""
        return self.limbs[0].position_m[2]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Rows of each limb's children, in order."""
        children: list[list[int]] = [[] for _ in self.limbs]
        for row, limb in enumerate(self.limbs[1:], start=1):
            children[limb.parent].append(row)
        return tuple(tuple(rows) for rows in children)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the body as hex: every physical number as read, in limb order.

        Names, identifiers, pairs, tips and lineage are left out: they change nothing that moves.
        """
        lines = [f"morphology 1 {self.family}", *(_limb_line(limb) for limb in self.limbs)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _numbers(*values: float) -> str:
    # Adding zero turns -0.0 into 0.0: equal bodies must not differ by the sign of nothing.
    return " ".join((float(value) + 0.0).hex() for value in values)


def _limb_line(limb: Limb) -> str:
    parts = [
        str(limb.parent),
        _numbers(*limb.position_m, *limb.start_m),
        "sphere" if limb.end_m is None else _numbers(*limb.end_m),
        _numbers(limb.radius_m, limb.density_kg_m3),
    ]
    parts += ["none" if joint is None else _joint_part(joint) for joint in limb.joints]
    return " | ".join(parts)


def _joint_part(joint: Joint) -> str:
    part = _numbers(*joint.range_deg, *joint.position_m, *joint.axis, joint.gear)
    # Left out where they are the design space's: digests from before they could differ stay valid.
    return part if joint.passive == (1.0, 1.0, 1.0) else f"{part} {_numbers(*joint.passive)}"
