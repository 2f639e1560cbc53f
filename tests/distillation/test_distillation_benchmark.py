"""The benchmark of distillation at a size that takes a moment; its speeds are not judged here."""

import math

from engine.config.distillation import student_network
from engine.distillation.benchmark import benchmark_distillation


def test_the_benchmark_reports_speeds_and_that_both_ways_have_the_same_gradients() -> None:
    network = student_network("small").model_copy(update={"width": 16, "hidden_width": 16})
    found = benchmark_distillation(0.02, network=network, robots=3, samples=6)
    assert set(found) == {
        "grouped_samples_per_cpu_s",
        "per_sample_samples_per_cpu_s",
        "speedup",
        "gradient_relative_error",
        "gemm_fraction",
    }
    assert all(math.isfinite(value) and value > 0 for value in found.values())
    assert found["gradient_relative_error"] < 1e-5
    rates = (found["grouped_samples_per_cpu_s"], found["per_sample_samples_per_cpu_s"])
    assert found["speedup"] == rates[0] / rates[1]
