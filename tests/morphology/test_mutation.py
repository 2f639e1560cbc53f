"""Mutants and generated robots: valid, symmetric, different, the same for the same seed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import mujoco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.robots import MutationConfig
from engine.morphology.family import UNIMAL
from engine.morphology.generation import candidate, candidates, generate
from engine.morphology.geometry import centre_of_mass
from engine.morphology.mjcf import check_name, load_robots, parse_robot, write_robot
from engine.morphology.mutation import mutants, mutate
from engine.morphology.operations import OPERATIONS
from engine.morphology.placement import groups
from engine.morphology.tree import Morphology
from engine.morphology.validity import problems
from engine.random import generator

SEEDS = st.integers(0, 2**63 - 1)


def changed(robot: Morphology, operation: str, seed: int = 0) -> Morphology:
    """The robot after one operation that changed it."""
    random = generator(seed, "test", operation)
    for _ in range(100):
        result = OPERATIONS[operation](robot, random)
        if result is not None and result.digest != robot.digest:
            return result
    raise AssertionError(f"{operation} never changed {robot.name}")


def check_mutants(found: list[Morphology], parents: list[Morphology]) -> None:
    known = {parent.digest for parent in parents}
    for mutant in found:
        assert problems(mutant) == []
        check_name(mutant.name)
        assert abs(centre_of_mass(mutant)[1]) < 1e-9
        assert mutant.lineage is not None
        assert mutant.lineage.parent_digest in known
        assert 1 <= len(mutant.lineage.operations) <= 3
    digests = {mutant.digest for mutant in found}
    assert len(digests) == len(found)
    assert not digests & known
    assert len({mutant.name for mutant in found}) == len(found)


@given(SEEDS, st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_generated_robots_are_valid_and_symmetric(seed: int, index: int) -> None:
    robot = candidate(seed, index)
    assert problems(robot) == []
    assert 4 <= robot.num_limbs - 1 <= UNIMAL.max_limbs
    assert 5 <= robot.num_joints <= 15
    assert robot.lineage is not None
    assert robot.lineage.seed == seed


@given(SEEDS, SEEDS)
@settings(max_examples=30, deadline=None)
def test_mutants_of_mutants_stay_valid(seed: int, mutation_seed: int) -> None:
    robot = candidate(seed, 0)
    for _ in range(5):
        robot = mutate(robot, mutation_seed)
        assert problems(robot) == []
        assert UNIMAL.min_limbs <= robot.num_limbs - 1 <= UNIMAL.max_limbs


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_robots(seed: int) -> None:
    robots = generate(3, seed)
    assert generate(3, seed) == robots
    assert mutants(robots, 2, seed) == mutants(robots, 2, seed)
    assert [robot.digest for robot in generate(3, seed + 1)] != [r.digest for r in robots]


def test_a_candidate_does_not_depend_on_those_before_it() -> None:
    stream = candidates(9)
    assert [next(stream) for _ in range(5)] == [candidate(9, index) for index in range(5)]


def test_a_mutant_does_not_depend_on_the_other_parents() -> None:
    robots = generate(4, 0)
    assert mutants(robots, 3, 5)[6:9] == mutants([robots[2]], 3, 5)


def test_equal_bodies_under_two_names_get_different_mutants() -> None:
    robot = candidate(0, 0)
    found = mutants([robot, replace(robot, name="twin")], 9, 0)
    check_mutants(found, [robot])
    assert sum(mutant.name.startswith("twin-") for mutant in found) == 9


def test_nine_mutants_each_are_distinct_and_use_all_seven_operations() -> None:
    parents = generate(20, 0)
    found = mutants(parents, 9, 1)
    check_mutants(found, parents)
    used = Counter(name for mutant in found for name in mutant.lineage.operations)  # type: ignore[union-attr]
    assert set(used) == set(OPERATIONS)
    assert len(OPERATIONS) == 7


def test_nine_mutants_of_each_real_robot_are_valid_and_distinct(unimal_dir: Path) -> None:
    parents = load_robots(unimal_dir)
    for parent in parents:
        assert problems(parent) == []
    found = mutants(parents, 9, 0)
    check_mutants(found, parents)
    assert len(found) == 9 * len(parents)
    for mutant in found[::20]:
        model = mujoco.MjModel.from_xml_string(write_robot(mutant))
        assert model.nu == mutant.num_joints


def test_mutants_of_real_robots_read_back_with_the_same_pairs(unimal_dir: Path) -> None:
    for mutant in mutants(load_robots(unimal_dir)[:20], 3, 2):
        again = parse_robot(write_robot(mutant).encode(), mutant.name)
        assert again.limbs == mutant.limbs
        assert sorted(again.symmetric_pairs) == sorted(mutant.symmetric_pairs)


def test_operation_counts_are_those_asked_for() -> None:
    robot = candidate(0, 0)
    for count in (1, 2, 3):
        mutant = mutate(robot, 3, count, count)
        assert mutant.lineage is not None
        assert len(mutant.lineage.operations) == count
    with pytest.raises(ValueError, match="min_operations"):
        MutationConfig(min_operations=3, max_operations=2)


def test_growing_adds_one_limb_or_a_mirrored_pair_and_keeps_the_others() -> None:
    robot = next(robot for robot in candidates(0) if robot.num_limbs < UNIMAL.max_limbs - 2)
    grown = changed(robot, "grow_limb")
    added = grown.num_limbs - robot.num_limbs
    assert added == 1 + (len(grown.symmetric_pairs) - len(robot.symmetric_pairs))
    shapes = {limb.identifier: limb.end_m for limb in grown.limbs[1:]}
    assert all(shapes[limb.identifier] == limb.end_m for limb in robot.limbs[1:])


def test_deleting_takes_only_limbs_that_carry_none() -> None:
    robot = candidate(0, 3)
    fewer = changed(robot, "delete_limb")
    kept = {limb.identifier for limb in fewer.limbs[1:]}
    for row, limb in enumerate(robot.limbs[1:], start=1):
        if robot.children[row]:
            assert limb.identifier in kept
    assert len(robot.limbs) - len(fewer.limbs) in (1, 2)


def test_a_robot_with_two_limbs_keeps_them() -> None:
    robot = candidate(0, 4)
    while (fewer := OPERATIONS["delete_limb"](robot, generator(0, "delete"))) is not None:
        robot = fewer
    assert robot.num_limbs - 1 <= UNIMAL.min_limbs + 1


def test_parameter_operations_change_their_own_numbers_only() -> None:
    robot = candidate(0, 5)

    def without(operation: str, robot: Morphology) -> list[object]:
        return [
            (
                limb.position_m,
                limb.end_m,
                operation == "density" or limb.density_kg_m3,
                [
                    joint
                    and (
                        joint.axis,
                        operation == "joint_angle" or joint.range_deg,
                        operation == "gear" or joint.gear,
                    )
                    for joint in limb.joints
                ],
            )
            for limb in robot.limbs
        ]

    for operation in ("density", "joint_angle", "gear"):
        other = changed(robot, operation)
        assert without(operation, other) == without(operation, robot)


def test_dof_changes_axes_of_one_group_and_keeps_the_hinges_that_stay() -> None:
    robot = candidate(0, 6)
    other = changed(robot, "dof")
    rows = [
        row for row in range(robot.num_limbs) if robot.limbs[row].joints != other.limbs[row].joints
    ]
    assert tuple(rows) in {tuple(sorted(group)) for group in groups(robot)}
    for row in rows:
        for before, after in zip(robot.limbs[row].joints, other.limbs[row].joints, strict=True):
            assert before is None or after is None or before == after


def test_a_pair_on_limbs_that_are_no_pair_is_a_problem() -> None:
    robot = next(
        robot
        for robot in candidates(1)
        for first, _ in robot.symmetric_pairs
        if robot.limbs[robot.limb_names.index(f"limb/{first}")].parent > 0
    )
    rows = {limb.identifier: limb.parent for limb in robot.limbs[1:]}
    carrying = {robot.limbs[rows[first]].identifier for first, _ in robot.symmetric_pairs}
    pairs = tuple(pair for pair in robot.symmetric_pairs if not set(pair) & carrying)
    found = problems(replace(robot, symmetric_pairs=pairs))
    hung_apart = any(rows[first] != rows[second] for first, second in pairs)
    assert ("hang on unpaired" in " ".join(p.message for p in found)) == hung_apart


def test_each_way_of_being_invalid_has_its_reason() -> None:
    robot = candidate(0, 1)
    head, limb = robot.limbs[0], robot.limbs[1]
    joint = next(joint for joint in limb.joints if joint)

    def reasons(**changes: object) -> set[str]:
        odd = replace(limb, **changes)  # type: ignore[arg-type]
        changed_robot = replace(robot, limbs=(head, odd, *robot.limbs[2:]))
        return {problem.reason for problem in problems(changed_robot)}

    assert "number" in reasons(radius_m=float("nan"))
    assert "order" in reasons(parent=5)
    assert "radius" in reasons(radius_m=0.07)
    assert "density" in reasons(density_kg_m3=550.0)
    assert "length" in reasons(end_m=tuple(1.15 * value for value in limb.end_m or ()))
    assert "direction" in reasons(end_m=(0.25, 0.08, -0.15))
    assert "attachment" in reasons(position_m=(0.3, 0.0, 0.0))
    assert "joint" in reasons(joints=(None, None))
    assert "joint" in reasons(joints=(replace(joint, gear=1.0), None))
    assert "identifier" in reasons(identifier=robot.limbs[2].identifier)
    sunk = replace(head, position_m=(0.0, 0.0, 0.0))
    assert {p.reason for p in problems(replace(robot, limbs=(sunk, *robot.limbs[1:])))} == {
        "height"
    }
    unpaired = replace(robot, symmetric_pairs=((limb.identifier, 999),))
    assert "symmetry" in {problem.reason for problem in problems(unpaired)}
