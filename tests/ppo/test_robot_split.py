"""Robots are dealt evenly, and over rotations everybody gets the same number of them."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.ppo.simulators import robot_split, robots_in_rotation


@given(st.lists(st.integers(2, 12), min_size=1, max_size=40), st.integers(1, 8))
def test_every_robot_has_one_owner_and_parts_differ_by_one_at_most(
    limb_counts: list[int], processes: int
) -> None:
    parts = robot_split(limb_counts, processes)
    assert sorted(robot for owned in parts for robot in owned) == list(range(len(limb_counts)))
    sizes = [len(owned) for owned in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(2, 12), min_size=2, max_size=40).filter(lambda c: len(c) % 2 == 0))
def test_two_processes_get_about_the_same_number_of_limbs(limb_counts: list[int]) -> None:
    totals = [sum(limb_counts[robot] for robot in owned) for owned in robot_split(limb_counts, 2)]
    assert abs(totals[0] - totals[1]) <= max(limb_counts) - min(limb_counts)


@given(st.integers(1, 20), st.integers(1, 20))
def test_over_a_round_of_rotations_all_robots_come_equally_often(robots: int, slots: int) -> None:
    owned = tuple(range(robots))
    counts = Counter(
        robot for rotation in range(robots) for robot in robots_in_rotation(owned, slots, rotation)
    )
    assert len(set(counts.values())) == 1
    assert all(
        len(set(robots_in_rotation(owned, slots, rotation))) == min(slots, robots)
        for rotation in range(robots)
    )
