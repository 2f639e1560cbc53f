"""What a study says of made-up returns: a verdict at equal cost alone, else why there is none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.config.study import Combination, Measure, StudyConfig, checked_study
from engine.evaluation.decision import Outcome
from engine.evaluation.statistics import RobotReturn
from engine.workers.studies.graph import Cell
from engine.workers.studies.results import Result, steps_to_reach
from engine.workers.studies.verdict import Answer, Results, judge

DOCUMENT: dict[str, Any] = {
    "name": "made-up",
    "question": "Is b better than a?",
    "preset": "quick",
    "seeds": 5,
    "factors": {"level": {"a": {}, "b": {}}},
    "compare": [{"cell": "level=b", "against": "level=a", "expected": "higher"}],
}
EQUAL = {"control_steps": 100.0, "samples": 10.0, "gradient_steps": 50.0, "parameters": None}
Returns = Callable[[str, int], float]
"""The mean of a level with a seed."""


def study(**changes: Any) -> StudyConfig:
    return checked_study({**DOCUMENT, **changes}, "test")


def result(combination: Combination, seed: int, mean: float, **changes: Any) -> Result:
    rng = np.random.default_rng(seed)
    returns = {
        f"robot{place}": RobotReturn(mean + 10.0 * float(noise), 5.0, 4)
        for place, noise in enumerate(rng.normal(size=6))
    }
    cell = Cell(combination, seed, "teacher", "student", "evaluation")
    own: dict[str, Any] = {"returns": {"trained": returns}, "budget": EQUAL, "episodes": "same"}
    return Result(cell, {}, **{**own, **changes})


def results(asked: StudyConfig, mean: Returns, **of_b: Any) -> Results:
    return {
        (each.label, seed): result(
            each, seed, mean(each.label, seed), **(of_b if each.label == "level=b" else {})
        )
        for each in asked.combinations()
        for seed in asked.seeds
    }


def better(label: str, seed: int) -> float:
    return 500.0 + seed + (100.0 + 3.0 * seed if label == "level=b" else 0.0)


def answer(asked: StudyConfig, found: Results) -> Answer:
    [only] = judge(asked, found).answers
    return only


def test_a_difference_at_equal_cost_is_a_verdict_with_all_it_rests_on() -> None:
    found = answer(study(), results(study(), better))
    assert found.decision.outcome is Outcome.HIGHER
    assert found.difference is not None
    assert found.difference.value == pytest.approx(109.0)
    assert (found.wins, found.improvement) == ((6, 6), 1.0)
    assert (found.seeds, found.robots) == ((1, 2, 3, 4, 5), 6)
    assert found.sentence.startswith(
        "return on trained robots: level=b is higher than level=a, 612 against 503, difference +109"
    )
    assert found.sentence.endswith("over 5 seeds and 6 robots; as expected.")


def test_unequal_costs_never_give_a_verdict_unless_they_need_not_be_alike() -> None:
    unequal = {"budget": {**EQUAL, "samples": 10.6}}
    found = answer(study(), results(study(), better, **unequal))
    assert found.decision.outcome is Outcome.NOT_COMPARABLE
    assert "as of seed 1 they cost unequal samples: 11 against 10" in found.sentence
    allowed = study(equal=["control_steps"])
    assert answer(allowed, results(allowed, better, **unequal)).decision.outcome is Outcome.HIGHER
    other = answer(study(), results(study(), better, episodes="others"))
    assert other.decision.outcome is Outcome.NOT_COMPARABLE


def test_few_seeds_and_policies_that_do_not_walk_give_no_verdict() -> None:
    few = study(seeds=2)
    found = answer(few, results(few, better))
    assert (found.decision.outcome, found.decision.more_seeds) == (Outcome.OPEN, 1)
    assert "open for level=b and level=a" in found.sentence
    lying = answer(study(), results(study(), lambda label, seed: better(label, seed) / 1000))
    assert lying.decision.outcome is Outcome.TOO_SMALL
    smoke = study(preset="smoke")
    assert answer(smoke, results(smoke, better)).decision.outcome is Outcome.TOO_SMALL
    nothing = answer(study(), results(study(), better, returns={}))
    assert nothing.decision.outcome is Outcome.UNMEASURED
    assert nothing.sentence.endswith("not measured yet for level=b and level=a.")


def test_what_differs_by_less_than_the_margin_for_sure_is_equal() -> None:
    found = answer(study(), results(study(), lambda label, seed: 500.0 + seed))
    assert found.decision.outcome is Outcome.EQUAL
    assert found.sentence.endswith("; higher was expected.")


def test_what_was_counted_needs_no_seeds_to_agree() -> None:
    compare = {**DOCUMENT["compare"][0], "measure": {"name": "multiply_adds"}}
    asked = study(compare=[compare])
    found = answer(asked, results(asked, better, multiply_adds=50.0))
    assert found.decision.outcome is Outcome.UNMEASURED
    both = dict(results(asked, better, multiply_adds=50.0))
    for (label, seed), each in list(both.items()):
        if label == "level=a":
            both[label, seed] = result(each.cell.combination, seed, 1.0, multiply_adds=100.0)
    assert answer(asked, both).decision.outcome is Outcome.LOWER


def test_a_ratio_is_taken_over_a_teacher_that_earns_something() -> None:
    combination = study().combinations()[0]
    beside = {f"robot{place}": RobotReturn(1000.0, 5.0, 4) for place in range(6)}
    found = result(combination, 1, 500.0, beside={"trained": beside})
    ratios = found.values(Measure(name="ratio"))
    assert ratios["robot0"] == found.returns["trained"]["robot0"].mean / 1000.0
    weak = {digest: RobotReturn(1.0, 5.0, 4) for digest in beside}
    assert (
        result(combination, 1, 500.0, beside={"trained": weak}).values(Measure(name="ratio")) == {}
    )


def test_steps_to_reach_a_share_of_a_curves_change_are_the_first_that_do() -> None:
    falling = [(0, 10.0), (10, 5.0), (20, 1.5), (30, 1.0), (40, 0.0)]
    assert steps_to_reach(falling, 0.9) == 30
    assert steps_to_reach([(0, 0.0), (10, 95.0), (20, 100.0)], 0.9) == 10
    assert steps_to_reach(falling[:2], 0.9) is None
    assert steps_to_reach([(0, 1.0), (1, 2.0), (2, 1.0)], 0.9) is None
