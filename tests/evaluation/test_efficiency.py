"""Counts from live modules equal closed formulas and the paper's ratios."""

import time

import pytest
from closed_forms import closed_form, closed_form_of

from engine.config.base import TaskName
from engine.config.network import NetworkConfig
from engine.deployment.timing import deployed_steps
from engine.errors import UsageError
from engine.evaluation.efficiency import count, efficiency, scaling
from engine.evaluation.latency import measure_latencies, wall_durations
from engine.evaluation.subjects import POLICIES, published, subject

TASKS: tuple[TaskName, ...] = ("flat", "variable", "obstacles")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("policy", POLICIES)
def test_counter_and_formula_agree_from_2_to_24_limbs(policy: str, task: TaskName) -> None:
    for limbs in (2, 3, 7, 12, 18, 24):
        network = published(policy, task)
        counted = count(subject(policy, network, task, limbs))
        assert counted == closed_form(policy, task, limbs) == closed_form_of(network, task, limbs)


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
        assert row["latency_us"]["cpu"] > 0
    assert document["rows"][1]["latency_us"] == document["runtimes"]["numpy"]
    assert set(document["runtimes"]) == {"numpy", "onnx", "torch"}
    ratios, (transformer, base) = document["ratios"]["transformer"], document["rows"]
    for ratio, time_us in (("latency", "p50"), ("cpu", "cpu")):
        assert ratios[ratio] == transformer["latency_us"][time_us] / base["latency_us"][time_us] > 1


def test_every_step_is_timed_equally_often_and_in_turns() -> None:
    calls: list[str] = []
    steps = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    durations = wall_durations(steps, rounds=5)
    assert {name: len(own) for name, own in durations.items()} == {"a": 5, "b": 5}
    assert calls == ["a"] * 20 + ["b"] * 20 + ["a", "a", "b", "b"] * 5


def test_waiting_takes_wall_time_but_no_cpu_time() -> None:
    def busy() -> None:
        until = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < until:
            pass

    measured = measure_latencies({"wait": lambda: time.sleep(0.002), "work": busy}, rounds=5)
    assert set(measured) == {"wait", "work"}
    assert measured["wait"]["p50"] > 2000 > 1000 > measured["wait"]["cpu"]
    assert measured["work"]["cpu"] == pytest.approx(2000, rel=0.25)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "transformer", "attention": "context"},
        {"kind": "transformer", "attention": "self", "positional_embedding": True, "heads": 4},
        {"kind": "modumorph", "width": 32, "layers": 3},
        {"kind": "modumorph", "attention": "self", "width": 96},
        {"kind": "multi_mlp", "hidden_width": 40, "hidden_layers": 3},
        {"kind": "single_mlp", "hidden_layers": 1},
        {"kind": "hypernetwork", "hidden_width": 64, "hidden_layers": 2},
    ],
    ids=str,
)
def test_networks_of_runs_are_counted_and_agree_with_the_formula_too(
    fields: dict[str, object], task: TaskName
) -> None:
    network = NetworkConfig.model_validate(fields)
    for limbs in (2, 5, 12, 24):
        counted = count(subject("own", network, task, limbs))
        assert counted == closed_form_of(network, task, limbs)


def test_networks_of_runs_stand_beside_published_ones_with_latency_and_ratio() -> None:
    own = {"base-mlp of 7": NetworkConfig(kind="hypernetwork", hidden_layers=1, hidden_width=128)}
    document = efficiency(
        "flat", policies=("base-mlp",), own=own, latency=True, runtimes=deployed_steps
    )
    assert [row["policy"] for row in document["rows"]] == ["base-mlp", "base-mlp of 7"]
    assert document["ratios"]["base-mlp of 7"]["macs"] < 1
    assert all(row["latency_us"]["p50"] > 0 for row in document["rows"])
    assert document["rows"][0]["latency_us"] == document["runtimes"]["numpy"]


def test_unknown_policies_and_limbless_robots_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="no such policy"):
        efficiency("flat", policies=("resnet",))
    with pytest.raises(UsageError, match="at least one"):
        efficiency("flat", limbs=0)
