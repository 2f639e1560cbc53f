import multiprocessing

import pytest

from engine.config.base import TaskConfig
from engine.environments import benchmark


@pytest.mark.parametrize("processes", [1, 2])
def test_the_benchmark_gives_the_promised_figures(biped, crawler, monkeypatch, processes):
    monkeypatch.setattr(benchmark, "ROUNDS", 1)
    figures = benchmark.run(TaskConfig(), [biped, crawler], 2, seed=0, processes=processes)

    assert figures["rounds"] == 1
    assert figures["processes"] == processes
    rates = [figures[f"{name}_steps_per_s"] for name in ("physics", "environment", "gymnasium")]
    assert min(rates) > 0.0
    assert figures["ratio_to_physics"] == pytest.approx(rates[1] / rates[0])
    assert figures["ratio_to_gymnasium"] == pytest.approx(rates[1] / rates[2])
    assert figures["compile_ms"] > 0.0
    assert not multiprocessing.active_children()


def test_physics_repeats_the_environments_episodes(biped, crawler):
    share = benchmark.Share((biped, crawler), TaskConfig(name="obstacles", num_courses=2), 2, 0)
    bench = benchmark._Bench(share)
    expected = [bench._environment.simulations(index).state.copy() for index in range(2)]
    bench.physics()
    bench.environment()

    for index, replay in enumerate(bench._replays):
        assert (replay._state == expected[index]).all()
        assert (bench._environment.simulations(index).state == expected[index]).all()
