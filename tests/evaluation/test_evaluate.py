"""Episodes that do not depend on company, processes or repetition, and what is said of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.checkpoints import prefixed, save_checkpoint
from engine.config.base import TaskConfig
from engine.config.evaluation import EvaluationConfig
from engine.config.network import named_network
from engine.errors import StopRequestedError, UsageError
from engine.evaluation.episodes import EpisodesJob, run_episodes
from engine.evaluation.evaluate import evaluate_policies, summarize
from engine.events import (
    ArtifactWritten,
    Episode,
    EpisodesFinished,
    Event,
    Metrics,
    Progress,
    Result,
    StageContext,
)
from engine.morphology.generation import generate
from engine.morphology.poses import load_poses, parse_recording_name
from engine.morphology.tree import Morphology
from engine.rollout.actors import Actor, ActorFactory, CheckpointActors, RandomActors, ZeroActors
from engine.rollout.saved_policy import DOCUMENT_KEY, POLICY_PREFIX, PolicyDescription

CONFIG = EvaluationConfig(
    episodes=3, processes=1, bootstrap_samples=100, task=TaskConfig(episode_steps=60)
)


@pytest.fixture(scope="module")
def robots() -> list[Morphology]:
    return generate(3, seed=4)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ActorFactory]:
    description = PolicyDescription(
        network=named_network("transformer", "small"),
        task="flat",
        terrain_points=0,
        digests=(),
        action_std=0.5,
    )
    path = tmp_path_factory.mktemp("policy") / "policy.safetensors"
    tensors = prefixed(POLICY_PREFIX, description.build(1).state_dict())
    save_checkpoint(path, tensors, {DOCUMENT_KEY: description.model_dump(mode="json")})
    return {"teacher": CheckpointActors(path), "random": RandomActors(), "zero": ZeroActors()}


def _context(events: list[Event] | None = None) -> StageContext:
    report = (lambda event: None) if events is None else events.append
    return StageContext(Path("unused"), 1, report, lambda: False)


def _run(
    config: EvaluationConfig, policies: dict[str, ActorFactory], robots: list[Morphology]
) -> list[Episode]:
    return list(evaluate_policies(config, policies, robots, _context()).episodes)


@pytest.mark.parametrize("deterministic", [True, False])
def test_episodes_are_the_same_twice_and_whoever_else_is_evaluated(
    policies: dict[str, ActorFactory], robots: list[Morphology], deterministic: bool
) -> None:
    config = CONFIG.model_copy(update={"deterministic": deterministic})
    together = _run(config, policies, robots)
    assert together == _run(config, policies, robots)
    for label, actors in policies.items():
        for robot in robots:
            alone = _run(config, {label: actors}, [robot])
            expected = [
                episode
                for episode in together
                if episode.policy == label and episode.robot_digest == robot.digest
            ]
            assert alone == expected


@pytest.mark.slow
def test_two_processes_find_the_same_episodes_as_one(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    config = CONFIG.model_copy(update={"processes": 2})
    assert _run(config, policies, robots) == _run(CONFIG, policies, robots)


def test_every_policy_has_every_episode_once_and_meets_the_same_starts(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    episodes = _run(CONFIG, policies, robots)
    keys = {(e.policy, e.robot_digest, e.episode) for e in episodes}
    assert len(keys) == len(episodes) == len(policies) * len(robots) * CONFIG.episodes
    assert len({e.episode_return for e in episodes}) == len(episodes)


def test_the_returns_of_an_episode_are_distance_over_control_step(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    for episode in _run(CONFIG, {"zero": policies["zero"]}, robots):
        assert episode.episode_return == pytest.approx(episode.distance_m / 0.02, abs=1e-6)
        assert episode.energy_j == 0.0
        assert 1 <= episode.length <= 60
        assert episode.terminated == (episode.length < 60) or episode.length == 60


def test_sampling_changes_episodes_of_a_network_and_not_of_zero_actions(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    sampled = CONFIG.model_copy(update={"deterministic": False})
    zero = {"zero": policies["zero"]}
    assert _run(sampled, zero, robots[:1]) == _run(CONFIG, zero, robots[:1])
    teacher = {"teacher": policies["teacher"]}
    assert _run(sampled, teacher, robots[:1]) != _run(CONFIG, teacher, robots[:1])


def test_more_episodes_than_simulations_are_run_in_rounds_and_all_differ(
    robots: list[Morphology],
) -> None:
    config = CONFIG.model_copy(
        update={"episodes": 70, "task": TaskConfig(episode_steps=3, reset_noise=0.05)}
    )
    job = EpisodesJob("zero", ZeroActors(), robots[0], config)
    episodes = run_episodes(job, lambda: False).episodes
    assert [episode.episode for episode in episodes] == list(range(70))
    assert len({episode.episode_return for episode in episodes}) == 70


@pytest.mark.parametrize("deterministic", [True, False])
def test_an_episode_is_the_same_however_many_are_run(
    robots: list[Morphology], deterministic: bool
) -> None:
    def episodes(actors: ActorFactory, count: int) -> list[tuple[int, float, int]]:
        task = TaskConfig(episode_steps=2, reset_noise=0.05)
        update = {"episodes": count, "task": task, "deterministic": deterministic}
        job = EpisodesJob("p", actors, robots[0], CONFIG.model_copy(update=update))
        found = run_episodes(job, lambda: False).episodes
        return [(each.episode, each.episode_return, each.length) for each in found]

    for actors in (RandomActors(), NoisyZeros()):
        many = episodes(actors, 130)
        assert [number for number, *_ in many] == list(range(130))
        for count in (1, 2, 65):
            assert episodes(actors, count) == many[:count]


class NoisyZeros:
    """Makes actors whose means do not depend on the batch and that are sampled."""

    def actor(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> Actor:
        actor = ZeroActors().actor(robots, per_robot, seed)
        actor.std = 0.5
        return actor


def test_one_robot_has_a_return_and_no_interval(robots: list[Morphology]) -> None:
    events: list[Event] = []
    evaluate_policies(CONFIG, {"zero": ZeroActors()}, robots[:1], _context(events))
    (result,) = [event for event in events if isinstance(event, Result)]
    assert "±" not in result.text
    (metrics,) = [event for event in events if isinstance(event, Metrics)]
    assert "zero.mean_return" in metrics.values
    assert "zero.mean_return_low" not in metrics.values


def test_equal_episodes_have_equal_intervals_whatever_the_label_and_seed(
    robots: list[Morphology],
) -> None:
    policies: dict[str, ActorFactory] = {name: ZeroActors() for name in ("a", "b")}
    policies["c"] = RandomActors()
    found = evaluate_policies(CONFIG, policies, robots, _context())
    first, second, _ = found.policies
    assert first.mean_return == second.mean_return
    reseeded = [replace(episode, seed=9) for episode in found.episodes]
    again = summarize(CONFIG.model_copy(update={"seed": 9}), reseeded, list(policies), robots)
    assert again.differences == found.differences


def test_events_tell_episodes_progress_and_estimates(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    events: list[Event] = []
    evaluation = evaluate_policies(CONFIG, policies, robots, _context(events))
    finished = [
        e for batch in events if isinstance(batch, EpisodesFinished) for e in batch.episodes
    ]
    assert finished == list(evaluation.episodes)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [p.done for p in progress] == [3 * (index + 1) for index in range(9)]
    (metrics,) = [event for event in events if isinstance(event, Metrics)]
    returns = [e.episode_return for e in finished if e.policy == "random"]
    assert metrics.values["random.mean_return"] == pytest.approx(np.mean(returns))
    own = [e.episode_return for e in finished if e.robot_digest == robots[1].digest]
    zero = [e for e in finished if e.policy == "zero" and e.robot_digest == robots[1].digest]
    assert len(own) == 9
    assert metrics.robots[robots[1].digest]["zero.episode_return"] == pytest.approx(
        np.mean([e.episode_return for e in zero])
    )
    difference = evaluation.policies[2].mean_return.value - evaluation.policies[0].mean_return.value
    assert evaluation.differences["zero"].value == pytest.approx(difference)


def test_trained_and_unseen_robots_have_no_mean_in_common(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    events: list[Event] = []
    digests = [robot.digest for robot in robots]
    groups: dict[Any, list[str]] = {"train": digests[:2], "unseen": digests[2:]}
    found = evaluate_policies(CONFIG, policies, robots, _context(events), groups=groups)
    (metrics,) = [event for event in events if isinstance(event, Metrics)]
    assert "random.mean_return" not in metrics.values
    for group, words in (("train", "trained"), ("unseen", "unseen")):
        returns = [
            each.episode_return
            for each in found.episodes
            if each.policy == "random" and each.robot_digest in groups[group]
        ]
        name = f"random {words}.mean_return"
        assert metrics.values[name] == pytest.approx(np.mean(returns))
    (result,) = [event for event in events if isinstance(event, Result)]
    first = found.groups["train"].policies[0].mean_return.value
    assert (result.value, result.kind) == (first, "return")
    assert result.text.startswith("mean return on trained robots: ")
    assert "; mean return on unseen robots: " in result.text


def test_an_evaluation_knows_where_its_time_went(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    timing = evaluate_policies(CONFIG, policies, robots, _context()).timing
    assert timing is not None
    needed = timing.simulation_s + timing.inference_s
    assert 0 < needed <= timing.wall_s
    assert timing.overhead == pytest.approx(timing.wall_s / needed)
    assert len(policies) * len(robots) * 3 <= timing.steps <= len(policies) * len(robots) * 3 * 60


def test_a_stop_is_heeded_within_an_episode(
    policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    polls = iter(range(1000))
    context = StageContext(Path("unused"), 1, lambda event: None, lambda: next(polls) > 30)
    with pytest.raises(StopRequestedError):
        evaluate_policies(CONFIG, policies, robots, context)


@pytest.mark.parametrize("reported", [0, 3, 5])
def test_an_evaluation_that_goes_on_runs_only_what_is_missing_and_finds_the_same(
    reported: int, policies: dict[str, ActorFactory], robots: list[Morphology]
) -> None:
    whole = evaluate_policies(CONFIG, policies, robots, _context())
    # A policy and robot of which some episodes are missing is run again.
    lost = CONFIG.episodes * reported + 1
    events: list[Event] = []
    context = StageContext(Path("unused"), 2, events.append, lambda: False)
    again = evaluate_policies(CONFIG, policies, robots, context, known=whole.episodes[lost:])
    assert again.episodes == whole.episodes
    assert again.policies == whole.policies
    assert again.differences == whole.differences
    run = [event for event in events if isinstance(event, EpisodesFinished)]
    assert len(run) == reported + 1


def test_an_evaluation_of_nothing_is_wrong_use(robots: list[Morphology]) -> None:
    with pytest.raises(UsageError):
        evaluate_policies(CONFIG, {}, robots, _context())


def test_recorded_episodes_are_those_that_were_counted(
    robots: list[Morphology], tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"record_poses": 2, "processes": 1})
    events: list[Event] = []
    context = StageContext(tmp_path, 1, events.append, lambda: False)
    evaluation = evaluate_policies(config, {"zero": ZeroActors()}, robots, context, {"zero": 7})
    files = [event for event in events if isinstance(event, ArtifactWritten)]
    assert len(files) == 2 * len(robots)
    counted = {(e.robot_digest, e.episode): e for e in evaluation.episodes}
    for file in files:
        poses = load_poses(file.path)
        assert poses.header.policy_run_id == 7
        episode = counted[poses.header.robot_digest, parse_recording_name(file.name)[3]]
        assert poses.num_steps == episode.length
        assert poses.reward.sum() == pytest.approx(episode.episode_return, rel=1e-4, abs=1e-3)
    plain = evaluate_policies(CONFIG, {"zero": ZeroActors()}, robots, _context())
    assert plain.episodes == evaluation.episodes


def test_what_an_environment_draws_does_not_depend_on_how_many_there_are(
    robots: list[Morphology],
) -> None:
    def drawn(own: list[Morphology], count: int) -> np.ndarray:
        actor = RandomActors().actor(own, count, 1)
        rows = sum(robot.num_limbs for robot in own) * count
        return np.stack([actor.means(np.zeros((rows, 17)), None) for _ in range(3)])

    limbs = robots[0].num_limbs
    np.testing.assert_array_equal(drawn(robots[:1], 1), drawn(robots[:1], 3)[:, :limbs])
    assert np.ptp(drawn(robots[:1], 2).reshape(3, 2, -1), axis=1).max() > 0.1
