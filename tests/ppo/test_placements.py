"""A learner apart from simulation processes: on the CPU here, by the code that a device runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from trainings import (
    HORIZON,
    assert_same,
    check_resume,
    check_stop_half_way,
    config,
    final_tensors,
    numbers,
    train,
)

from engine.checkpoints import load_checkpoint
from engine.config.network import NetworkConfig
from engine.config.teacher import TeacherConfig
from engine.errors import CheckpointError, SimulationError
from engine.events import CheckpointWritten, Metrics
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology
from engine.policies.build import build_policy
from engine.policies.controller import choose_device
from engine.policies.precision import computing
from engine.policies.robots import robot_batch
from engine.ppo.placement import place
from engine.ppo.simulation_processes import SimulationProcesses
from engine.rollout.collect import Simulation

SCRIPT = Path(__file__).with_name("long_training.py")


@pytest.fixture(scope="module")
def robots() -> list[Morphology]:
    return generate(5, seed=1)


def apart(iterations: int, **changes: object) -> TeacherConfig:
    """Two simulation processes and a learner; clocks end episodes within a rollout."""
    changes = {"processes": 2, "task": {"episode_steps": 5}, **changes}
    return config(2 * iterations, placement="apart", **changes)


def test_a_learner_apart_resumes_bit_for_bit(robots: list[Morphology], tmp_path: Path) -> None:
    check_resume(apart(4), robots, tmp_path)


def test_robots_that_take_turns_apart_resume_bit_for_bit(
    robots: list[Morphology], tmp_path: Path
) -> None:
    check_resume(apart(3, robots_at_once=2, rotation_iterations=2), robots, tmp_path)


def test_terrain_apart_resumes_bit_for_bit(robots: list[Morphology], tmp_path: Path) -> None:
    task = {"name": "variable", "episode_steps": 6, "num_courses": 2}
    check_resume(apart(4, task=task, rotation_iterations=1), robots[:3], tmp_path)


@pytest.mark.parametrize("polls", [4, HORIZON + 2 + 4])
def test_a_stop_in_the_middle_of_a_step_gives_the_iteration_up(
    polls: int, robots: list[Morphology], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.ppo.loop._SLOW_S", -1.0)
    check_stop_half_way(apart(3), robots, tmp_path, polls)


def test_what_is_learned_does_not_depend_on_how_many_processes_simulate(
    robots: list[Morphology], tmp_path: Path
) -> None:
    four = robots[:4]  # dealt alike to one and to two processes' groups, or sums differ
    one = train(apart(2, processes=1), four, tmp_path / "one")
    two = train(apart(2, processes=2), four, tmp_path / "two")
    first, second = numbers(one)[-1][1], numbers(two)[-1][1]
    assert first.keys() == second.keys()
    assert second["return"] == pytest.approx(first["return"], rel=0.5)


def test_both_placements_learn_alike(robots: list[Morphology], tmp_path: Path) -> None:
    """Noise differs, so returns do; what the update sees of robots is the same in kind."""
    settings: dict[str, object] = {
        "simulations_per_robot": 16,
        "processes": 2,
        "task": {"episode_steps": 20},
        "total_env_steps": 9 * 16 * len(robots) * HORIZON,
    }
    together, separate = config(1, **settings), apart(1, **settings)
    one = numbers(train(together, robots, tmp_path / "together"))[-1][1]
    other = numbers(train(separate, robots, tmp_path / "apart"))[-1][1]
    assert one.keys() == other.keys()
    for name in ("return", "value_loss", "episode_length"):
        assert other[name] == pytest.approx(one[name], rel=0.6, abs=0.3), name


def test_a_run_goes_on_where_it_was_placed(robots: list[Morphology], tmp_path: Path) -> None:
    checkpoint = next(
        event.path
        for event in train(apart(1), robots, tmp_path)
        if isinstance(event, CheckpointWritten)
    )
    longer = config(6, processes=0, task={"episode_steps": 5})
    kept = place(longer, robots, checkpoint).config
    assert (kept.placement, kept.processes) == ("apart", 2)
    assert numbers(train(longer, robots, tmp_path, resume_from=checkpoint))
    for changes in ({"placement": "together"}, {"placement": "apart", "processes": 1}):
        changed = config(6, task={"episode_steps": 5}, **{"processes": 2, **changes})
        with pytest.raises(CheckpointError, match=next(iter(reversed(changes)))):
            train(changed, robots, tmp_path, resume_from=checkpoint)


def step_again_and_again(group: Simulation) -> None:
    for _ in range(3):
        group.step(torch.zeros(group.part.live.num_rows, 2))
        group.wait()


def test_a_dead_simulation_process_is_named(robots: list[Morphology], tmp_path: Path) -> None:
    settings = apart(1)
    with SimulationProcesses(settings, robots, torch.device("cpu")) as processes:
        (first,) = processes.groups(
            robot_batch([robots[robot] for robot in processes.robots], "cpu").packing(4)
        )[:1]
        child = next(
            child
            for child in psutil.Process().children()
            if "spawn_main" in " ".join(child.cmdline())
        )
        child.kill()
        child.wait(10)
        with pytest.raises(SimulationError, match=r"simulation process . of 2 died"):
            step_again_and_again(first)


def test_an_action_that_is_no_number_is_the_learners_fault(robots: list[Morphology]) -> None:
    with SimulationProcesses(apart(1), robots, torch.device("cpu")) as processes:
        live = robot_batch([robots[robot] for robot in processes.robots], "cpu").packing(4)
        group = processes.groups(live)[0]
        group.step(torch.full((group.part.live.num_rows, 2), torch.nan))
        with pytest.raises(SimulationError, match="not a finite number; the policy has diverged"):
            group.wait()


def test_simulation_processes_die_with_a_killed_learner(tmp_path: Path) -> None:
    learner = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path), "apart"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert learner.stdout is not None
        assert learner.stdout.readline().startswith("iteration")
        others = [
            child
            for child in psutil.Process(learner.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(others) == 2
    finally:
        learner.kill()
        learner.communicate()
    assert not psutil.wait_procs(others, timeout=10)[1]


def test_a_small_network_stays_on_the_cpu_and_says_why(robots: list[Morphology]) -> None:
    placed = place(config(1, processes=0), robots, None)
    assert placed.device.type == "cpu"
    assert placed.config.placement == "together"
    assert placed.text.startswith("cpu: torch sees no CUDA device; ") == (
        not torch.cuda.is_available()
    )
    assert choose_device("cpu", lambda: 10**9)[1] == "cpu, as set"


def test_gradients_under_bfloat16_point_the_same_way(robots: list[Morphology]) -> None:
    network = NetworkConfig(attention="self", width=64, layers=2, feedforward_width=256)
    policy = build_policy(network, "flat", 0, (), 1)
    batch = robot_batch(robots, "cpu")
    packing = batch.packing(8)
    seen = torch.from_numpy(
        np.random.default_rng(0).standard_normal((packing.num_rows, 17)).astype(np.float32)
    )
    gradients = []
    for precision in ("float32", "bfloat16"):
        policy.zero_grad()
        with computing(torch.device("cpu"), precision):  # type: ignore[arg-type]
            mean = policy.mean(policy.encode(batch), seen, packing, None)
            mean.square().sum().backward()
        assert mean.dtype == torch.float32
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters()]))
    assert torch.cosine_similarity(*gradients, 0) > 0.999


def test_bfloat16_trains(robots: list[Morphology], tmp_path: Path) -> None:
    network = NetworkConfig(attention="self", width=16, layers=1, feedforward_width=16)
    events = train(apart(1, precision="bfloat16", network=network), robots, tmp_path)
    assert [event for event in events if isinstance(event, Metrics)]
    tensors = final_tensors(tmp_path, 1)
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert load_checkpoint(max(tmp_path.glob("checkpoint-*")))[1]["config"]["placement"] == "apart"
    assert_same(tensors, final_tensors(tmp_path, 1))
