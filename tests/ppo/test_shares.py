"""Robots are dealt evenly, and over turns everybody gets the same number of them."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.ppo.shares import robots_on_turn, split_robots


@given(st.lists(st.integers(2, 12), min_size=1, max_size=40), st.integers(1, 8))
def test_every_robot_has_one_owner_and_shares_differ_by_one_at_most(
    limb_counts: list[int], processes: int
) -> None:
    shares = split_robots(limb_counts, processes)
    assert sorted(robot for share in shares for robot in share) == list(range(len(limb_counts)))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(2, 12), min_size=2, max_size=40).filter(lambda c: len(c) % 2 == 0))
def test_two_processes_get_about_the_same_number_of_limbs(limb_counts: list[int]) -> None:
    totals = [sum(limb_counts[robot] for robot in share) for share in split_robots(limb_counts, 2)]
    assert abs(totals[0] - totals[1]) <= max(limb_counts) - min(limb_counts)


@given(st.integers(1, 20), st.integers(1, 20))
def test_over_a_round_of_turns_all_robots_come_equally_often(robots: int, seats: int) -> None:
    share = tuple(range(robots))
    counts = Counter(
        robot for turn in range(robots) for robot in robots_on_turn(share, seats, turn)
    )
    assert len(set(counts.values())) == 1
    assert all(
        len(set(robots_on_turn(share, seats, turn))) == min(seats, robots) for turn in range(robots)
    )
