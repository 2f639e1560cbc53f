"""A robot as a frozen value: a tree of limbs with hinge joints, the head first."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Joint:
    """A hinge between a limb and its parent, in the limb's frame.

    ``range_deg`` are the limits in degrees, ``position_m`` and ``axis`` as stored in the file.
    """

    range_deg: tuple[float, float]
    position_m: Vector
    axis: Vector
    gear: float


@dataclass(frozen=True)
class Limb:
    """A node of the tree: the head (a sphere, ``end_m`` is None) or a capsule from ``start_m`` to ``end_m``.

    ``joints`` has one entry per joint slot of the family (None where there is no hinge); the head
    has none. ``parent`` indexes ``Morphology.limbs`` and is always smaller than the limb's own index
    (-1 for the head): limbs stand in depth-first order of the XML.
    """

    identifier: int
    parent: int
    position_m: Vector
    start_m: Vector
    end_m: Vector | None
    radius_m: float
    density_kg_m3: float
    joints: tuple[Joint | None, ...]


@dataclass(frozen=True)
class Lineage:
    """Where a robot comes from: its parent's digest (None for a generated one), operations, seed."""

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
        """L: limbs with the head counted."""
        return len(self.limbs)

    @cached_property
    def joint_mask(self) -> npt.NDArray[np.bool_]:
        """True where a hinge exists: (L, J)."""
        return np.array([[joint is not None for joint in limb.joints] for limb in self.limbs])

    @property
    def num_joints(self) -> int:
        """Degrees of freedom that are actuated."""
        return int(self.joint_mask.sum())
