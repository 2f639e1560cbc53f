"""Training on real physics: the same numbers twice, and bit for bit after a stop."""

import json
from pathlib import Path

import pytest
import torch
from trainings import (
    CLOCK,
    HORIZON,
    ROBOTS,
    STEPS_AN_ITERATION,
    check_resume,
    check_stop_half_way,
    config,
    final_tensors,
    numbers,
    train,
)

from engine.checkpoints import load_checkpoint, save_checkpoint
from engine.config.network import NetworkConfig, NetworkKind
from engine.config.teacher import PpoConfig
from engine.errors import (
    CheckpointError,
    DivergenceError,
    UsageError,
)
from engine.events import ArtifactWritten, CheckpointWritten, Event, Metrics, Progress
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology
from engine.rollout.saved_policy import load_policy


@pytest.fixture(scope="module")
def robots() -> list[Morphology]:
    return generate(ROBOTS, seed=1)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("half_way", ["measuring", "collecting", "learning"])
def test_a_stop_does_not_wait_for_a_slow_iteration_and_resumes_bit_for_bit(
    processes: int,
    half_way: str,
    robots: list[Morphology],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.ppo.loop._SLOW_S", -1.0)
    settings = config(3, processes=processes)
    # Polls: one before each step of a rollout, before each part that is judged, before each
    # gradient step, and one after each iteration.
    measured = HORIZON + 1 + 1
    polls = {
        "measuring": 3,
        "collecting": measured + 3,
        "learning": measured + HORIZON + 1 + 2,
    }[half_way]
    steps = check_stop_half_way(settings, robots, tmp_path, polls)
    assert (steps == 0) == (half_way == "measuring")


@pytest.mark.parametrize("kind", ["transformer", "hypernetwork"])
def test_a_resumed_run_continues_bit_for_bit(
    kind: NetworkKind, robots: list[Morphology], tmp_path: Path
) -> None:
    check_resume(config(4, kind), robots, tmp_path)


@pytest.mark.slow
def test_a_resumed_run_of_two_processes_continues_bit_for_bit(
    robots: list[Morphology], tmp_path: Path
) -> None:
    check_resume(config(4, processes=2), robots, tmp_path)


def test_robots_that_take_turns_resume_bit_for_bit(
    robots: list[Morphology], tmp_path: Path
) -> None:
    settings = config(2, robots_at_once=1, rotation_iterations=2)
    check_resume(settings, robots, tmp_path)


def test_terrain_that_is_redrawn_resumes_bit_for_bit(
    robots: list[Morphology], tmp_path: Path
) -> None:
    task = {"name": "variable", "episode_steps": 12, "num_courses": 2}
    check_resume(config(4, task=task, rotation_iterations=1), robots, tmp_path)


def test_the_published_moments_resume_bit_for_bit(robots: list[Morphology], tmp_path: Path) -> None:
    network = NetworkConfig(width=16, layers=1, feedforward_width=16, moments="published")
    check_resume(config(4, network=network), robots, tmp_path)


def test_the_same_seed_gives_the_same_numbers(robots: list[Morphology], tmp_path: Path) -> None:
    first = train(config(2), robots, tmp_path / "first")
    second = train(config(2), robots, tmp_path / "second")
    other = train(config(2, seed=2), robots, tmp_path / "other")
    assert numbers(first) == numbers(second) != numbers(other)


@pytest.mark.parametrize("kind", ["modumorph", "multi_mlp", "single_mlp"])
def test_every_kind_of_teacher_trains(
    kind: NetworkKind, robots: list[Morphology], tmp_path: Path
) -> None:
    events = train(config(1, kind), robots, tmp_path)
    policy = next(event for event in events if isinstance(event, ArtifactWritten))
    assert policy.kind == "policy"
    assert load_policy(policy.path)[1].network.kind == kind


def test_metrics_have_their_names_and_every_robot_its_own(
    robots: list[Morphology], tmp_path: Path
) -> None:
    events = train(config(2), robots, tmp_path)
    last = [event for event in events if isinstance(event, Metrics)][-1]
    assert set(last.values) == {
        *("return", "episode_length", "falls", "speed", "exploded"),
        *("value_loss", "policy_loss", "approximate_kl", "clip_fraction", "explained_variance"),
        *("action_std", "learning_rate", "gradient_norm", *CLOCK),
    }
    assert set(last.robots) == {robot.digest for robot in robots}
    assert set(last.robots[robots[0].digest]) == {"return", "episode_length", "falls", "speed"}
    progress = [event for event in events if isinstance(event, Progress)][-1]
    assert progress.done == progress.total == 3 * STEPS_AN_ITERATION


def test_training_changes_the_policy_and_keeps_finite(
    robots: list[Morphology], tmp_path: Path
) -> None:
    train(config(1), robots, tmp_path / "one")
    train(config(2), robots, tmp_path / "two")
    name = "controller.network.layers.0.attention.value.weight"
    one, two = final_tensors(tmp_path / "one", 1)[name], final_tensors(tmp_path / "two", 1)[name]
    assert not torch.equal(one, two)
    assert two.isfinite().all()


def test_divergence_fails_and_keeps_the_last_checkpoint(
    robots: list[Morphology], tmp_path: Path
) -> None:
    train(config(1), robots, tmp_path)
    checkpoint = next(tmp_path.glob("checkpoint-*"))
    tensors, document = load_checkpoint(checkpoint)
    tensors["critic.network.output.bias"][:] = torch.nan
    poisoned = tmp_path / "poisoned.safetensors"
    save_checkpoint(poisoned, tensors, document)
    with pytest.raises(DivergenceError, match="not finite"):
        train(config(2), robots, tmp_path, resume_from=poisoned)
    assert list(tmp_path.glob("checkpoint-*")) == [checkpoint]


def test_a_kl_that_ends_an_iteration_lowers_the_learning_rate(
    robots: list[Morphology], tmp_path: Path
) -> None:
    ppo = PpoConfig(horizon=HORIZON, minibatches=2, epochs=1, stop_kl=1e-9, target_kl=1e-9)
    events = train(config(2, ppo=ppo), robots, tmp_path)
    rates = [values["learning_rate"] for _, values in numbers(events)]
    assert rates[-1] < ppo.learning_rate


def test_a_policy_that_moved_too_far_has_diverged(robots: list[Morphology], tmp_path: Path) -> None:
    ppo = PpoConfig(
        horizon=HORIZON,
        minibatches=2,
        learning_rate=1.0,
        learning_rate_limits=(1.0, 1.0),
        action_std=1e-3,
        gradient_norm=1e6,
    )
    told: list[Event] = []
    with pytest.raises(DivergenceError, match=r"KL of .*a lower ppo.learning_rate may hold"):
        train(config(3, ppo=ppo), robots, tmp_path, told=told)
    # The iteration that diverged is what a user needs to see.
    (last,) = (event for event in told if isinstance(event, Metrics))
    assert last.values["approximate_kl"] > 20.0
    assert last.iteration == 2


def test_a_run_resumes_only_with_its_own_settings_and_robots(
    robots: list[Morphology], tmp_path: Path
) -> None:
    train(config(1), robots, tmp_path)
    checkpoint = next(tmp_path.glob("checkpoint-*"))
    policy = next(tmp_path.glob("policy-*"))
    with pytest.raises(CheckpointError, match="seed"):
        train(config(2, seed=5), robots, tmp_path, resume_from=checkpoint)
    with pytest.raises(CheckpointError, match="other robots"):
        train(config(2), generate(ROBOTS, seed=7), tmp_path, resume_from=checkpoint)
    with pytest.raises(CheckpointError, match="holds a policy"):
        train(config(2), robots, tmp_path, resume_from=policy)
    longer = train(config(2), robots, tmp_path, resume_from=checkpoint)
    assert len(numbers(longer)) == 1


def test_more_processes_than_robots_are_not_started(
    robots: list[Morphology], tmp_path: Path
) -> None:
    train(config(1, processes=8), robots[:1], tmp_path)
    document = load_checkpoint(next(tmp_path.glob("checkpoint-*")))[1]
    assert json.loads(json.dumps(document))["config"]["processes"] == 1


def test_training_ends_when_its_time_is_up(robots: list[Morphology], tmp_path: Path) -> None:
    events = train(config(4, time_limit_s=1e-6), robots, tmp_path)
    assert len(numbers(events)) == 1
    checkpoint = next(event for event in events if isinstance(event, CheckpointWritten)).path
    longer = train(config(4), robots, tmp_path, resume_from=checkpoint)
    assert len(numbers(longer)) == 3


def test_no_robots_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no robots"):
        train(config(1), [], tmp_path)
