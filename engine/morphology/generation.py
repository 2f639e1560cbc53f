"""New robots by seed: grown limb by limb, then mutated.

Whether a candidate can stand or move takes physics; whoever composes the stages filters them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import numpy as np

from engine.morphology.family import UNIMAL
from engine.morphology.operations import OPERATIONS, grow_limb
from engine.morphology.placement import standing
from engine.morphology.tree import Limb, Lineage, Morphology
from engine.random import generator

Number = TypeVar("Number", int, float)

LIMB_COUNT_WEIGHTS = {4: 1, 5: 3, 6: 6, 7: 12, 8: 18, 9: 18, 10: 12}
"""How often a limb count is aimed at: like evolved UNIMAL robots, mostly 7 to 10."""

MIN_JOINTS, MAX_JOINTS = 5, 15
MAX_HEAD_HEIGHT_M = UNIMAL.bounds["body_position"][1][2] - UNIMAL.floor_top_m
"""Taller robots leave the range contexts are normalised by, and fall over."""

CEILING_WEIGHTS = {0.3: 25, 0.7: 45, 0.8: 22, MAX_HEAD_HEIGHT_M: 8}
"""How often heads are kept below a height: a quarter of evolved robots sprawl and never fall."""

CEILING_TOLERANCE_M = 0.005
MAX_GROWTHS = 60
MAX_MUTATIONS = 2


def candidates(seed: int) -> Iterator[Morphology]:
    """Robots without end, all bodies different; the same seed gives the same sequence."""
    seen: set[str] = set()
    index = 0
    while True:
        robot = candidate(seed, index)
        if robot.digest not in seen:
            seen.add(robot.digest)
            yield robot
        index += 1


def generate(count: int, seed: int) -> list[Morphology]:
    """The first ``count`` candidates of a seed."""
    return list(islice(candidates(seed), count))


def candidate(seed: int, index: int) -> Morphology:
    """The robot of one index of a seed, whatever the others are."""
    random = generator(seed, "candidate", index)
    num_limbs = _weighted(LIMB_COUNT_WEIGHTS, random)
    ceiling_m = _weighted(CEILING_WEIGHTS, random) + CEILING_TOLERANCE_M
    while True:
        grown = _grow(random, num_limbs, ceiling_m)
        if grown is None:
            continue
        robot, operations = grown
        if robot.head_height_m <= ceiling_m and MIN_JOINTS <= robot.num_joints <= MAX_JOINTS:
            name = f"g{seed}-{index}-{robot.digest[:6]}"
            return replace(robot, name=name, lineage=Lineage(None, operations, seed))


def _weighted(weights: Mapping[Number, int], random: np.random.Generator) -> Number:
    """One of the keys, as often as its weight says."""
    shares = np.array(list(weights.values()), dtype=np.float64)
    return list(weights)[int(random.choice(len(shares), p=shares / shares.sum()))]


def _grow(
    random: np.random.Generator, num_limbs: int, ceiling_m: float
) -> tuple[Morphology, tuple[str, ...]] | None:
    """A robot of that many limbs and the operations that made it; None if growth got stuck."""
    robot = _head(float(random.choice(UNIMAL.densities_kg_m3)))
    operations: list[str] = []
    for _ in range(MAX_GROWTHS):
        if robot.num_limbs - 1 == num_limbs:
            break
        grown = grow_limb(robot, random)
        if (
            grown is not None
            and grown.num_limbs - 1 <= num_limbs
            and grown.head_height_m <= ceiling_m
        ):
            robot = grown
            operations.append("grow_limb")
    if robot.num_limbs - 1 != num_limbs:
        return None
    names = [name for name in OPERATIONS if name not in ("grow_limb", "delete_limb")]
    for _ in range(int(random.integers(MAX_MUTATIONS + 1))):
        name = names[int(random.integers(len(names)))]
        mutated = OPERATIONS[name](robot, random)
        if mutated is not None and mutated.digest != robot.digest:
            robot = mutated
            operations.append(name)
    return robot, tuple(operations)


def _head(density_kg_m3: float) -> Morphology:
    centre = (0.0, 0.0, 0.0)
    radius_m = UNIMAL.head_radius_m
    head = Limb(
        identifier=0,
        parent=-1,
        position_m=centre,
        start_m=centre,
        end_m=None,
        radius_m=radius_m,
        density_kg_m3=density_kg_m3,
        joints=(None,) * UNIMAL.joint_slots,
        tip_m=(0.0, 0.0, -radius_m),
    )
    return standing(Morphology("head", (head,), (), UNIMAL.name))
