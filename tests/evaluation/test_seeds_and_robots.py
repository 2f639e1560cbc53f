"""Statistics over seeds and robots: hand-computed cases, and the rates that they promise."""

import math

import numpy as np
import pytest

from engine.evaluation.decision import Outcome, decide, unequal_cost
from engine.evaluation.seeds_and_robots import (
    Scores,
    holm,
    paired,
    performance_profile,
    probability_of_improvement,
)


def scores(*by_seed: list[float], crossed: bool = True) -> Scores:
    return Scores(tuple(np.array(values) for values in by_seed), crossed)


def test_pairs_are_made_of_robots_that_both_have_and_seeds_without_any_are_left_out() -> None:
    first = [{"a": 1.0, "b": 5.0}, {"c": 1.0}, {"a": 2.0, "b": 6.0}]
    second = [{"a": 0.0, "b": 2.0, "z": 9.0}, {"d": 1.0}, {"a": 0.0, "b": 9.0}]
    one, other, difference = paired(first, second)
    assert [own.tolist() for own in one.by_seed] == [[1.0, 5.0], [2.0, 6.0]]
    assert [own.tolist() for own in other.by_seed] == [[0.0, 2.0], [0.0, 9.0]]
    assert [own.tolist() for own in difference.by_seed] == [[1.0, 3.0], [2.0, -3.0]]
    assert difference.crossed
    _, _, nested = paired([{"a": 1.0}, {"b": 1.0}], [{"a": 0.0}, {"b": 3.0}])
    assert not nested.crossed


def test_the_spread_of_crossed_scores_is_that_of_a_two_way_analysis_of_variance() -> None:
    # Rows differ by 4, columns by 2, and nothing is left over: 1 3 / 5 7.
    found = scores([1.0, 3.0], [5.0, 7.0]).spread
    assert found is not None
    # Mean squares: seeds 2 * 8 = 16, robots 2 * 2 = 4, rest 0; each over 4 values.
    assert (found.of_seeds, found.of_robots) == pytest.approx((4.0, 1.0))
    assert found.freedom == pytest.approx(20.0**2 / (16.0**2 + 4.0**2))


def test_the_spread_of_nested_scores_is_that_of_seeds_means() -> None:
    found = scores([1.0, 3.0], [5.0], [6.0, 10.0], crossed=False).spread
    assert found is not None
    assert found.error == pytest.approx(math.sqrt(np.var([2.0, 5.0, 8.0], ddof=1) / 3))
    assert (found.of_robots, found.freedom) == (0.0, 2.0)


def test_one_seed_has_no_interval_and_no_p_value() -> None:
    alone = scores([1.0, 2.0, 3.0])
    assert alone.interval(0.95) is None
    assert alone.mean_estimate(0.95).low is None
    assert alone.p_value() == 1.0


def test_an_interval_lies_about_its_mean_and_leaves_zero_out_where_the_p_value_is_smaller() -> None:
    rng = np.random.default_rng(1)
    found = Scores(tuple(rng.normal(1.0, 1.0, (5, 8))), True)
    p_value = found.p_value()
    assert 0.0 < p_value < 1.0
    for confidence in (1.0 - 2 * p_value, 1.0 - p_value / 2):
        low, high = found.interval(confidence) or (0.0, 0.0)
        assert low < found.mean < high
        assert (low > 0.0) == (confidence < 1.0 - p_value)


def test_equal_numbers_differ_by_nothing_for_sure() -> None:
    same = scores([2.0, 2.0], [2.0, 2.0])
    assert same.interval(0.95) == (2.0, 2.0)
    assert scores([0.0, 0.0], [0.0, 0.0]).p_value() == 1.0


def test_the_probability_of_improvement_counts_pairs_of_seeds_and_ties_as_halves() -> None:
    first, second = scores([1.0], [3.0]), scores([1.0], [2.0])
    assert probability_of_improvement(first, second) == (0.5 + 0.0 + 1.0 + 1.0) / 4
    nested = scores([1.0, 4.0], [2.0], crossed=False), scores([1.0, 3.0], [5.0], crossed=False)
    assert probability_of_improvement(*nested) == (0.75 + 0.0) / 2


def test_a_performance_profile_is_the_share_above_each_threshold() -> None:
    assert performance_profile(scores([1.0, 2.0], [3.0, 4.0]), [0.0, 2.0, 4.0]).tolist() == [
        1.0,
        0.5,
        0.0,
    ]


def test_holm_multiplies_the_smallest_p_value_most_and_keeps_their_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def decided(found: Scores, margin: float = 0.0, minimum_seeds: int = 3) -> Outcome:
    return decide(
        found, p_value=found.p_value(), margin=margin, error=0.05, minimum_seeds=minimum_seeds
    ).outcome


def test_a_decision_is_made_over_seeds_enough_alone() -> None:
    rng = np.random.default_rng(2)
    far = Scores(tuple(rng.normal(10.0, 1.0, (4, 8))), True)
    assert decided(far) is Outcome.HIGHER
    assert decided(Scores(tuple(-own for own in far.by_seed), True)) is Outcome.LOWER
    assert decided(Scores(tuple(own - 10.0 for own in far.by_seed), True), 5.0) is Outcome.EQUAL
    few = decide(Scores(far.by_seed[:2], True), p_value=0.0, margin=0.0, error=0.05)
    assert (few.outcome, few.more_seeds) == (Outcome.OPEN, 1)
    alone = decide(Scores(far.by_seed[:1], True), p_value=1.0, margin=0.0, error=0.05)
    assert (alone.outcome, alone.more_seeds) == (Outcome.OPEN, 2)


def test_what_is_open_says_how_many_more_seeds_would_decide_or_that_none_would() -> None:
    noisy = scores([3.0], [-1.0], [2.0], [1.0], crossed=False)
    open_yet = decide(noisy, p_value=noisy.p_value(), margin=0.0, error=0.05)
    assert open_yet.outcome is Outcome.OPEN
    assert open_yet.more_seeds is not None
    assert 1 <= open_yet.more_seeds < 20
    robots_differ = scores([9.0, -8.0], [9.1, -8.1], [8.9, -7.9])
    never = decide(robots_differ, p_value=robots_differ.p_value(), margin=0.0, error=0.05)
    assert never.more_seeds is None
    assert "more robots" in never.reason


def test_costs_that_differ_by_more_than_a_twentieth_are_named() -> None:
    one = {"control_steps": 100.0, "samples": 100.0, "gradient_steps": None}
    assert unequal_cost(one, {**one, "control_steps": 95.0}, ["control_steps"]) == ""
    words = unequal_cost(one, {**one, "control_steps": 94.0}, ["control_steps", "samples"])
    assert words == "control steps: 100 against 94"
    assert unequal_cost(one, {**one, "gradient_steps": 5.0}, ["gradient_steps"]).endswith(
        "none against 5"
    )
    assert unequal_cost(one, {**one, "samples": 1.0}, ["control_steps", "gradient_steps"]) == ""


STUDIES = 500


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seeds", "robots", "of_seeds", "of_robots", "crossed"),
    [(10, 12, 1.0, 1.0, True), (10, 12, 0.5, 1.0, True), (10, 12, 1.0, 1.0, False)],
)
def test_of_made_up_studies_few_are_false_alarms_and_many_differences_are_found(
    seeds: int, robots: int, of_seeds: float, of_robots: float, crossed: bool
) -> None:
    rng = np.random.default_rng(7)
    robot_shape = (1, robots) if crossed else (seeds, robots)
    # The standard error that the design really has, of which nobody tells the statistics.
    error = math.sqrt(
        of_seeds**2 / seeds
        + of_robots**2 / (robots if crossed else seeds * robots)
        + 1.0 / (seeds * robots)
    )
    covered = alarms = found = 0
    for _ in range(STUDIES):
        noise = (
            rng.normal(0.0, of_seeds, (seeds, 1))
            + rng.normal(0.0, of_robots, robot_shape)
            + rng.normal(0.0, 1.0, (seeds, robots))
        )
        nothing = Scores(tuple(noise), crossed)
        low, high = nothing.interval(0.95) or (1.0, 1.0)
        covered += low <= 0.0 <= high
        alarms += decided(nothing) in (Outcome.HIGHER, Outcome.LOWER)
        found += decided(Scores(tuple(noise + 2.0 * error), crossed)) is Outcome.HIGHER
    assert alarms / STUDIES <= 0.06
    assert found / STUDIES >= 0.40
    assert 0.92 <= covered / STUDIES <= 0.98


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_several_comparisons_one_false_alarm_is_as_rare_as_of_one() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(STUDIES):
        several = [
            Scores(tuple(rng.normal(0.0, 1.0, (10, 1)) + rng.normal(0.0, 1.0, (10, 8))), True)
            for _ in range(4)
        ]
        adjusted = holm([each.p_value() for each in several])
        alarms += any(
            decide(each, p_value=p, margin=0.0, error=0.05, comparisons=4).outcome
            in (Outcome.HIGHER, Outcome.LOWER)
            for each, p in zip(several, adjusted, strict=True)
        )
    assert alarms / STUDIES <= 0.06
