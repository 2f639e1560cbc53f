"""Mutants of robots, by seed: every one valid, symmetric and unlike all others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.errors import RobotError
from engine.morphology.operations import OPERATIONS
from engine.morphology.tree import Lineage, Morphology
from engine.random import generator

MAX_TRIES = 200
NAME_CHARACTERS = 100
"""A parent's name is cut there, so that names of descendants stay file names."""


def mutate(
    morphology: Morphology,
    seed: int,
    min_operations: int = 1,
    max_operations: int = 3,
    label: str = "m",
) -> Morphology:
    """A mutant after a random number of operations, each drawn evenly from the seven.

    The same robot, seed and label give the same mutant; lineage records its operations.
    """
    random = generator(seed, "mutation", morphology.digest, label)
    for _ in range(MAX_TRIES):
        count = int(random.integers(min_operations, max_operations + 1))
        mutant, operations = apply_operations(morphology, random, count)
        if mutant.digest != morphology.digest:
            return replace(
                mutant,
                name=f"{morphology.name[:NAME_CHARACTERS]}-{label}-{mutant.digest[:6]}",
                lineage=Lineage(morphology.digest, operations, seed),
            )
    raise RobotError(f"{morphology.name}: no operation changes it within {MAX_TRIES} tries")


def apply_operations(
    morphology: Morphology, random: np.random.Generator, count: int
) -> tuple[Morphology, tuple[str, ...]]:
    """The robot after ``count`` operations that each changed it, and their names."""
    names = tuple(OPERATIONS)
    applied: list[str] = []
    for _ in range(MAX_TRIES):
        if len(applied) == count:
            break
        name = names[int(random.integers(len(names)))]
        changed = OPERATIONS[name](morphology, random)
        if changed is not None and changed.digest != morphology.digest:
            morphology = changed
            applied.append(name)
    return morphology, tuple(applied)


def mutants(
    parents: Sequence[Morphology],
    per_parent: int,
    seed: int,
    min_operations: int = 1,
    max_operations: int = 3,
) -> list[Morphology]:
    """``per_parent`` mutants of each robot, in order, all bodies different from each other's.

    Raises RobotError when a robot has not that many different mutants.
    """
    return list(each_mutant(parents, per_parent, seed, min_operations, max_operations))


def each_mutant(
    parents: Sequence[Morphology],
    per_parent: int,
    seed: int,
    min_operations: int = 1,
    max_operations: int = 3,
) -> Iterator[Morphology]:
    """The robots of :func:`mutants` one after the other, for callers that report progress.

    Only a call with all parents keeps all mutants different: equal parents have equal first draws.
    """
    seen = {parent.digest for parent in parents}
    for parent in parents:
        for number in range(1, per_parent + 1):
            mutant = _unseen_mutant(parent, seed, number, (min_operations, max_operations), seen)
            seen.add(mutant.digest)
            yield mutant


def _unseen_mutant(
    parent: Morphology, seed: int, number: int, operations: tuple[int, int], seen: set[str]
) -> Morphology:
    for attempt in range(MAX_TRIES):
        label = f"m{number}" if attempt == 0 else f"m{number}.{attempt}"
        mutant = mutate(parent, seed, *operations, label)
        if mutant.digest not in seen:
            return mutant
    raise RobotError(f"{parent.name}: no new mutant {number} within {MAX_TRIES} tries")
