"""Counts from live modules equal closed formulas and the paper's ratios."""

import pytest

from engine.config.base import TaskName
from engine.deployment.timing import deployed_steps
from engine.errors import UsageError
from engine.evaluation.efficiency import POLICIES, _subject, count, efficiency, scaling
from engine.evaluation.formulas import closed_form
from engine.evaluation.latency import measure_latencies

TASKS: tuple[TaskName, ...] = ("flat", "variable", "obstacles")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("policy", POLICIES)
def test_counter_and_formula_agree_from_2_to_24_limbs(policy: str, task: TaskName) -> None:
    for limbs in (2, 3, 7, 12, 18, 24):
        assert count(_subject(policy, task, limbs)) == closed_form(policy, task, limbs)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_counter_and_formula_agree_for_every_number_of_limbs(task: TaskName) -> None:
    for row in scaling(task, range(2, 25)):
        expected = closed_form(row["policy"], task, row["limbs"])
        assert (row["parameters"], row["macs"]) == (expected.parameters, expected.macs)


def test_the_base_mlp_on_flat_ground_is_what_its_widths_say() -> None:
    (row,) = efficiency("flat", policies=("base-mlp",))["rows"]
    weights = 12 * 17 * 256 + 256 * 256 + 256 * 12 * 2
    assert row["macs"] == weights == 123_904
    assert row["parameters"] == weights + 256 + 256 + 24
    assert row["limbs"] == 12
    assert row["latency_us"] is None


def test_the_transformer_is_6_to_14_times_larger_and_67_to_161_times_dearer() -> None:
    ratios = [efficiency(task)["ratios"]["transformer"] for task in TASKS]
    assert [round(ratio["parameters"], 1) for ratio in ratios] == [13.3, 5.9, 5.9]
    assert [round(ratio["macs"], 1) for ratio in ratios] == [160.8, 67.2, 67.4]


def test_a_document_has_a_row_per_policy_and_ratios_to_the_base_mlp() -> None:
    document = efficiency("variable", limbs=5)
    assert [row["policy"] for row in document["rows"]] == list(POLICIES)
    assert {row["limbs"] for row in document["rows"]} == {5}
    assert set(document["ratios"]) == set(POLICIES) - {"base-mlp"}
    assert set(document) == {"rows", "ratios"}


def test_latencies_are_ordered_and_the_base_mlps_is_that_of_numpy() -> None:
    document = efficiency(
        "flat", policies=("transformer", "base-mlp"), latency=True, runtimes=deployed_steps
    )
    for row in document["rows"]:
        assert 0 < row["latency_us"]["p50"] <= row["latency_us"]["p95"]
    assert document["rows"][1]["latency_us"] == document["runtimes"]["numpy"]
    assert set(document["runtimes"]) == {"numpy", "onnx", "torch"}
    assert document["ratios"]["transformer"]["latency"] > 1


def test_every_step_is_run_equally_often() -> None:
    calls = {"a": 0, "b": 0}

    def step(name: str) -> None:
        calls[name] += 1

    latencies = measure_latencies({"a": lambda: step("a"), "b": lambda: step("b")}, rounds=5)
    assert calls["a"] == calls["b"]
    assert set(latencies) == {"a", "b"}


def test_unknown_policies_and_limbless_robots_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="no such policy"):
        efficiency("flat", policies=("resnet",))
    with pytest.raises(UsageError, match="at least one"):
        efficiency("flat", limbs=0)
