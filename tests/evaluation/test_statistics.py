"""Statistics over robots, by hand-computed numbers, and intervals that cover as they promise."""

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.statistics import (
    bootstrap,
    bootstrap_draws,
    generalization_gap,
    interquartile_mean,
    mean,
    paired_difference,
    ratio_of_means,
    robot_means,
    surely_positive,
)

RETURNS = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=30)


def test_robot_means_average_each_robots_own_episodes() -> None:
    assert robot_means([[1.0, 3.0], [10.0]]).tolist() == [2.0, 10.0]


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    values = np.array([100.0, 1.0, 2.0, -50.0])
    assert float(interquartile_mean(values)) == pytest.approx(1.5)
    # Of five values the middle half is 2.5 wide: 0.75 of the second, the third, 0.75 of the fourth.
    five = np.array([0.0, 1.0, 2.0, 4.0, 90.0])
    assert float(interquartile_mean(five)) == pytest.approx((0.75 + 2.0 + 3.0) / 2.5)


@given(RETURNS, st.randoms(use_true_random=False))
def test_the_same_values_have_the_same_interval_in_any_order(
    values: list[float], chance: random.Random
) -> None:
    before = bootstrap(values, mean, bootstrap_draws())
    mixed = chance.sample(values, len(values))
    after = bootstrap(mixed, mean, bootstrap_draws())
    assert (before.low, before.high) == (after.low, after.high)
    others = [value + 1e5 for value in values[::-1]]
    pairs = chance.sample(list(zip(values, others, strict=True)), len(values))
    first, second = zip(*pairs, strict=True)
    for compared in (ratio_of_means, paired_difference, generalization_gap):
        assert compared(values, others, bootstrap_draws()) == compared(
            first, second, bootstrap_draws()
        )


def test_only_robots_in_the_plural_surely_earn_something() -> None:
    assert surely_positive([5.0, 6.0])
    assert not surely_positive([-5.0, 6.0])
    assert not surely_positive([7.6])


@given(RETURNS, st.floats(-100, 100))
def test_the_interquartile_mean_moves_with_the_values_and_lies_among_them(
    values: list[float], shift: float
) -> None:
    own = np.array(values)
    middle = float(interquartile_mean(own))
    assert own.min() - 1e-6 <= middle <= own.max() + 1e-6
    assert float(interquartile_mean(own + shift)) == pytest.approx(middle + shift, abs=1e-6)


@given(RETURNS)
def test_an_interval_holds_its_value_and_repeats_by_seed(values: list[float]) -> None:
    first, second = (
        bootstrap(values, mean, np.random.default_rng(3), samples=200) for _ in range(2)
    )
    assert first == second
    assert first.low is not None
    assert first.high is not None
    assert first.low - 1e-6 <= first.value <= first.high + 1e-6
    assert first.value == pytest.approx(float(np.mean(values)), abs=1e-6)


def test_one_robot_has_no_interval_and_equal_robots_a_point() -> None:
    rng = np.random.default_rng(0)
    alone = bootstrap([5.0], mean, rng)
    assert (alone.low, alone.value, alone.high, alone.half_width) == (None, 5.0, None, None)
    assert ratio_of_means([1.0], [2.0], rng).low is None
    assert generalization_gap([1.0], [2.0, 3.0], rng).low is None
    equal = bootstrap([5.0, 5.0, 5.0], mean, rng)
    assert (equal.low, equal.value, equal.high) == (5.0, 5.0, 5.0)


def test_pairing_by_robot_removes_what_robots_have_in_common() -> None:
    rng = np.random.default_rng(0)
    robots = rng.normal(0, 1000, 50)
    difference = paired_difference(robots + 10 + rng.normal(0, 1, 50), robots, rng)
    assert difference.value == pytest.approx(10, abs=0.5)
    assert difference.half_width < 1.0


def test_the_ratio_of_means_is_not_the_mean_of_ratios() -> None:
    estimate = ratio_of_means([10.0, 90.0], [10.0, 190.0], np.random.default_rng(0))
    assert estimate.value == pytest.approx(0.5)
    assert estimate.low <= 0.5 <= estimate.high


def test_the_generalization_gap_is_trained_minus_unseen() -> None:
    gap = generalization_gap([3.0, 5.0], [1.0, 1.0, 1.0], np.random.default_rng(0))
    assert gap.value == pytest.approx(3.0)
    assert gap.low < 3.0 < gap.high


def _normal(rng: np.random.Generator, robots: int) -> np.ndarray:
    return rng.normal(1000.0, 400.0, robots)


def _skewed(rng: np.random.Generator, robots: int) -> np.ndarray:
    return rng.gamma(4.0, 250.0, robots)


def _two_kinds(rng: np.random.Generator, robots: int) -> np.ndarray:
    """Robots that walk, and one in four that falls at once."""
    walks = rng.random(robots) < 0.75
    return np.where(walks, rng.normal(4000.0 / 3.0, 200.0, robots), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "robots"),
    # One in ten sets of eight has no robot that falls: from those nothing can be known of falling.
    [*((draw, n) for draw in (_normal, _skewed, _two_kinds) for n in (16, 100)), (_normal, 8)],
)
def test_intervals_of_95_percent_cover_a_known_mean_in_90_to_99_percent(
    draw: Callable[[np.random.Generator, int], np.ndarray], robots: int
) -> None:
    rng = np.random.default_rng(1)
    repeats = 1500
    covered = 0
    for _ in range(repeats):
        estimate = bootstrap(draw(rng, robots), mean, rng, samples=500)
        covered += estimate.low <= 1000.0 <= estimate.high
    assert 0.90 <= covered / repeats <= 0.99


def test_two_and_three_robots_have_the_interval_of_one_and_two_degrees_of_freedom() -> None:
    # A percentile interval of two values spans them; the expansion is t sqrt(n / (n - 1)) / z.
    for values, t, z in (([0.0, 2.0], 12.706, 1.96), ([0.0, 1.0, 2.0], 4.303, 1.96)):
        found = bootstrap(values, mean, bootstrap_draws(), samples=20_000)
        assert found.high is not None
        robots = len(values)
        expansion = math.sqrt(robots / (robots - 1)) * t / z
        assert found.high - found.value == pytest.approx(expansion * 1.0, rel=1e-3)
